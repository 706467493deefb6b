package store

import (
	"slices"
	"time"

	"sunspool/wire"
)

// About is what an edge reported of itself and of its inverter.
type About struct {
	Zone    string     `json:"zone,omitempty"`          // IANA name, where its days begin and end now; "" when unknown
	Earlier []PastZone `json:"earlier_zones,omitempty"` // those that applied before, ascending; the first one from the beginning on
	Edge    *wire.Edge `json:"edge,omitempty"`          // nil if it never reported anything
	Seen    time.Time  `json:"seen,omitzero"`           // when it was reported
	SkewS   *float64   `json:"clock_skew_s,omitempty"`  // s that its clock was behind ours, less than 0 ahead; nil if not known
}

// PastZone is a zone that no longer applies.
type PastZone struct {
	Zone  string    `json:"zone"`
	Until time.Time `json:"until"` // the time of the first sample of the next zone
}

// maxZones is how many zones of a device are stored, the present one included.
const maxZones = 64

// Rezoned returns a with a zone that applies from that time on; to everything if there was none before or from is zero. Of
// too many zones the one that applied for the shortest time is dropped: that time then belongs to the zone before it.
func (a About) Rezoned(zone string, from time.Time) About {
	if from.IsZero() || a.Zone == "" {
		a.Zone, a.Earlier = zone, nil
		return a
	}
	a.Earlier = slices.Clone(a.Earlier) // others may be reading it
	for n := len(a.Earlier) - 1; n >= 0 && !a.Earlier[n].Until.Before(from); n-- {
		a.Zone, a.Earlier = a.Earlier[n].Zone, a.Earlier[:n]
	}
	if a.Zone != zone {
		a.Earlier = append(a.Earlier, PastZone{a.Zone, from.UTC()})
		a.Zone = zone
	}
	for len(a.Earlier) >= maxZones {
		a.dropShortest()
	}
	return a
}

// dropShortest drops the zone that applied for the shortest time. The first one has no beginning, the last one no end.
func (a *About) dropShortest() {
	shortest := 1
	length := func(i int) time.Duration { return a.Earlier[i].Until.Sub(a.Earlier[i-1].Until) }
	for i := range a.Earlier {
		if i > shortest && length(i) < length(shortest) {
			shortest = i
		}
	}
	a.Earlier[shortest-1].Until = a.Earlier[shortest].Until
	a.Earlier = slices.Delete(a.Earlier, shortest, shortest+1)
	for i := len(a.Earlier) - 1; i >= 0; i-- {
		next := a.Zone
		if i+1 < len(a.Earlier) {
			next = a.Earlier[i+1].Zone
		}
		if a.Earlier[i].Zone == next { // the zone between them was dropped
			a.Earlier = slices.Delete(a.Earlier, i, i+1)
		}
	}
}

// SameZones reports whether the zones of both are the same at all times.
func (a About) SameZones(b About) bool {
	return a.Zone == b.Zone && slices.EqualFunc(a.Earlier, b.Earlier, func(x, y PastZone) bool {
		return x.Zone == y.Zone && x.Until.Equal(y.Until)
	})
}

// Equal reports whether a and b are the same description.
func (a About) Equal(b About) bool {
	return a.SameZones(b) && a.Seen.Equal(b.Seen) && (a.Edge == nil) == (b.Edge == nil) && (a.Edge == nil || *a.Edge == *b.Edge) &&
		(a.SkewS == nil) == (b.SkewS == nil) && (a.SkewS == nil || *a.SkewS == *b.SkewS)
}

// IsZero reports whether nothing is known.
func (a About) IsZero() bool { return a.Equal(About{}) }
