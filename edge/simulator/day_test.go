package simulator

import (
	"math"
	"reflect"
	"sync"
	"testing"
	"time"

	"sunspool/internal/race"
)

var brussels = func() *time.Location {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		panic(err)
	}
	return zone
}()

var built sync.Map // homes by their HomeOptions

// newHome returns a home, which may have been asked by other tests before: nothing depends on that.
func newHome(t testing.TB, o HomeOptions) *Home {
	t.Helper()
	if h, ok := built.Load(o); ok {
		return h.(*Home)
	}
	h, err := NewHome(o)
	if err != nil {
		t.Fatal(err)
	}
	built.Store(o, h)
	return h
}

// homes are one home for each model and seed.
func homes(t *testing.T, each func(t *testing.T, h *Home)) {
	for _, model := range Models() {
		for seed := range uint64(2) {
			t.Run(model, func(t *testing.T) { each(t, newHome(t, HomeOptions{Model: model, Seed: seed})) })
		}
	}
}

func TestYearIsBelievable(t *testing.T) {
	race.Skip(t, "arithmetic")
	from, to := time.Date(2025, 1, 1, 0, 0, 0, 0, brussels), time.Date(2026, 1, 1, 0, 0, 0, 0, brussels)
	for _, model := range Models() {
		for seed := range uint64(5) {
			h := newHome(t, HomeOptions{Model: model, Seed: seed})
			kWp := (h.site.arrays[0].peak + h.site.arrays[1].peak) / 1000
			year := h.At(to.Add(-time.Second)).Total
			if yield := year.PV / kWp; yield < 700 || yield > 1150 {
				t.Errorf("%s, seed %d: %.0f kWh/kWp in a year", model, seed, yield)
			}
			if used := year.Output + year.Import - year.Export; used < 2200 || used > 6000 {
				t.Errorf("%s, seed %d: the house uses %.0f kWh in a year", model, seed, used)
			}
			if h.site.battery.capacity > 0 && (year.Discharge < 0.8*year.Charge || year.Discharge > 0.97*year.Charge) {
				t.Errorf("%s, seed %d: %.0f kWh in, %.0f kWh out of the battery", model, seed, year.Charge, year.Discharge)
			}
		}
	}
	homes(t, func(t *testing.T, h *Home) {
		var coldest, lowest, fullest float64 = 99, 100, 0
		summer, winter := 0.0, 0.0
		for p := range h.History(from, to, 37*time.Minute) {
			local := p.Time.In(brussels)
			switch hour := local.Hour(); {
			case hour < 4 && p.PVPower != 0:
				t.Fatalf("%v: %v W of PV at night", local, p.PVPower)
			case hour == 12 && p.PVPower == 0:
				t.Fatalf("%v: no PV at noon", local)
			case p.HasBattery && (p.BatterySOC < 4.9 || p.BatterySOC > 100):
				t.Fatalf("%v: battery at %v %%", local, p.BatterySOC)
			case math.Abs(p.BatteryPower) > h.site.battery.power, p.ACPower > h.site.rated:
				t.Fatalf("%v: beyond the ratings: %+v", local, p)
			case p.LoadPower < 40 || p.LoadPower > 12000:
				t.Fatalf("%v: the house draws %v W", local, p.LoadPower)
			}
			switch local.Month() {
			case time.June:
				summer += p.PVPower
			case time.December:
				winter += p.PVPower
			}
			coldest = min(coldest, p.BatteryTemp)
			lowest, fullest = min(lowest, p.BatterySOC), max(fullest, p.BatterySOC)
		}
		if summer < 2*winter {
			t.Errorf("June gives %.0f, December %.0f", summer, winter)
		}
		if h.site.hybrid && (coldest >= 0 || coldest < -15) {
			t.Errorf("the coldest battery of the year has %v °C", coldest)
		}
		if h.site.hybrid && (lowest > 6 || fullest < 99.5) {
			t.Errorf("the battery is between %v and %v %% all year", lowest, fullest)
		}
	})
}

