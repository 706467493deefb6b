package settings

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Unreadable returns an error for each environment variable whose value is not of its setting's type, of the command
// that args select, and unsets the variable: the parser, which would end at the first of them, then takes the default,
// and whoever validates the settings can name these with all others that are wrong. A setting that is given as a flag
// as well is left to the parser.
func Unreadable(app *kong.Kong, args []string) (wrong []error) {
	selected, err := kong.Trace(app, args)
	if err != nil || selected.Error != nil {
		return nil // the parser reports it
	}
	given := make(map[*kong.Flag]bool)
	for _, step := range selected.Path {
		given[step.Flag] = true
	}
	for _, step := range selected.Path {
		if step.Node() == nil {
			continue
		}
		for _, flag := range step.Node().Flags {
			if given[flag] {
				continue
			}
			for _, name := range flag.Envs {
				value, set := os.LookupEnv(name)
				if !set {
					continue
				}
				if err := readable(flag.Value, name, value); err != nil {
					wrong = append(wrong, err)
					os.Unsetenv(name)
				}
			}
		}
	}
	return wrong
}

// Octal and hexadecimal numbers are what the parser makes of 010 and 0x10; nobody who sets a port means them.
var notDecimal = regexp.MustCompile(`^[+-]?0[0-9xXbBoO_]`)

// readable returns an error that names the variable unless value is of the type of v.
func readable(v *kong.Value, name, value string) error {
	kind := v.Target.Kind()
	if kind == reflect.String && v.Enum == "" || kind == reflect.Slice {
		return nil // its text is the setting's own business
	}
	target := reflect.New(v.Target.Type()).Elem()
	err := v.Parse(kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: value}), target)
	must := ""
	switch {
	case kind >= reflect.Int && kind <= reflect.Uint64:
		must = "a whole number, such as " + v.Default
		if v.Default == "" {
			must = "a whole number"
		}
		if err == nil && notDecimal.MatchString(value) {
			err = errNotDecimal
		}
	case kind == reflect.Float32, kind == reflect.Float64:
		must = "a number without a unit, such as " + v.Default
	case kind == reflect.Bool:
		must = "true or false"
	case v.Enum != "":
		allowed := v.EnumSlice()
		must = strings.Join(allowed, " or ")
		if !slices.Contains(allowed, value) {
			err = errors.New("not one of these")
		}
	case v.Help != "":
		must = strings.TrimSuffix(v.Help, ".")
	}
	if err == nil {
		return nil
	}
	if strange := CheckText(name, value, false); strange != nil {
		return strange
	}
	return fmt.Errorf("%s is %q: must be %s", name, value, must)
}

var errNotDecimal = errors.New("not a decimal number")
