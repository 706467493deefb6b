package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/internal/testprogram"
	"sunspool/internal/testservices"
)

// Real shells on a terminal: what is typed before Tab becomes what the program is then called with.
func TestTabInRealShells(t *testing.T) {
	script := testservices.Need(t, "bsdutils", "script")
	dir := t.TempDir()
	program := testprogram.Path(t)
	if err := os.WriteFile(filepath.Join(dir, "token.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	typed := map[string]string{ // Tab is pressed at the end
		"sunspool ed":                                 "[edge]",
		"sunspool edge --spool-p":                     "[edge][--spool-path]",
		"sunspool edge --clock-trust=al":              "[edge][--clock-trust=always]",
		"sunspool edge --clock-trust al":              "[edge][--clock-trust][always]",
		"sunspool edge --vps-ca-file=" + dir + "/tok": "[edge][--vps-ca-file=" + dir + "/token.txt]",
		"sunspool edge --vps-ca-file " + dir + "/tok": "[edge][--vps-ca-file][" + dir + "/token.txt]",
		"sunspool vps --data-dir=/ imp":               "[vps][--data-dir=/][import]",
		"sunspool health v":                           "[health][vps]",
		"sunspool completion z":                       "[completion][zsh]",
	}
	posix := `sunspool() { if [[ $1 == complete ]]; then command sunspool "$@"; else printf '[%s]' "$@"; echo; fi; }; `
	for _, shell := range []struct{ name, rc, setup, command string }{
		{"bash", "bashrc", posix + "source <(command sunspool completion bash)", "bash --noprofile --rcfile " + dir + "/bashrc -i"},
		{"zsh", ".zshrc", "autoload -U compinit; compinit -u -D; " + posix + "source <(command sunspool completion zsh)", "zsh -d -i"},
		{"fish", "fish/config.fish", `function sunspool; if test "$argv[1]" = complete; command sunspool $argv; else; printf '[%s]' $argv; echo; end; end
command sunspool completion fish | source`, "fish -i"},
	} {
		t.Run(shell.name, func(t *testing.T) {
			testservices.Need(t, shell.name, shell.name)
			// Where this is missing, fish makes it in the background, and may still write when its shell has ended.
			if err := os.MkdirAll(filepath.Join(dir, ".local/share/fish/generated_completions"), 0o700); err != nil {
				t.Fatal(err)
			}
			rc := filepath.Join(dir, shell.rc)
			if err := os.MkdirAll(filepath.Dir(rc), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(rc, []byte(shell.setup+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			var keys strings.Builder
			for line := range typed {
				keys.WriteString(line + "\t\n")
			}
			cmd := exec.CommandContext(t.Context(), script, "-qec", shell.command, "/dev/null")
			cmd.WaitDelay = testservices.Patience // should something hold its output
			cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "HOME="+dir, "ZDOTDIR="+dir, "XDG_CONFIG_HOME="+dir, "TERM=dumb")
			cmd.Stdin = strings.NewReader(keys.String() + "exit\n")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s ends with %v", shell.name, err)
			}
			for line, want := range typed {
				if !strings.Contains(string(out), want+"\r\n") {
					t.Errorf("%q and Tab do not give %s", line, want)
				}
			}
			if t.Failed() {
				t.Logf("the terminal:\n%s", out)
			}
		})
	}
}
