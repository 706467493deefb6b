package store

import (
	"archive/zip"
	"bytes"
	"go/build"
	"io"
	"path/filepath"
	"testing"
	"time"
)

// zonesOfGo returns every zone of Go's own database, those that are the same but for their name once.
func zonesOfGo(t *testing.T) (zones []*time.Location) {
	t.Helper()
	archive, err := zip.OpenReader(filepath.Join(build.Default.GOROOT, "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skip("Go's zones are not here: ", err)
	}
	defer archive.Close()
	seen := map[string]bool{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		rules, err := io.ReadAll(r)
		if err != nil || !bytes.HasPrefix(rules, []byte("TZif")) || seen[string(rules)] {
			continue
		}
		seen[string(rules)] = true
		zone, err := time.LoadLocationFromTZData(f.Name, rules)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, zone)
	}
	return zones
}

// changesOf returns when the clocks of a zone may be changed from 2010 to 2030.
func changesOf(zone *time.Location) (all []time.Time) {
	for at := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC).In(zone); ; {
		if at = NextChange(at); at.IsZero() || at.Year() > 2030 {
			return all
		}
		all = append(all, at)
	}
}

// TestEachInstantLiesInItsOwnPeriod, also around each change of clocks on earth, and periods follow each other.
func TestEachInstantLiesInItsOwnPeriod(t *testing.T) {
	for _, zone := range zonesOfGo(t) {
		for _, change := range changesOf(zone) {
			for _, r := range []Resolution{Hour, Day, Month, Year} {
				start, end := r.Period(change.Add(-27*time.Hour), zone)
				for start.Before(change.Add(27 * time.Hour)) {
					for _, x := range []time.Time{start, start.Add(end.Sub(start) / 2), end.Add(-time.Nanosecond)} {
						if s, e := r.Period(x, zone); s.After(x) || !e.After(x) || !s.Equal(start) || !e.Equal(end) {
							t.Fatalf("%s of %v in %v is [%v, %v), want [%v, %v)", r, x.UTC(), zone, s, e, start, end)
						}
					}
					start, end = r.Period(end, zone)
				}
			}
		}
	}
}

// TestDayIsOfTheEarliestDateThatIsYetToCome: an instant belongs to the earliest date that the clock shows from then on.
func TestDayIsOfTheEarliestDateThatIsYetToCome(t *testing.T) {
	date := func(at time.Time) int { y, m, d := at.Date(); return 10000*y + 100*int(m) + d }
	for _, zone := range zonesOfGo(t) {
		for _, change := range changesOf(zone) {
			if offsetAt(change) >= offsetAt(change.Add(-time.Second)) {
				continue // a date comes back only where clocks go back
			}
			earliest := date(change.Add(28 * time.Hour))
			for at := change.Add(27 * time.Hour); at.After(change.Add(-27 * time.Hour)); at = at.Add(-20 * time.Minute) {
				for _, at := range []time.Time{at, at.Add(-time.Second)} {
					earliest = min(earliest, date(at))
					if start, _ := Day.Period(at, zone); date(start) != earliest {
						t.Fatalf("%v in %v is of %v, want %d", at, zone, start, earliest)
					}
				}
			}
		}
	}
}

// TestClocksThatGoBackAcrossMidnight names the days of three places where they did.
func TestClocksThatGoBackAcrossMidnight(t *testing.T) {
	for _, c := range []struct{ zone, at, start, end string }{
		{"Asia/Amman", "2021-10-28T20:59:59Z", "2021-10-27T21:00:00Z", "2021-10-28T21:00:00Z"},
		{"Asia/Amman", "2021-10-28T21:30:00Z", "2021-10-28T21:00:00Z", "2021-10-29T22:00:00Z"},       // 00:30, for the first time
		{"Antarctica/Casey", "2023-03-08T15:00:00Z", "2023-03-08T13:00:00Z", "2023-03-09T16:00:00Z"}, // 02:00, before it was 23:00 or 00:00
		{"America/St_Johns", "2010-11-07T02:30:30Z", "2010-11-06T02:30:00Z", "2010-11-07T03:30:00Z"}, // 00:00:30 of the 7th, then 23:01 of the 6th
		{"America/St_Johns", "2010-11-07T03:30:00Z", "2010-11-07T03:30:00Z", "2010-11-08T03:30:00Z"},
		{"Africa/Cairo", "2010-04-29T22:00:00Z", "2010-04-29T22:00:00Z", "2010-04-30T21:00:00Z"}, // midnight is skipped
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		start, end := Day.Period(at, zone)
		if got := start.UTC().Format(time.RFC3339) + " " + end.UTC().Format(time.RFC3339); got != c.start+" "+c.end {
			t.Errorf("the day of %s in %s is %s, want %s %s", c.at, c.zone, got, c.start, c.end)
		}
	}
}

func TestClockIsWhatTheLocalClockShows(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		d     int // of October 2026, whose 25th has 25 hours; or of March 2026, whose 29th has 23
		m     time.Month
		since time.Duration
		want  string
	}{
		{24, 10, 90 * time.Minute, "2026-10-24T01:30:00+02:00"},
		{25, 10, 150 * time.Minute, "2026-10-25T02:30:00+01:00"}, // for the second time
		{25, 10, 2 * time.Hour, "2026-10-25T02:00:00+02:00"},     // it never shows less again
		{25, 10, 3 * time.Hour, "2026-10-25T03:00:00+01:00"},
		{25, 10, 24 * time.Hour, "2026-10-26T00:00:00+01:00"},
		{29, 3, 150 * time.Minute, "2026-03-29T03:00:00+02:00"}, // skipped
		{29, 3, 4 * time.Hour, "2026-03-29T04:00:00+02:00"},
	} {
		if got := Clock(2026, c.m, c.d, c.since, zone).Format(time.RFC3339); got != c.want {
			t.Errorf("%v after midnight of %d %v: %s, want %s", c.since, c.d, c.m, got, c.want)
		}
	}
}
