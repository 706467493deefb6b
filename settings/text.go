package settings

import (
	"fmt"
	"strings"
	"unicode"
)

// CheckText returns an error when the value of a setting has what an environment file, a shell or a copied line added
// to it: quotes, spaces at its ends, a carriage return, characters that are not seen. None of our settings has a use for
// them. The error names the setting and what to write instead; of a secret it repeats nothing.
func CheckText(name, value string, secret bool) error {
	why := strange(value)
	if why == "" {
		return nil
	}
	if clean := Clean(value); clean != "" && !secret && strange(clean) == "" {
		why += ": write " + name + "=" + clean
	}
	return fmt.Errorf("%s %s", name, why)
}

// strange names what does not belong in a value, "" when there is nothing.
func strange(value string) string {
	switch {
	case strings.HasSuffix(value, "\r"):
		return "ends in a carriage return, because its file has the line ends of Windows"
	case strings.ContainsFunc(value, unicode.IsControl):
		return "has a control character in it, such as a tab or the end of a line"
	case strings.TrimSpace(value) != value:
		return "has a space before or after it"
	case strings.ContainsFunc(value, invisible):
		return "has an invisible character in it, as text from a web page or a document may have"
	case quoted(value):
		return "has quotes around it, which an environment file of Docker does not take away"
	}
	return ""
}

const quotes = "\"'`“”„‘’«»"

// quoted reports whether value begins or ends with a quotation mark.
func quoted(value string) bool { return strings.Trim(value, quotes) != value }

func invisible(r rune) bool { return r != ' ' && (unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)) }

// Clean returns value without what CheckText finds in it.
func Clean(value string) string {
	value = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || invisible(r) {
			return ' '
		}
		return r
	}, value)
	return strings.Trim(value, " "+quotes)
}
