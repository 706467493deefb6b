package query

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"sunspool/internal/vpstest"
	"sunspool/vps/store"
)

// compared is a comparison: a span, and what it is compared with. A date is that day, and the last one of the span.
type compared struct{ mode, from, to, want string }

func TestComparisonIsOfDaysOfTheCalendar(t *testing.T) {
	for _, c := range []compared{
		// A leap day has no day a year ago; its neighbours have theirs.
		{"last_year", "2025-02-28", "2025-02-28", "2024-02-28 00:00 to 2024-02-29 00:00"},
		{"last_year", "2025-02-22", "2025-02-28", "2024-02-22 00:00 to 2024-02-29 00:00"},
		{"last_year", "2025-02-22", "2025-03-01", "2024-02-22 00:00 to 2024-03-02 00:00"},
		{"last_year", "2025-03-01", "2025-03-07", "2024-03-01 00:00 to 2024-03-08 00:00"},
		{"last_year", "2024-02-29", "2024-02-29", "2023-03-01 00:00 to 2023-03-01 00:00"},
		{"last_year", "2024-02-23", "2024-02-29", "2023-02-23 00:00 to 2023-03-01 00:00"},
		{"last_year", "2024-02-29", "2024-03-06", "2023-03-01 00:00 to 2023-03-07 00:00"},
		{"last_year", "2024-12-30", "2025-01-05", "2023-12-30 00:00 to 2024-01-06 00:00"}, // a week across the end of a year
		// Whole months and years are compared with whole ones.
		{"last_year", "2025-02-01", "2025-02-28", "2024-02-01 00:00 to 2024-03-01 00:00"},
		{"last_year", "2024-02-01", "2024-02-29", "2023-02-01 00:00 to 2023-03-01 00:00"},
		{"last_year", "2024-02-01", "2024-02-28", "2023-02-01 00:00 to 2023-03-01 00:00"}, // no whole month: 28 days
		{"last_year", "2025-01-01", "2025-02-28", "2024-01-01 00:00 to 2024-03-01 00:00"},
		{"last_year", "2024-01-01", "2024-12-31", "2023-01-01 00:00 to 2024-01-01 00:00"},
		{"last_year", "2024-07-01", "2025-06-30", "2023-07-01 00:00 to 2024-07-01 00:00"},
		{"previous", "2024-03-01", "2024-03-31", "2024-02-01 00:00 to 2024-03-01 00:00"},
		{"previous", "2025-01-01", "2025-03-31", "2024-10-01 00:00 to 2025-01-01 00:00"}, // a quarter
		{"previous", "2024-02-01", "2024-03-31", "2023-12-01 00:00 to 2024-02-01 00:00"},
		{"previous", "2024-01-01", "2024-12-31", "2023-01-01 00:00 to 2024-01-01 00:00"},
		{"previous", "2024-01-01", "2025-12-31", "2022-01-01 00:00 to 2024-01-01 00:00"},
		// Any other days with as many days before them.
		{"previous", "2024-03-31", "2024-03-31", "2024-03-30 00:00 to 2024-03-31 00:00"}, // of 23 hours
		{"previous", "2024-03-01", "2024-03-01", "2024-02-29 00:00 to 2024-03-01 00:00"},
		{"previous", "2024-01-01", "2024-01-07", "2023-12-25 00:00 to 2024-01-01 00:00"},
		{"previous", "2024-10-21", "2024-10-27", "2024-10-14 00:00 to 2024-10-21 00:00"},
		{"previous", "2024-03-02", "2024-03-31", "2024-02-01 00:00 to 2024-03-02 00:00"},
		// Hours with the same ones of an earlier day.
		{"previous", "2024-06-10T12:00:00+02:00", "2024-06-10T15:00:00+02:00", "2024-06-09 12:00 to 2024-06-09 15:00"},
		{"previous", "2024-06-10T12:00:00+02:00", "2024-06-11T18:00:00+02:00", "2024-06-08 12:00 to 2024-06-09 18:00"},
		{"previous", "2024-06-10T22:00:00+02:00", "2024-06-11T02:00:00+02:00", "2024-06-09 22:00 to 2024-06-10 02:00"},
		{"previous", "2024-06-10T12:00:00+02:00", "2024-06-11T00:00:00+02:00", "2024-06-09 12:00 to 2024-06-10 00:00"},
		{"last_year", "2025-02-28T12:00:00+01:00", "2025-03-01T00:00:00+01:00", "2024-02-28 12:00 to 2024-02-29 00:00"},
		{"last_year", "2024-02-28T12:00:00+01:00", "2024-02-29T12:00:00+01:00", "2023-02-28 12:00 to 2023-03-01 00:00"},
		{"last_year", "2024-02-29T12:00:00+01:00", "2024-02-29T15:00:00+01:00", "2023-03-01 00:00 to 2023-03-01 00:00"},
		// The hour that comes twice, either time, and the one that is skipped.
		{"previous", "2025-10-26T02:00:00+02:00", "2025-10-26T02:00:00+01:00", "2025-10-25 02:00 to 2025-10-25 03:00"},
		{"previous", "2025-10-26T02:00:00+01:00", "2025-10-26T03:00:00+01:00", "2025-10-25 02:00 to 2025-10-25 03:00"},
		{"previous", "2025-10-26T02:00:00+02:00", "2025-10-26T03:00:00+01:00", "2025-10-25 02:00 to 2025-10-25 03:00"},
		{"previous", "2025-10-27T01:00:00+01:00", "2025-10-27T03:00:00+01:00", "2025-10-26 01:00 to 2025-10-26 03:00"},
		{"previous", "2025-03-31T02:00:00+02:00", "2025-03-31T03:00:00+02:00", "2025-03-30 03:00 to 2025-03-30 03:00"},
	} {
		if got := c.before(t, "Europe/Brussels"); got != c.want {
			t.Errorf("%s of %s..%s is %s, want %s", c.mode, c.from, c.to, got, c.want)
		}
	}
}

