package settings

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

type cli struct {
	Run struct {
		Token Secret `name:"token" env:"TEST_TOKEN" hidden:"" help:"The token."`
		Host  string `name:"host" env:"TEST_HOST" default:"localhost" help:"Where it is, in so many words that the help has to be broken into more than one line of a file."`
		Quiet bool   `name:"quiet" help:"No variable."`
	} `cmd:"" help:"Run it."`
}

func parse(t *testing.T, args ...string) (cli, *Line, error) {
	t.Helper()
	var c cli
	line := NewLine("test", "", &c)
	_, err := line.Parse(append([]string{"run"}, args...))
	return c, line, err
}

func TestSecretComesFromTheEnvironmentOnly(t *testing.T) {
	if _, _, err := parse(t, "--token=canary"); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("on the command line: %v", err)
	}
	t.Setenv("TEST_TOKEN", "canary")
	c, _, err := parse(t)
	if err != nil || string(c.Run.Token) != "canary" {
		t.Fatalf("from the environment: %q, %v", string(c.Run.Token), err)
	}
	text, err := json.Marshal(c)
	if said := fmt.Sprintf("%v %+v %#v %s", c, c, c, text); err != nil || strings.Contains(said, "canary") {
		t.Errorf("it shows: %s", said)
	}
}

func TestEnvFileHasEverySettingOnce(t *testing.T) {
	_, line, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := line.WriteEnv(&b, line.Root.Commands()...); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\n#TEST_TOKEN=\n", "\n#TEST_HOST=localhost\n", "# The token.\n"} {
		if strings.Count(b.String(), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, b.String())
		}
	}
	for written := range strings.Lines(b.String()) {
		if len(written) > 101 || strings.Contains(written, "quiet") {
			t.Errorf("line %q", written)
		}
	}
}
