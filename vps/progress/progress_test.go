package progress

import (
	"testing"
	"time"
)

func TestBarFitsAndEstimatesWhatIsLeft(t *testing.T) {
	for _, c := range []struct {
		at, total int64
		after     time.Duration
		columns   int
		want      string
	}{
		{0, 1000, 0, 80, "samples   0% |                    | 0/1000 (0 samples/s)"},
		{420, 1000, 42 * time.Second, 80, "samples  42% |########            | 420/1000 (10 samples/s, 58s left)"},
		{1000, 1000, 100 * time.Second, 80, "samples 100% |####################| 1000/1000 (10 samples/s)"},
		{420, 1000, 42 * time.Second, 60, "samples  42% |####      | 420/1000 (10 samples/s, 58s left)"},
		{420, 1000, 42 * time.Second, 40, "samples  42% 420/1000 (10 samples/s, 58"},
		{0, 0, 0, 80, "samples   0% |                    | 0/0 (0 samples/s)"},
	} {
		if got := bar(c.at, c.total, c.after, c.columns); got != c.want || len(got) >= c.columns {
			t.Errorf("%d of %d in %d columns:\n%q, want\n%q", c.at, c.total, c.columns, got, c.want)
		}
	}
}
