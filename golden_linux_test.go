package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"sunspool/cli"
	"sunspool/health"
	"sunspool/settings"
)

// visible are the commands that can be typed, by their words, "" for the program alone.
func visible(line *settings.Line) map[string]*cobra.Command {
	all := map[string]*cobra.Command{"": line.Root}
	for _, c := range line.Commands(line.Root) {
		if !c.Hidden {
			all[strings.TrimPrefix(c.CommandPath(), "sunspool ")] = c
		}
	}
	return all
}

// Help that fits on a screen is read. An example is better than a sentence about flags: each is typed as it stands.
func TestEveryHelpFitsAScreenAndHasExamples(t *testing.T) {
	shell := newSandbox(t)
	for words, c := range visible(new(commands).line()) {
		exit, text, errs := typedIn(t, words+" --help")
		if n := strings.Count(text, "\n"); exit != 0 || errs != "" || n > 40 {
			t.Errorf("sunspool %s --help has %d lines, and exits %d %s", words, n, exit, errs)
		}
		for line := range strings.Lines(text) {
			if utf8.RuneCountInString(line) > 81 {
				t.Errorf("sunspool %s --help is wider than 80: %s", words, line)
			}
		}
		examples := cli.Examples(c)
		if examples == nil {
			t.Errorf("sunspool %s has no example: cli/examples.go", words)
			continue
		}
		mentioned := false
		for _, called := range typedWords(t, shell, strings.Join(examples, "\n")) {
			if called[0] == "sudo" {
				called = called[1:]
			}
			if called[0] != "sunspool" {
				continue
			}
			if err := known(called); err != nil && !strings.Contains(err.Error(), "cannot start with these settings") {
				t.Errorf("sunspool %s --help has %q: %v", words, called, err)
			}
			mentioned = mentioned || strings.HasPrefix(strings.Join(called[1:], " ")+" ", words+" ") || words == ""
		}
		if !mentioned {
			t.Errorf("no example of sunspool %s uses it: %q", words, examples)
		}
	}
}

// typedWords are the commands that lines of examples call, without what a shell would do with their output.
func typedWords(t *testing.T, shell sandbox, lines string) [][]string {
	t.Helper()
	lines = regexp.MustCompile(`(?m)\s*(\| ssh .*|> \S+|\|\| echo .*)$`).ReplaceAllString(lines, "")
	lines = regexp.MustCompile(`source <\((.*)\)`).ReplaceAllString(lines, "$1")
	return shell.run(t, "/bin/bash", lines)
}

// scenes are what is typed for each command beside its help, where nothing of ours runs: most are answered by what is wrong,
// and what to do. nobody-.invalid is no name of a host: no name server is asked, whose answers are not the same everywhere.
func scenes(words string) []string {
	all := map[string][]string{
		"":                 {""},
		"demo":             {"demo --listen=0.0.0.0:1", "demo --scenario=rain"},
		"edge":             {"edge --poll-interval-s=1"},
		"vps":              {"vps --listen=nowhere"},
		"vps link":         {"vps link solar.example.org", "vps link https://solar.example.org"},
		"vps pair":         {"vps pair", "vps pair --url=ftp://x"},
		"vps backup":       {"vps backup out.db"},
		"vps verify":       {"vps verify none.db"},
		"vps restore":      {"vps restore none.db"},
		"vps copy":         {"vps copy", "vps copy --from=none --to=other"},
		"vps import":       {"vps import", "vps import --from=nonsense"},
		"vps aside list":   {"vps aside list roof"},
		"token create":     {"token create", "token create --role=viewer --name=Family --device=*", "token create --role=cook --name=x"},
		"token list":       {"token list"},
		"token revoke":     {"token revoke", "token revoke Family"},
		"site set":         {"site set home --device=roof"},
		"setup":            {"setup --role=server --print --yes", "setup --role=edge --print --yes --inverter=192.0.2.7 --server=https://solar.example.org --pair=nonsense"},
		"status":           {"status", "status --check", "status --json"},
		"probe":            {"probe 127.0.0.1:1", "probe nobody-.invalid", "probe 1.2.3.4:x"},
		"simulate":         {"simulate --model=SH1", "simulate --image=none", "simulate --list-images"},
		"check":            {"check", "check edge", "check vps"},
		"service":          {"service", "service dance edge"},
		"spool count":      {"spool count none.db"},
		"spool":            {"spool"},
		"health":           {"health edge", "health vps --listen=127.0.0.1:1"},
		"env":              {"env edge"},
		"version":          {"version", "--version"},
		"help":             {"help nothing"},
		"completion":       {"completion tcsh"},
		"spool quarantine": {"spool quarantine none.db"},
		"spool list":       {"spool list none.db"},
		"spool show":       {"spool show none.db"},
		"spool verify":     {"spool verify none.db"},
		"spool requeue":    {"spool requeue none.db", "spool requeue --all none.db"},
		"spool export":     {"spool export none.db"},
		"spool drop":       {"spool drop none.db"},
		"doctor":           {"doctor nowhere"},
		"export":           {"export", "export --from=2026-01-01 --to=2026-01-31", "export --from=yesterday --to=today"},
	}
	return all[words]
}

