// Package reference compares the generated parts of docs with the program, or with -update-docs, as `make docs` runs the tests,
// writes them:
//
//	source of the program ──── types ─────────────> docs/errors.md
//	sets of metrics ────────── families ──────────> docs/metrics.md
//	openapi.yaml ───────────── operations ────────> docs/api*.md: tables
//	curl commands in a page ── request, answer ───> docs/api*.md: answers
//	openapi.yaml, images.json ── gzip ────────────> FILE.gz, which the program carries
package reference

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update-docs", false, "write the generated sections of docs instead of comparing them (make docs)")

// Section holds a section of a page of docs, between the comments "generated: NAME" and "end", to text.
func Section(t testing.TB, page, name, text string) {
	t.Helper()
	path := filepath.Join(docs(t), page)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, last := "<!-- generated: "+name+" -->\n", "<!-- end -->\n"
	before, rest, begun := strings.Cut(string(whole), first)
	now, after, ended := strings.Cut(rest, last)
	if !begun || !ended {
		t.Fatalf("docs/%s has no section %q", page, name)
	}
	want := "\n" + strings.TrimSpace(text) + "\n\n"
	if now == want {
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+first+want+last+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("docs/%s is not what the program does, in its section %q: make docs\n%s", page, name, difference(now, want))
}

// difference is the lines that only one of two texts has.
func difference(now, want string) string {
	var b strings.Builder
	for _, side := range []struct{ mark, of, other string }{{"- ", now, want}, {"+ ", want, now}} {
		has := map[string]bool{}
		for line := range strings.Lines(side.other) {
			has[line] = true
		}
		for line := range strings.Lines(side.of) {
			if !has[line] {
				b.WriteString(side.mark + line)
			}
		}
	}
	return b.String()
}

// docs is the folder docs of this repository.
func docs(t testing.TB) string { return filepath.Join(root(t), "docs") }

// root is the top of this repository. The directory of a test is that of its package.
func root(t testing.TB) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("there is no go.mod above this test")
	return ""
}
