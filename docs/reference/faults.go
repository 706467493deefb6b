package reference

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"golang.org/x/tools/go/packages"
)

// fault is what a *health.Fault may say: each of its fields may be one of several texts.
type fault struct {
	code, what, why, next, exit []string
	role                        string // edge, vps or command line
	at                          string // where it is made
}

// flow follows the faults of a function through its blocks. What a block changes is a fault of its own; the blocks inside it
// begin with what it has by then.
type flow struct {
	*source
	emit  func(fault)
	depth int
}

// faults gives every fault that the program may make to emit.
func (s *source) faults(emit func(fault)) {
	f := &flow{source: s, emit: emit}
	for _, p := range s.packages {
		for _, file := range p.Syntax {
			for _, d := range file.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Body != nil {
						f.block(p, d.Body.List, map[string]*fault{})
					}
				case *ast.GenDecl:
					f.literals(p, d)
				}
			}
		}
	}
}

// block walks through statements with the faults that variables hold.
func (f *flow) block(p *packages.Package, list []ast.Stmt, outer map[string]*fault) {
	held := map[string]*fault{}
	for key, x := range outer {
		held[key] = new(*x)
	}
	changed := map[string]bool{}
	for _, stmt := range list {
		f.statement(p, stmt, held, changed)
	}
	for key := range changed {
		f.emit(*held[key])
	}
}

func (f *flow) statement(p *packages.Package, stmt ast.Stmt, held map[string]*fault, changed map[string]bool) {
	inner := func(list ...ast.Stmt) { f.block(p, list, held) }
	switch s := stmt.(type) {
	case nil:
	case *ast.AssignStmt:
		for i, l := range s.Lhs {
			if len(s.Lhs) == len(s.Rhs) {
				f.assign(p, l, s, s.Rhs[i], held, changed)
			}
		}
		for _, r := range s.Rhs {
			f.expression(p, r, held)
		}
	case *ast.DeclStmt:
		if d, ok := s.Decl.(*ast.GenDecl); ok {
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && len(v.Values) == len(v.Names) {
					for i, name := range v.Names {
						f.hold(p, name, v.Values[i], held, changed)
						f.expression(p, v.Values[i], held)
					}
				}
			}
		}
	case *ast.BlockStmt:
		inner(s.List...)
	case *ast.IfStmt:
		f.statement(p, s.Init, held, changed)
		f.expression(p, s.Cond, held)
		inner(s.Body.List...)
		if s.Else != nil {
			inner(s.Else)
		}
	case *ast.ForStmt:
		f.statement(p, s.Init, held, changed)
		inner(s.Body.List...)
	case *ast.RangeStmt:
		f.expression(p, s.X, held)
		inner(s.Body.List...)
	case *ast.SwitchStmt:
		f.statement(p, s.Init, held, changed)
		for _, clause := range s.Body.List {
			for _, e := range clause.(*ast.CaseClause).List {
				f.expression(p, e, held)
			}
			inner(clause.(*ast.CaseClause).Body...)
		}
	case *ast.TypeSwitchStmt:
		for _, clause := range s.Body.List {
			inner(clause.(*ast.CaseClause).Body...)
		}
	case *ast.SelectStmt:
		for _, clause := range s.Body.List {
			inner(clause.(*ast.CommClause).Body...)
		}
	default:
		f.nodes(p, stmt, held)
	}
}

func (f *flow) expression(p *packages.Package, e ast.Expr, held map[string]*fault) {
	if e != nil {
		f.nodes(p, e, held)
	}
}

// nodes finds what is made or passed on inside of a statement or an expression.
func (f *flow) nodes(p *packages.Package, top ast.Node, held map[string]*fault) {
	ast.Inspect(top, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			f.block(p, n.Body.List, held)
			return false
		case *ast.CompositeLit:
			if f.isFault(p, n) && !f.named(n) {
				f.emit(f.literal(p, n))
			}
		case *ast.CallExpr:
			f.passed(p, n, held)
		}
		return true
	})
}

// literals finds what is made outside of functions.
func (f *flow) literals(p *packages.Package, n ast.Node) { f.nodes(p, n, map[string]*fault{}) }

