package energy

import "sunspool/wire"

// Counters are the lifetime counters of an inverter, in the order of wire.Sample.
const (
	PVTotal = iota
	ImportTotal
	ExportTotal
	ChargeTotal
	DischargeTotal
	DirectTotal
	Counters
)

// ReadingsOf returns what the counters show in s.
func ReadingsOf(s *wire.Sample) (all [Counters]Reading) {
	for i, v := range [Counters]*float64{s.PVTotalKWh, s.ImportTotalKWh, s.ExportTotalKWh, s.ChargeTotalKWh, s.DischargeTotalKWh, s.DirectTotalKWh} {
		if v != nil {
			all[i] = Reading{s.Time.UnixMilli(), *v}
		}
	}
	return all
}

// Reading is what a counter showed at a time. The zero Reading is none.
type Reading struct {
	At  int64 // ms since 1970
	KWh float64
}

// Known reports whether there is a reading.
func (r Reading) Known() bool { return r.At != 0 }

// Counter is what a lifetime counter did in a span of time.
type Counter struct {
	First, Last Reading
	Rise        float64 // kWh between them
	Jumps       int64   // times it went back, or up by more than any inverter makes: another counter from then on
}

// maxPowerKW is far more than any inverter with such a counter has; a counter is known to a tenth of a kWh, and some
// dongles give it minutes late.
const (
	maxPowerKW = 500
	slackKWh   = 1
)

// Delta returns the energy between two readings of one counter; false when it cannot be the same counter: it went back,
// as with an inverter that was replaced, or jumped as some dongles do after an update.
func Delta(from, to Reading) (kwh float64, ok bool) {
	kwh = to.KWh - from.KWh
	hours := float64(to.At-from.At) / 3.6e6
	if kwh < 0 || kwh > slackKWh+maxPowerKW*hours {
		return 0, false
	}
	return kwh, true
}

func (c *Counter) add(r Reading) {
	if c.Last.Known() {
		rise, ok := Delta(c.Last, r)
		if !ok {
			c.Jumps++
		}
		c.Rise += rise
	} else {
		c.First = r
	}
	c.Last = r
}

// join adds what the counter did later.
func (c *Counter) join(o *Counter) {
	if !o.Last.Known() {
		return
	}
	if !c.Last.Known() {
		*c = *o
		return
	}
	rise, ok := Delta(c.Last, o.First)
	if !ok {
		c.Jumps++
	}
	c.Rise += rise + o.Rise
	c.Jumps += o.Jumps
	c.Last = o.Last
}
