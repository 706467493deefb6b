package deviceinfo

import (
	"context"
	"sort"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// A string inverter switches off in the dark and on again in the morning. Whether a silence is such a sleep is decided by
// the unit's own nights: one sample that reads 0 is not a night, and a unit that sends all night does not sleep.

const (
	DarkW        = 20
	LongestNight = 18 * time.Hour   // where many people live
	leastNight   = 90 * time.Minute // longer than the slowest poll
	nightsLooked = 7                // days on either side that a silence is compared with
	nightFresh   = 5 * time.Minute  // until a silence that lasts is compared again

	// How much earlier than on other days the dark may begin, and how much later the light: clouds, fog, the season.
	duskSpread, dawnSpread = time.Hour, 2 * time.Hour
)

// maySleep reports whether the inverter may have gone to sleep after its sample s: there was no sun, and no battery keeps
// it awake.
func maySleep(s *wire.Sample) bool { return s.PVPowerW <= DarkW && !HasBattery(s) }

// Nights has a device's silences around a time.
type Nights struct {
	hours []hour     // those of UTC with samples
	span  query.Span // that they are of
	long  []silence  // between them, of leastNight and more
	now   time.Time
	zone  *time.Location
}

// hour is what is needed of an hour with samples.
type hour struct {
	first, last int64 // of its samples, ms
	dark        bool  // all the time, and no sample has a battery
}

type silence struct{ from, to time.Time }

func (s silence) length() time.Duration { return s.to.Sub(s.from) }

// NightsAround is how far the silences are from a time that its silences are compared with.
const NightsAround = (nightsLooked + 1) * 24 * time.Hour

// NightsOf returns what the silences in [from, to] are compared with. Its digest, of all this time, may be nil.
func (d *Devices) NightsOf(c *request.Request, device string, from, to time.Time, digest *store.Digest) (n Nights, err error) {
	n.now = d.Now()
	if n.zone, err = d.ZoneAt(c, device, func(*time.Location) time.Time { return from }); err != nil {
		return n, err
	}
	n.span = query.Span{From: from.Add(-NightsAround), To: query.Earlier(to.Add(NightsAround), n.now.Add(time.Minute))}
	n.hours, err = d.hours(c, device, n.span, digest)
	for i := range max(0, len(n.hours)-1) {
		x := silence{time.UnixMilli(n.hours[i].last), time.UnixMilli(n.hours[i+1].first)}
		if x.length() >= leastNight {
			n.long = append(n.long, x)
		}
	}
	return n, err
}

// Sleep is a time in which a device slept, from its last sample to the next one, or to now.
type Sleep struct{ From, To time.Time }

// Sleeps returns when a device slept in [from, to), ascending. Its digest is that of NightsOf.
func (d *Devices) Sleeps(c *request.Request, device string, from, to time.Time, digest *store.Digest) (all []Sleep, err error) {
	n, err := d.NightsOf(c, device, from, to, digest)
	if err != nil || len(n.hours) == 0 {
		return nil, err
	}
	for _, x := range append(n.long[:len(n.long):len(n.long)], silence{time.UnixMilli(n.hours[len(n.hours)-1].last), n.now}) {
		if x.length() < leastNight || !x.to.After(from) || !x.from.Before(to) {
			continue
		}
		slept, err := d.Slept(c, device, n, x.from, x.to)
		if err != nil {
			return nil, err
		}
		if slept {
			all = append(all, Sleep{x.from, x.to})
		}
	}
	return all, nil
}

// whole returns the silence that [from, to) is in, from the sample before it, zero if there is none, to the one after it or
// to now.
func (n Nights) whole(from, to time.Time) silence {
	x := silence{to: query.Later(n.now, to)}
	// from may be cut to its second.
	if i := sort.Search(len(n.hours), func(i int) bool { return n.hours[i].first >= from.Add(time.Second).UnixMilli() }); i > 0 {
		x.from = query.Earlier(time.UnixMilli(n.hours[i-1].last), from)
	}
	if i := sort.Search(len(n.hours), func(i int) bool { return n.hours[i].last >= to.UnixMilli() }); i < len(n.hours) {
		x.to = query.Later(time.UnixMilli(n.hours[i].first), to)
	}
	return x
}

// usual reports whether the device sleeps in such a silence that begins in the dark: at the same time of day it was silent on
// at least half of the other days. It is not known without another day to judge by.
func (n Nights) usual(x silence) (yes, known bool) {
	days, silent := 0, 0
	for k := -nightsLooked; k <= nightsLooked; k++ {
		other := time.Duration(k) * 24 * time.Hour
		if k == 0 {
			continue
		}
		if slept, known := n.silent(silence{x.from.Add(other), x.to.Add(other)}); known {
			days++
			if slept {
				silent++
			}
		}
	}
	return 2*silent >= days, days > 0
}

// silent reports whether the device was silent in x, except for the time by which dusk and dawn may differ. It is not known
// where there are no samples before and after, or where the silence is longer than any night.
func (n Nights) silent(x silence) (slept, known bool) {
	end := query.Later(x.to, x.from.Add(2*duskSpread))
	dusk, known := n.silentPart(silence{x.from, x.from.Add(2 * duskSpread)})
	if !known {
		return false, false
	}
	dawn, known := n.silentPart(silence{query.Later(x.from, end.Add(-2*dawnSpread)), end})
	return dusk > 0.5 && dawn > 0.5, known
}

// silentPart returns which part of x lies in silences of the length of a night.
func (n Nights) silentPart(x silence) (part float64, known bool) {
	if len(n.hours) == 0 || x.from.UnixMilli() < n.hours[0].first || x.to.UnixMilli() > n.hours[len(n.hours)-1].last {
		return 0, false
	}
	var all time.Duration
	i := sort.Search(len(n.long), func(i int) bool { return n.long[i].to.After(x.from) })
	for ; i < len(n.long) && n.long[i].from.Before(x.to); i++ {
		if n.long[i].length() > LongestNight {
			return 0, false
		}
		all += query.Earlier(n.long[i].to, x.to).Sub(query.Later(n.long[i].from, x.from))
	}
	return all.Seconds() / x.length().Seconds(), true
}

// sleeps reports whether the device sleeps in such a silence that begins in the dark: whether that is usual, or, where that is
// not known, whether it does not begin in the middle of the light.
func (d *Devices) sleeps(c *request.Request, device string, n Nights, x silence) (bool, error) {
	if yes, known := n.usual(x); known {
		return yes, nil
	}
	last := x.from.Truncate(time.Hour)
	hours, err := d.Periods(c, store.Query{Device: device, From: query.Later(n.span.From, last.Add(-26*time.Hour)), To: query.Earlier(n.span.To, last.Add(time.Hour)), Resolution: store.Hour})
	if err != nil {
		return false, err
	}
	minutes, err := d.Periods(c, store.Query{Device: device, From: x.from.Add(-time.Hour), To: x.from.Add(time.Second), Resolution: store.FiveMinutes})
	return !n.inLight(x.from, hours, minutes[max(0, len(minutes)-2):]), err
}

// inLight reports whether t, before which there were these hours and five minutes, is in the middle of the light: there had
// just been much, and either it is about noon or there had not yet been a day of it.
func (n Nights) inLight(t time.Time, hours, before []energy.Period) bool {
	const aDay, muchOf, morning, afternoon = 9, 4, 9, 15
	lit, brightest, brightHour, lastHour, just := 0, 0.0, 0.0, 0.0, 0.0
	for i := range before {
		pv, _ := before[i].Mean(energy.PV)
		just = max(just, pv)
	}
	for i := range hours {
		h := &hours[i]
		pv, ok := h.Mean(energy.PV)
		if h.Rows == 0 || !ok || h.Start.After(t) || t.Sub(h.End) > 24*time.Hour {
			continue
		}
		if pv > DarkW {
			lit++
		}
		if t.Sub(h.End) < time.Hour {
			lastHour = max(lastHour, pv)
		}
		brightest, brightHour = max(brightest, h.PVMax), max(brightHour, pv)
	}
	much := just > max(DarkW, brightest/muchOf) || lit > 1 && lastHour > brightHour/muchOf
	hour := t.In(n.zone).Hour()
	return much && (lit < aDay || hour >= morning && hour < afternoon)
}

// dark reports whether the hour before t, with the last sample before it, was dark all the time and no sample of it has
// a battery. The sample need not be read then.
func (n Nights) dark(t time.Time) bool {
	i := sort.Search(len(n.hours), func(i int) bool { return n.hours[i].first > t.UnixMilli() }) - 1
	return i >= 0 && n.hours[i].dark
}

// Slept reports whether the device slept in a silence, or in a part of it.
func (d *Devices) Slept(c *request.Request, device string, n Nights, from, to time.Time) (slept bool, err error) {
	x := n.whole(from, to)
	if x.from.IsZero() || x.length() > LongestNight {
		return false, nil
	}
	if slept, err = d.sleeps(c, device, n, x); !slept || err != nil {
		return false, err
	}
	if n.dark(x.from) {
		return true, nil
	}
	_, err = request.Ask(d.Gate, c, "each", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, d.Store.Each(ctx, device, x.from, x.from.Add(time.Second), func(s wire.Sample) bool {
			slept = maySleep(&s)
			return true
		})
	})
	return slept, err
}