// TestCommandLineIsAsWritten compares all that the program prints, where people read it: testdata/golden has a file for each
// command, .pipe.txt, and one more where a terminal, .tty.txt, shows something else, and the locale C yet something else. go test . -run AsWritten -update writes them.
func TestCommandLineIsAsWritten(t *testing.T) {
	if set, _ := filepath.Glob("/etc/sunspool/*.env"); set != nil {
		t.Skip("SKIPPED, NOTHING IS SHOWN: sunspool is set up on this machine")
	}
	all := visible(new(commands).line())
	var files []string
	for _, words := range slices.Sorted(maps.Keys(all)) {
		name := strings.ReplaceAll("sunspool "+words, " ", "-")
		files = append(files, strings.TrimSuffix(name, "-"))
		t.Run(strings.TrimSuffix(name, "-"), func(t *testing.T) {
			t.Parallel()
			help := inPipe.shown(t, []string{words + " --help"})
			as := ""
			for _, at := range places {
				text := help + at.shown(t, scenes(words))
				compare(t, filepath.Join("testdata/golden", strings.TrimSuffix(name, "-")+"."+at.name+".txt"), text, as)
				as = text
			}
		})
	}
	t.Cleanup(func() {
		there, _ := filepath.Glob("testdata/golden/*.txt")
		for _, file := range there {
			if name, _, _ := strings.Cut(filepath.Base(file), "."); !strings.HasPrefix(name, "household") && !slices.Contains(files, name) {
				t.Errorf("%s is of no command", file)
			}
		}
	})
}

var loggedAt = regexp.MustCompile(`"time":"[^"]*"`)

// shown is what each line prints at p, with its exit status, and without what changes from run to run.
func (p place) shown(t *testing.T, lines []string) string {
	t.Helper()
	var all strings.Builder
	for _, line := range lines {
		dir := shortDir(t)
		env := []string{"SPOOL_PATH=" + dir + "/spool.db", "DATA_DIR=" + dir + "/vps", "HEALTH_PATH=" + dir + "/health.json"}
		text, exit := p.typed(t, dir, env, strings.Fields(line)...)
		p.mustBeReadable(t, line, text)
		fmt.Fprintf(&all, "$ sunspool %s\n%s", line, loggedAt.ReplaceAllString(strings.ReplaceAll(text, dir, "DIR"), `"time":"TIME"`))
		if exit != 0 {
			fmt.Fprintf(&all, "[exit status %d]\n", exit)
		}
		all.WriteString("\n")
	}
	return all.String()
}