// passed follows a fault into a function that is given it.
func (f *flow) passed(p *packages.Package, c *ast.CallExpr, held map[string]*fault) {
	o := f.object(p, c.Fun)
	if o == nil || f.depth > 6 {
		return
	}
	b := f.bodies[f.key(o)]
	if b == nil {
		return
	}
	into := map[string]*fault{}
	for i, arg := range c.Args {
		if a := f.object(p, arg); a != nil && held[f.key(a)] != nil && i < len(b.params) && b.params[i] != nil && isFaultType(b.params[i].Type()) {
			into[f.key(b.params[i])] = held[f.key(a)]
		}
	}
	if len(into) > 0 {
		f.depth++
		f.block(b.in, b.List, into)
		f.depth--
	}
}

// assign changes what a variable holds, or a field of it.
func (f *flow) assign(p *packages.Package, l ast.Expr, s *ast.AssignStmt, r ast.Expr, held map[string]*fault, changed map[string]bool) {
	sel, ok := l.(*ast.SelectorExpr)
	if !ok {
		f.hold(p, l, r, held, changed)
		return
	}
	o := f.object(p, sel.X)
	if o == nil || held[f.key(o)] == nil {
		return
	}
	x := held[f.key(o)]
	into := x.fields()[sel.Sel.Name]
	if into == nil {
		return
	}
	f.held = func(p *packages.Package, field *ast.SelectorExpr) []string {
		if of := f.object(p, field.X); of != nil && held[f.key(of)] != nil {
			if texts := held[f.key(of)].fields()[field.Sel.Name]; texts != nil {
				return *texts
			}
		}
		return nil
	}
	defer func() { f.held = nil }()
	if s.Tok == token.ADD_ASSIGN {
		r = &ast.BinaryExpr{X: l, Op: token.ADD, Y: r}
	}
	*into = f.texts(p, r)
	changed[f.key(o)] = true
}

// fields are those of a fault by their names.
func (x *fault) fields() map[string]*[]string {
	return map[string]*[]string{"Code": &x.code, "What": &x.what, "Why": &x.why, "Next": &x.next, "Exit": &x.exit}
}

// hold notes that a variable is given a fault.
func (f *flow) hold(p *packages.Package, l, r ast.Expr, held map[string]*fault, changed map[string]bool) {
	o := f.object(p, l)
	lit := faultIn(r)
	if o == nil || lit == nil || !f.isFault(p, lit) {
		return
	}
	f.names(lit)
	held[f.key(o)] = new(f.literal(p, lit))
	changed[f.key(o)] = true
}

// names notes that a literal is in a variable, so that it is not met again.
func (f *flow) names(lit *ast.CompositeLit)      { f.calls["named "+f.at(lit)] = []call{{}} }
func (f *flow) named(lit *ast.CompositeLit) bool { return f.calls["named "+f.at(lit)] != nil }

func faultIn(e ast.Expr) *ast.CompositeLit {
	if u, ok := ast.Unparen(e).(*ast.UnaryExpr); ok {
		e = u.X
	}
	lit, _ := e.(*ast.CompositeLit)
	return lit
}

func (f *flow) isFault(p *packages.Package, lit *ast.CompositeLit) bool {
	return isFaultType(p.TypesInfo.TypeOf(lit))
}

func isFaultType(t types.Type) bool {
	if t == nil {
		return false
	}
	if pointer, ok := t.(*types.Pointer); ok {
		t = pointer.Elem()
	}
	return t.String() == "sunspool/health.Fault"
}

func (f *flow) literal(p *packages.Package, lit *ast.CompositeLit) fault {
	x := fault{role: roleOf(p.PkgPath), at: f.at(lit)}
	for field, e := range f.source.fields(p, lit) {
		if to := x.fields()[field.Name()]; to != nil {
			*to = f.texts(p, e)
		}
	}
	return x
}

// roleOf is who has the faults of a package.
func roleOf(path string) string {
	switch part, _, _ := strings.Cut(strings.TrimPrefix(path, "sunspool/"), "/"); {
	case path == "sunspool/edge/simulator":
		return "command line"
	case part == "edge", part == "vps":
		return part
	}
	return "command line"
}
