// Package settings makes a command line of structs, in which a setting is one line: its flag, its environment variable, its
// default and its help. What somebody typed, the environment and the defaults then fill the structs.
//
//	struct ──NewLine──> Line ──Parse(args, environment)──> Selection ──> the struct, filled
//
// It names mistakes in our words, keeps secrets from showing and from the command line, and prints the list of all settings.
package settings

import "strconv"

// Secret is a setting that is never printed and never taken from the command line, where every user of the host could
// read it.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString and MarshalText keep the value out of %#v, JSON and logs.
func (s Secret) GoString() string             { return strconv.Quote(s.String()) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
