package edge

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/health"
)

// days plays the days of one inverter against night: the sun of a day is a triangle between rise and set, hours after
// midnight, and the inverter answers each five minutes while there is any.
type days struct {
	t         *testing.T
	n         *night
	rise, set float64
	peakW     float64
	sleeps    bool
}

func newDays(t *testing.T) *days {
	d := &days{t: t, n: &night{File: filepath.Join(t.TempDir(), "spool.db.night")}, rise: 7, set: 18, peakW: 4000, sleeps: true}
	d.n.load()
	return d
}

// hour is the time of day, in hours.
func hour() float64 {
	t := time.Now().UTC()
	return float64(t.Hour()) + float64(t.Minute())/60
}

func (d *days) sun() float64 {
	noon := (d.rise + d.set) / 2
	half := (d.set - d.rise) / 2
	away := hour() - noon
	if away < 0 {
		away = -away
	}
	return max(0, d.peakW*(1-away/half))
}

// until polls until the time of day is h; the dongle answers while alive and the sun shines. It returns for how long an
// alarm was on.
func (d *days) until(h float64, alive bool) (alarm time.Duration) {
	for {
		time.Sleep(5 * time.Minute)
		if sun := d.sun(); alive && sun > 0 {
			d.n.sampled(now(), sun, d.sleeps)
		} else if !d.n.asleep(now()) {
			alarm += 5 * time.Minute
		}
		if at := hour(); at >= h && at < h+0.08 {
			return alarm
		}
	}
}

// restart is a new process.
func (d *days) restart() {
	d.n.save()
	d.n = &night{File: d.n.File}
	d.n.load()
}

func (d *days) quiet(alarm time.Duration, when string) {
	d.t.Helper()
	if alarm > 0 {
		d.t.Errorf("%s: an alarm for %v", when, alarm)
	}
}

func TestEveryNightIsSlept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDays(t)
		d.until(10, false) // it is found in the morning
		for i := range 20 {
			d.quiet(d.until(9.5, true), "a day and a night")
			d.set -= 0.03 // to the winter
			d.rise += 0.03
			if i == 10 { // a storm
				d.set -= 1.5
				d.quiet(d.until(9.5, true), "a dark afternoon")
				d.set += 1.5
				d.rise += 1
				d.quiet(d.until(9.5, true), "a dark morning")
				d.rise -= 1
			}
		}
	})
}

// From the first alarm at dawn to the next evening would be too late: a dongle that dies is named within hours.
func TestDongleThatDiesInTheMorningIsNamed(t *testing.T) {
	for name, nights := range map[string]int{"in its first morning": 0, "after a night": 1, "after a week": 7} {
		for _, dies := range []float64{7.1, 7.3, 8.1} {
			synctest.Test(t, func(t *testing.T) {
				d := newDays(t)
				d.peakW = 500 // a dark day: below 50 W for half an hour
				d.until(6.5, false)
				for range nights {
					d.until(6.5, true)
				}
				if nights > 0 {
					d.until(6.5, true)
				}
				d.until(dies, true)
				if alarm := d.until(13, false); alarm < 2*time.Hour {
					t.Errorf("%s, at %v: by 13:00 an alarm for %v", name, dies, alarm)
				}
			})
		}
	}
}

func TestDongleThatDiesAtNightIsNamedInTheMorning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDays(t)
		d.until(8, false)
		d.until(8, true)
		d.until(8, true)
		d.until(20, true)
		d.quiet(d.until(8, false), "until the morning")
		if alarm := d.until(12, false); alarm < 2*time.Hour {
			t.Errorf("by noon an alarm for %v", alarm)
		}
	})
}

func TestDongleThatDiesInSunshineIsNamedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDays(t)
		d.until(12, true)
		if alarm := d.until(13, false); alarm < 55*time.Minute {
			t.Errorf("an alarm for %v within an hour", alarm)
		}
	})
}

func TestInverterThatDoesNotSleepIsNamedAtNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDays(t)
		d.sleeps = false
		d.until(20, true)
		if alarm := d.until(23, false); alarm < 2*time.Hour {
			t.Errorf("a hybrid that does not answer is taken for asleep: an alarm for %v", alarm)
		}
	})
}

// An edge that is started at night knows from its file that the inverter sleeps, and until when at most.
func TestStartAtNightKnowsThatTheInverterSleeps(t *testing.T) {
	for name, c := range map[string]struct {
		days int     // before
		stop float64 // the process ends
	}{
		"in its first night":         {0, 22},
		"in a later one":             {2, 22},
		"stopped in the afternoon":   {1, 15},
		"stopped at dusk":            {1, 17.9},
		"stopped early in the night": {1, 18.5},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDays(t)
			d.until(9, false)
			for range c.days {
				d.until(9, true)
			}
			d.until(c.stop, true)
			d.n.save()
			d.until(23, false) // nobody looks
			d.restart()
			d.quiet(d.until(6.9, false), name)
			if alarm := d.until(12, false); c.days > 0 && alarm < 2*time.Hour {
				t.Errorf("%s: it does not come back, and by noon there was an alarm for %v", name, alarm)
			}
		})
	}
}

func TestInverterThatWasNeverSeenIsNoSleeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _, _ := edgeTo(t, nil)
		e.Inverter = newBed(t, nil).in
		_, err := e.Inverter.Read(t.Context())
		f := asFault(e.orAsleep(err))
		if f == nil || errors.Is(f, health.ErrResting) || f.Next == "" {
			t.Errorf("at the first start: %v", f)
		}
	})
}

// What another process wrote is asked for by the edge itself, and what cannot be read is no loss.
func TestEdgeRemembersItsNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, ofImage(t, "calc-sg5rs-sunny-exporting"))
		b.mustPoll()
		e, _, _ := edgeTo(t, nil)
		e.Inverter = b.in
		e.night.sampled(now(), 3000, e.Inverter.SleepsAtNight())
		time.Sleep(2 * time.Hour)
		e.night.sampled(now(), 20, e.Inverter.SleepsAtNight())
		unreachable := &health.Fault{Code: "inverter_unreachable", Exit: health.ExitUnreachable}
		time.Sleep(time.Minute)
		if err := e.orAsleep(unreachable); !errors.Is(err, health.ErrResting) {
			t.Fatalf("in the evening: %v", err)
		}
		if err := e.orAsleep(explain("x", 1, &otherInverter{who: "A1", want: "A2", named: true})); errors.Is(err, health.ErrResting) {
			t.Error("another inverter that answers is taken for sleep")
		}
		again := night{File: e.night.File}
		again.load()
		if !again.asleep(now().Add(5 * time.Hour)) {
			t.Errorf("another process does not know that it sleeps: %+v", again)
		}
		if err := os.WriteFile(e.night.File, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		again.load()
		if again.asleep(now()) {
			t.Error("half a file is believed")
		}
		b.in.Dongle.Close()
	})
}

func TestFileOfAWrongClockIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDays(t)
		time.Sleep(30 * 24 * time.Hour)
		d.until(22, true)
		kept := d.n.File
		text, err := os.ReadFile(kept)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		other := night{File: kept}
		other.load()
		if !other.asleep(now()) {
			t.Errorf("it is not known that it sleeps: %s", text)
		}
		other.kept.Last = now().Add(365 * 24 * time.Hour)
		other.lastAt = other.kept.Last
		other.save()
		other.load()
		if other.asleep(now()) {
			t.Error("it sleeps until a time that comes next year")
		}
	})
}
