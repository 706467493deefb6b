package store

import (
	"sunspool/vps/energy"
	"sunspool/wire"
)

// dayCount is what Recount found in the samples of one day of a device, to be put in the place of what an earlier version
// of this program counted.
//
// It is counted without holding up inserts. One that comes in between counts its five minutes itself, by today's rules;
// then they are not Old any more, and what is here of them is not used.
type dayCount struct {
	start     int64                    // of the day of UTC, ms; 0 when no day has samples any more
	bases     map[int64]*energy.Rollup // by their start
	greatestW float64                  // of the samples, and of days after this one that have lost theirs
}

func (c *dayCount) add(s *wire.Sample) {
	start := spanOf(baseLevel, s.Time.UnixMilli())
	r := c.bases[start]
	if r == nil {
		if c.bases == nil {
			c.bases = map[int64]*energy.Rollup{}
		}
		r = &energy.Rollup{}
		c.bases[start] = r
	}
	r.Add(s)
	c.greatestW = max(c.greatestW, energy.GreatestW(s))
}

// addDay takes from the rollup of a day what it knows of powers: the samples may be gone.
func (c *dayCount) addDay(r *energy.Rollup) {
	if r.Rows > 0 {
		c.greatestW = max(c.greatestW, energy.GreatestW(&wire.Sample{PVPowerW: r.Power}))
	}
}

// replacement returns what is to stand in the place of the stored rollup of a base row, nil if that stays: it is of
// today's rules, or some of its samples are gone.
func (c *dayCount) replacement(start int64, stored *energy.Rollup) *energy.Rollup {
	if r := c.bases[start]; r != nil && stored.Old && stored.Rows <= r.Rows {
		return r
	}
	return nil
}
