package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"sunspool/internal/testhost"
)

func typedIn(t *testing.T, line string) (exit int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	exit = run(t.Context(), strings.Fields(line), &stdout, &stderr)
	return exit, stdout.String(), stderr.String()
}

// The list of commands has each that can be typed, the server with them, which is typed without a word behind it.
func TestHelpListsEveryCommand(t *testing.T) {
	_, list, _ := typedIn(t, "--help")
	line := new(commands).line()
	for _, c := range line.Commands(line.Root) {
		_, path, _ := strings.Cut(c.CommandPath(), " ")
		top, below, _ := strings.Cut(path, " ")
		_, of, _ := typedIn(t, top+" --help")
		shown := list
		if below != "" {
			shown = of
		}
		if n := len(regexp.MustCompile(`(?m)^  `+path+` {2,}\S`).FindAllString(shown, -1)); n != 1 && !c.Hidden && (!c.HasSubCommands() || below == "") {
			t.Errorf("%s is there %d times:\n%s", path, n, shown)
		}
	}
	if strings.Contains(list, "vps run") {
		t.Errorf("the list has what nobody types:\n%s", list)
	}
	for line, same := range map[string]string{"help": "--help", "help vps": "vps --help", "help spool count": "spool count --help", "help vps import": "vps import --help", "-h": "--help"} {
		exit, out, errs := typedIn(t, line)
		if _, want, _ := typedIn(t, same); exit != 0 || out != want || errs != "" {
			t.Errorf("sunspool %s exits %d: %s%s", line, exit, out, errs)
		}
	}
	_, version, _ := typedIn(t, "version")
	for _, line := range []string{"--version", "-v", "vps --version", "edge -v"} {
		if exit, out, errs := typedIn(t, line); exit != 0 || out != version || errs != "" || !strings.HasPrefix(out, "sunspool ") {
			t.Errorf("sunspool %s exits %d: %s%s", line, exit, out, errs)
		}
	}
	if _, usage, _ := typedIn(t, "vps --help"); !strings.HasPrefix(usage, "Usage: sunspool vps [<command>] [flags]\n") {
		t.Errorf("%.80s", usage)
	}
}

// A flag that help shows is taken; a setting that is refused as a flag is named there as a variable.
func TestHelpShowsNoFlagThatIsRefused(t *testing.T) {
	refused := regexp.MustCompile(`not taken from the command line`)
	line := new(commands).line()
	hidden := 0
	for _, n := range line.Root.Commands() {
		_, help, _ := typedIn(t, n.Name()+" --help")
		for _, f := range line.Flags(n) {
			if f.IsBool() || f.Name == "help" || f.Name == "spool-path" || f.Name == "device-id" {
				continue
			}
			shown := regexp.MustCompile(`--` + f.Name + `[=\s]`).MatchString(help)
			var c commands
			_, err := c.parse([]string{n.Name(), "--" + f.Name + "=something"})
			if refused.MatchString(fmt.Sprint(err)) == shown {
				t.Errorf("sunspool %s --help shows --%s: %v, and it is answered by %v", n.Name(), f.Name, shown, err)
			}
			if shown {
				continue
			}
			if hidden++; !strings.Contains(help, f.Env) {
				t.Errorf("sunspool %s --help does not name %s", n.Name(), f.Env)
			}
		}
	}
	if hidden < 6 {
		t.Errorf("only %d settings are no flags", hidden)
	}
}

// A service that cannot start says why in one line of JSON where its log goes, in a container as in the journal, and in
// three lines to a person; what a person calls says it in three lines anywhere.
func TestStartUpFaultsAreLinesOfTheLog(t *testing.T) {
	for _, line := range os.Environ() {
		if name, _, _ := strings.Cut(line, "="); strings.HasPrefix(name, "DEVICE_TOKENS") || name == "SUNGROW_HOST" || name == "VPS_BASE_URL" {
			t.Setenv(name, "")
		}
	}
	t.Setenv("DATA_DIR", t.TempDir())
	for line, asLines := range map[string]bool{
		"vps": true, "edge": true, "vps --nope": true, "edge --nope": true, "simulate --image=nope": true, "vps --listen=nowhere": true,
		"vps import": false, "vps pair": false, "vps --data-dir=x aside list roof": false, "check vps": false, "env --nope": false, "health vps": false, "nope": false, "demo --listen=0.0.0.0:1": false,
	} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		exit := run(t.Context(), strings.Fields(line), io.Discard, write)
		write.Close()
		text, err := io.ReadAll(read)
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Level, Msg, Code string
			Exit             int
			Why, Next        *string
		}
		isLine := json.Unmarshal(text, &said) == nil && bytes.Count(text, []byte("\n")) == 1
		if isLine != asLines || isLine && (said.Level != "ERROR" || said.Msg == "" || said.Code == "" || said.Exit != exit || said.Why == nil || said.Next == nil) {
			t.Errorf("sunspool %s exits %d and says to a pipe %s", line, exit, text)
		}

		screen, tty := testhost.Terminal(t, 0)
		run(t.Context(), strings.Fields(line), io.Discard, tty)
		fmt.Fprintln(tty, "and that is all")
		var shown []string
		for lines := bufio.NewScanner(screen); lines.Scan() && lines.Text() != "and that is all"; {
			shown = append(shown, lines.Text())
		}
		if !strings.HasPrefix(strings.Join(shown, "\n"), "error: ") || line != "health vps" && !strings.Contains(strings.Join(shown, "\n"), "\n next: ") {
			t.Errorf("sunspool %s says to a terminal %q", line, shown)
		}
	}
}
