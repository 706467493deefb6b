package edge

import (
	"encoding/json"
	"os"
	"slices"
	"time"

	"sunspool/internal/durable"
)

const (
	duskPowerW   = 50             // PV below this may be the last of a day,
	duskShare    = 1. / 200       // and below this part of the rated power: a large inverter needs more for itself
	twilight     = 2 * time.Hour  // that a string inverter may come and go in, and that its nights differ by
	shortNight   = 3 * time.Hour  // what is shorter is no night
	longestNight = 20 * time.Hour // a longer one is that of the polar circles, and grows from day to day
	staleNight   = 30 * 24 * time.Hour
)

// night is when one string inverter falls silent in the evening and comes back in the morning: where it stands is not
// known, but its own nights are. Nights are times of day, so that the last one foretells the next.
//
//	power falls below 50 W ── silent ──────────────────────────> back, at about the time of the last morning
//	                          Dusk          asleep               Dawn
//
// What is known is kept in a small file beside the spool, so that an edge that is started at night knows it too. It is
// written when the inverter falls asleep, when it is back, and at the end: a memory card does not notice.
type night struct {
	File string         // "" keeps nothing
	Zone *time.Location // of the host, nil if it is not known: then not even noon is

	kept keptNight

	lastAt time.Time // of the last sample, of an earlier process if this one has none
	recent []power   // the last three hours of this process, the highest of each ten minutes
	silent bool      // the silence since lastAt has been judged: until is when it is sleep no longer
	until  time.Time
	sunset bool // it began in an evening
}

type power struct {
	at time.Time
	w  float64
}

// keptNight is the file's content.
type keptNight struct {
	String bool      `json:"string_inverter"` // it may switch itself off without sun
	Last   time.Time `json:"last"`            // sample, and its PV
	PVW    float64   `json:"pv_w"`
	RatedW float64   `json:"rated_w,omitempty"`
	Sunset bool      `json:"asleep,omitempty"` // it fell asleep after that
	Dusk   time.Time `json:"dusk,omitzero"`    // the last night: when it fell silent
	Dawn   time.Time `json:"dawn,omitzero"`    // and when it came back
}

// load reads the file. One that cannot be read is no loss: the next night is learned again.
func (n *night) load() {
	*n = night{File: n.File, Zone: n.Zone}
	b, err := os.ReadFile(n.File)
	if n.File == "" || err != nil || json.Unmarshal(b, &n.kept) != nil {
		n.kept = keptNight{}
		return
	}
	if n.kept.Last.Sub(now()) > 24*time.Hour { // one of the clocks is wrong, now or then: the night may still be right
		n.kept.Last, n.kept.Sunset = time.Time{}, false
		return
	}
	n.lastAt = n.kept.Last
	if n.kept.Sunset {
		n.silent, n.sunset, n.until = true, true, n.nextDawn(n.lastAt)
	}
}

// save writes the file. It is a convenience: a disk that does not take it has a link of its own to report that.
func (n *night) save() {
	if n.File == "" || n.lastAt.IsZero() {
		return
	}
	n.kept.Last = n.lastAt.Round(0).UTC()
	if b, err := json.Marshal(n.kept); err == nil {
		_ = durable.Replace(n.File, append(b, '\n'), 0o600, false)
	}
}

// rated notes the rated power of the inverter.
func (n *night) rated(w float64) {
	if w > 0 {
		n.kept.RatedW = w
	}
}

// sampled notes a sample of an inverter that switches itself off without sun, or of one that does not.
func (n *night) sampled(at time.Time, pvW float64, sleeps bool) {
	changed := n.kept.String != sleeps
	if n.silent && n.sunset && n.isNight(at) {
		n.kept.Dusk, n.kept.Dawn = n.lastAt.Round(0).UTC(), at.Round(0).UTC()
		changed = true
	}
	changed = changed || n.kept.Sunset
	n.kept.String, n.kept.PVW, n.kept.Sunset = sleeps, pvW, false
	n.lastAt, n.silent, n.sunset = at, false, false
	n.recent = slices.DeleteFunc(n.recent, func(p power) bool { return at.Sub(p.at) > 3*time.Hour || p.at.After(at) })
	if last := len(n.recent) - 1; last >= 0 && at.Sub(n.recent[last].at) < 10*time.Minute {
		n.recent[last].w = max(n.recent[last].w, pvW)
	} else {
		n.recent = append(n.recent, power{at, pvW})
	}
	if changed {
		n.save()
	}
}

