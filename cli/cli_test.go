package cli

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sunspool/settings"
)

// line is a command line with one of everything.
type line struct {
	Edge struct {
		Host  string          `name:"host" env:"TEST_HOST" help:".Where it is."`
		Token settings.Secret `name:"token" env:"TEST_TOKEN" help:"Who we are."`
		Trust string          `name:"trust" env:"TEST_TRUST" default:"auto" enum:"auto,always" help:"Whom to believe."`
		Spool string          `name:"spool-path" help:"A file that's ours."`
		Quiet bool            `name:"quiet" help:"Say nothing."`
		Inner string          `name:"inner" hidden:"" help:"Not for people."`
	} `cmd:"" help:"Read."`
	VPS struct {
		Dir    string   `name:"dir" placeholder:"DIR" help:"A folder."`
		Run    struct{} `cmd:"" default:"1" hidden:"" help:"Be it."`
		Import struct {
			From string `name:"from" required:"" env:"TEST_FROM" placeholder:"URL" help:"A source."`
		} `cmd:"" help:"Copy."`
	} `cmd:"" name:"vps" help:"Store."`
	Health struct {
		Role string `arg:"" enum:"edge,vps" help:"edge or vps."`
	} `cmd:"" help:"Ask."`
}

func model() *settings.Line { return settings.NewLine("sunspool", "", new(line)) }

func TestWordsBecomeWhatTheCommandLineTakes(t *testing.T) {
	for typed, want := range map[string]string{
		"":                          "edge vps health",
		"e":                         "edge",
		"x":                         "",
		"edge ":                     "--help --host --trust --spool-path --quiet",
		"edge --s":                  "--spool-path",
		"edge --host x --q":         "--quiet",
		"edge --trust ":             "auto always",
		"edge --trust al":           "always",
		"edge --trust=":             "--trust=auto --trust=always",
		"edge --trust=al":           "--trust=always",
		"edge --trust=auto --spool": "--spool-path",
		"edge --host ":              "", // whatever it is, no flag
		"edge --token=":             "",
		"edge --spool-path ":        files,
		"edge --spool-path=/e":      files,
		"edge --quiet --host=x --t": "--trust",
		"vps ":                      "import",
		"vps --d":                   "--dir",
		"vps --dir x im":            "import",
		"vps --dir=":                files,
		"vps import --":             "--help --dir --from",
		"health ":                   "edge vps",
		"health edge ":              "--help",
		"health edge v":             "",
		"--h":                       "--help",
	} {
		var words []string
		for _, reply := range complete(model(), strings.Split(typed, " ")) {
			word, _, _ := strings.Cut(reply, "\t")
			words = append(words, word)
		}
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%q becomes %q, want %q", typed, got, want)
		}
	}
}

// What cobra's script for PowerShell asks: of --flag=value it wants the value alone, and at last whether files belong there.
func TestPowerShellIsAnsweredAsByCobra(t *testing.T) {
	for typed, want := range map[string]string{
		"e":                       "edge\tRead.\n:4\n",
		"edge --trust=":           "auto\nalways\n:4\n",
		"edge --trust al":         "always\n:4\n",
		"edge --spool-path=/e":    ":0\n",
		"vps import --fr":         "--from\tA source.\n:4\n",
		"--h":                     "--help\tShow context-sensitive help.\n:4\n",
		"edge --host --trust x y": ":4\n",
	} {
		var b strings.Builder
		if err := (Complete{Words: strings.Split(typed, " ")}).WriteDirective(&b, model()); err != nil || b.String() != want {
			t.Errorf("%q is answered by %q, %v; want %q", typed, b.String(), err, want)
		}
	}
	var script strings.Builder
	if err := (Completion{Shell: "powershell"}).Write(&script, model()); err != nil || !strings.Contains(script.String(), "Register-ArgumentCompleter -CommandName 'sunspool'") ||
		!strings.Contains(script.String(), " __complete ") {
		t.Errorf("%v\n%s", err, &script)
	}
}

func TestPageIsMadeOfTheCommandLine(t *testing.T) {
	page := func(name string) string {
		var b strings.Builder
		if err := (Man{Page: name}).Write(&b, model(), "1.2.3"); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	overview, env := page("sunspool.1"), page("sunspool.env.5")
	for text, want := range map[string]bool{
		"\n.SS sunspool vps import\nCopy.\n.TP\n\\fB\\-\\-from\\fR=\\fIURL\\fR\nA source. Required. Variable: TEST_FROM.\n": true,
		"\n.SS sunspool health <role>\n":                                                   true,
		"\n\\fB\\-\\-spool\\-path\\fR=\\fIFILE\\fR\nA file that\\(aqs ours.\n":             true,
		"\nFlags that are described in\n.BR sunspool.env (5):\n\\-\\-host, \\-\\-trust.\n": true,
		"inner": false, "token.\n": false, "vps run": false,
	} {
		if strings.Contains(overview, text) != want {
			t.Errorf("sunspool.1 has %q: %v, want %v", text, !want, want)
		}
	}
	for _, text := range []string{
		"\n.TP\n\\fBTEST_HOST\\fR, \\fB\\-\\-host\\fR=\\fITEXT\\fR\n\\&.Where it is.\n", // not a request
		"\n.TP\n\\fBTEST_TOKEN\\fR\nWho we are.\n",
		"\n.TP\n\\fBTEST_TRUST\\fR, \\fB\\-\\-trust\\fR=\\fIauto|always\\fR\nWhom to believe. Default: auto.\n",
	} {
		if !strings.Contains(env, text) {
			t.Errorf("sunspool.env.5 does not have %q", text)
		}
	}
}

func TestEveryExitStatusIsExplained(t *testing.T) {
	source, err := os.ReadFile("../health/fault.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^\tExit\w+ += (\d+)`).FindAllStringSubmatch(string(source), -1)
	if len(found) < 7 {
		t.Fatalf("only %d exit statuses found", len(found))
	}
	for _, f := range found {
		status, _ := strconv.Atoi(f[1])
		if !slices.ContainsFunc(statuses[2:], func(s struct {
			status  int
			meaning string
		}) bool {
			return s.status == status
		}) {
			t.Errorf("the manual does not explain exit status %d", status)
		}
	}
	page, err := os.ReadFile("../docs/command-line.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statuses {
		if row := fmt.Sprintf("| %d | %s |\n", s.status, s.meaning); !strings.Contains(string(page), row) {
			t.Errorf("docs/command-line.md does not have %s", row)
		}
	}
}

func TestLinesFitAndCommandsStayWhole(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		"one two three":                  "one two\nthree",
		"one\ntwo three four":            "one\ntwo three\nfour",
		"averyverylongword and":          "averyverylongword\nand",
		"run `sudo sunspool setup` then": "run\n`sudo sunspool setup`\nthen",
		"größer ü ü":                     "größer ü ü",
		"an `open end":                   "an `open end",
	} {
		if got := Lines(text, 10); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
