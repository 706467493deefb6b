package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sunspool/settings"
)

// Help writes what can be typed behind cmd, in lines of at most width.
func Help(w io.Writer, line *settings.Line, cmd *cobra.Command, width int) error {
	h := help{width: width}
	h.print("Usage: " + usage(line, cmd))
	h.paragraph(cmd.Short)
	h.paragraph(cmd.Long)
	if arguments := line.Arguments(cmd); arguments != nil {
		h.print("", "Arguments:")
		h.columns(rows(arguments, func(a *settings.Setting) string { return a.Summary() }))
	}
	var commands [][2]string
	for _, c := range line.Commands(cmd) {
		if !c.Hidden && (!c.HasSubCommands() || line.ByItself(c) != nil) { // what can be typed without a further word
			commands = append(commands, [2]string{words(c), c.Short})
		}
	}
	if commands != nil {
		h.print("", "Commands:")
		h.columns(commands)
	}
	var flags [][2]string
	for _, c := range line.Path(cmd) {
		shown := rows(line.Flags(c), func(f *settings.Setting) string {
			if f.Hidden {
				return ""
			}
			if f.Short != "" {
				return "-" + f.Short + ", " + f.Summary()
			}
			return "    " + f.Summary()
		})
		if flags != nil && shown != nil {
			flags = append(flags, [2]string{})
		}
		flags = append(flags, shown...)
	}
	h.print("", "Flags:")
	h.columns(flags)
	if cmd == line.Root {
		h.print("", fmt.Sprintf("Run \"%s <command> --help\" for more information on a command.", cmd.Name()))
	}
	_, err := io.WriteString(w, h.text.String())
	return err
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
