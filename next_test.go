package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sunspool/health"
	"sunspool/internal/testhost"
)

// What stands in a next in place of what is only known later: of names that the code chooses, one of them; of anything
// else what a shell would stumble over. Commands have it as one word, see health.Quote; words are a comment.
const anything = "it's $(exit 3) & \"x; <y"

var chosen = map[string]string{
	"s.Role": "edge", "s.role": "edge", "action": "install", "command": "quarantine", "port": "8000", "setting": "LISTEN_ADDR", "s.settingsFile()": "/etc/sunspool/edge.env",
}

// nexts are all that the program can say that is to be done, by where it says so.
func nexts(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "node_modules" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		add := func(e ast.Expr) {
			for i, text := range values(t, files, e) {
				if text != "" && text != anything { // none, or the next of something else
					all[fmt.Sprintf("%s#%d", files.Position(e.Pos()), i)] = text
				}
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Next" {
					add(n.Value)
				}
			case *ast.AssignStmt:
				for i, to := range n.Lhs {
					if field, ok := to.(*ast.SelectorExpr); ok && field.Sel.Name == "Next" && len(n.Rhs) == len(n.Lhs) {
						add(n.Rhs[i])
					}
				}
			case *ast.CallExpr:
				if method, ok := n.Fun.(*ast.SelectorExpr); ok && method.Sel.Name == "next" && len(n.Args) == 1 {
					add(n.Args[0])
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 130 {
		t.Fatalf("only %d are found", len(all))
	}
	return all
}

// values are what a string expression may be.
func values(t *testing.T, files *token.FileSet, e ast.Expr) []string {
	source := func(e ast.Expr) string {
		var b bytes.Buffer
		printer.Fprint(&b, files, e)
		return b.String()
	}
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return []string{text}
		}
	case *ast.ParenExpr:
		return values(t, files, e.X)
	case *ast.BinaryExpr:
		var all []string
		for _, left := range values(t, files, e.X) {
			for _, right := range values(t, files, e.Y) {
				all = append(all, left+right)
			}
		}
		return all
	case *ast.CallExpr:
		switch source(e.Fun) {
		case "health.Quote":
			return []string{health.Quote(values(t, files, e.Args[0])[0])}
		case "cmp.Or":
			var all []string
			for _, arg := range e.Args {
				all = append(all, values(t, files, arg)...)
			}
			return all
		case "fmt.Sprintf":
			format := values(t, files, e.Args[0])[0]
			for _, arg := range e.Args[1:] {
				verb := regexp.MustCompile(`%[a-z]`).FindStringIndex(format)
				if verb == nil {
					break // the format is a name for one that is elsewhere
				}
				format = format[:verb[0]] + values(t, files, arg)[0] + format[verb[1]:]
			}
			return []string{format}
		}
	}
	if name, ok := chosen[source(e)]; ok {
		return []string{name}
	}
	return []string{anything}
}

// sandbox is a shell in which the programs of our commands do nothing but note how they were called.
type sandbox struct {
	dir, log string
}

func newSandbox(t *testing.T) sandbox {
	t.Helper()
	dir := t.TempDir()
	s := sandbox{dir, filepath.Join(dir, "log")}
	for _, program := range []string{"sunspool", "sudo", "systemctl", "chmod", "timedatectl", "dmesg", "ss", "fuser", "createdb", "openssl"} {
		script := "#!/bin/sh\nfor word in " + program + ` "$@"; do printf '%s\0' "$word"; done >>` + s.log + "\nprintf '\\n' >>" + s.log + "\n"
		testhost.WriteProgram(t, filepath.Join(dir, program), []byte(script), 0o755)
	}
	return s
}