func TestCloudsMove(t *testing.T) {
	h := newHome(t, HomeOptions{Seed: 1})
	clear, broken := 0, 0
	for day := range 120 {
		noon := time.Date(2025, 5, 1+day, 13, 0, 0, 0, brussels)
		var last, least, most, jumps float64
		least = math.Inf(1)
		for p := range h.History(noon, noon.Add(time.Hour), time.Minute) {
			least, most = min(least, p.PVPower), max(most, p.PVPower)
			if last > 0 {
				jumps = max(jumps, math.Abs(p.PVPower-last))
			}
			last = p.PVPower
		}
		if most-least < 0.1*most {
			clear++
		}
		if most > 2.5*least {
			broken++
		}
		if jumps > 0.8*9600 {
			t.Errorf("%v: PV jumps by %.0f W in a minute", noon, jumps)
		}
	}
	if clear < 10 || broken < 10 {
		t.Errorf("of 120 noons %d are steady and %d broken", clear, broken)
	}
}

func TestCountersGrowAndDaysBeginAtLocalMidnight(t *testing.T) {
	homes(t, func(t *testing.T, h *Home) {
		for _, from := range []time.Time{
			time.Date(2026, 3, 28, 20, 0, 0, 0, brussels),  // 23 hours follow
			time.Date(2026, 10, 24, 20, 0, 0, 0, brussels), // 25 hours
			time.Date(2026, 6, 30, 20, 0, 0, 0, brussels),
			time.Date(2026, 12, 31, 20, 0, 0, 0, brussels),
		} {
			last := h.At(from)
			for p := range h.History(from.Add(time.Minute), from.Add(54*time.Hour), time.Minute) {
				sameDay := p.Time.In(brussels).Day() == last.Time.In(brussels).Day()
				before, after := reflect.ValueOf(last.Today), reflect.ValueOf(p.Today)
				totals, grown := reflect.ValueOf(last.Total), reflect.ValueOf(p.Total)
				for i := range after.NumField() {
					name := after.Type().Field(i).Name
					if sameDay && after.Field(i).Float() < before.Field(i).Float() {
						t.Fatalf("%v: today's %s goes back", p.Time, name)
					}
					if !sameDay && after.Field(i).Float() != 0 {
						t.Fatalf("%v: %s begins the day at %v", p.Time, name, after.Field(i))
					}
					if d := grown.Field(i).Float() - totals.Field(i).Float(); d < 0 || d > 0.5 {
						t.Fatalf("%v: total %s moves by %v", p.Time, name, d)
					}
				}
				last = p
			}
		}
	})
}

// The energy counters must be what the powers add up to: a reader may use either.
func TestPowersAddUpToCounters(t *testing.T) {
	homes(t, func(t *testing.T, h *Home) {
		from := time.Date(2026, 5, 1, 0, 0, 0, 0, brussels)
		to := from.AddDate(0, 0, 10)
		var sun, bought, sold, in float64
		for p := range h.History(from, to, 15*time.Second) {
			sun += p.PVPower / 240e3
			bought += max(-p.ExportPower, 0) / 240e3
			sold += max(p.ExportPower, 0) / 240e3
			in += max(p.BatteryPower, 0) / 240e3
		}
		a, b := h.At(from).Total, h.At(to).Total
		for name, v := range map[string][2]float64{
			"pv": {sun, b.PV - a.PV}, "import": {bought, b.Import - a.Import},
			"export": {sold, b.Export - a.Export}, "charge": {in, b.Charge - a.Charge},
		} {
			// The battery misses the house by some watts, which no counter of 0.1 kWh sees in ten days.
			if math.Abs(v[0]-v[1]) > 0.8+0.015*v[1] {
				t.Errorf("%s: %.2f kWh of power, %.1f kWh counted", name, v[0], v[1])
			}
		}
	})
}

