package settings

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Setting is a field of a struct that can be set: by a flag, by an environment variable, by both, or as an argument of a
// command. The tags of the field describe it:
//
//	name, short     of the flag; without a name, that of the field
//	env             the variable
//	default, help   as text
//	enum            the values that there are, with commas
//	placeholder     what the help shows for the value
//	example         what `sunspool env` shows where there is no default
//	sep             between the values of a list, a comma unless given; "none" for a flag that is repeated
//	empty:"off"     a variable that is empty is a value, and not one that is not set
//	required, hidden, arg, optional, passthrough, instead: see Line
type Setting struct {
	Name, Short, Env, Default, Help, Placeholder, Example string
	Enum                                                  []string
	Required, Hidden                                      bool
	Argument                                              bool // of a command, not a flag

	instead, rest, emptyIsValue bool
	separator                   string // "" for none
	target                      reflect.Value
	given                       bool // in any way, the default included
	typed                       bool // on the command line
	unreadable                  error
}

// newSetting returns the setting that a field describes.
func newSetting(field reflect.StructField, target reflect.Value) *Setting {
	tag := field.Tag
	has := func(name string) bool { _, ok := tag.Lookup(name); return ok }
	s := &Setting{
		Name: tag.Get("name"), Short: tag.Get("short"), Env: tag.Get("env"), Default: tag.Get("default"), Placeholder: tag.Get("placeholder"),
		Example: tag.Get("example"), Help: strings.ReplaceAll(tag.Get("help"), "${enum}", strings.ReplaceAll(tag.Get("enum"), ",", ", ")),
		Hidden: has("hidden"), Argument: has("arg"), instead: has("instead"), rest: has("passthrough"), emptyIsValue: has("empty"),
		separator: ",", target: target,
	}
	if s.Name == "" {
		s.Name = dashed(field.Name)
	}
	if enum := tag.Get("enum"); enum != "" {
		s.Enum = strings.Split(enum, ",")
	}
	s.Required = has("required") || s.Argument && !has("optional")
	if sep, ok := tag.Lookup("sep"); ok {
		s.separator = strings.TrimPrefix(sep, "none")
	}
	if s.Argument {
		s.separator = "" // each word is a value
	}
	return s
}

// dashed makes a flag's name of a field's: ListImages is list-images.
func dashed(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

// IsBool reports whether a flag needs no value.
func (s *Setting) IsBool() bool { return s.target.Kind() == reflect.Bool }

// IsNumber reports whether the value is a number.
func (s *Setting) IsNumber() bool {
	return s.target.Kind() >= reflect.Int && s.target.Kind() <= reflect.Float64
}

// IsText reports whether the value is taken as it is written.
func (s *Setting) IsText() bool { return s.target.Kind() == reflect.String }

// IsSecret reports whether the command line does not take the setting.
func (s *Setting) IsSecret() bool { return s.target.Type() == reflect.TypeFor[Secret]() }

// Separator is what stands between the values of a list, "" if there is none.
func (s *Setting) Separator() string {
	if !s.isList() {
		return ""
	}
	return s.separator
}

func (s *Setting) isList() bool { return s.target.Kind() == reflect.Slice }

// Set is called with the value of a flag, once for each time it is typed.
func (s *Setting) Set(text string) error {
	if s.IsSecret() {
		return fmt.Errorf("is a secret and not taken from the command line: set %s", s.Env)
	}
	if !s.typed {
		s.target.SetZero()
	}
	s.typed, s.given = true, true
	return s.parse(text, s.target)
}

// String is the default, as the flag library wants it.
func (s *Setting) String() string { return s.Default }

// Type is the flag library's word for what a flag takes.
func (s *Setting) Type() string {
	if s.IsBool() {
		return "bool"
	}
	return "value"
}

// parse reads text into target, a value of the setting's type. A list gets the values of text behind those that it has; spaces
// around its separators are not part of them.
func (s *Setting) parse(text string, target reflect.Value) error {
	if s.isList() {
		values := []string{text}
		if s.separator != "" {
			values = strings.Split(strings.TrimSuffix(text, s.separator), s.separator)
		}
		for _, value := range values {
			if s.separator != "" {
				value = strings.TrimSpace(value)
			}
			element := reflect.New(target.Type().Elem()).Elem()
			if err := parseOne(value, element); err != nil {
				return err
			}
			if value != "" || s.separator == "" {
				target.Set(reflect.Append(target, element))
			}
		}
		return nil
	}
	return parseOne(text, target)
}

func parseOne(text string, target reflect.Value) error {
	if u, ok := target.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	bits := func() int { return target.Type().Bits() }
	switch kind := target.Kind(); kind {
	case reflect.String:
		target.SetString(text)
	case reflect.Bool:
		yes, err := parseBool(text)
		target.SetBool(yes)
		return err
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 0, bits())
		target.SetInt(n)
		return expected(err, "a whole number", text)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 0, bits())
		target.SetUint(n)
		return expected(err, "a whole number of 0 or more", text)
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(text, bits())
		target.SetFloat(x)
		return expected(err, "a number", text)
	default:
		return fmt.Errorf("bug: a setting cannot be of the type %s", target.Type())
	}
	return nil
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "yes":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, fmt.Errorf("must be true or false but got %q", text)
}

