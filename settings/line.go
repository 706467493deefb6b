package settings

import (
	"reflect"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Line is a command line: cobra's commands, and the settings of each. Both are made of a struct, whose fields are
//
//	settings     see Setting
//	arguments    settings with the tag arg, of which the last may be optional, or a list, or passthrough: a list that takes flags, too
//	commands     structs with the tag cmd, and with name, help and hidden if need be; default:"1" is the one that is meant where
//	             none is typed
//	more fields  structs that are embedded, or have the tag embed: their fields are taken as if they stood here
//	neither      with the tag cmd:"-"
//
// A flag with the tag instead, such as --help, is done in place of the command: what else is missing is then no mistake.
type Line struct {
	Root  *cobra.Command
	parts map[*cobra.Command]*parts
	help  struct {
		Help bool `name:"help" short:"h" instead:"" help:"Show context-sensitive help."`
	}
}

// parts are what cobra has no place for.
type parts struct {
	target    reflect.Value // the struct
	flags     []*Setting
	arguments []*Setting
	byItself  *cobra.Command // the command that is meant where none is typed
}

func init() { cobra.EnableCommandSorting = false } // the struct's order is the help's

// NewLine returns the command line called name that config, a pointer to a struct, describes.
func NewLine(name, help string, config any) *Line {
	l := &Line{Root: newCommand(name, help), parts: map[*cobra.Command]*parts{}}
	l.parts[l.Root] = &parts{target: reflect.ValueOf(config).Elem()}
	l.add(l.Root, reflect.ValueOf(&l.help).Elem())
	l.add(l.Root, l.parts[l.Root].target)
	return l
}

func newCommand(name, help string) *cobra.Command {
	return &cobra.Command{Use: name, Short: help, Args: cobra.ArbitraryArgs}
}

// add gives cmd what the fields of config describe.
func (l *Line) add(cmd *cobra.Command, config reflect.Value) {
	p := l.parts[cmd]
	for field, value := range config.Fields() {
		kind, isCommand := field.Tag.Lookup("cmd")
		_, embedded := field.Tag.Lookup("embed")
		switch {
		case kind == "-" || !field.IsExported() && !field.Anonymous:
		case isCommand:
			l.addCommand(cmd, field, value)
		case embedded || field.Anonymous:
			l.add(cmd, value)
		default:
			s := newSetting(field, value)
			if s.Argument {
				p.arguments = append(p.arguments, s)
				cmd.DisableFlagParsing = s.rest
				continue
			}
			p.flags = append(p.flags, s)
			flag := &pflag.Flag{Name: s.Name, Shorthand: s.Short, Usage: s.Help, Value: s, Hidden: s.Hidden}
			if s.IsBool() {
				flag.NoOptDefVal = "true"
			}
			cmd.PersistentFlags().AddFlag(flag)
		}
	}
}

func (l *Line) addCommand(parent *cobra.Command, field reflect.StructField, value reflect.Value) {
	name := field.Tag.Get("name")
	if name == "" {
		name = dashed(field.Name)
	}
	cmd := newCommand(name, field.Tag.Get("help"))
	_, cmd.Hidden = field.Tag.Lookup("hidden")
	parent.AddCommand(cmd)
	l.parts[cmd] = &parts{target: value}
	if field.Tag.Get("default") != "" {
		l.parts[parent].byItself = cmd
	}
	l.add(cmd, value)
}

// Flags are the settings of cmd that are flags, hidden ones included, without those of the commands above it.
func (l *Line) Flags(cmd *cobra.Command) []*Setting { return l.parts[cmd].flags }

// Arguments are the settings of cmd that have no name before them.
func (l *Line) Arguments(cmd *cobra.Command) []*Setting { return l.parts[cmd].arguments }

// ByItself is the command that is meant where none is typed behind cmd, or nil.
func (l *Line) ByItself(cmd *cobra.Command) *cobra.Command { return l.parts[cmd].byItself }

// Path is cmd and the commands above it, the first of all first.
func (l *Line) Path(cmd *cobra.Command) (path []*cobra.Command) {
	for ; cmd != nil; cmd = cmd.Parent() {
		path = append(path, cmd)
	}
	slices.Reverse(path)
	return path
}

// Commands are those below cmd, each before its own, without it.
func (l *Line) Commands(cmd *cobra.Command) (all []*cobra.Command) {
	for _, child := range cmd.Commands() {
		all = append(append(all, child), l.Commands(child)...)
	}
	return all
}
