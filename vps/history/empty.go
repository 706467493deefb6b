package history

import (
	"time"

	"sunspool/vps/energy"
)

// EmptySpan is a time in which at least two periods have no sample.
type EmptySpan struct {
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	Reason string `json:"reason"`
	Device string `json:"device_id,omitempty"` // of a site
}

// emptyFinder finds where at least two periods before end have no sample, from the sample before to the one after them.
type emptyFinder struct {
	end    time.Time
	gaps   []EmptySpan
	empty  int // periods since the last sample
	since  time.Time
	before energy.Period // that has the last sample
	over   bool
}

// add takes the periods that follow.
func (g *emptyFinder) add(periods []energy.Period) {
	for i := range periods {
		p := &periods[i]
		if g.over = g.over || !p.Start.Before(g.end); g.over {
			return
		}
		switch {
		case p.Rows > 0:
			g.until(time.UnixMilli(p.First))
			g.since, g.before = time.UnixMilli(p.Last), *p
		case p.HasData(): // it is covered by the samples beside it
		default:
			if g.since.IsZero() {
				g.since = p.Start
			}
			g.empty++
		}
	}
}

func (g *emptyFinder) until(t time.Time) {
	if g.empty >= 2 {
		g.gaps = append(g.gaps, EmptySpan{From: g.since.Unix(), To: t.Unix(), Reason: notReceived})
	}
	g.empty = 0
}

// all returns the gaps, after the last period.
func (g *emptyFinder) all() []EmptySpan {
	if g.before.Rows == 0 || !g.before.Reaches(g.end.Sub(g.since)) {
		g.until(g.end)
	}
	return g.gaps
}
