package reference

import (
	"go/ast"
	"go/types"
	"maps"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// entry is what a literal of a struct may be: the texts of its fields by their names.
type entry struct {
	fields map[string][]string
	at     string
}

// entries gives what the literals of a struct may be, whose name is that of its package and its own. A literal that is made
// of the parameters of its function is one for each call of that; fields of structs inside of it count as its own, and what
// a call has chained to it (.WithNext("...")) as a field of that name.
func (s *source) entries(name string) (all []entry) {
	for _, p := range s.packages {
		for _, file := range p.Syntax {
			ast.Inspect(file, func(n ast.Node) bool {
				lit, ok := n.(*ast.CompositeLit)
				if !ok || typeName(p.TypesInfo.TypeOf(lit)) != name {
					return true
				}
				exprs := map[string]written{}
				s.flatten(p, lit, exprs)
				var outer ast.Expr
				if c := s.calls[s.at(lit)]; c != nil {
					outer = c[0].outer
				}
				all = append(all, s.expand(exprs, outer, p, s.at(lit), 0)...)
				return true
			})
		}
	}
	return all
}

func typeName(t types.Type) string {
	if t == nil {
		return ""
	}
	if pointer, ok := t.(*types.Pointer); ok {
		t = pointer.Elem()
	}
	return t.String()
}

func (s *source) flatten(p *packages.Package, lit *ast.CompositeLit, into map[string]written) {
	for field, e := range s.fields(p, lit) {
		if inner, ok := e.(*ast.CompositeLit); ok {
			if _, structure := p.TypesInfo.TypeOf(inner).Underlying().(*types.Struct); structure {
				s.flatten(p, inner, into)
				continue
			}
		}
		into[field.Name()] = written{s.message(p, e), p, -1}
	}
}

// message is the text in a list that names what is wrong with one place of a request; any other expression is itself.
func (s *source) message(p *packages.Package, e ast.Expr) ast.Expr {
	list, ok := e.(*ast.CompositeLit)
	if !ok || len(list.Elts) != 1 {
		return e
	}
	if one, ok := list.Elts[0].(*ast.CompositeLit); ok {
		for field, text := range s.fields(p, one) {
			if field.Name() == "Msg" {
				return text
			}
		}
	}
	return e
}

func (s *source) expand(exprs map[string]written, outer ast.Expr, p *packages.Package, at string, depth int) (all []entry) {
	function := ""
	for _, w := range exprs {
		if of, ok := s.parameter(w); ok && len(s.calls[of.function]) > 0 {
			function = of.function
		}
	}
	if function != "" && depth < 4 {
		for _, c := range s.calls[function] {
			given := map[string]written{}
			for name, w := range exprs {
				given[name] = w
				if of, ok := s.parameter(w); ok && of.function == function && of.number < len(c.Args) {
					given[name] = written{c.Args[of.number], c.in, -1}
				}
			}
			all = append(all, s.expand(given, c.outer, c.in, s.at(c), depth+1)...)
		}
		return all
	}
	if by, index := s.lookedUp(exprs); index != nil { // a text that is looked up by a code
		for code, text := range s.pairs(exprs[by].in, index.X) {
			x := s.texted(exprs, outer, p, at)
			x.fields[by] = []string{text}
			for name, w := range exprs {
				if types.ExprString(w.expr) == types.ExprString(index.Index) {
					x.fields[name] = []string{code}
				}
			}
			all = append(all, x)
		}
		return all
	}
	return []entry{s.texted(exprs, outer, p, at)}
}

// parameter is the parameter that an expression is, if it is one.
func (s *source) parameter(w written) (param, bool) {
	id, ok := ast.Unparen(w.expr).(*ast.Ident)
	if !ok {
		return param{}, false
	}
	o := w.in.TypesInfo.ObjectOf(id)
	if o == nil || o.Pkg() == nil {
		return param{}, false
	}
	of, ok := s.params[s.key(o)]
	return of, ok
}

// lookedUp is the field whose text comes out of a map by what another field is.
func (s *source) lookedUp(exprs map[string]written) (name string, index *ast.IndexExpr) {
	for name, w := range exprs {
		if i, ok := w.expr.(*ast.IndexExpr); ok {
			for _, other := range exprs {
				if types.ExprString(other.expr) == types.ExprString(i.Index) {
					return name, i
				}
			}
		}
	}
	return "", nil
}

// pairs are the keys and values of a map that is written as one.
func (s *source) pairs(p *packages.Package, e ast.Expr) map[string]string {
	all := map[string]string{}
	o := s.object(p, e)
	if o == nil {
		return nil
	}
	for _, w := range s.writes[s.key(o)] {
		if lit, ok := w.expr.(*ast.CompositeLit); ok {
			for _, e := range lit.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					all[s.texts(w.in, kv.Key)[0]] = s.texts(w.in, kv.Value)[0]
				}
			}
		}
	}
	return all
}

