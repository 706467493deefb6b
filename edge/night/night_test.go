package night

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// days plays the days of one inverter against night: the sun of a day is a triangle between rise and set, hours after
// midnight, and the inverter answers each five minutes while there is any.
type days struct {
	t         *testing.T
	n         *Night
	rise, set float64
	peakW     float64
	sleeps    bool
}

func newDays(t *testing.T) *days {
	d := &days{t: t, n: &Night{File: filepath.Join(t.TempDir(), "spool.db.night")}, rise: 7, set: 18, peakW: 4000, sleeps: true}
	d.n.Load()
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
			d.n.Sampled(time.Now(), sun, d.sleeps)
		} else if !d.n.Asleep(time.Now()) {
			alarm += 5 * time.Minute
		}
		if at := hour(); at >= h && at < h+0.08 {
			return alarm
		}
	}
}

// restart is a new process.
func (d *days) restart() {
	d.n.Save()
	d.n = &Night{File: d.n.File}
	d.n.Load()
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
			d.n.Save()
			d.until(23, false) // nobody looks
			d.restart()
			d.quiet(d.until(6.9, false), name)
			if alarm := d.until(12, false); c.days > 0 && alarm < 2*time.Hour {
				t.Errorf("%s: it does not come back, and by noon there was an alarm for %v", name, alarm)
			}
		})
	}
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
		other := Night{File: kept}
		other.Load()
		if !other.Asleep(time.Now()) {
			t.Errorf("it is not known that it sleeps: %s", text)
		}
		other.kept.Last = time.Now().Add(365 * 24 * time.Hour)
		other.lastAt = other.kept.Last
		other.Save()
		other.Load()
		if other.Asleep(time.Now()) {
			t.Error("it sleeps until a time that comes next year")
		}
	})
}

// A dongle that dies with little sun is named within hours, wherever in the day that is, and at the latest the next
// morning: in fog at noon, under clouds in the afternoon, on the first day that it is seen.
func TestDongleThatDiesWithLittleSunIsNamed(t *testing.T) {
	zone := time.FixedZone("Somewhere", 0)
	for name, c := range map[string]struct {
		nights     int
		dies       float64
		rated      float64
		bright     float64 // W of the days before
		dark       float64 // W at most of the day on which it dies, from an hour before on
		zone       *time.Location
		by         float64 // time of day, of the same day
		alarmHours float64 // at least, by then
	}{
		"at dawn, 30 W of 10 kW":       {3, 8, 10_000, 8000, 30, nil, 13, 2.5},
		"at dawn, 300 W of 110 kW":     {3, 8, 110_000, 80_000, 300, nil, 13, 2.5},
		"in fog at noon":               {3, 12.2, 5000, 4000, 40, nil, 17, 2},
		"at noon, first day":           {0, 11.5, 5000, 4000, 40, zone, 15, 1},
		"in the morning, first day":    {0, 9.5, 5000, 4000, 40, zone, 15, 3},
		"under clouds, early":          {3, 13.5, 5000, 4000, 45, nil, 17, 1},
		"110 kW, in fog at noon":       {3, 12.2, 110_000, 80_000, 400, nil, 17, 2},
		"a small one, in fog at noon":  {3, 12.2, 1000, 900, 20, nil, 17, 2},
		"after a week, in fog at noon": {7, 12.2, 5000, 4000, 40, nil, 17, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDays(t)
				d.peakW, d.n.kept.RatedW, d.n.Zone = c.bright, c.rated, c.zone
				if c.nights == 0 {
					d.until(6.5, false)
				} else {
					d.until(10, true)
				}
				for range c.nights {
					d.quiet(d.until(6.5, true), "a day and a night")
				}
				d.until(c.dies-1, true)
				d.peakW = c.dark
				d.until(c.dies, true)
				if alarm := d.until(c.by, false).Hours(); alarm < c.alarmHours {
					t.Errorf("by %v an alarm for %.1f h", c.by, alarm)
				}
			})
		})
	}
}

// An inverter that dies on the evening of its first day is named by noon: where the host's zone is known, noon is.
func TestFirstNightEndsAtNoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDays(t)
		d.n.Zone = time.FixedZone("Somewhere", 0)
		d.until(17.9, true)
		d.quiet(d.until(7.5, false), "the first night")
		if alarm := d.until(14, false); alarm < 90*time.Minute {
			t.Errorf("by 14:00 an alarm for %v", alarm)
		}
	})
}

// A large inverter switches itself off at a power that would be daylight to a small one.
func TestEveningOfALargeInverter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDays(t)
		d.peakW = 5000
		d.n.Rated(110_000) // a dark day
		for range 3 {
			d.until(17.5, true) // 450 W
			d.quiet(d.until(6.9, false), "a night")
			d.until(9, true)
		}
		d.restart()
		d.until(17.5, true)
		d.quiet(d.until(6.9, false), "a night of a new process")
	})
}

// Towards the polar night the nights grow beyond any bound: each is slept like the one before.
func TestNightsOfTheNorthAreSlept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDays(t)
		d.until(12, true)
		for d.set-d.rise > 1 {
			d.peakW = 100 * (d.set - d.rise)
			d.quiet(d.until(12, true), "a day and a night")
			d.rise += 0.03
			d.set -= 0.03
		}
		d.quiet(d.until(12, true), "the last day")
	})
}

// A repair that takes until the evening teaches no night.
func TestRepairIsNoNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDays(t)
		for range 3 {
			d.until(9, true)
		}
		d.until(20, true)
		d.until(15, false) // it died in its sleep
		d.quiet(d.until(20, true), "after the repair")
		d.quiet(d.until(6.9, true), "the next night")
		if alarm := d.until(12, false); alarm < 2*time.Hour {
			t.Errorf("it does not come back, and by noon there was an alarm for %v", alarm)
		}
	})
}

// Noon is known where the host's zone is that of a place.
func TestNoonIsThatOfAPlace(t *testing.T) {
	for name, place := range map[string]bool{"Europe/Brussels": true, "Australia/Sydney": true, "UTC": false, "Etc/UTC": false, "Etc/GMT+3": false, "EST": false} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := SunZone(zone); (got != nil) != place {
			t.Errorf("%s: noon is known: %v", name, got != nil)
		}
	}
	if SunZone(nil) != nil {
		t.Error("noon is known of no zone")
	}
}
