package witness

import (
	"testing"
	"time"
)

// A day of sun from 7 to 19 h, 1 kWh an hour; the counter had 1000 kWh at midnight.
func produced(at time.Time) float64 {
	return min(max(at.Sub(midnight(at)).Hours()-7, 0), 12)
}

func midnight(at time.Time) time.Time {
	return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, at.Location())
}

// lives polls each five minutes from start on, with a register that is off by what its clock is ahead, and tells check
// of each.
func lives(start time.Time, hours int, register func(time.Time) *float64, counter func(time.Time) *float64, hybrid bool, check func(time.Time, *float64)) {
	var d Day
	for at := start; at.Sub(start) < time.Duration(hours)*time.Hour; at = at.Add(5 * time.Minute) {
		h := at.Sub(midnight(at)).Hours()
		check(at, d.Read(at, Yield{Daily: register(at), Total: counter(at), Counts: 0.1, Sunny: h > 7 && h < 19, Hybrid: hybrid, RatedW: 5000}))
	}
}

func counter(at time.Time) *float64 {
	days := midnight(at).Sub(time.Date(2026, 6, 21, 0, 0, 0, 0, at.Location())).Hours() / 24
	return new(1000 + 12*float64(int(days+0.5)) + produced(at))
}

func within(got *float64, want float64) bool {
	return got != nil && *got-want < 0.31 && want-*got < 0.31
}

func TestYieldIsThatOfTheLocalDay(t *testing.T) {
	zone := time.FixedZone("here", 2*3600)
	evening := time.Date(2026, 6, 21, 17, 0, 0, 0, zone)
	for name, ahead := range map[string]time.Duration{"a clock that is right": 0, "6 h ahead": 6 * time.Hour, "6 h behind": -6 * time.Hour} {
		lives(evening, 50, func(at time.Time) *float64 {
			its := at.Add(ahead) // the register begins anew at its midnight
			return new(*counter(at) - *counter(midnight(its).Add(-ahead)))
		}, counter, true, func(at time.Time, got *float64) {
			if want := produced(at); at.Day() > 21 && !within(got, want) {
				t.Fatalf("%s: at %v it is %v, want %v", name, at, show(got), want)
			}
		})
	}
}

// A string inverter keeps the yield of yesterday until sunrise.
func TestYieldOfYesterdayIsNotToday(t *testing.T) {
	register := func(at time.Time) *float64 {
		if at.Sub(midnight(at)) < 7*time.Hour {
			return new(12.0)
		}
		return new(produced(at))
	}
	none := func(time.Time) *float64 { return nil }
	start := time.Date(2026, 6, 22, 1, 0, 0, 0, time.UTC)
	for name, c := range map[string]func(time.Time) *float64{"with a counter": counter, "without": none} {
		lives(start, 47, register, c, false, func(at time.Time, got *float64) {
			switch h := at.Sub(midnight(at)).Hours(); {
			case got != nil && !within(got, produced(at)):
				t.Fatalf("%s: at %v it is %v, want %v", name, at, *got, produced(at))
			case got == nil && h > 7.5:
				t.Fatalf("%s: at %v it is not known", name, at)
			case got == nil && at.Day() == 23 && name == "with a counter":
				t.Fatalf("%s: at %v, a day after the start, it is not known", name, at)
			}
		})
	}
}

// A counter that flickers, dips or is another one's makes no day.
func TestYieldSurvivesACounterThatFlickers(t *testing.T) {
	start := time.Date(2026, 6, 21, 20, 0, 0, 0, time.UTC)
	polls := 0
	lives(start, 30, func(at time.Time) *float64 { return new(produced(at)) }, func(at time.Time) *float64 {
		polls++
		switch {
		case polls%17 == 3:
			return new(12000.0)
		case polls%17 == 9:
			return new(3.0)
		}
		return counter(at)
	}, true, func(at time.Time, got *float64) {
		if got != nil && !within(got, produced(at)) {
			t.Fatalf("at %v it is %v, want %v", at, *got, produced(at))
		}
	})
}

func TestYieldOfZeroIsARegisterThatMoved(t *testing.T) {
	var d Day
	y := Yield{Daily: new(0.0), Total: new(1000.0), Counts: 0.1, Sunny: true, Hybrid: true, RatedW: 5000}
	if got := d.Read(noon, y); got != nil {
		t.Errorf("a register that reads 0 at noon is %v", *got)
	}
	if got := new(Day).Read(time.Time{}, y); got != nil {
		t.Errorf("without a time: %v", *got)
	}
	y.Daily = new(9.7)
	if got := new(Day).Read(noon, y); got == nil || *got != 9.7 {
		t.Errorf("at noon, just started: %v", show(got))
	}
	y.Total = nil
	if got := new(Day).Read(noon, y); got != nil {
		t.Errorf("without a counter, just started: %v", *got)
	}
}