// shortDir is a directory whose name is always as long, so that lines with it always break at the same words.
func shortDir(t *testing.T) string {
	t.Helper()
	dir := fmt.Sprintf("/tmp/sunspool-%08x", rand.Uint32())
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// mustBeReadable reports what a reader at p cannot show: escape sequences, signs beyond ASCII, lines that are too wide.
func (p place) mustBeReadable(t *testing.T, line, text string) {
	t.Helper()
	if !p.terminal && strings.ContainsAny(text, "\x1b\r") {
		t.Errorf("sunspool %s writes an escape sequence where there is no terminal: %q", line, text)
	}
	if p.name == withoutUTF.name && strings.ContainsFunc(text, func(r rune) bool { return r > 126 }) {
		t.Errorf("sunspool %s writes in the locale C\n%s", line, text)
	}
	for shown := range strings.Lines(text) {
		pasted := strings.Contains(shown, " next: ") || strings.Contains(shown, "://") || strings.Contains(shown, "`") || strings.HasPrefix(shown, "  + ")
		file := strings.HasPrefix(line, "env ") || strings.Contains(line, "list") || strings.HasPrefix(line, "spool quarantine") || strings.HasPrefix(shown, "{") // one line a row
		if n := utf8.RuneCountInString(strings.TrimSuffix(shown, "\n")); p.terminal && n > 80 && !pasted && !file {
			t.Errorf("sunspool %s writes a line of %d columns: %s", line, n, shown)
		}
	}
}

// compare compares text with what a file has, or writes it. A file that would be as another one is not there.
func compare(t *testing.T, path, text, as string) {
	t.Helper()
	if *update {
		os.Remove(path)
		if text != as {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		want = []byte(as)
	}
	if text == string(want) {
		return
	}
	got, wanted := strings.Split(text, "\n"), strings.Split(string(want), "\n")
	for i, line := range got {
		if i >= len(wanted) || line != wanted[i] {
			t.Errorf("%s, line %d (go test . -run AsWritten -update):\n got %q\nwant %q", path, i+1, line, wanted[min(i, len(wanted)-1)])
			return
		}
	}
	t.Errorf("%s has %d lines more: %q", path, len(wanted)-len(got), wanted[len(got):])
}

// A word that is nearly right is answered by the right one.
func TestNearlyRightWordsAreCorrected(t *testing.T) {
	line := new(commands).line()
	for words, c := range visible(line) {
		if c.HasParent() {
			name := c.Name()
			wrong := name[:1] + name[2:] // a letter is missing
			typed := strings.TrimSuffix(words, name) + wrong
			exit, _, errs := typedIn(t, typed)
			if exit != health.ExitUsage && exit != health.ExitConfig || !strings.Contains(errs, `"`+name+`"`) || !strings.Contains(errs, "did you mean") {
				t.Errorf("sunspool %s exits %d: %s", typed, exit, errs)
			}
		}
		for _, f := range line.Flags(c) {
			if f.Hidden || f.IsSecret() || len(f.Name) < 4 {
				continue
			}
			typed := words + " --" + f.Name[:2] + f.Name[3:]
			exit, _, errs := typedIn(t, typed)
			if exit != health.ExitUsage && exit != health.ExitConfig || !strings.Contains(errs, `"--`+f.Name+`"`) {
				t.Errorf("sunspool %s exits %d: %s", typed, exit, errs)
			}
		}
	}
}

// Tab offers every command behind the one above it, and every flag that is no secret.
func TestTabOffersEveryCommandAndFlag(t *testing.T) {
	line := new(commands).line()
	offered := func(typed ...string) (words []string) {
		_, text, _ := typedIn(t, strings.Join(append([]string{"complete", "--"}, typed...), " "))
		for reply := range strings.Lines(text) {
			word, _, _ := strings.Cut(strings.TrimSuffix(reply, "\n"), "\t")
			words = append(words, word)
		}
		return words
	}
	flags := 0
	for words, c := range visible(line) {
		path := strings.Fields(words)
		if c.HasParent() {
			name := path[len(path)-1]
			if found := offered(append(slices.Clone(path[:len(path)-1]), name[:1])...); !slices.Contains(found, name) {
				t.Errorf("Tab does not offer sunspool %s: %q", words, found)
			}
		}
		found := offered(append(slices.Clone(path), "--")...)
		for _, f := range line.Flags(c) {
			if f.Hidden || f.IsSecret() {
				continue
			}
			if flags++; !slices.Contains(found, "--"+f.Name) {
				t.Errorf("Tab does not offer sunspool %s --%s", words, f.Name)
			}
		}
	}
	if flags < 100 {
		t.Errorf("only %d flags were seen", flags)
	}
}
