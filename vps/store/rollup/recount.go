package rollup

import (
	"sunspool/vps/energy"
	"sunspool/wire"
)

// DayCount is what Recount found in the samples of one day of a device, to be put in the place of what an earlier version
// of this program counted.
//
// It is counted without delaying inserts. One that comes in between counts its five minutes itself, by today's rules; then
// they are no longer Old, and what is here of them is not used.
type DayCount struct {
	Start     int64                    // of the day of UTC, ms; 0 when no day has samples any more
	Bases     map[int64]*energy.Rollup // by their start
	GreatestW float64                  // of the samples, and of days after this one that have lost theirs
}

// Add counts a sample. They must come in ascending order of time.
func (c *DayCount) Add(s *wire.Sample) {
	start := StartOf(BaseLevel, s.Time.UnixMilli())
	r := c.Bases[start]
	if r == nil {
		if c.Bases == nil {
			c.Bases = map[int64]*energy.Rollup{}
		}
		r = &energy.Rollup{}
		c.Bases[start] = r
	}
	r.Add(s)
	c.GreatestW = max(c.GreatestW, energy.GreatestW(s))
}

// AddDay takes the greatest power from the rollup of a day: the samples may be gone.
func (c *DayCount) AddDay(r *energy.Rollup) {
	if r.Rows > 0 {
		c.GreatestW = max(c.GreatestW, energy.GreatestW(&wire.Sample{PVPowerW: r.Power}))
	}
}

// Replacement returns what is to stand in the place of the stored rollup of a base row, nil if that stays: it is of
// today's rules, or some of its samples are gone.
func (c *DayCount) Replacement(start int64, stored *energy.Rollup) *energy.Rollup {
	if r := c.Bases[start]; r != nil && stored.Old && stored.Rows <= r.Rows {
		return r
	}
	return nil
}
