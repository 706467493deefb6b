package settings

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// WriteEnv writes every setting of the commands as lines of an environment file: the help as a comment, then
// the variable, commented out, with its default. What it writes can be used as it is and edited in place.
func (l *Line) WriteEnv(w io.Writer, commands ...*cobra.Command) error {
	var b strings.Builder
	b.WriteString("# Settings of sunspool, as printed by: sunspool env\n# Each is an environment variable; a line that stays commented out keeps its default.\n")
	for _, cmd := range commands {
		fmt.Fprintf(&b, "\n# ---- %s: %s\n", cmd.Name(), cmd.Short)
		for _, s := range l.Flags(cmd) {
			if s.Env == "" {
				continue
			}
			b.WriteByte('\n')
			for line := range strings.Lines(wrap("# ", s.Help, 100)) {
				b.WriteString(line)
			}
			fmt.Fprintf(&b, "#%s=%s\n", s.Env, cmp.Or(s.Default, s.Example))
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

// Documented is a setting for programs.
type Documented struct {
	Service string   `json:"service"` // edge or vps
	Env     string   `json:"env"`
	Default string   `json:"default"`
	Help    string   `json:"help"`
	Values  []string `json:"values,omitempty"` // that there are, if others are wrong
	Secret  bool     `json:"secret,omitempty"`
}

// Documented returns every setting of the commands that is a variable.
func (l *Line) Documented(commands ...*cobra.Command) (all []Documented) {
	for _, cmd := range commands {
		for _, s := range l.Flags(cmd) {
			if s.Env != "" {
				all = append(all, Documented{cmd.Name(), s.Env, s.Default, s.Help, s.Enum, s.IsSecret()})
			}
		}
	}
	return all
}
