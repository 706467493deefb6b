// Package night decides whether an inverter that does not answer is asleep: string inverters switch themselves and their dongle
// off with the sun.
package night

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"time"

	"sunspool/internal/durable"
)

const (
	duskPowerW   = 50             // PV power below which a sample may be the last of a day
	duskShare    = 1. / 200       // the same as a part of the rated power: a large inverter needs more for itself
	twilight     = 2 * time.Hour  // in which a string inverter may come and go, and by which its nights differ
	shortNight   = 3 * time.Hour  // a shorter silence is no night
	longestNight = 20 * time.Hour // longer ones, near the poles, grow from day to day
	staleNight   = 30 * 24 * time.Hour
)

// Night records when one string inverter falls silent in the evening and answers again in the morning. Its location is not
// known, but its own nights are: they are times of day, so that the last one predicts the next.
//
//	power falls below 50 W ── silent ──────────────────────────> back, at about the time of the last morning
//	                          Dusk          asleep               Dawn
//
// It is stored in a small file beside the spool for an edge that starts at night. The file is written when the inverter falls
// asleep, when it is back, and at the end, which does not wear a memory card.
type Night struct {
	File string         // "" stores nothing
	Zone *time.Location // of the host, nil if not known: then noon is not known either

	kept keptNight

	lastAt time.Time // of the last sample, of an earlier process if this one has none
	recent []power   // the last three hours of this process, the highest of each ten minutes
	silent bool      // the inverter has been silent since lastAt
	until  time.Time // end of the time in which the silence may be sleep
	sunset bool      // the silence began in an evening
}

type power struct {
	at time.Time
	w  float64
}

// keptNight is the file's content.
type keptNight struct {
	String bool      `json:"string_inverter"` // it switches itself off without sun
	Last   time.Time `json:"last"`            // sample, and its PV
	PVW    float64   `json:"pv_w"`
	RatedW float64   `json:"rated_w,omitempty"`
	Sunset bool      `json:"asleep,omitempty"` // it fell asleep after that
	Dusk   time.Time `json:"dusk,omitzero"`    // the last night: when it fell silent
	Dawn   time.Time `json:"dawn,omitzero"`    // and when it came back
}

// Load reads the file. If it cannot be read, the next night is recorded anyway.
func (n *Night) Load() {
	*n = Night{File: n.File, Zone: n.Zone}
	b, err := os.ReadFile(n.File)
	if n.File == "" || err != nil || json.Unmarshal(b, &n.kept) != nil {
		n.kept = keptNight{}
		return
	}
	if time.Until(n.kept.Last) > 24*time.Hour { // one of the clocks is wrong, now or then: the night may still be right
		n.kept.Last, n.kept.Sunset = time.Time{}, false
		return
	}
	n.lastAt = n.kept.Last
	if n.kept.Sunset {
		n.silent, n.sunset, n.until = true, true, n.nextDawn(n.lastAt)
	}
}

// Save writes the file. Errors are ignored: the link of the spool reports a disk that fails.
func (n *Night) Save() {
	if n.File == "" || n.lastAt.IsZero() {
		return
	}
	n.kept.Last = n.lastAt.Round(0).UTC()
	if b, err := json.Marshal(n.kept); err == nil {
		_ = durable.Replace(n.File, append(b, '\n'), 0o600, false)
	}
}

// Rated records the rated power of the inverter.
func (n *Night) Rated(w float64) {
	if w > 0 {
		n.kept.RatedW = w
	}
}

// Sampled records a sample. sleeps is whether the inverter switches itself off without sun.
func (n *Night) Sampled(at time.Time, pvW float64, sleeps bool) {
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
		n.Save()
	}
}

// Unseen reports whether there never was a sample.
func (n *Night) Unseen() bool { return n.lastAt.IsZero() && !n.kept.String }

// isNight reports whether the silence that ends at t was a night. A long one is a night only if it ends at about the time of
// day of the last one: a repair may take as long.
func (n *Night) isNight(t time.Time) bool {
	silence := t.Sub(n.lastAt)
	late := timeOfDay(t.Sub(n.kept.Dawn) + twilight)
	return silence >= shortNight && (silence <= longestNight || silence < 24*time.Hour && n.knows(t) && late <= 2*twilight)
}

// Asleep reports whether an inverter that does not answer at t is probably asleep.
func (n *Night) Asleep(t time.Time) bool {
	if !n.kept.String {
		return false // one that has never answered is not asleep
	}
	if !n.silent {
		n.silent = true
		n.predict(t)
	}
	return t.Before(n.until)
}

// predict determines at t, the beginning of a silence, for how long it may be sleep.
func (n *Night) predict(t time.Time) {
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
		n.Save()
	}
}

// evening reports whether the last sample was taken in an evening. If the last night is known, a silence before the second half
// of the day, or hours before dusk, is no sleep. Otherwise one before noon is none, if noon is known.
func (n *Night) evening() bool {
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

// falling reports whether there was more sun before the last hour than in it. In a night in which the inverter answered there
// was none in either.
func (n *Night) falling() bool {
	return n.highest(time.Hour, 3*time.Hour) > n.highest(0, time.Hour)
}

// highest returns the highest power between from and to before the last sample.
func (n *Night) highest(from, to time.Duration) (w float64) {
	for _, p := range n.recent {
		if ago := n.lastAt.Sub(p.at); ago >= from && ago < to {
			w = max(w, p.w)
		}
	}
	return w
}

// knows reports whether a recent night is recorded.
func (n *Night) knows(t time.Time) bool {
	ago := t.Sub(n.kept.Dawn)
	return !n.kept.Dawn.IsZero() && ago > -24*time.Hour && ago < staleNight
}

// inNight reports whether t is a time of day at which the inverter was silent in its last night, or close to it.
func (n *Night) inNight(t time.Time) bool {
	return timeOfDay(t.Sub(n.kept.Dusk)+twilight) < timeOfDay(n.kept.Dawn.Sub(n.kept.Dusk))+2*twilight
}

// nextDawn returns the latest time at which an inverter that is silent at t is back.
func (n *Night) nextDawn(t time.Time) time.Time {
	if !n.knows(t) {
		dawn := t.Add(longestNight)
		if noon := n.nextNoon(t); n.Zone != nil && noon.Before(dawn) {
			return noon
		}
		return dawn
	}
	return t.Add(24*time.Hour - timeOfDay(t.Sub(n.kept.Dawn)) + twilight)
}

// nextNoon returns the first noon of the host's zone after t. Zones differ from the sun by up to three hours, not by a morning.
func (n *Night) nextNoon(t time.Time) time.Time {
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

// timeOfDay returns the time between two events without whole days.
func timeOfDay(d time.Duration) time.Duration {
	const day = 24 * time.Hour
	return (d%day + day) % day
}

// SunZone returns zone if its noon is close to that of the sun, else nil: a host set to UTC may be anywhere.
func SunZone(zone *time.Location) *time.Location {
	if zone == nil || zone == time.UTC || !strings.Contains(zone.String(), "/") || strings.HasPrefix(zone.String(), "Etc/") {
		return nil
	}
	return zone
}
