// Package settings is what the settings of both roles have in common: an environment variable for each, secrets that
// never show, and the list of all of them that `sunspool env` prints.
package settings

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// Secret is a setting that is never printed and never taken from the command line, where every user of the host could
// read it.
type Secret string

// Decode takes the value from the environment variables of the setting's line only.
func (s *Secret) Decode(ctx *kong.DecodeContext) error {
	token, err := ctx.Scan.PopValue("secret")
	if err != nil {
		return err
	}
	for _, name := range ctx.Value.Tag.Envs {
		if value := os.Getenv(name); value == token.String() {
			*s = Secret(value)
			return nil
		}
	}
	return fmt.Errorf("is a secret and not taken from the command line: set %s", strings.Join(ctx.Value.Tag.Envs, " or "))
}

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString and MarshalText keep the value out of %#v, JSON and logs.
func (s Secret) GoString() string             { return strconv.Quote(s.String()) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