// isNight reports whether the silence that ends at the time t was a night. A long one is a night only if it ends about
// when the last one did: a repair may take as long.
func (n *night) isNight(t time.Time) bool {
	silence := t.Sub(n.lastAt)
	late := timeOfDay(t.Sub(n.kept.Dawn) + twilight)
	return silence >= shortNight && (silence <= longestNight || silence < 24*time.Hour && n.knows(t) && late <= 2*twilight)
}

// asleep reports whether an inverter that does not answer at the time t is asleep, as far as that is likely.
func (n *night) asleep(t time.Time) bool {
	if !n.kept.String {
		return false // one that was never seen is to be found first
	}
	if !n.silent {
		n.silent = true
		n.judge(t)
	}
	return t.Before(n.until)
}

// judge decides at the time t, the first of a silence, for how long it may be sleep.
func (n *night) judge(t time.Time) {
	low := n.kept.PVW < max(duskPowerW, n.kept.RatedW*duskShare) || n.kept.PVW < n.highest(0, 3*time.Hour)/20
	switch {
	case n.recent == nil && n.knows(t) && n.inNight(t): // started at night: what was before does not matter
		n.sunset, n.until = true, n.nextDawn(t.Add(-twilight))
	case low && n.evening():
		n.sunset, n.until = true, n.nextDawn(n.lastAt)
	case low:
		n.until = n.lastAt.Add(twilight)
	default:
		n.until = n.lastAt
	}
	if n.sunset {
		n.kept.Sunset = true
		n.save()
	}
}

// evening reports whether the last sample was one of an evening. By its own last night, no silence before the second half
// of the day is sleep, nor is one that begins hours before dusk. Without one, none before noon is, where noon is known.
func (n *night) evening() bool {
	if !n.knows(n.lastAt) {
		return n.falling() && (n.Zone == nil || n.lastAt.In(n.Zone).Hour() >= 12)
	}
	sinceDawn, day := timeOfDay(n.lastAt.Sub(n.kept.Dawn)), timeOfDay(n.kept.Dusk.Sub(n.kept.Dawn))
	switch {
	case sinceDawn >= day-twilight:
		return true
	case sinceDawn < max(day/2, day-2*twilight):
		return false
	}
	return n.falling()
}

// falling reports whether there was more sun before the last hour than in it. In a night through which the inverter
// answered there was none in either.
func (n *night) falling() bool {
	return n.highest(time.Hour, 3*time.Hour) > n.highest(0, time.Hour)
}

// highest is the highest power seen between so long before the last sample.
func (n *night) highest(from, to time.Duration) (w float64) {
	for _, p := range n.recent {
		if ago := n.lastAt.Sub(p.at); ago >= from && ago < to {
			w = max(w, p.w)
		}
	}
	return w
}

// knows reports whether a night is known that is like one at the time t.
func (n *night) knows(t time.Time) bool {
	ago := t.Sub(n.kept.Dawn)
	return !n.kept.Dawn.IsZero() && ago > -24*time.Hour && ago < staleNight
}

// inNight reports whether t is a time of day at which the inverter was silent in its last night, or nearly so.
func (n *night) inNight(t time.Time) bool {
	return timeOfDay(t.Sub(n.kept.Dusk)+twilight) < timeOfDay(n.kept.Dawn.Sub(n.kept.Dusk))+2*twilight
}

// nextDawn is when an inverter that is silent at the time t is back at the latest.
func (n *night) nextDawn(t time.Time) time.Time {
	if !n.knows(t) {
		dawn := t.Add(longestNight)
		if noon := n.nextNoon(t); n.Zone != nil && noon.Before(dawn) {
			return noon
		}
		return dawn
	}
	return t.Add(24*time.Hour - timeOfDay(t.Sub(n.kept.Dawn)) + twilight)
}

// nextNoon is the first noon of the host's zone after t. Zones are off the sun by up to three hours, but not by a morning.
func (n *night) nextNoon(t time.Time) time.Time {
	if n.Zone == nil {
		return time.Time{}
	}
	local := t.In(n.Zone)
	noon := time.Date(local.Year(), local.Month(), local.Day(), 12, 0, 0, 0, n.Zone)
	if !noon.After(t) {
		noon = time.Date(local.Year(), local.Month(), local.Day()+1, 12, 0, 0, 0, n.Zone)
	}
	return noon
}

// timeOfDay is the time between two events, but for whole days.
func timeOfDay(d time.Duration) time.Duration {
	const day = 24 * time.Hour
	return (d%day + day) % day
}
