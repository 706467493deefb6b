package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sunspool/settings"
)

// most is how many lines a help has: what is longer is not read, and scrolls away what was asked before.
const most = 40

// Help writes what can be typed behind cmd, in lines of at most width. Of one that would be longer, settings are only
// named, and flags have their first sentence.
func Help(w io.Writer, line *settings.Line, cmd *cobra.Command, width int) error {
	text := page(line, cmd, width, false)
	if strings.Count(text, "\n") > most {
		text = page(line, cmd, width, true) // the manual has the rest
	}
	_, err := io.WriteString(w, text)
	return err
}

// page is the help of cmd. In a brief one settings are named, and described by sunspool env.
func page(line *settings.Line, cmd *cobra.Command, width int, brief bool) string {
	h := help{width: width}
	for i, l := range wrap("Usage: "+usage(line, cmd), width-2) {
		h.print(strings.Repeat(" ", 2*min(i, 1)) + l)
	}
	h.paragraph(cmd.Short)
	h.paragraph(cmd.Long)
	if arguments := line.Arguments(cmd); arguments != nil {
		h.print("", "Arguments:")
		h.columns(rows(arguments, func(a *settings.Setting) string { return a.Summary() }))
	}
	if commands := below(line, cmd, width); commands != nil {
		h.print("", "Commands:")
		h.columns(commands)
	}
	flags, named := flagsOf(line, cmd, brief)
	if flags != nil {
		h.print("", "Flags:")
		h.columns(flags)
	}
	if named != nil {
		h.paragraph("Settings, each a flag and a variable, see sunspool env " + cmd.Name() + " or man sunspool.env:")
		for _, l := range wrap(strings.Join(named, " "), width-2) {
			h.print("  " + l)
		}
	}
	if service := serviceAbove(line, cmd); service != nil {
		h.paragraph("The settings of the " + service.Name() + " hold here, too, as flags or variables: sunspool env " + service.Name())
	}
	if examples := Examples(cmd); examples != nil {
		h.print("", "Examples:")
		for _, e := range examples {
			h.print("  " + e)
		}
	}
	if cmd == line.Root {
		h.print("", fmt.Sprintf("More about a command: %s help COMMAND", cmd.Name()))
	}
	return h.text.String()
}

// flagsOf are the flags that the help of cmd describes, and the settings that a brief one only names. What every command
// takes is in the help of the root; what a service takes is in its own.
func flagsOf(line *settings.Line, cmd *cobra.Command, brief bool) (flags [][2]string, named []string) {
	for _, c := range line.Path(cmd) {
		if c != cmd && (c == line.Root || isService(c)) {
			continue
		}
		shown := rows(line.Flags(c), func(f *settings.Setting) string {
			switch {
			case f.Hidden:
				return ""
			case brief && f.Env != "":
				named = append(named, "--"+f.Name)
				return ""
			case f.Short != "":
				return "-" + f.Short + ", " + f.Summary()
			}
			return "    " + f.Summary()
		})
		if flags != nil && shown != nil {
			flags = append(flags, [2]string{})
		}
		for i := range shown {
			if first, _, more := strings.Cut(shown[i][1], ". "); brief && more {
				shown[i][1] = first + "."
			}
		}
		flags = append(flags, shown...)
	}
	return flags, named
}

// isService reports whether cmd has settings that an environment file holds.
func isService(cmd *cobra.Command) bool { return cmd.Name() == "edge" || cmd.Name() == "vps" }

// serviceAbove is the service whose settings cmd takes, too.
func serviceAbove(line *settings.Line, cmd *cobra.Command) *cobra.Command {
	for _, c := range line.Path(cmd) {
		if c != cmd && isService(c) {
			return c
		}
	}
	return nil
}

