package api

import (
	"fmt"
	"math"
	"testing"
	"time"

	"sunspool/vps/history"
	"sunspool/vps/store"
	"sunspool/wire"
)

// unit makes samples of a unit without a battery, one each two minutes. The light lasts from 05:00 to 20:00 of UTC.
type unit struct{ samples []wire.Sample }

var june = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// at is an hour of a day of June.
func at(day int, hour float64) time.Time {
	return june.AddDate(0, 0, day-1).Add(time.Duration(hour * float64(time.Hour)))
}

// sends adds what the unit sends in [from, to); without sun it reads 0.
func (u *unit) sends(from, to time.Time) *unit {
	for t := from; t.Before(to); t = t.Add(2 * time.Minute) {
		hour := t.Sub(t.Truncate(24 * time.Hour)).Hours()
		u.samples = append(u.samples, wire.Sample{Time: t, PVPowerW: math.Round(max(0, 5000*math.Sin((hour-5)/15*math.Pi))), Count: 1})
	}
	return u
}

// days adds whole days from 05:00 to 20:00, after which it sleeps.
func (u *unit) days(first, last int) *unit {
	for day := first; day <= last; day++ {
		u.sends(at(day, 5), at(day, 20.05))
	}
	return u
}

// reads adds a sample with a power.
func (u *unit) reads(t time.Time, watts float64) *unit {
	u.samples = append(u.samples, wire.Sample{Time: t, PVPowerW: watts, Count: 1})
	return u
}

// zeros adds samples of a unit that should make something.
func (u *unit) zeros(from, to time.Time) *unit {
	for t := from; t.Before(to); t = t.Add(2 * time.Minute) {
		u.reads(t, 0)
	}
	return u
}

// TestSilenceIsJudgedByTheUnitsOwnNights, in every answer that names it.
func TestSilenceIsJudgedByTheUnitsOwnNights(t *testing.T) {
	for name, c := range map[string]struct {
		unit *unit
		now  time.Time
		want string // its state, and why the last gap is one
	}{
		"a night like the others":                 {new(unit).days(1, 6), at(6, 23), "asleep asleep"},
		"just gone dark":                          {new(unit).days(1, 6), at(6, 20.4), "asleep asleep"},
		"before it wakes up":                      {new(unit).days(1, 6), at(7, 4.9), "asleep asleep"},
		"fog in the morning":                      {new(unit).days(1, 6), at(7, 6), "asleep asleep"},
		"it does not wake up":                     {new(unit).days(1, 6), at(7, 9), "offline not_received"},
		"a dark evening":                          {new(unit).days(1, 5).sends(at(6, 5), at(6, 19.3)).reads(at(6, 19.3), 15), at(6, 23), "asleep asleep"},
		"one reading of 0 at noon":                {new(unit).days(1, 5).sends(at(6, 5), at(6, 12)).reads(at(6, 12), 0), at(6, 14), "offline not_received"},
		"noon, now it is night":                   {new(unit).days(1, 5).sends(at(6, 5), at(6, 12)).reads(at(6, 12), 0), at(7, 3), "offline not_received"},
		"a unit that sends all night":             {new(unit).sends(at(1, 0), at(6, 23)), at(7, 1), "offline not_received"},
		"it did so, and slept the last two":       {new(unit).sends(at(1, 0), at(4, 20)).days(5, 6), at(6, 23), "offline not_received"},
		"it did so, and sleeps since four":        {new(unit).sends(at(1, 0), at(3, 20.05)).days(4, 7), at(7, 23), "asleep asleep"},
		"after three days of an outage":           {new(unit).days(1, 3).sends(at(6, 14), at(6, 20.05)), at(6, 23), "asleep asleep"},
		"sends all night, after an outage":        {new(unit).sends(at(1, 0), at(3, 12)).sends(at(5, 12), at(6, 23)), at(7, 1), "offline not_received"},
		"the first night of a new unit":           {new(unit).sends(at(6, 14), at(6, 20.05)), at(6, 23), "asleep asleep"},
		"the first day of a new unit":             {new(unit).sends(at(6, 8), at(6, 12)).reads(at(6, 12), 0), at(6, 14), "offline not_received"},
		"an afternoon of a new unit":              {new(unit).sends(at(6, 14), at(6, 16)).reads(at(6, 16), 0), at(6, 18), "offline not_received"},
		"zeros for a while at noon":               {new(unit).sends(at(6, 8), at(6, 12)).zeros(at(6, 12), at(6, 12.5)), at(6, 14), "offline not_received"},
		"half an hour that fades":                 {new(unit).reads(at(6, 8), 300).reads(at(6, 8.1), 200).reads(at(6, 8.2), 100).reads(at(6, 8.3), 40).reads(at(6, 8.4), 10), at(6, 10), "asleep asleep"},
		"one sample":                              {new(unit).reads(at(6, 20), 4), at(6, 23), "asleep asleep"},
		"a bright evening, silent without a dark": {new(unit).days(1, 5).sends(at(6, 5), at(6, 18)), at(6, 23), "offline not_received"},
	} {
		b := zoned(t, "UTC", c.now)
		b.put("inv-1", c.unit.samples)
		state := b.realtimeOf("inv-1").State
		if line := answered[devicesAnswer](b, "/v1/devices?device_id=inv-1").Devices[0]; line.State != state {
			t.Errorf("%s: %s in realtime, %s in devices", name, state, line.State)
		}
		from := c.unit.samples[0].Time.Format(time.RFC3339)
		holes := answered[history.GapsAnswer](b, "/v1/continuity?device_id=inv-1&from="+from).Gaps
		reason := holes[len(holes)-1].Reason
		if got := state + " " + reason; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		for _, resolution := range []string{"5m", "15m"} {
			gaps := answered[powersTest](b, "/v1/series?device_id=inv-1&resolution="+resolution+"&from="+from).Gaps
			if n := len(gaps); n > 0 && gaps[n-1].Reason != reason || n == 0 && c.now.Sub(holes[len(holes)-1].From) > time.Hour {
				t.Errorf("%s: %s in continuity, in a series by %s %v", name, reason, resolution, gaps)
			}
		}
	}
}

