// Package progress shows how far a command is that takes minutes: by a bar on a terminal, elsewhere by a line now and then.
//
// A library's bar takes 213 KB of the program (1.1 %) and three modules, which is more than the commands that show one.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// LineEvery is how often progress is printed where there is no terminal.
var LineEvery = 10 * time.Second

const (
	drawEvery    = 200 * time.Millisecond
	barWidth     = 20 // most
	usualColumns = 80
)

// Samples returns what to call with the samples that are done of total.
func Samples(out io.Writer, total int64) (done func(samples int64)) {
	at, began, told := int64(0), time.Now(), time.Now()
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		return func(samples int64) {
			if at += samples; time.Since(told) >= drawEvery || at == total {
				columns, _, err := term.GetSize(int(f.Fd()))
				if err != nil || columns <= 0 {
					columns = usualColumns
				}
				fmt.Fprint(out, "\r"+bar(at, total, time.Since(began), columns)+"\x1b[K")
				told = time.Now()
			}
		}
	}
	return func(samples int64) {
		if at += samples; time.Since(told) >= LineEvery || at == total {
			fmt.Fprintf(out, "%d of %d samples\n", at, total)
			told = time.Now()
		}
	}
}

// bar is how far it is after some time: samples  42% |########            | 420/1000 (8400 samples/s, 1m9s left)
func bar(at, total int64, after time.Duration, columns int) string {
	part := min(1, float64(at)/float64(max(total, 1)))
	speed := float64(at) / max(after.Seconds(), 0.001)
	left := ""
	if at > 0 && at < total {
		left = ", " + time.Duration(float64(total-at)/speed*float64(time.Second)).Round(time.Second).String() + " left"
	}
	head, tail := fmt.Sprintf("samples %3.0f%%", 100*part), fmt.Sprintf(" %d/%d (%.0f samples/s%s)", at, total, speed, left)
	if width := min(barWidth, columns-len(head)-len(tail)-4); width > 0 {
		filled := int(part * float64(width))
		head += " |" + strings.Repeat("#", filled) + strings.Repeat(" ", width-filled) + "|"
	}
	return (head + tail)[:min(len(head)+len(tail), max(columns-1, 0))]
}

// SpanBar shows on a terminal how far a command is on its way through a span of time. Elsewhere it shows nothing.
type SpanBar struct {
	from, to time.Time
	out      *os.File // nil for no terminal
	told     time.Time
}

// Span returns a bar for a span.
func Span(out io.Writer, from, to time.Time) *SpanBar {
	b := &SpanBar{from: from, to: to}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		b.out = f
	}
	return b
}

// At is where the command is.
func (b *SpanBar) At(t time.Time) {
	if b.out == nil || time.Since(b.told) < drawEvery {
		return
	}
	b.told = time.Now()
	part := min(max(t.Sub(b.from).Seconds()/max(b.to.Sub(b.from).Seconds(), 1), 0), 1)
	filled := int(part * barWidth)
	fmt.Fprintf(b.out, "\r%s %3.0f%% |%s%s|\x1b[K", t.Format(time.DateOnly), 100*part, strings.Repeat("#", filled), strings.Repeat(" ", barWidth-filled))
}

// End leaves the line empty.
func (b *SpanBar) End() {
	if b.out != nil {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}