func (s *source) texted(exprs map[string]written, outer ast.Expr, p *packages.Package, at string) entry {
	x := entry{map[string][]string{}, at}
	for name, w := range exprs {
		x.fields[name] = s.texts(w.in, w.expr)
	}
	for {
		c, ok := ast.Unparen(outerOf(outer)).(*ast.CallExpr)
		if !ok {
			return x
		}
		sel, ok := c.Fun.(*ast.SelectorExpr)
		if !ok {
			return x
		}
		if len(c.Args) == 1 {
			x.fields["."+sel.Sel.Name] = s.texts(p, c.Args[0])
		}
		outer = sel.X
	}
}

func outerOf(e ast.Expr) ast.Expr {
	if e == nil {
		return &ast.BadExpr{}
	}
	return e
}

// arguments are what the calls of a function give it there.
func (s *source) arguments(function string, number int) (all []string) {
	for _, c := range s.calls[function] {
		if number < len(c.Args) {
			all = append(all, s.texts(c.in, c.Args[number])...)
		}
	}
	return unique(all)
}

// constants are those of a package whose names begin with prefix, with what is said of each at the end of its line.
func (s *source) constants(path, prefix string) map[string]string {
	all := map[string]string{}
	for _, p := range s.packages {
		if p.PkgPath != path {
			continue
		}
		for _, file := range p.Syntax {
			for _, d := range file.Decls {
				d, ok := d.(*ast.GenDecl)
				if !ok {
					continue
				}
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, prefix) && len(v.Values) == 1 {
						all[s.texts(p, v.Values[0])[0]] = strings.TrimSpace(v.Comment.Text())
					}
				}
			}
		}
	}
	return all
}

func sorted[V any](all map[string]V) []string { return slices.Sorted(maps.Keys(all)) }

// listed are the texts of a list that is a variable of a package.
func (s *source) listed(path, name string) (all []string) {
	for _, p := range s.packages {
		if p.PkgPath != path {
			continue
		}
		if o := p.Types.Scope().Lookup(name); o != nil {
			for _, w := range s.writes[s.key(o)] {
				if lit, ok := w.expr.(*ast.CompositeLit); ok {
					for _, e := range lit.Elts {
						all = append(all, s.texts(w.in, e)...)
					}
				}
			}
		}
	}
	return all
}

// plain are the texts that are written to a field of a struct as they are.
func (s *source) plain(path, name, field string) (all []string) {
	for _, p := range s.packages {
		if o := p.Types.Scope().Lookup(name); p.PkgPath == path && o != nil {
			structure, ok := o.Type().Underlying().(*types.Struct)
			if !ok {
				return nil
			}
			for f := range structure.Fields() {
				if f.Name() == field {
					all = append(all, s.plainOf(s.key(f))...)
				}
			}
		}
	}
	return all
}

// plainOf are the constants that are written to what has that key.
func (s *source) plainOf(key string) (all []string) {
	for _, w := range s.writes[key] {
		if w.in.TypesInfo.Types[w.expr].Value != nil {
			all = append(all, s.texts(w.in, w.expr)...)
		}
	}
	return all
}
