package api

import (
	"testing"
	"time"
)

// TestComparisonOfWhatRuns is cut where as much of its time is over, by the local clock.
func TestComparisonOfWhatRuns(t *testing.T) {
	for _, c := range []struct{ now, query, first, last, until string }{
		{"2024-02-29T12:30:00+01:00", "resolution=day&compare=last_year", "2023-02-01", "2023-02-28", "2023-03-01T00:00:00+01:00"},
		{"2025-02-28T12:30:00+01:00", "resolution=day&compare=last_year", "2024-02-01", "2024-02-28", "2024-02-28T12:30:00+01:00"},
		{"2025-02-28T12:30:00+01:00", "resolution=day&compare=last_year&from=2025-02-22&to=2025-02-28", "2024-02-22", "2024-02-28", "2024-02-28T12:30:00+01:00"},
		{"2025-02-15T12:30:00+01:00", "resolution=month&compare=previous&from=2025-01-01&to=2025-03-31", "2024-10", "2024-11", "2024-11-15T12:30:00+01:00"},
		{"2025-05-31T12:30:00+02:00", "resolution=month&compare=previous&from=2025-04-01&to=2025-06-30", "2025-01", "2025-02", "2025-03-01T00:00:00+01:00"},
		{"2026-01-01T12:30:00+01:00", "resolution=hour&compare=previous", "2025-12-31T00:00:00+01:00", "2025-12-31T12:00:00+01:00", "2025-12-31T12:30:00+01:00"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		b := zoned(t, "Europe/Brussels", now)
		got := answered[energyTest](b, "/v1/energy?device_id=inv-1&"+c.query).Compare
		until := time.Unix(got.Until, 0).In(b.Zone).Format(time.RFC3339)
		if n := len(got.Labels); n == 0 || got.Labels[0] != c.first || got.Labels[n-1] != c.last || until != c.until || !got.SameElapsed {
			t.Errorf("%s at %s: %v until %s, want %+v", c.query, c.now, got.Labels, until, c)
		}
	}
}
