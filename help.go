package main

import (
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"sunspool/cli"
	"sunspool/settings"
	"sunspool/systemd"
)

// helpCommand is --help for who types the word.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"A command, such as: spool count."`
}

func (h helpCommand) print(stdout io.Writer) error {
	sel, err := new(commands).parse(append(slices.Clone(h.Command), "--help"))
	if err != nil {
		return asUsage(sel, err)
	}
	return cli.Help(stdout, sel.Line, sel.Command, width(stdout))
}

// isTerminal reports whether a person reads w.
func isTerminal(w io.Writer) bool {
	f, isFile := w.(*os.File)
	return isFile && term.IsTerminal(int(f.Fd()))
}

// width is that of the terminal that w is, or as much as any has.
func width(w io.Writer) int {
	const least, usual = 40, 80
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return max(columns, least)
		}
	}
	return usual
}

// nameEnvironmentOnly adds to the help of a command the settings that are no flags, and so not in its list.
func nameEnvironmentOnly(line *settings.Line) {
	for _, c := range line.Root.Commands() {
		var names []string
		for _, f := range line.Flags(c) {
			if f.Hidden && f.Env != "" {
				names = append(names, f.Env)
			}
		}
		if names != nil {
			c.Long = "Taken from the environment alone, and described by sunspool env " + c.Name() + ": " + strings.Join(names, ", ") + "."
		}
	}
}

// inLines reports whether what w gets is read line by line, as JSON: in the journal, and wherever a service logs to no
// terminal. A container's log is such a place, where the second line of three would not be seen.
func inLines(w io.Writer, args []string) bool {
	if systemd.ToJournal() {
		return true
	}
	f, isFile := w.(*os.File)
	return isFile && isService(args) && !term.IsTerminal(int(f.Fd()))
}

// isService reports whether args ask for a program that runs until it is told to end, and logs.
func isService(args []string) bool {
	if len(args) == 0 {
		return false
	}
	return args[0] == "edge" || args[0] == "simulate" || args[0] == "vps" && !slices.ContainsFunc(args, func(arg string) bool {
		return arg == "import" || arg == "backup" || arg == "verify" || arg == "restore"
	})
}
