// Package cli is what helps a person at the command line: manual pages, and what a word may become when Tab is pressed.
// Both are made of the command line itself, main's kong model, so that they cannot say anything else than it does.
package cli

import (
	"embed"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

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

// Write writes the page about app as roff, without a date: the same program gives the same bytes.
func (m Man) Write(w io.Writer, app *kong.Application, version string) error {
	text, err := pages.ReadFile("man/" + m.Page)
	if err != nil {
		return err
	}
	_, err = strings.NewReplacer(
		"@version@", roff(version),
		"@exits@", strings.TrimSuffix(exits(), "\n"),
		"@commands@", strings.TrimSuffix(commands(app.Node, described(app)), "\n"),
		"@settings@", strings.TrimSuffix(variables(app), "\n"),
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

// commands describes what can be typed below node. Flags that are settings are only named.
func commands(node *kong.Node, settings []string) string {
	var b strings.Builder
	for _, n := range node.Children {
		if n.Hidden {
			continue
		}
		b.WriteString(".SS " + roff(n.FullPath()))
		for _, p := range n.Positional {
			b.WriteString(" " + roff(p.Summary()))
		}
		b.WriteString("\n" + roff(n.Help) + "\n")
		for _, p := range n.Positional {
			fmt.Fprintf(&b, ".TP\n.I %s\n%s\n", roff(p.Name), roff(p.Help))
		}
		var elsewhere []string
		for _, f := range n.Flags {
			switch {
			case f.Hidden || f.Name == "help" || secret(f):
			case len(f.Envs) > 0 && slices.Contains(settings, f.Envs[0]):
				elsewhere = append(elsewhere, "--"+f.Name)
			default:
				text := explain(f)
				if len(f.Envs) > 0 {
					text += " Variable: " + f.Envs[0] + "."
				}
				fmt.Fprintf(&b, ".TP\n%s\n%s\n", tag(f), roff(text))
			}
		}
		if elsewhere != nil {
			fmt.Fprintf(&b, ".PP\nFlags that are described in\n.BR sunspool.env (5):\n%s.\n", roff(strings.Join(elsewhere, ", ")))
		}
		b.WriteString(commands(n, settings))
	}
	return b.String()
}

// variables describes the settings of both services.
func variables(app *kong.Application) string {
	var b strings.Builder
	for _, n := range roles(app) {
		fmt.Fprintf(&b, ".SH SETTINGS OF THE %s\n", strings.ToUpper(n.Name))
		for _, f := range n.Flags {
			if len(f.Envs) == 0 {
				continue
			}
			name := `\fB` + roff(f.Envs[0]) + `\fR`
			if !secret(f) {
				name += ", " + tag(f)
			}
			fmt.Fprintf(&b, ".TP\n%s\n%s\n", name, roff(explain(f)))
		}
	}
	return b.String()
}

// roles are the commands that have their settings in a file.
func roles(app *kong.Application) (nodes []*kong.Node) {
	for _, n := range app.Children {
		if n.Name == "edge" || n.Name == "vps" {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// described are the variables that sunspool.env(5) has.
func described(app *kong.Application) (names []string) {
	for _, n := range roles(app) {
		for _, f := range n.Flags {
			names = append(names, f.Envs...)
		}
	}
	return names
}

// secret reports whether f is a setting that the command line does not take.
func secret(f *kong.Flag) bool { return f.Target.Type() == reflect.TypeFor[settings.Secret]() }

// tag is a flag with what it takes, in roff.
func tag(f *kong.Flag) string {
	name := `\fB` + roff("--"+f.Name) + `\fR`
	if f.IsBool() {
		return name
	}
	return name + `=\fI` + roff(takes(f)) + `\fR`
}

// takes says in a word what a flag takes.
func takes(f *kong.Flag) string {
	switch kind := f.Target.Kind(); {
	case f.Enum != "":
		return strings.Join(f.EnumSlice(), "|")
	case f.PlaceHolder != "":
		return f.PlaceHolder
	case isFile(f):
		return "FILE"
	case kind >= reflect.Int && kind <= reflect.Float64:
		return "N"
	}
	return "TEXT"
}

// explain is the help of a flag and its default.
func explain(f *kong.Flag) string {
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
