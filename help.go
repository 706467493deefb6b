package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"sunspool/systemd"
)

// helpCommand is --help for who types the word.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"A command, such as: spool count."`
}

func (h helpCommand) print(stdout, stderr io.Writer) error {
	var c commands
	exited := false
	_, err := c.parse(append(slices.Clone(h.Command), "--help"), stdout, stderr, func(int) { exited = true })
	if exited {
		return nil
	}
	return asUsage(err)
}

// printHelp is kong's help. A command that does something without a word behind it stands in the list of all, where kong
// shows only what can be typed behind it.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if ctx.Selected() == nil {
		for _, n := range ctx.Model.Children {
			if byItself := n.DefaultCmd; byItself != nil {
				byItself.Hidden, byItself.Name, byItself.Help = false, "", n.Help
			}
		}
	}
	if n := ctx.Selected(); n != nil && n.DefaultCmd != nil {
		options.NoAppSummary = true // it would demand a command
		fmt.Fprintf(ctx.Stdout, "Usage: %s [<command>] [flags]\n", n.FullPath())
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

// nameEnvironmentOnly adds to the help of a command the settings that are no flags, and so not in its list.
func nameEnvironmentOnly(app *kong.Application) {
	for _, n := range app.Children {
		var names []string
		for _, f := range n.Flags {
			if f.Hidden && len(f.Envs) > 0 {
				names = append(names, f.Envs[0])
			}
		}
		if names != nil {
			n.Detail = "Taken from the environment alone, and described by sunspool env " + n.Name + ": " + strings.Join(names, ", ") + "."
		}
	}
}

// typed returns the command of node as it is typed, without its arguments.
func typed(node *kong.Node) string {
	var words []string
	for ; node != nil; node = node.Parent {
		if node.Type == kong.CommandNode && node != node.Parent.DefaultCmd {
			words = append(words, node.Name)
		}
	}
	words = append(words, "sunspool")
	slices.Reverse(words)
	return strings.Join(words, " ")
}

// inLines reports whether what w gets is read line by line, as JSON: in the journal, and wherever a service logs to no
// terminal. A container's log is such a place, where nobody would see the second line of three.
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
	return args[0] == "edge" || args[0] == "simulate" || args[0] == "vps" && !slices.Contains(args, "import")
}
