package cli

import (
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

//go:embed shell
var shells embed.FS

// Completion prints what a shell must know to complete our command line. The scripts are small because each asks the
// program, by Complete.
type Completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Write writes the script of the shell.
func (c Completion) Write(w io.Writer) error {
	script, err := shells.ReadFile("shell/" + c.Shell)
	if err != nil {
		return err
	}
	_, err = w.Write(script)
	return err
}

// Complete says what the last of the words behind the program's name may become.
type Complete struct {
	Words []string `arg:"" optional:"" passthrough:"" help:"What was typed, the unfinished word included."`
}

// Write writes one word a line, with a tab and its help behind, or ":files" where the name of a file belongs.
func (c Complete) Write(w io.Writer, app *kong.Application) error {
	for _, line := range complete(app.Node, c.Words) {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

const files = ":files"

func complete(node *kong.Node, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	var open *kong.Flag // wants the next word
	given := 0          // words that are neither flags nor commands
	last := len(words) - 1
	for _, word := range words[:last] {
		name, isFlag := strings.CutPrefix(word, "--")
		switch {
		case open != nil:
			open = nil
		case isFlag:
			if f := flag(node, name); f != nil && !f.IsBool() { // not so for --flag=value, which is the name of none
				open = f
			}
		case child(node, word) != nil:
			node, given = child(node, word), 0
		default:
			given++
		}
	}
	word := words[last]
	if open != nil {
		return values(open.Value, "", word)
	}
	if name, value, set := strings.Cut(word, "="); set && strings.HasPrefix(name, "--") {
		if f := flag(node, name[2:]); f != nil {
			return values(f.Value, name+"=", value)
		}
		return nil
	}
	var found []string
	if !strings.HasPrefix(word, "-") {
		for _, n := range node.Children {
			if !n.Hidden && strings.HasPrefix(n.Name, word) {
				found = append(found, n.Name+"\t"+n.Help)
			}
		}
		if given < len(node.Positional) {
			found = append(found, values(node.Positional[given], "", word)...)
		}
	}
	if strings.HasPrefix(word, "-") || word == "" && found == nil {
		for _, f := range flags(node) {
			if strings.HasPrefix("--"+f.Name, word) {
				found = append(found, "--"+f.Name+"\t"+f.Help)
			}
		}
	}
	return found
}

// values are what v may be and begins with typed, each behind prefix.
func values(v *kong.Value, prefix, typed string) (found []string) {
	if v.Flag != nil && isFile(v.Flag) {
		return []string{files}
	}
	if v.Enum == "" {
		return nil
	}
	for _, value := range v.EnumSlice() {
		if strings.HasPrefix(value, typed) {
			found = append(found, prefix+value)
		}
	}
	return found
}

// isFile reports whether a flag takes the name of a file: its own name or its placeholder says so.
func isFile(f *kong.Flag) bool {
	return strings.HasSuffix(f.Name, "-file") || strings.HasSuffix(f.Name, "-path") ||
		strings.Contains(f.PlaceHolder, "FILE") || strings.Contains(f.PlaceHolder, "DIR")
}

// flags are those that may be typed after node.
func flags(node *kong.Node) (all []*kong.Flag) {
	for _, group := range node.AllFlags(true) {
		all = append(all, group...)
	}
	return slices.DeleteFunc(all, secret)
}

func flag(node *kong.Node, name string) *kong.Flag {
	for _, f := range flags(node) {
		if f.Name == name {
			return f
		}
	}
	return nil
}

func child(node *kong.Node, name string) *kong.Node {
	for _, n := range node.Children {
		if n.Name == name {
			return n
		}
	}
	return nil
}
