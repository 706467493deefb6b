package settings

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Selection is what somebody typed.
type Selection struct {
	Line    *Line
	Command *cobra.Command
	Instead bool // --help or another flag is to be done in place of the command
	Help    bool // --help
	// Unreadable has an error for each environment variable whose value is not of its setting's type. The setting then has
	// its default, so that these can be named with all others that are wrong.
	Unreadable []error
}

// Parse reads args, and for what they leave open the environment and the defaults. Where they are wrong, the selection has
// the command that the mistake is about.
func (l *Line) Parse(args []string) (*Selection, error) {
	l.help.Help = false
	cmd, rest, err := l.Root.Find(args)
	s := &Selection{Line: l, Command: cmd}
	if err != nil {
		return s, err
	}
	for _, setting := range s.settings() {
		setting.reset()
	}
	if err := s.flags(rest); err != nil {
		return s, err
	}
	words := cmd.Flags().Args()
	if cmd.DisableFlagParsing {
		words = rest
		if len(words) > 0 && words[0] == "--" {
			words = words[1:]
		}
	}
	if err := s.arguments(words); err != nil {
		return s, err
	}
	for _, setting := range s.settings() {
		if setting.unreadable != nil && !setting.typed {
			s.Unreadable = append(s.Unreadable, setting.unreadable)
		}
		s.Instead = s.Instead || setting.instead && setting.typed
	}
	s.Help = l.help.Help
	if s.Instead {
		return s, nil
	}
	if byItself := l.parts[cmd].byItself; byItself != nil {
		s.Command = byItself
	}
	return s, s.complete()
}

// settings are those of the command and of all above it.
func (s *Selection) settings() (all []*Setting) {
	for _, cmd := range s.Line.Path(s.Command) {
		p := s.Line.parts[cmd]
		all = append(append(all, p.flags...), p.arguments...)
	}
	return all
}

// flags sets what words give as flags.
func (s *Selection) flags(words []string) error {
	for i, word := range words[:max(len(words)-1, 0)] {
		if word == "--" {
			break
		}
		name, long := strings.CutPrefix(word, "--")
		next := words[i+1]
		if flag := s.Command.Flag(name); long && flag != nil && flag.NoOptDefVal == "" && len(next) > 1 && next[0] == '-' {
			return fmt.Errorf("%s: expected a value but got %q; perhaps try %s=%q?", word, next, word, next)
		}
	}
	err := s.Command.ParseFlags(words)
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		dashes := "--"
		if unknown.GetSpecifiedShortnames() != "" {
			dashes = "-"
		}
		var names []string
		for _, setting := range s.settings() {
			names = append(names, "--"+setting.Name)
			if setting.Short != "" {
				names = append(names, "-"+setting.Short)
			}
		}
		typed := dashes + unknown.GetSpecifiedName()
		return fmt.Errorf("unknown flag %s%s", typed, didYouMean(typed, names))
	}
	if missing, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return fmt.Errorf("--%s: expected a value", missing.GetFlag().Name)
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return fmt.Errorf("--%s: %w", invalid.GetFlag().Name, invalid.Unwrap())
	}
	return err
}

// arguments sets the words that are neither commands nor flags.
func (s *Selection) arguments(words []string) error {
	for _, a := range s.Line.parts[s.Command].arguments {
		switch {
		case len(words) == 0:
			return nil
		case a.isList():
			for _, word := range words {
				if err := a.Set(word); err != nil {
					return fmt.Errorf("%s: %w", a.Summary(), err)
				}
			}
			return nil
		}
		if err := a.Set(words[0]); err != nil {
			return fmt.Errorf("%s: %w", a.Summary(), err)
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return nil
	}
	var names []string
	for _, c := range s.Command.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	what := "unexpected argument"
	if names != nil && s.Line.parts[s.Command].arguments == nil {
		what = "unknown command"
	}
	return fmt.Errorf("%s %s%s", what, words[0], didYouMean(words[0], names))
}

// complete returns an error when a value is none of those that there are, or something is missing.
func (s *Selection) complete() error {
	for _, setting := range s.settings() {
		if err := setting.among(); err != nil {
			return err
		}
	}
	var flags, missing []string
	for _, setting := range s.settings() {
		switch {
		case !setting.Required || setting.given:
		case setting.Argument:
			missing = append(missing, setting.Summary())
		default:
			flags = append(flags, setting.Summary())
		}
	}
	if flags != nil {
		return fmt.Errorf("missing flags: %s", strings.Join(flags, ", "))
	}
	if missing != nil {
		return fmt.Errorf("expected %q", strings.Join(missing, " "))
	}
	for _, c := range s.Command.Commands() {
		if !c.Hidden {
			missing = append(missing, fmt.Sprintf("%q", c.Name()))
		}
	}
	if len(missing) > 5 {
		missing = append(missing[:5], "...")
	}
	switch len(missing) {
	case 0:
		return nil
	case 1:
		return errors.New("expected " + missing[0])
	}
	return errors.New("expected one of " + strings.Join(missing, ", "))
}

// Validate has each command that was typed look at its own settings: those that have a method Validate.
func (s *Selection) Validate() error {
	for _, cmd := range s.Line.Path(s.Command) {
		config := s.Line.parts[cmd].target
		if v, ok := config.Addr().Interface().(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Name is the command that was typed or is meant, without the program: vps aside list.
func (s *Selection) Name() string {
	return strings.TrimPrefix(strings.TrimPrefix(s.Command.CommandPath(), s.Line.Root.Name()), " ")
}

// Typed is the command as it is typed, with the program.
func (s *Selection) Typed() string {
	cmd := s.Command
	if parent := cmd.Parent(); parent != nil && s.Line.parts[parent].byItself == cmd {
		cmd = parent
	}
	return cmd.CommandPath()
}

// didYouMean names those that come near what was typed.
func didYouMean(typed string, names []string) string {
	var near []string
	for _, name := range names {
		if strings.HasPrefix(name, typed) || distance(name, typed) <= 2 {
			near = append(near, fmt.Sprintf("%q", name))
		}
	}
	switch len(near) {
	case 0:
		return ""
	case 1:
		return ", did you mean " + near[0] + "?"
	}
	return ", did you mean one of " + strings.Join(near, ", ") + "?"
}
