package settings

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// WriteEnv writes every setting of the commands in nodes as lines of an environment file: the help as a comment, then
// the variable, commented out, with its default. What it writes can be used as it is and edited in place.
func WriteEnv(w io.Writer, nodes ...*kong.Node) error {
	var b strings.Builder
	b.WriteString("# Settings of sunspool, as printed by: sunspool env\n# Each is an environment variable; a line that stays commented out keeps its default.\n")
	for _, node := range nodes {
		fmt.Fprintf(&b, "\n# ---- %s: %s\n", node.Name, node.Help)
		for _, flag := range node.Flags {
			if len(flag.Envs) == 0 {
				continue
			}
			b.WriteByte('\n')
			for line := range strings.Lines(wrap("# ", flag.Help, 100)) {
				b.WriteString(line)
			}
			fmt.Fprintf(&b, "#%s=%s\n", flag.Envs[0], cmp.Or(flag.Default, flag.Tag.Get("example")))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// wrap breaks text into lines of at most width, each with the prefix.
func wrap(prefix, text string, width int) string {
	var b strings.Builder
	line := prefix
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word) > width && line != prefix {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = prefix
		}
		line += word + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}

// ForgetEmpty takes a variable that is set to nothing for one that is not set, as an environment file with a line left
// blank means it. A setting that is switched off by being empty has the tag empty:"off".
func ForgetEmpty(app *kong.Application) {
	for _, node := range app.Children {
		for _, flag := range node.Flags {
			for _, name := range flag.Envs {
				if value, set := os.LookupEnv(name); set && value == "" && !flag.Tag.Has("empty") {
					os.Unsetenv(name)
				}
			}
		}
	}
}
