package cli

import (
	"strings"
	"unicode/utf8"
)

// Lines breaks text at its spaces into lines of at most width characters. What stands between backquotes is a command, and
// stays in one line, which may then be longer.
func Lines(text string, width int) string {
	var b strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		at, quoted, word := 0, false, ""
		for part := range strings.SplitSeq(line, " ") {
			if word != "" {
				word += " "
			}
			word += part
			if quoted = quoted != (strings.Count(part, "`")%2 == 1); quoted {
				continue
			}
			n := utf8.RuneCountInString(word)
			switch {
			case at == 0:
				at = n
			case at+1+n > width:
				b.WriteByte('\n')
				at = n
			default:
				b.WriteByte(' ')
				at += 1 + n
			}
			b.WriteString(word)
			word = ""
		}
		if word != "" { // a backquote that nothing closes
			b.WriteString(" " + word)
		}
	}
	return b.String()
}
