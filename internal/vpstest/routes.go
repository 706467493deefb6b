package vpstest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Route is one line of Server.Handler: mux.Handle(method+" "+path, s.guard(...)). Tests that must know every route
// read them from the source, so that a new one cannot be forgotten.
type Route struct{ Method, Path, Guard string }

// Example is a path that the route matches. What is named in a path is a month.
func (o Route) Example() string { return wildcard.ReplaceAllString(o.Path, "2026-06") }

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// Routes reads the routes; root is the directory of the module.
func Routes(t testing.TB, root string) (all []Route) {
	t.Helper()
	constants := stringConstants(t, filepath.Join(root, "wire/*.go"))
	ast.Inspect(function(t, filepath.Join(root, "vps/api/server.go"), "Handler"), func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !strings.HasPrefix(selected(call.Fun), "mux.Handle") {
			return true
		}
		pattern, ok := text(call.Args[0], constants)
		method, path, hasMethod := strings.Cut(pattern, " ")
		guard, isCall := call.Args[1].(*ast.CallExpr)
		if !ok || !hasMethod || !isCall {
			t.Fatalf("a route that this test cannot read: %s %q", selected(call.Fun), pattern)
		}
		all = append(all, Route{method, strings.TrimSuffix(path, "{$}"), strings.TrimPrefix(selected(guard.Fun), "s.")})
		return true
	})
	if len(all) < 6 {
		t.Fatalf("only %d routes are found in Handler: %v", len(all), all)
	}
	return all
}

// function is the declaration of a function or method in a file of this package.
func function(t testing.TB, file, name string) ast.Node {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == name {
			return f
		}
	}
	t.Fatalf("%s has no %s", file, name)
	return nil
}

// stringConstants are the constants of files that are written as one string, by "wire.Name".
func stringConstants(t testing.TB, files string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(files)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]string{}
	for _, path := range paths {
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Names) == len(spec.Values) {
				for i, name := range spec.Names {
					if v, ok := text(spec.Values[i], nil); ok {
						constants[parsed.Name.Name+"."+name.Name] = v
					}
				}
			}
			return true
		})
	}
	return constants
}

// text is the value of a string expression.
func text(e ast.Expr, constants map[string]string) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		v, err := strconv.Unquote(e.Value)
		return v, err == nil
	case *ast.SelectorExpr:
		v, ok := constants[selected(e)]
		return v, ok
	case *ast.BinaryExpr:
		left, ok := text(e.X, constants)
		right, ok2 := text(e.Y, constants)
		return left + right, ok && ok2
	}
	return "", false
}

// selected is x.Name as text.
func selected(e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok {
			return x.Name + "." + s.Sel.Name
		}
	}
	return ""
}
