package reference

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// source is the program as its compiler sees it: every package of the module that is no help of tests.
type source struct {
	fset     *token.FileSet
	packages []*packages.Package

	// What may be where, by the key of a variable, a field, a parameter or a result of a function.
	writes map[string][]written
	calls  map[string][]call // by the key of what is called
	params map[string]param  // by the key of the variable
	bodies map[string]*body  // of functions and of literals that have a name, by key

	// held is what a field of a fault has where the source is being followed; nil is not known.
	held func(p *packages.Package, field *ast.SelectorExpr) []string
}

// written is an expression that is stored somewhere; of a call with several results the one of that number.
type written struct {
	expr   ast.Expr
	in     *packages.Package
	result int
}

type call struct {
	*ast.CallExpr
	in    *packages.Package
	outer ast.Expr // the same call with what is chained to it: f(...).WithNext("...")
}

type param struct {
	function string
	number   int
}

type body struct {
	*ast.BlockStmt
	in     *packages.Package
	params []types.Object
}

func load(t testing.TB) *source {
	t.Helper()
	s := &source{fset: token.NewFileSet(), writes: map[string][]written{}, calls: map[string][]call{}, params: map[string]param{}, bodies: map[string]*body{}}
	all, err := packages.Load(&packages.Config{Fset: s.fset, Dir: root(t),
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		for _, err := range p.Errors {
			t.Fatal(err)
		}
		if _, helps := p.Imports["testing"]; !helps {
			s.packages = append(s.packages, p)
		}
	}
	slices.SortFunc(s.packages, func(a, b *packages.Package) int { return strings.Compare(a.PkgPath, b.PkgPath) })
	for _, p := range s.packages {
		for _, file := range p.Syntax {
			s.declare(p, file)
		}
	}
	for _, p := range s.packages {
		for _, file := range p.Syntax {
			s.index(p, file)
		}
	}
	return s
}

// key names an object in whatever package it is met: the position of what is imported has no column.
func (s *source) key(o types.Object) string {
	if f, ok := o.(*types.Func); ok {
		return f.Origin().FullName()
	}
	if o.Pkg() == nil {
		return o.Name()
	}
	at := s.fset.Position(o.Pos())
	return fmt.Sprintf("%s/%s:%d %s", o.Pkg().Path(), filepath.Base(at.Filename), at.Line, o.Name())
}

// declare finds the functions.
func (s *source) declare(p *packages.Package, file *ast.File) {
	function := func(key string, kind *ast.FuncType, block *ast.BlockStmt) {
		b := &body{block, p, nil}
		for _, field := range kind.Params.List {
			for _, name := range field.Names {
				o := p.TypesInfo.Defs[name]
				if o != nil {
					s.params[s.key(o)] = param{key, len(b.params)}
				}
				b.params = append(b.params, o)
			}
			if len(field.Names) == 0 {
				b.params = append(b.params, nil)
			}
		}
		s.bodies[key] = b
		number := 0
		if kind.Results != nil {
			for _, field := range kind.Results.List {
				for _, name := range field.Names {
					s.write(p, fmt.Sprintf("%s result %d", key, number), name, -1)
					number++
				}
			}
		}
		ast.Inspect(block, func(n ast.Node) bool {
			if _, inner := n.(*ast.FuncLit); inner {
				return false
			}
			if r, ok := n.(*ast.ReturnStmt); ok {
				for i, e := range r.Results {
					s.write(p, fmt.Sprintf("%s result %d", key, i), e, -1)
				}
			}
			return true
		})
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Body != nil {
				function(s.key(p.TypesInfo.Defs[n.Name]), n.Type, n.Body)
			}
		case *ast.AssignStmt:
			for i, e := range n.Rhs {
				name, named := n.Lhs[min(i, len(n.Lhs)-1)].(*ast.Ident)
				if lit, ok := e.(*ast.FuncLit); ok && named && len(n.Lhs) == len(n.Rhs) {
					if o := p.TypesInfo.ObjectOf(name); o != nil {
						function(s.key(o), lit.Type, lit.Body)
					}
				}
			}
		}
		return true
	})
}

func (s *source) write(p *packages.Package, key string, e ast.Expr, result int) {
	s.writes[key] = append(s.writes[key], written{e, p, result})
}

// index notes what is written where, and what is called.
func (s *source) index(p *packages.Package, file *ast.File) {
	chained := map[ast.Expr]ast.Expr{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				o := s.object(p, l)
				switch {
				case o == nil:
				case n.Tok == token.ADD_ASSIGN:
					s.write(p, s.key(o), &ast.BinaryExpr{X: l, Op: token.ADD, Y: n.Rhs[0]}, -1)
				case len(n.Lhs) == len(n.Rhs):
					s.write(p, s.key(o), n.Rhs[i], -1)
				default:
					s.write(p, s.key(o), n.Rhs[0], i)
				}
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if o := p.TypesInfo.Defs[name]; o != nil && i < len(n.Values) && len(n.Values) == len(n.Names) {
					s.write(p, s.key(o), n.Values[i], -1)
				}
			}
		case *ast.CompositeLit:
			for field, e := range s.fields(p, n) {
				s.write(p, s.key(field), e, -1)
			}
		case *ast.CallExpr:
			outer := ast.Expr(n)
			if o, ok := chained[n]; ok {
				outer = o
			}
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
				if inner, ok := ast.Unparen(sel.X).(*ast.CallExpr); ok {
					chained[inner] = outer
				}
				if lit, ok := ast.Unparen(sel.X).(*ast.UnaryExpr); ok {
					chained[lit.X] = outer
				}
			}
			if o := s.object(p, n.Fun); o != nil {
				s.calls[s.key(o)] = append(s.calls[s.key(o)], call{n, p, outer})
			}
		}
		return true
	})
	for lit, outer := range chained {
		if lit, ok := lit.(*ast.CompositeLit); ok {
			s.calls[s.at(lit)] = []call{{nil, p, outer}}
		}
	}
}

// at is the place of a node.
func (s *source) at(n ast.Node) string {
	at := s.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d:%d", at.Filename, at.Line, at.Column)
}

// object is what an expression names: a variable, a field or a function.
func (s *source) object(p *packages.Package, e ast.Expr) types.Object {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return p.TypesInfo.ObjectOf(e)
	case *ast.SelectorExpr:
		return p.TypesInfo.ObjectOf(e.Sel)
	}
	return nil
}

// fields are what a literal of a struct gives its fields.
func (s *source) fields(p *packages.Package, lit *ast.CompositeLit) map[types.Object]ast.Expr {
	kind := p.TypesInfo.TypeOf(lit)
	if kind == nil {
		return nil
	}
	structure, ok := kind.Underlying().(*types.Struct)
	if pointer, is := kind.Underlying().(*types.Pointer); is { // in a list of pointers
		structure, ok = pointer.Elem().Underlying().(*types.Struct)
	}
	if !ok {
		return nil
	}
	all := map[types.Object]ast.Expr{}
	for i, e := range lit.Elts {
		if kv, keyed := e.(*ast.KeyValueExpr); keyed {
			if o := p.TypesInfo.ObjectOf(kv.Key.(*ast.Ident)); o != nil {
				all[o] = kv.Value
			}
			continue
		}
		all[structure.Field(i)] = e
	}
	return all
}