func TestInstantsDoNotDependOnWhoAskedBefore(t *testing.T) {
	o := HomeOptions{Model: "SH4.0RS", Seed: 7}
	one, err1 := NewHome(o)
	other, err2 := NewHome(o)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	from := time.Date(2026, 10, 24, 22, 3, 21, 500e6, time.UTC)
	var want []Plant
	for p := range one.History(from, from.Add(30*time.Hour), 7*time.Minute+13*time.Second) {
		want = append(want, p)
	}
	for i := len(want) - 1; i >= 0; i-- {
		if got := other.At(want[i].Time); got != want[i] {
			t.Fatalf("at %v\n got %+v\nwant %+v", want[i].Time, got, want[i])
		}
	}
	if other.At(from) == newHome(t, HomeOptions{Model: "SH4.0RS", Seed: 8}).At(from) {
		t.Error("another seed is the same home")
	}
}

func TestNothingIsCountedBeforeCommissioning(t *testing.T) {
	h := newHome(t, HomeOptions{})
	p := h.At(time.Date(2019, 6, 21, 12, 0, 0, 0, time.UTC))
	if p.PVPower != 0 || p.Total != (Energy{}) || p.LoadPower <= 0 {
		t.Errorf("years before there were modules: %+v", p)
	}
}

func TestDaysOfOddZones(t *testing.T) {
	for name, date := range map[string]time.Time{
		"America/Havana":      time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), // 00:00 comes twice
		"America/Sao_Paulo":   time.Date(2018, 11, 4, 0, 0, 0, 0, time.UTC), // 00:00 does not come
		"Africa/Cairo":        time.Date(2026, 4, 24, 0, 0, 0, 0, time.UTC), // nor here
		"Australia/Lord_Howe": time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC),  // half an hour
		"Asia/Kathmandu":      time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),  // 5:45 from UTC
	} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		number := civil(date)
		start, end := midnight(number, zone), midnight(number+1, zone)
		if civil(start.In(zone)) != number || civil(start.Add(-time.Second).In(zone)) != number-1 || civil(end.Add(-time.Second).In(zone)) != number {
			t.Errorf("%s: the day is %v to %v", name, start, end)
		}
		h := newHome(t, HomeOptions{Zone: zone})
		for p := range h.History(start.Add(-time.Hour), end.Add(time.Hour), time.Minute) {
			if p.LoadPower <= 0 {
				t.Fatalf("%s: no load at %v", name, p.Time)
			}
		}
	}
}

// People live by the clock on the wall, also on the days of 23 and 25 hours.
func TestHouseholdFollowsTheWallClock(t *testing.T) {
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for _, noon := range []time.Time{
		time.Date(2026, 3, 29, 12, 0, 0, 0, brussels),
		time.Date(2026, 10, 25, 12, 0, 0, 0, brussels),
		time.Date(2026, 7, 1, 12, 0, 0, 0, brussels),
		time.Date(2040, 12, 31, 12, 0, 0, 0, newYork), // ZoneBounds has an end that is over
	} {
		h := newHome(t, HomeOptions{Zone: noon.Location()})
		d := h.day(civil(noon), nil)
		for i := range len(d.minutes) - 1 {
			wall := d.start.Add(time.Duration(i) * time.Minute).In(noon.Location())
			if want := d.load[wall.Hour()*60+wall.Minute()]; d.minutes[i].load != want {
				t.Fatalf("%v: the house draws %v W, want %v", wall, d.minutes[i].load, want)
			}
		}
	}
}

func BenchmarkAt(b *testing.B) {
	h := newHome(b, HomeOptions{})
	t := time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC)
	h.At(t)
	for b.Loop() {
		t = t.Add(5 * time.Second)
		h.At(t)
	}
}

// A whole life and 400 days of samples, as a demo starts.
func BenchmarkHistory(b *testing.B) {
	to := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for b.Loop() {
		n := 0
		h, err := NewHome(HomeOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for p := range h.History(to.AddDate(0, 0, -400), to, 5*time.Minute) {
			p.Sample("demo")
			n++
		}
		if n != 115200 {
			b.Fatal(n)
		}
	}
}
