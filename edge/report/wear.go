package report

import "time"

// wear estimates how much is written per day, by the last day.
type wear struct{ marks []wearMark }

type wearMark struct {
	at      time.Time
	written int64
}

// perDay records what was written until now and returns the rate, 0 while it is not known.
func (w *wear) perDay(now time.Time, written int64) int64 {
	if n := len(w.marks); n == 0 || now.Sub(w.marks[n-1].at) >= wearStep {
		w.marks = append(w.marks, wearMark{now, written})
		if len(w.marks) > wearSpan+1 {
			w.marks = w.marks[1:]
		}
	}
	first := w.marks[0]
	span := now.Sub(first.at)
	if span < wearMin {
		return 0
	}
	return int64(float64(written-first.written) * float64(24*time.Hour) / float64(span))
}

const (
	wearStep = time.Hour
	wearSpan = 24
	wearMin  = 10 * time.Minute // before that it would be a guess
)
