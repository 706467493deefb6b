package settings

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// Where a setting has its value from.
const (
	FromFlag        = "flag"
	FromEnvironment = "environment"
	FromDefault     = "default"
	Unset           = "not set"
)

// Explained is what a setting has, and from where. A secret shows only that it is set.
type Explained struct {
	Env   string `json:"env"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// Explain returns what each setting of cmd has that is a variable of the environment, in the order of the help.
func (l *Line) Explain(cmd *cobra.Command) (all []Explained) {
	for _, c := range l.Path(cmd) {
		for _, s := range l.parts[c].flags {
			if s.Env == "" {
				continue
			}
			e := Explained{Env: s.Env, Value: fmt.Sprint(s.target.Interface()), From: Unset}
			if s.isList() {
				e.Value = ""
				for i := range s.target.Len() {
					if i > 0 {
						e.Value += s.separator
					}
					e.Value += fmt.Sprint(s.target.Index(i).Interface())
				}
			}
			_, set := s.fromEnvironment()
			switch {
			case s.typed:
				e.From = FromFlag
			case set && s.unreadable == nil:
				e.From = FromEnvironment
			case s.Default != "":
				e.From = FromDefault
			case s.target.IsZero():
				e.Value = ""
			default:
				e.From = FromDefault // one that depends on other settings
			}
			all = append(all, e)
		}
	}
	return all
}

// Same reports whether the environment has a setting with the value that a file gives it.
func (e Explained) Same(file map[string]string) bool {
	value, named := file[e.Env]
	return named && value != "" && e.From == FromEnvironment && os.Getenv(e.Env) == value
}
