package health

import (
	"testing"
	"time"
)

func TestSpanIsForPeople(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0 s":         -time.Minute,
		"59 s":        59*time.Second + 999*time.Millisecond,
		"1 min 1 s":   61 * time.Second,
		"23 h 59 min": 24*time.Hour - time.Second,
		"334 d 3 h":   8019*time.Hour + 24*time.Minute + 54*time.Second,
	} {
		if got := Span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
