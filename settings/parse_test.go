package settings

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// everything is a command line with one of everything.
type everything struct {
	Version bool `name:"version" short:"v" instead:"" help:"x"`
	Run     struct {
		Lists   []string `name:"list" env:"TEST_LIST" help:"x"`
		Repeat  []string `sep:"none" help:"x"`
		Off     string   `name:"off" env:"TEST_OFF" default:"on" empty:"off" help:"x"`
		Text    string   `name:"text" env:"TEST_TEXT" default:"plain" help:"x"`
		Level   LogLevel `name:"level" help:"x"`
		Unit    uint8    `default:"1" help:"x"`
		MaxWait float64  `help:"x"`
		Quiet   bool     `help:"x"`
		Of      string   `name:"of" enum:"a,b" default:"a" help:"One of ${enum}."`
		Inner   string   `cmd:"-"`
		shared  `help:""`
	} `cmd:"" help:"x"`
	Store struct {
		Dir  string   `name:"dir" help:"x"`
		Be   struct{} `cmd:"" default:"1" hidden:"" help:"x"`
		Copy struct {
			From string   `name:"from" required:"" help:"x"`
			What string   `arg:"" enum:"all,some" help:"x"`
			More []string `arg:"" optional:"" help:"x"`
		} `cmd:"" help:"x"`
	} `cmd:"" help:"x"`
}

type shared struct {
	Shared string `name:"shared" help:"x"`
}

func TestFlagComesBeforeVariableBeforeDefault(t *testing.T) {
	for _, name := range []string{"TEST_LIST", "TEST_OFF", "TEST_TEXT"} {
		t.Setenv(name, "")
	}
	shown := func(c *everything) string {
		r := c.Run
		return fmt.Sprintf("%q %q %q %q %v %d %v %v %s %s", r.Lists, r.Repeat, r.Off, r.Text, r.Level.Level, r.Unit, r.MaxWait, r.Quiet, r.Of, r.Shared)
	}
	for _, c := range []struct{ env, args, want string }{
		{"", "run", `[] [] "" "plain" INFO 1 0 false a `},
		{"TEST_LIST=a,b TEST_OFF=x TEST_TEXT=y", "run", `["a" "b"] [] "x" "y" INFO 1 0 false a `},
		{"TEST_LIST=a,b TEST_TEXT=y", "run --list=c --list d,e --text=", `["c" "d" "e"] [] "" "" INFO 1 0 false a `},
		{"", "run --repeat=a,b --repeat c --level=WARNING --unit 0x10 --max-wait=2.5 --quiet --of=b --shared=s", `[] ["a,b" "c"] "" "plain" WARN 16 2.5 true b s`},
		{"", "run --quiet=no --quiet=YES --repeat=", `[] [""] "" "plain" INFO 1 0 true a `},
	} {
		t.Run(c.env+" "+c.args, func(t *testing.T) {
			for set := range strings.FieldsSeq(c.env) {
				name, value, _ := strings.Cut(set, "=")
				t.Setenv(name, value)
			}
			var e everything
			if _, err := NewLine("test", "", &e).Parse(strings.Fields(c.args)); err != nil || shown(&e) != c.want {
				t.Errorf("%s, %v\nwant %s", shown(&e), err, c.want)
			}
		})
	}
}

func TestSelectionIsTheCommandThatWasTyped(t *testing.T) {
	for args, want := range map[string]string{
		"store": "store be, test store", "store --dir=x": "store be, test store", "store be": "store be, test store", "--version": ", test", "store -v": "store, test store",
		"store --dir x copy all --from y one two": "store copy, test store copy", "run --help": "run, test run", "store copy -h": "store copy, test store copy",
	} {
		var e everything
		sel, err := NewLine("test", "", &e).Parse(strings.Fields(args))
		if got := sel.Name() + ", " + sel.Typed(); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", args, got, err, want)
		}
	}
	var e everything
	sel, err := NewLine("test", "", &e).Parse([]string{"store", "copy", "--from=y", "all", "a,b", "--dir=x", "c"})
	if copied := e.Store.Copy; err != nil || sel.Instead || e.Store.Dir != "x" || copied.What != "all" || fmt.Sprintf("%q", copied.More) != `["a,b" "c"]` {
		t.Errorf("%+v, %v", e.Store, err)
	}
}

func TestMistakesAreSaidInOurWords(t *testing.T) {
	for args, want := range map[string]string{
		"":                       `expected one of "run", "store"`,
		"rum":                    `unknown command rum, did you mean "run"?`,
		"store cpy":              `unknown command cpy, did you mean "copy"?`,
		"run nope":               `unexpected argument nope`,
		"run --lst=x":            `unknown flag --lst, did you mean "--list"?`,
		"run -x":                 `unknown flag -x, did you mean one of "-h", "-v"?`,
		"run --inner=x":          `unknown flag --inner`,
		"run --text":             `--text: expected a value`,
		"run --text --quiet":     `--text: expected a value but got "--quiet"; perhaps try --text="--quiet"?`,
		"run --unit=256":         `--unit: expected a whole number of 0 or more but got "256", which is too large or too small`,
		"run --unit=x":           `--unit: expected a whole number of 0 or more but got "x"`,
		"run --max-wait=5s":      `--max-wait: expected a number but got "5s"`,
		"run --quiet=maybe":      `--quiet: must be true or false but got "maybe"`,
		"run --level=loud":       `--level: LOG_LEVEL is "loud": must be debug, info, warn or error`,
		"run --of=c":             `--of must be one of "a", "b" but got "c"`,
		"store copy all":         `missing flags: --from=STRING`,
		"store copy --from=x":    `expected "<what>"`,
		"store copy --from=x no": `<what> must be one of "all", "some" but got "no"`,
	} {
		var e everything
		if _, err := NewLine("test", "", &e).Parse(strings.Fields(args)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

// A list is typed as people write one, with spaces behind its commas.
func TestSpacesAroundTheValuesOfAListAreNotPartOfThem(t *testing.T) {
	t.Setenv("TEST_LIST", "")
	var e everything
	if _, err := NewLine("test", "", &e).Parse([]string{"run", "--list= a , b c,\td, ", "--repeat= e"}); err != nil || !slices.Equal(e.Run.Lists, []string{"a", "b c", "d"}) || !slices.Equal(e.Run.Repeat, []string{" e"}) {
		t.Errorf("%q, %q, %v", e.Run.Lists, e.Run.Repeat, err)
	}
}