// run pastes a line into a shell and returns the words of each command that came of it.
func (s sandbox) run(t *testing.T, shell, line string) (commands [][]string) {
	t.Helper()
	os.Remove(s.log)
	cmd := exec.CommandContext(t.Context(), shell, "-c", line)
	cmd.Env, cmd.Dir = []string{"PATH=" + s.dir}, s.dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%s, given\n%s\nsays %v %s", shell, line, err, out)
	}
	log, err := os.ReadFile(s.log)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for called := range strings.Lines(strings.ReplaceAll(string(log), "\x00\n", "\x00\x00\n")) {
		commands = append(commands, strings.Split(strings.TrimSuffix(called, "\x00\x00\n"), "\x00"))
	}
	return commands
}

// known reports what is wrong with a command of ours: a word, a flag or an argument that is none.
func known(words []string) error {
	if words[0] == "sudo" {
		words = words[1:]
	}
	if words[0] != "sunspool" {
		return nil
	}
	var c commands
	_, err := c.parse(words[1:])
	return err
}

var shells = []string{"/bin/sh", "/bin/bash"}

// TestEveryNextCanBePasted gives all that the program can say that is to be done to shells, as a terminal shows it. What
// is a command is one that there is, also one in the middle of words, where it stands between backquotes.
func TestEveryNextCanBePasted(t *testing.T) {
	shell := newSandbox(t)
	var names []string
	for _, n := range new(commands).line().Root.Commands() {
		names = append(names, n.Name())
	}
	ours := regexp.MustCompile(`\bsunspool (--|` + strings.Join(names, "|") + `)|\bsudo \w|\bsystemctl \w|\bchmod \d`)
	typed := 0
	all := nexts(t)
	for _, where := range slices.Sorted(maps.Keys(all)) {
		next := all[where]
		shown := health.Pasteable(next)
		inWords := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(next, -1)
		lines := []string{indent(shown)}
		for _, command := range inWords {
			lines = append(lines, command[1])
		}
		for i, line := range lines {
			isCommand := i > 0 || shown == next
			for _, sh := range shells {
				commands := shell.run(t, sh, line)
				if len(commands) > 1 || (len(commands) == 1) != isCommand {
					t.Errorf("%s: %q is %d commands", where, line, len(commands))
				}
				for _, words := range commands {
					typed++
					if err := known(words); err != nil {
						t.Errorf("%s: %q: %v", where, words, err)
					}
				}
			}
		}
		// A command of ours that is not marked as one would not have been looked at.
		words, _, _ := strings.Cut(regexp.MustCompile("`[^`]+`").ReplaceAllString(next, ""), "   #")
		if unmarked := ours.FindString(words); unmarked != "" && shown != next {
			t.Errorf("%s: %q has %q, which is not between backquotes", where, next, unmarked)
		}
	}
	if typed < 30 {
		t.Errorf("only %d commands were run", typed)
	}
}

// A command line that is wrong is answered by one that can be pasted, whichever command it was about.
func TestEveryWrongCommandLineLeadsToItsHelp(t *testing.T) {
	shell := newSandbox(t)
	line := new(commands).line()
	lines := []string{"nope", "--nope", "help nope", "-x", "vps run --nope"}
	for _, n := range line.Commands(line.Root) {
		if path := strings.TrimPrefix(n.CommandPath(), "sunspool "); !n.Hidden {
			lines = append(lines, path+" --nope", path+" nope nope nope --nope", path+" vps --nope", path+" --nope=7")
		}
	}
	if len(lines) < 40 {
		t.Fatalf("only %d lines", len(lines))
	}
	for _, line := range lines {
		var out, errs bytes.Buffer
		if exit := run(t.Context(), strings.Fields(line), &out, &errs); exit != health.ExitUsage && exit != health.ExitConfig {
			t.Errorf("sunspool %s exits %d: %s", line, exit, &errs)
		}
		said := regexp.MustCompile(`(?m)^ next: (.*)$`).FindStringSubmatch(errs.String())
		if said == nil {
			t.Errorf("sunspool %s says %q", line, &errs)
			continue
		}
		for _, sh := range shells {
			commands := shell.run(t, sh, said[1])
			if len(commands) != 1 || known(commands[0]) != nil {
				t.Errorf("sunspool %s leads to %q: %q", line, said[1], commands)
			}
		}
	}
}