// TestNightsOfThePast are judged by the days after them as well.
func TestNightsOfThePast(t *testing.T) {
	now := at(20, 12)
	for name, c := range map[string]struct {
		unit *unit
		want string
	}{
		"nights":                             {new(unit).days(1, 4), "[asleep asleep asleep]"},
		"the first day ends at noon":         {new(unit).sends(at(1, 5), at(1, 12)).reads(at(1, 12), 0).days(2, 4), "[not_received asleep asleep]"},
		"one noon":                           {new(unit).days(1, 2).sends(at(3, 5), at(3, 12)).reads(at(3, 12), 0).sends(at(3, 14), at(3, 20.05)).days(4, 5), "[asleep asleep not_received asleep asleep]"},
		"one night of many that it sends in": {new(unit).sends(at(1, 0), at(3, 22)).sends(at(4, 4), at(6, 0)), "[not_received]"},
		"an hour of a night":                 {new(unit).days(1, 3).sends(at(4, 5), at(4, 21)).sends(at(4, 22), at(4, 22.5)).days(5, 6), "[asleep asleep asleep asleep asleep asleep]"},
		"too long for a night":               {new(unit).days(1, 3).sends(at(4, 5), at(4, 20)).sends(at(5, 15), at(5, 20.05)).days(6, 7), "[asleep asleep asleep not_received asleep asleep]"},
	} {
		b := zoned(t, "UTC", now)
		b.put("inv-1", c.unit.samples)
		span := "&from=" + c.unit.samples[0].Time.Format(time.RFC3339) + "&to=" + c.unit.samples[len(c.unit.samples)-1].Time.Format(time.RFC3339)
		holes, gaps := []string{}, []string{}
		for _, h := range answered[history.GapsAnswer](b, "/v1/continuity?device_id=inv-1"+span).Gaps {
			holes = append(holes, h.Reason)
		}
		for _, g := range answered[powersTest](b, "/v1/series?device_id=inv-1&resolution=15m"+span).Gaps {
			gaps = append(gaps, g.Reason)
		}
		if s := fmt.Sprint(holes); s != c.want || fmt.Sprint(gaps) != c.want {
			t.Errorf("%s: %s, in a series %v, want %s", name, s, gaps, c.want)
		}
	}
}

// TestNightIsTheSameHoweverTheSpanIsCut: a part of a silence is what all of it is.
func TestNightIsTheSameHoweverTheSpanIsCut(t *testing.T) {
	b := zoned(t, "UTC", at(20, 12))
	b.put("inv-1", new(unit).days(1, 4).sends(at(7, 5), at(7, 20.05)).days(8, 9).samples)
	for query, want := range map[string]string{
		"from=2026-06-02&to=2026-06-02":                     "[asleep asleep]",
		"from=2026-06-02T21:00:00Z&to=2026-06-03T03:00:00Z": "[asleep]",
		"from=2026-06-04T12:00:00Z&to=2026-06-05T03:00:00Z": "[not_received]", // the outage of two days begins
		"from=2026-06-06T23:00:00Z&to=2026-06-07T12:00:00Z": "[not_received]",
		"from=2026-06-09T12:00:00Z&to=2026-06-10T03:00:00Z": "[not_received]", // nothing came after it
	} {
		holes, gaps := []string{}, []string{}
		for _, h := range answered[history.GapsAnswer](b, "/v1/continuity?device_id=inv-1&"+query).Gaps {
			holes = append(holes, h.Reason)
		}
		for _, g := range answered[powersTest](b, "/v1/series?device_id=inv-1&resolution=15m&"+query).Gaps {
			gaps = append(gaps, g.Reason)
		}
		if fmt.Sprint(holes) != want || fmt.Sprint(gaps) != want {
			t.Errorf("%s: %v, in a series %v, want %s", query, holes, gaps, want)
		}
	}
}

// TestNightsAreReadNowAndThen: realtime is asked each few seconds, by many.
func TestNightsAreReadNowAndThen(t *testing.T) {
	r := new(recorder)
	now := at(6, 23)
	b := newBench(t, func(s *Server) {
		r.Samples = s.Store
		s.Store, s.Now = r, func() time.Time { return now }
	})
	u := new(unit).days(1, 6)
	for i := range u.samples {
		u.samples[i].PVDailyKWh = new(1.0)
	}
	b.put("inv-1", u.samples)
	for range 50 {
		b.realtimeOf("inv-1")
		answered[devicesAnswer](b, "/v1/devices")
	}
	if len(r.asked) != 1 || r.asked[0] != "periods "+string(store.Hour) {
		t.Errorf("asked %v", r.asked)
	}
	now = at(7, 9)
	if got := b.realtimeOf("inv-1").State; got != "offline" {
		t.Errorf("%s in the morning", got)
	}
}
