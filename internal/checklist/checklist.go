// Package checklist is how a command shows what it has looked at: a line for each thing, what is wrong first by its mark, and
// below it what to do.
//
//	✓ modbus      unit 1, 38 ms median of 20 reads
//	✗ upload      the token is refused
//	              next: sunspool vps pair
package checklist

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"sunspool/health"
)

// State is how a thing is.
type State string

const (
	OK   State = "ok"
	Warn State = "warn" // it works, and somebody should look
	Fail State = "fail" // it does not work
	Skip State = "skip" // it was not looked at, because of another one
)

// Check is one thing that was looked at.
type Check struct {
	Area  string `json:"area"`
	State State  `json:"state"`
	What  string `json:"what"`
	Why   string `json:"why,omitempty"`
	Next  string `json:"next,omitempty"` // a command or words
	Code  string `json:"code,omitempty"` // of the fault
}

// Of is a check that failed with err.
func Of(area string, err error) Check {
	c := Check{Area: area, State: Fail, What: err.Error()}
	if f, ok := err.(*health.Fault); ok {
		c.Code, c.Next = f.Code, f.Next
	}
	return c
}

// Columns is how long a line is; one that is a command may be longer.
var Columns = 80

// Style is what the reader's terminal can show.
type Style struct {
	Plain   bool // no symbols beyond ASCII
	Colours bool
}

// Printer prints checks.
type Printer struct {
	Style
	Out   io.Writer
	Shell bool // what is to be done is shown as it can be pasted: a command in one line, words as a comment
}

const (
	areaWidth = 12
	textAt    = 4 + areaWidth // of the columns
)

// PlainLocale reports whether who reads has no UTF-8.
func PlainLocale() bool {
	locale := strings.ToUpper(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return !strings.Contains(locale, "UTF-8") && !strings.Contains(locale, "UTF8")
}

// mark is the sign of a state.
func (p Printer) mark(s State) string {
	marks := map[State]string{OK: "✓", Warn: "!", Fail: "✗", Skip: "-"}
	if p.Plain {
		marks = map[State]string{OK: "[ok]", Warn: "[!!]", Fail: "[xx]", Skip: "[--]"}
	}
	colours := map[State]string{OK: "32", Warn: "33", Fail: "31"} // green, yellow, red: those of the terminal
	return p.In(colours[s], marks[s])
}

// In returns text in a colour of the terminal, if it has any.
func (s Style) In(colour, text string) string {
	if !s.Colours || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// Print prints a check.
func (p Printer) Print(c Check) {
	head, at := fmt.Sprintf("  %s %-*s", p.mark(c.State), areaWidth, c.Area), textAt
	if p.Plain {
		at += 3
	}
	lines := wrap(p.text(c.What), Columns-at)
	if c.Why != "" {
		lines = append(lines, prefixed("why:  ", p.text(c.Why), Columns-at)...)
	}
	if c.Next != "" {
		lines = append(lines, p.next(c.Next, Columns-at)...)
	}
	for i, line := range lines {
		if i > 0 {
			head = strings.Repeat(" ", at)
		}
		fmt.Fprintln(p.Out, strings.TrimRight(head+line, " "))
	}
}

// text is s as the reader's terminal can show it.
func (p Printer) text(s string) string {
	if !p.Plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r > 126 {
			return '?'
		}
		return r
	}, ASCII(s))
}

// next are the lines of what is to be done.
func (p Printer) next(text string, width int) []string {
	shown := p.text(text)
	if !p.Shell {
		return prefixed("next: ", shown, width)
	}
	if health.Pasteable(text) == text {
		return []string{"next: " + shown}
	}
	lines := wrap(shown, width-len("next: # "))
	for i := range lines {
		lines[i] = "# " + lines[i]
	}
	return prefixed("next: ", strings.Join(lines, "\n"), width)
}

// prefixed wraps text behind a label.
// ASCII returns s without the signs that our own words have beyond ASCII. What others wrote stays as it is.
func ASCII(s string) string { return signs.Replace(s) }

var signs = strings.NewReplacer("°C", "C", "→", "->", "…", "...", "–", "-", "×", "x", "·", "-", "≥", ">=", "≤", "<=")

// prefixed wraps text behind a label; a command in it is one line, however long.
func prefixed(label, text string, width int) []string {
	lines := wrap(text, width-len(label))
	for i := range lines {
		if i == 0 {
			lines[i] = label + lines[i]
		} else {
			lines[i] = strings.Repeat(" ", len(label)) + lines[i]
		}
	}
	return lines
}

// wrap breaks text at spaces into lines of at most width characters, and longer words not at all.
func wrap(text string, width int) (lines []string) {
	for line := range strings.SplitSeq(text, "\n") {
		broken := ""
		for word := range strings.FieldsSeq(line) {
			if broken != "" && utf8.RuneCountInString(broken)+1+utf8.RuneCountInString(word) > width {
				lines, broken = append(lines, broken), ""
			}
			if broken != "" {
				broken += " "
			}
			broken += word
		}
		lines = append(lines, broken)
	}
	return lines
}

// Worst is the worst state of checks.
func Worst(checks []Check) State {
	worst := OK
	for _, c := range checks {
		switch {
		case c.State == Fail:
			return Fail
		case c.State == Warn:
			worst = Warn
		}
	}
	return worst
}
