package progress

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"sunspool/internal/testhost"
)

// Progress is a bar on a terminal, which fits in 80 columns for as many samples as 20 years of four inverters have, and lines
// without control characters where the output goes elsewhere.
func TestProgressIsABarOnATerminalAlone(t *testing.T) {
	const columns, total = 80, int64(4 * 20 * 365 * 17_280)
	screen, tty := testhost.Terminal(t, columns)
	done := Samples(tty, total)
	for range 4 {
		done(total / 4)
	}
	tty.WriteString("\nend\n")
	var shown strings.Builder
	for lines := bufio.NewScanner(screen); lines.Scan() && lines.Text() != "end"; {
		shown.WriteString(lines.Text() + "\n")
	}
	for line := range strings.FieldsFuncSeq(strings.ReplaceAll(shown.String(), "\x1b[K", ""), func(r rune) bool { return r == '\r' || r == '\n' }) {
		if n := utf8.RuneCountInString(line); n > columns {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	if !strings.Contains(shown.String(), "samples 100% |") || !strings.Contains(shown.String(), "504576000/504576000") {
		t.Errorf("the terminal shows %q", shown.String())
	}

	var log bytes.Buffer
	done = Samples(&log, 2)
	done(1)
	done(1)
	if !strings.HasSuffix(log.String(), "2 of 2 samples\n") || strings.ContainsRune(log.String(), '\r') {
		t.Errorf("elsewhere it is %q", log.String())
	}
}
