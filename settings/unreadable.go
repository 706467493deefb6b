package settings

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Octal and hexadecimal numbers are what the parser makes of 010 and 0x10; a port is never meant so.
var notDecimal = regexp.MustCompile(`^[+-]?0[0-9xXbBoO_]`)

// readable returns an error that names the variable of s unless value is of its type.
func (s *Setting) readable(value string) error {
	kind := s.target.Kind()
	if kind == reflect.String && s.Enum == nil || kind == reflect.Slice {
		return nil // its text is the setting's own business
	}
	err := s.parse(value, reflect.New(s.target.Type()).Elem())
	must := ""
	switch {
	case kind >= reflect.Int && kind <= reflect.Uint64:
		must = "a whole number, such as " + s.Default
		if s.Default == "" {
			must = "a whole number"
		}
		if err == nil && notDecimal.MatchString(value) {
			err = errNotDecimal
		}
	case kind == reflect.Float32, kind == reflect.Float64:
		must = "a number without a unit, such as " + s.Default
	case kind == reflect.Bool:
		must = "true or false"
	case s.Enum != nil:
		must = strings.Join(s.Enum, " or ")
		if !slices.Contains(s.Enum, value) {
			err = errors.New("not one of these")
		}
	case s.Help != "":
		must = strings.TrimSuffix(s.Help, ".")
	}
	if err == nil {
		return nil
	}
	if strange := CheckText(s.Env, value, false); strange != nil {
		return strange
	}
	return fmt.Errorf("%s is %q: must be %s", s.Env, value, must)
}

var errNotDecimal = errors.New("not a decimal number")
