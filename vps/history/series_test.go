package history

import (
	"testing"
	"time"
)

// TestFramesAreCutWhereTheClocksChange by hand-made times: a day of 23 or 25 hours, an hour that happens twice, a day
// without midnight.
func TestFramesAreCutWhereTheClocksChange(t *testing.T) {
	for _, test := range []struct{ zone, now, frame, from, to, running string }{
		{"Europe/Brussels", "2026-03-29T10:30:00Z", "day", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-29T10:00:00Z"},
		{"Europe/Brussels", "2026-10-25T10:30:00Z", "day", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-25T10:00:00Z"},
		{"Europe/Brussels", "2026-10-25T00:59:59.999Z", "day", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-25T00:00:00Z"},
		{"Europe/Brussels", "2026-10-25T01:59:59.999Z", "day", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-25T01:00:00Z"},
		{"America/Sao_Paulo", "2018-11-04T12:00:00Z", "day", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z", "2018-11-04T12:00:00Z"},
		{"Asia/Kolkata", "2026-06-21T10:10:00Z", "day", "2026-06-20T18:30:00Z", "2026-06-21T18:30:00Z", "2026-06-21T09:30:00Z"},
		{"Europe/Brussels", "2026-12-31T23:30:00Z", "year", "2026-12-31T23:00:00Z", "2027-12-31T23:00:00Z", "2026-12-31T23:00:00Z"},
		{"Europe/Brussels", "2026-01-31T10:00:00Z", "month", "2025-12-31T23:00:00Z", "2026-01-31T23:00:00Z", "2026-01-30T23:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-04T15:20:00Z", "day", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z", "2026-04-04T15:00:00Z"},
		{"UTC", "2026-01-31T10:00:00Z", "all", "0001-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z"},
	} {
		zone, err := time.LoadLocation(test.zone)
		if err != nil {
			t.Fatal(err)
		}
		now, _ := time.Parse(time.RFC3339, test.now)
		from, to, running := frames[test.frame].around(now, zone)
		for _, cut := range []struct {
			name string
			got  time.Time
			want string
		}{{"from", from, test.from}, {"to", to, test.to}, {"running", running, test.running}} {
			if got := cut.got.UTC().Format(time.RFC3339Nano); got != cut.want {
				t.Errorf("%s of %s in %s at %s: %s, want %s", cut.name, test.frame, test.zone, test.now, got, cut.want)
			}
		}
	}
}
