// Package cli is what helps a person at the command line: --help, manual pages, and what a word may become when Tab is
// pressed. All are made of the command line itself, main's settings.Line, so that they cannot say anything else than it does.
package cli

import (
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sunspool/health"
	"sunspool/settings"
)

// pages are written in man(7). What has an @ around it is filled in.
//
//go:embed man
var pages embed.FS

// Man prints a manual page.
type Man struct {
	Page string `arg:"" enum:"sunspool.1,sunspool-edge.8,sunspool-vps.8,sunspool.env.5" help:"${enum}."`
}

// Write writes the page about line as roff, without a date: the same program gives the same bytes.
func (m Man) Write(w io.Writer, line *settings.Line, version string) error {
	text, err := pages.ReadFile("man/" + m.Page)
	if err != nil {
		return err
	}
	_, err = strings.NewReplacer(
		"@version@", roff(version),
		"@exits@", strings.TrimSuffix(exits(), "\n"),
		"@commands@", strings.TrimSuffix(commands(line, line.Root, described(line)), "\n"),
		"@settings@", strings.TrimSuffix(variables(line), "\n"),
	).WriteString(w, string(text))
	return err
}

// statuses are the exit statuses of every command.
var statuses = []struct {
	status  int
	meaning string
}{
	{0, "All is well, or it was told to end."},
	{1, "Something else failed. sunspool health: it does not work."},
	{health.ExitUsage, "The command line is wrong."},
	{health.ExitConfig, "A setting is missing or wrong, or something that somebody must put right first."},
	{health.ExitAuth, "The token or the password was refused."},
	{health.ExitUnreachable, "The inverter, the server or the database cannot be reached."},
	{health.ExitUnhealthy, "It can be reached, but something is missing or old."},
	{health.ExitBusy, "Another process has the port, the dongle, the spool or the store."},
	{health.ExitInterrupted, "Interrupted, or told twice to end."},
}

func exits() string {
	var b strings.Builder
	for _, s := range statuses {
		fmt.Fprintf(&b, ".TP\n.B %d\n%s\n", s.status, roff(s.meaning))
	}
	return b.String()
}

// commands describes what can be typed below cmd. Flags that are in described are only named.
func commands(line *settings.Line, cmd *cobra.Command, described []string) string {
	var b strings.Builder
	for _, c := range cmd.Commands() {
		if c.Hidden {
			continue
		}
		b.WriteString(".SS " + roff(c.CommandPath()))
		for _, a := range line.Arguments(c) {
			b.WriteString(" " + roff(a.Summary()))
		}
		b.WriteString("\n" + roff(c.Short) + "\n")
		for _, a := range line.Arguments(c) {
			fmt.Fprintf(&b, ".TP\n.I %s\n%s\n", roff(a.Name), roff(a.Help))
		}
		var elsewhere []string
		for _, f := range line.Flags(c) {
			switch {
			case f.Hidden || f.IsSecret():
			case f.Env != "" && slices.Contains(described, f.Env):
				elsewhere = append(elsewhere, "--"+f.Name)
			default:
				text := explain(f)
				if f.Env != "" {
					text += " Variable: " + f.Env + "."
				}
				fmt.Fprintf(&b, ".TP\n%s\n%s\n", tag(f), roff(text))
			}
		}
		if elsewhere != nil {
			fmt.Fprintf(&b, ".PP\nFlags that are described in\n.BR sunspool.env (5):\n%s.\n", roff(strings.Join(elsewhere, ", ")))
		}
		if lines := Examples(c); lines != nil {
			fmt.Fprintf(&b, ".PP\nExamples:\n.PP\n.nf\n%s\n.fi\n", roff(strings.Join(lines, "\n")))
		}
		b.WriteString(commands(line, c, described))
	}
	return b.String()
}

// variables describes the settings of both services.
func variables(line *settings.Line) string {
	var b strings.Builder
	for _, c := range roles(line) {
		fmt.Fprintf(&b, ".SH SETTINGS OF THE %s\n", strings.ToUpper(c.Name()))
		for _, f := range line.Flags(c) {
			if f.Env == "" {
				continue
			}
			name := `\fB` + roff(f.Env) + `\fR`
			if !f.IsSecret() {
				name += ", " + tag(f)
			}
			fmt.Fprintf(&b, ".TP\n%s\n%s\n", name, roff(explain(f)))
		}
	}
	return b.String()
}

// roles are the commands that have their settings in a file.
func roles(line *settings.Line) (all []*cobra.Command) {
	for _, c := range line.Root.Commands() {
		if c.Name() == "edge" || c.Name() == "vps" {
			all = append(all, c)
		}
	}
	return all
}

// described are the variables that sunspool.env(5) has.
func described(line *settings.Line) (names []string) {
	for _, c := range roles(line) {
		for _, f := range line.Flags(c) {
			if f.Env != "" {
				names = append(names, f.Env)
			}
		}
	}
	return names
}

// tag is a flag with what it takes, in roff.
func tag(f *settings.Setting) string {
	name := `\fB` + roff("--"+f.Name) + `\fR`
	if f.IsBool() {
		return name
	}
	return name + `=\fI` + roff(takes(f)) + `\fR`
}

// takes says in a word what a flag takes.
func takes(f *settings.Setting) string {
	switch {
	case f.Placeholder != "":
		return f.Placeholder
	case f.Enum != nil:
		return strings.Join(f.Enum, "|")
	case isFile(f):
		return "FILE"
	case f.IsNumber():
		return "N"
	}
	return "TEXT"
}

// explain is the help of a flag and its default.
func explain(f *settings.Setting) string {
	text := f.Help
	if f.Required {
		text += " Required."
	}
	if f.Default != "" {
		text += " Default: " + f.Default + "."
	}
	return text
}

// roff makes text what man(7) takes for text: nothing in it is a request, and what was typed as ASCII stays it.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`).Replace(text)
	if strings.HasPrefix(text, ".") {
		return `\&` + text
	}
	return text
}