// expected says in our words why text is no number; nil if err is.
func expected(err error, what, text string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("expected %s but got %q, which is too large or too small", what, text)
	}
	return fmt.Errorf("expected %s but got %q", what, text)
}

// fromEnvironment returns what the variable has. One that is set to nothing is not set, as an environment file with a line
// left blank means it, unless the setting is switched off by being empty.
func (s *Setting) fromEnvironment() (value string, set bool) {
	if s.Env == "" {
		return "", false
	}
	value, set = os.LookupEnv(s.Env)
	return value, set && (value != "" || s.emptyIsValue)
}

// reset gives the setting what it has unless it is typed: the value of its variable, or its default.
func (s *Setting) reset() {
	s.target.SetZero()
	s.given, s.typed, s.unreadable = false, false, nil
	if value, ok := s.fromEnvironment(); ok {
		if s.unreadable = s.readable(value); s.unreadable == nil {
			s.given = true
			_ = s.parse(value, s.target) // a setting's own text is its own business
			return
		}
	}
	if s.Default != "" {
		s.given = true
		if err := s.parse(s.Default, s.target); err != nil {
			panic(err) // the tag is wrong
		}
	}
}

// among returns an error unless the value is one of those that there are.
func (s *Setting) among() error {
	if s.Enum == nil || !s.given {
		return nil
	}
	value := fmt.Sprint(s.target.Interface())
	if slices.Contains(s.Enum, value) {
		return nil
	}
	var quoted []string
	for _, e := range s.Enum {
		quoted = append(quoted, fmt.Sprintf("%q", e))
	}
	name := s.Summary()
	if !s.Argument {
		name = "--" + s.Name
	}
	return fmt.Errorf("%s must be one of %s but got %q", name, strings.Join(quoted, ", "), value)
}

// Summary is how a setting is typed: --name=VALUE, <argument>, [<argument>].
func (s *Setting) Summary() string {
	if !s.Argument {
		if s.IsBool() {
			return "--" + s.Name
		}
		return "--" + s.Name + "=" + s.Shown()
	}
	text := "<" + s.Name + ">"
	if s.isList() {
		text += " ..."
	}
	if !s.Required {
		text = "[" + text + "]"
	}
	return text
}

// Shown is what the help shows in place of the value of a flag.
func (s *Setting) Shown() string {
	tail := ""
	if sep := s.Separator(); sep != "" {
		tail = sep + "..."
	}
	switch {
	case s.Placeholder != "":
		return s.Placeholder
	case s.Default != "" && s.IsText():
		return fmt.Sprintf("%q", s.Default) + tail
	case s.Default != "":
		return s.Default + tail
	case s.Enum != nil:
		return strings.Join(s.Enum, "|") + tail
	}
	kind := s.target.Type()
	if s.isList() {
		kind = kind.Elem()
	}
	return strings.ToUpper(kind.Name()) + tail
}
