package cli

import (
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sunspool/settings"
)

//go:embed shell
var shells embed.FS

// Completion prints what a shell must know to complete our command line. The scripts are small because each asks the
// program, by Complete.
type Completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish,powershell" help:"bash, zsh, fish or powershell."`
}

// Write writes the script of the shell. That of PowerShell is cobra's, which asks the program as `__complete`.
func (c Completion) Write(w io.Writer, line *settings.Line) error {
	if c.Shell == "powershell" {
		return line.Root.GenPowerShellCompletionWithDesc(w)
	}
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
func (c Complete) Write(w io.Writer, line *settings.Line) error {
	for _, reply := range complete(line, c.Words) {
		if _, err := fmt.Fprintln(w, reply); err != nil {
			return err
		}
	}
	return nil
}

// WriteDirective writes the same as cobra's scripts read it: of --flag=value the value alone, and at last, behind a colon,
// whether the names of files belong there.
func (c Complete) WriteDirective(w io.Writer, line *settings.Line) error {
	directive := cobra.ShellCompDirectiveNoFileComp
	for _, reply := range complete(line, c.Words) {
		if reply == files {
			directive = cobra.ShellCompDirectiveDefault
			continue
		}
		if _, value, set := strings.Cut(reply, "="); set && strings.HasPrefix(reply, "--") && !strings.Contains(reply, "\t") {
			reply = value
		}
		if _, err := fmt.Fprintln(w, reply); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, ":%d\n", directive)
	return err
}

const files = ":files"

func complete(line *settings.Line, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	cmd := line.Root
	var open *settings.Setting // wants the next word
	given := 0                 // words that are neither flags nor commands
	last := len(words) - 1
	for _, word := range words[:last] {
		name, isFlag := strings.CutPrefix(word, "--")
		switch {
		case open != nil:
			open = nil
		case isFlag:
			if f := flag(line, cmd, name); f != nil && !f.IsBool() { // not so for --flag=value, which is the name of none
				open = f
			}
		case child(cmd, word) != nil:
			cmd, given = child(cmd, word), 0
		default:
			given++
		}
	}
	word := words[last]
	if open != nil {
		return values(open, "", word)
	}
	if name, value, set := strings.Cut(word, "="); set && strings.HasPrefix(name, "--") {
		if f := flag(line, cmd, name[2:]); f != nil {
			return values(f, name+"=", value)
		}
		return nil
	}
	var found []string
	if !strings.HasPrefix(word, "-") {
		for _, c := range cmd.Commands() {
			if !c.Hidden && strings.HasPrefix(c.Name(), word) {
				found = append(found, c.Name()+"\t"+c.Short)
			}
		}
		if arguments := line.Arguments(cmd); given < len(arguments) {
			found = append(found, values(arguments[given], "", word)...)
		}
	}
	if strings.HasPrefix(word, "-") || word == "" && found == nil {
		for _, f := range flags(line, cmd) {
			if strings.HasPrefix("--"+f.Name, word) {
				found = append(found, "--"+f.Name+"\t"+f.Help)
			}
		}
	}
	return found
}

// values are what s may be and begins with typed, each behind prefix.
func values(s *settings.Setting, prefix, typed string) (found []string) {
	if !s.Argument && isFile(s) {
		return []string{files}
	}
	for _, value := range s.Enum {
		if strings.HasPrefix(value, typed) {
			found = append(found, prefix+value)
		}
	}
	return found
}

// isFile reports whether a flag takes the name of a file: its own name or its placeholder says so.
func isFile(f *settings.Setting) bool {
	return strings.HasSuffix(f.Name, "-file") || strings.HasSuffix(f.Name, "-path") ||
		strings.Contains(f.Placeholder, "FILE") || strings.Contains(f.Placeholder, "DIR")
}

// flags are those that may be typed after cmd.
func flags(line *settings.Line, cmd *cobra.Command) (all []*settings.Setting) {
	for _, c := range line.Path(cmd) {
		all = append(all, line.Flags(c)...)
	}
	return slices.DeleteFunc(all, func(f *settings.Setting) bool { return f.Hidden || f.IsSecret() })
}

func flag(line *settings.Line, cmd *cobra.Command, name string) *settings.Setting {
	for _, f := range flags(line, cmd) {
		if f.Name == name {
			return f
		}
	}
	return nil
}

func child(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}