// below are the commands that can be typed below cmd. The root has a line for each of its own.
func below(line *settings.Line, cmd *cobra.Command, width int) (commands [][2]string) {
	var shown []*cobra.Command
	longest := 0
	for _, c := range line.Commands(cmd) {
		if !c.Hidden && (cmd == line.Root && c.Parent() == cmd || cmd != line.Root && (!c.HasSubCommands() || line.ByItself(c) != nil)) {
			shown, longest = append(shown, c), max(longest, len(words(c)))
		}
	}
	for _, c := range shown {
		commands = append(commands, [2]string{words(c), summary(c.Short, width-6-longest)})
		if cmd == line.Root && line.ByItself(c) != nil {
			var more []string
			for _, sub := range c.Commands() {
				if !sub.Hidden {
					more = append(more, sub.Name())
				}
			}
			commands = append(commands, [2]string{"", "Also: " + strings.Join(more, ", ")})
		}
	}
	return commands
}

// summary is the first clause of a help, less what is behind a comma if it does not fit.
func summary(text string, room int) string {
	for _, end := range []string{". ", "; ", ": "} {
		text, _, _ = strings.Cut(text, end)
	}
	text = strings.TrimSuffix(text, ".")
	for len(text) > room {
		i := strings.LastIndex(text, ", ")
		if i < 0 || len(strings.Fields(text[:i])) < 5 {
			break
		}
		text = text[:i]
	}
	return text
}

// usage is how cmd is typed.
func usage(line *settings.Line, cmd *cobra.Command) string {
	typed := []string{cmd.CommandPath()}
	for _, c := range line.Path(cmd) {
		for _, f := range line.Flags(c) {
			if f.Required {
				typed = append(typed, f.Summary())
			}
		}
	}
	arguments := line.Arguments(cmd)
	for _, a := range arguments {
		typed = append(typed, a.Summary())
	}
	switch {
	case line.ByItself(cmd) != nil:
		typed = append(typed, "[<command>]")
	case arguments == nil && cmd.HasSubCommands():
		typed = append(typed, "<command>")
	}
	return strings.Join(append(typed, "[flags]"), " ")
}

// words are a command without the program.
func words(cmd *cobra.Command) string {
	_, after, _ := strings.Cut(cmd.CommandPath(), " ")
	return after
}

// rows are settings with their help. A setting whose name is shown as "" is left out.
func rows(all []*settings.Setting, name func(*settings.Setting) string) (rows [][2]string) {
	for _, s := range all {
		text := s.Help
		if s.Env != "" {
			text = strings.TrimSuffix(text, ".") + " ($" + s.Env + ")"
			if strings.HasSuffix(s.Help, ".") {
				text += "."
			}
		}
		if left := name(s); left != "" {
			rows = append(rows, [2]string{left, text})
		}
	}
	return rows
}

// help is a text of some width.
type help struct {
	text  strings.Builder
	width int
}

func (h *help) print(lines ...string) {
	for _, line := range lines {
		h.text.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// paragraph writes text, if there is any, below an empty line.
func (h *help) paragraph(text string) {
	if text != "" {
		h.print("")
		h.print(wrap(text, h.width)...)
	}
}

// columns writes rows in two columns. What is too long for the first stands in a line of its own.
func (h *help) columns(rows [][2]string) {
	const indent, gap, least = "  ", 4, 30
	longest, left := max((h.width-len(indent))*3/8, least), 0
	for _, row := range rows {
		if n := len(row[0]); n > left && n < longest {
			left = n
		}
	}
	for _, row := range rows {
		lines := wrap(row[1], h.width-len(indent)-left-gap)
		if len(row[0]) >= longest {
			h.print(indent + row[0])
		} else {
			h.print(fmt.Sprintf("%s%-*s%s", indent, left+gap, row[0], lines[0]))
			lines = lines[1:]
		}
		for _, line := range lines {
			h.print(indent + strings.Repeat(" ", left+gap) + line)
		}
	}
}

// wrap breaks text into lines of at most width, of which there is one at least. A word that is longer is a line.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