// TestComparisonWhereMidnightIsSkipped: such a day begins at 01:00, those that it is compared with at 00:00, and back.
func TestComparisonWhereMidnightIsSkipped(t *testing.T) {
	for _, c := range []compared{ // 31 March 2024 and 30 March 2025 begin at 01:00
		{"previous", "2024-03-31", "2024-03-31", "2024-03-30 00:00 to 2024-03-31 01:00"},
		{"previous", "2024-04-01", "2024-04-01", "2024-03-31 01:00 to 2024-04-01 00:00"},
		{"last_year", "2025-03-30", "2025-03-30", "2024-03-30 00:00 to 2024-03-31 01:00"},
		{"last_year", "2025-03-31", "2025-03-31", "2024-03-31 01:00 to 2024-04-01 00:00"},
	} {
		if got := c.before(t, "Asia/Beirut"); got != c.want {
			t.Errorf("%s of %s..%s is %s, want %s", c.mode, c.from, c.to, got, c.want)
		}
	}
}

// before is what c's span is compared with when it is long over.
func (c compared) before(t *testing.T, name string) string {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string, ahead int) time.Time {
		if d, err := time.Parse(time.DateOnly, text); err == nil {
			return store.Midnight(d.Year(), d.Month(), d.Day()+ahead, zone)
		}
		instant, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return instant.In(zone)
	}
	sp, elapsed := Span{From: at(c.from, 0), To: at(c.to, 1), Zone: zone}.ComparedWith(c.mode, vpstest.Now)
	if elapsed {
		t.Errorf("%+v is not over", c)
	}
	return fmt.Sprint(sp.From.Format("2006-01-02 15:04"), " to ", sp.To.Format("2006-01-02 15:04"))
}

// TestWholeDaysAreComparedWithWholeDays, wherever and whenever clocks are changed: as many, but for leap days.
func TestWholeDaysAreComparedWithWholeDays(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	dates := func(sp Span) (n int) {
		for at := sp.From; at.Before(sp.To); n++ {
			_, at = store.Day.Period(at, sp.Zone)
		}
		return n
	}
	for _, name := range []string{"Europe/Brussels", "Asia/Amman", "America/St_Johns", "Asia/Beirut", "Australia/Lord_Howe",
		"America/Sao_Paulo", "America/Havana", "Antarctica/Casey", "Africa/Cairo", "Asia/Kathmandu"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 500 {
			y, m, d, days := 2011+r.IntN(14), time.Month(1+r.IntN(12)), 1+r.IntN(28), 1+r.IntN(27)
			sp := Span{From: store.Midnight(y, m, d, zone), To: store.Midnight(y, m, d+days, zone), Zone: zone}
			for _, mode := range []string{"previous", "last_year"} {
				earlier, elapsed := sp.ComparedWith(mode, vpstest.Now)
				first, _ := store.Day.Period(earlier.From, zone)
				end, _ := store.Day.Period(earlier.To, zone)
				if n := dates(earlier); elapsed || !first.Equal(earlier.From) || !end.Equal(earlier.To) || n != days && (mode == "previous" || n < days-1 || n > days+1) ||
					mode == "previous" && !earlier.To.Equal(sp.From) {
					t.Fatalf("%s of %v to %v in %s is %v to %v", mode, sp.From, sp.To, name, earlier.From, earlier.To)
				}
			}
		}
	}
}
