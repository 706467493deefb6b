package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"sunspool/cli"
	"sunspool/internal/answer"
	"sunspool/internal/checklist"
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

// colours reports whether what w gets has colours.
func (c *commands) colours(w io.Writer) bool {
	switch c.Color {
	case "always":
		return true
	case "never":
		return false
	}
	return redraws(w) && os.Getenv("NO_COLOR") == ""
}

// asks reports whether a person who reads w can be asked.
func (c *commands) asks(w io.Writer) bool { return !c.NoInput && isTerminal(w) && isTerminal(os.Stdin) }

// redraws reports whether a line on w can be written over: one of TERM=dumb, as in an editor, cannot.
func redraws(w io.Writer) bool { return isTerminal(w) && os.Getenv("TERM") != "dumb" }

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

// say writes what an error says behind its label: its lines below each other, in signs that the locale has.
func say(w io.Writer, label, text string) {
	if text != "" {
		fmt.Fprintln(w, label, indent(text))
	}
}

// fitting is text in lines that fit behind a label on the terminal that w is, or as it is.
func fitting(w io.Writer, text string) string {
	const besides = len("error: ") + len("# ")
	if !isTerminal(w) {
		return text
	}
	return cli.Lines(text, width(w)-besides)
}

// indent puts further lines of text below the first.
func indent(text string) string {
	if checklist.PlainLocale() {
		text = checklist.ASCII(text)
	}
	return strings.ReplaceAll(text, "\n", "\n       ")
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
			c.Long = "Taken from the environment alone: " + strings.Join(names, ", ") + "."
			if c.Name() == "edge" || c.Name() == "vps" {
				c.Long = "Taken from the environment alone, and described by sunspool env " + c.Name() + ": " + strings.Join(names, ", ") + "."
			}
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

// errorForm is how an error is printed.
type errorForm int

const (
	forPeople  errorForm = iota // in three lines at most
	asLine                      // of a log
	asDocument                  // JSON
)

// formOf returns in which form what w gets is read. A command that is asked for JSON fails in JSON.
func formOf(w io.Writer, args []string) errorForm {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	switch {
	case slices.Contains(args, "--json"), slices.Contains(args, "--json=true"):
		return asDocument
	case inLines(w, args):
		return asLine
	}
	return forPeople
}

// printFailure prints err as a JSON document and returns the exit status.
func printFailure(w io.Writer, err error) int {
	failure := answer.FailureOf(err)
	json.NewEncoder(w).Encode(failure)
	return failure.Error.Exit
}

// isService reports whether args ask for a program that runs until it is told to end, and logs.
func isService(args []string) bool {
	if len(args) == 0 {
		return false
	}
	switch args[0] {
	case "edge", "simulate":
		return true
	case "vps": // behind which there are commands, too
		cmd, _, _ := new(commands).line().Root.Find(args)
		return cmd.Name() == "vps" || cmd.Name() == "run"
	}
	return false
}
