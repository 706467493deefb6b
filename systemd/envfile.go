package systemd

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Assignment is one setting of a settings file, and the lines that it takes there, counted from 0: a quoted value may have several.
type Assignment struct {
	Name, Value string
	First, Last int
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ParseSettings reads the text of a settings file as systemd reads an EnvironmentFile=, systemd.exec(5): comments begin with # or ;
// at the start of a line and nowhere else, values may be quoted, and of two assignments the last counts. What systemd would leave
// out, or refuse, is an error that names the line.
func ParseSettings(text string) (all []Assignment, err error) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := trimmed(lines[i])
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		name, rest, ok := strings.Cut(line, "=")
		name = trimmed(name)
		switch {
		case !ok:
			return nil, fmt.Errorf("line %d is not NAME=value", i+1)
		case strings.HasPrefix(name, "export "):
			return nil, fmt.Errorf("line %d begins with export, which is for a shell: systemd leaves the line out", i+1)
		case !settingName.MatchString(name):
			return nil, fmt.Errorf("line %d: %q is no name of a setting", i+1, name)
		}
		a := Assignment{Name: name, First: i}
		for !a.read(rest) { // it goes on in the next line
			if i++; i == len(lines) {
				return nil, fmt.Errorf("line %d: the quote, or the backslash at the end of a line, has no end", a.First+1)
			}
			rest += "\n" + strings.TrimSuffix(lines[i], "\r")
			a.Value = ""
		}
		if !utf8.ValidString(a.Value) {
			return nil, fmt.Errorf("line %d is not UTF-8: systemd reads nothing of the file", a.First+1)
		}
		a.Last = i
		all = append(all, a)
	}
	return all, nil
}

// trimmed is text without the white space that systemd knows.
func trimmed(text string) string { return strings.Trim(text, " \t\r\n") }

// read reads a value, and reports whether it ends where text does.
func (a *Assignment) read(text string) (ended bool) {
	var value, blank strings.Builder // blank is white space that belongs to the value only if something follows
	add := func(c byte) {
		value.WriteString(blank.String())
		blank.Reset()
		value.WriteByte(c)
	}
	begun := false // an unquoted value: quotes in it are characters
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			if i++; i == len(text) {
				return false
			}
			if begun = true; text[i] != '\n' {
				add(text[i])
			}
		case !begun && (c == '\'' || c == '"'):
			end := closing(text[i+1:], c, &value)
			if end < 0 {
				return false
			}
			i += end + 1
		case c == ' ' || c == '\t' || c == '\r':
			if begun {
				blank.WriteByte(c)
			}
		default:
			begun = true
			add(c)
		}
	}
	a.Value = value.String()
	return true
}

// closing adds what is quoted to value, and returns where the quote ends, -1 if it does not.
func closing(text string, quote byte, value *strings.Builder) int {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == quote:
			return i
		case c == '\\' && quote == '"':
			if i++; i == len(text) {
				return -1
			}
			if !strings.ContainsRune("\"\\`$\n", rune(text[i])) {
				value.WriteByte('\\')
			}
			if text[i] != '\n' {
				value.WriteByte(text[i])
			}
		default:
			value.WriteByte(c)
		}
	}
	return -1
}

// Value returns the value of a setting in all, "" if it has none.
func Value(all []Assignment, name string) string {
	for _, a := range slices.Backward(all) {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}
