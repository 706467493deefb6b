package reference

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/go/packages"
)

const unknown = "…"

// texts are what an expression may be, as far as the source tells; what it does not is an ellipsis.
func (s *source) texts(p *packages.Package, e ast.Expr) []string {
	return s.textsOf(p, e, map[string]bool{})
}

func (s *source) textsOf(p *packages.Package, e ast.Expr, asked map[string]bool) (all []string) {
	if v := p.TypesInfo.Types[e].Value; v != nil {
		if v.Kind() == constant.String {
			return []string{constant.StringVal(v)}
		}
		if n := constant.ToInt(v); n.Kind() == constant.Int && typeName(p.TypesInfo.TypeOf(e)) == "time.Duration" {
			ns, _ := constant.Int64Val(n)
			return []string{time.Duration(ns).String()}
		}
		return []string{v.ExactString()}
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return s.stored(s.object(p, e), asked)
	case *ast.SelectorExpr:
		if !isFaultType(p.TypesInfo.TypeOf(e.X)) {
			return s.stored(s.object(p, e), asked)
		}
		if s.held != nil {
			if texts := s.held(p, e); len(texts) > 0 {
				return texts
			}
		}
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			break
		}
		for _, x := range few(s.textsOf(p, e.X, asked)) {
			for _, y := range few(s.textsOf(p, e.Y, asked)) {
				all = append(all, strings.ReplaceAll(x+y, unknown+unknown, unknown))
			}
		}
		return unique(all)
	case *ast.IndexExpr:
		for _, w := range s.elements(p, e.X) {
			all = append(all, s.textsOf(w.in, w.expr, asked)...)
		}
		if all != nil {
			return unique(all)
		}
	case *ast.CallExpr:
		return s.returned(p, e, 0, asked)
	}
	return []string{unknown}
}

// elements are the values of a map or a list that is written as one.
func (s *source) elements(p *packages.Package, e ast.Expr) (all []written) {
	o := s.object(p, e)
	if o == nil {
		return nil
	}
	for _, w := range s.writes[s.key(o)] {
		lit, ok := w.expr.(*ast.CompositeLit)
		if !ok {
			continue
		}
		for _, e := range lit.Elts {
			if kv, keyed := e.(*ast.KeyValueExpr); keyed {
				e = kv.Value
			}
			all = append(all, written{e, w.in, -1})
		}
	}
	return all
}

// stored are what may be in a variable or a field.
func (s *source) stored(o types.Object, asked map[string]bool) (all []string) {
	if o == nil || asked[s.key(o)] {
		return []string{unknown}
	}
	key := s.key(o)
	asked[key] = true
	defer delete(asked, key)
	for _, w := range s.writes[key] {
		if w.result >= 0 {
			if c, ok := w.expr.(*ast.CallExpr); ok {
				all = append(all, s.returned(w.in, c, w.result, asked)...)
				continue
			}
			all = append(all, unknown)
			continue
		}
		all = append(all, s.textsOf(w.in, w.expr, asked)...)
	}
	if of, ok := s.params[key]; ok {
		for _, c := range s.calls[of.function] {
			if of.number < len(c.Args) {
				all = append(all, s.textsOf(c.in, c.Args[of.number], asked)...)
			}
		}
	}
	if all == nil {
		return []string{unknown}
	}
	return unique(all)
}

// returned are what a call may return as its result of that number.
func (s *source) returned(p *packages.Package, c *ast.CallExpr, number int, asked map[string]bool) (all []string) {
	if p.TypesInfo.Types[c.Fun].IsType() && len(c.Args) == 1 {
		return s.textsOf(p, c.Args[0], asked)
	}
	o := s.object(p, c.Fun)
	if index, ok := c.Fun.(*ast.IndexExpr); ok {
		o = s.object(p, index.X)
	}
	if o == nil {
		return []string{unknown}
	}
	switch s.key(o) {
	case "cmp.Or":
		for _, arg := range c.Args {
			all = append(all, s.textsOf(p, arg, asked)...)
		}
		return unique(all)
	case "fmt.Sprintf":
		return s.formatted(p, c, asked)
	case "strings.TrimSpace", "strings.TrimPrefix", "strings.TrimSuffix":
		return s.textsOf(p, c.Args[0], asked)
	}
	if o.Name() == "Error" {
		return []string{unknown} // what went wrong below, in its own words
	}
	key := fmt.Sprintf("%s result %d", s.key(o), number)
	if asked[key] {
		return []string{unknown}
	}
	asked[key] = true
	defer delete(asked, key)
	for _, w := range s.writes[key] {
		all = append(all, s.textsOf(w.in, w.expr, asked)...)
	}
	if all == nil {
		return []string{unknown}
	}
	return unique(all)
}

// formatted is what Sprintf makes, with an ellipsis for each value that is not always the same.
func (s *source) formatted(p *packages.Package, c *ast.CallExpr, asked map[string]bool) (all []string) {
	for _, format := range s.textsOf(p, c.Args[0], asked) {
		var b strings.Builder
		next := 1
		for i := 0; i < len(format); i++ {
			if format[i] != '%' {
				b.WriteByte(format[i])
				continue
			}
			for i++; i < len(format) && strings.IndexByte("+-# 0123456789.*", format[i]) >= 0; i++ {
			}
			if i < len(format) && format[i] == '%' {
				b.WriteByte('%')
				continue
			}
			value := unknown
			if next < len(c.Args) {
				if v := s.textsOf(p, c.Args[next], asked); len(v) == 1 {
					value = v[0]
				}
			}
			next++
			b.WriteString(value)
		}
		all = append(all, b.String())
	}
	return unique(all)
}

// few are texts unless they are so many that they say little.
func few(texts []string) []string {
	if len(texts) > 1 && slices.Contains(texts, unknown) { // which may be empty, too
		texts = slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return s == "" })
	}
	if len(texts) > 4 {
		return []string{unknown}
	}
	return texts
}

// several are texts unless they are so many that nobody reads them: those of a program that passes on what it was told.
func several(texts []string) []string {
	if len(texts) > 30 {
		return []string{unknown}
	}
	return texts
}

func unique(all []string) (once []string) {
	for _, s := range all {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return once
}
