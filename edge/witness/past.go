package witness

import (
	"hash/fnv"
	"slices"
	"time"

	"sunspool/edge/registers"
)

const (
	standsFor   = 5 * time.Minute // real words are never that steady,
	standsPolls = 10              // however rare the polls are
	meterPolls  = 3               // for which a meter that was alive is believed when all reads 0
	gaugeFor    = time.Hour       // for which a charge or a temperature near 0 supports a 0
	fewWords    = 3               // with fewer a block may well stand still
)

// Past is what earlier polls of one inverter showed. The zero value and nil are the first poll's.
type Past struct {
	mapping *registers.Map
	blocks  []*standing

	unmetered int  // polls since a meter was alive, plus one; 0 is never
	turned    bool // the meter's sign is not that of its manual
	soc, temp pastValue
	off       time.Time // since when the powers have not added up
}

type pastValue struct {
	at time.Time
	v  float64
}

// standing is a block whose live words are watched: powers, voltages, currents and frequencies. Counters and clocks
// move on in a dongle that is frozen, or stand still in one that is not.
type standing struct {
	block  string
	live   []registers.Register
	print  uint64
	since  time.Time
	last   time.Time
	polls  int // with the same words
	words  int // that were not 0
	powers int
	seen   bool // in the poll of last
}

func (b *standing) still() bool {
	return b.polls >= standsPolls && b.last.Sub(b.since) >= standsFor
}

// Learn takes note of a poll at the time at and of what it meant.
func (p *Past) Learn(at time.Time, in Poll, out Result) {
	p.watch(in.Map)
	for _, b := range p.blocks {
		print, words, powers := b.fingerprint(in.Words)
		b.seen = print != 0
		if !b.seen {
			continue
		}
		if print != b.print || b.since.IsZero() {
			b.print, b.since, b.polls = print, at, 0
		}
		b.last, b.words, b.powers = at, words, powers
		b.polls++
	}
	p.turned = out.reversed || p.turned && !out.straight
	switch {
	case !out.differs:
		p.off = time.Time{}
	case p.off.IsZero():
		p.off = at
	}
	switch {
	case out.metered:
		p.unmetered = 1
	case p.unmetered > 0:
		p.unmetered++
	}
	for _, g := range []struct {
		now *float64
		was *pastValue
	}{{out.BatterySOCPct, &p.soc}, {out.BatteryTempC, &p.temp}} {
		if g.now != nil {
			*g.was = pastValue{at, *g.now}
		}
	}
}

// watch sets out the blocks of the map, which changes with the inverter.
func (p *Past) watch(m *registers.Map) {
	if p.mapping == m {
		return
	}
	p.mapping, p.blocks = m, nil
	for _, block := range m.Reads() {
		b := &standing{block: block.Name}
		for _, r := range block.Registers {
			if block.Kind == registers.Input && slices.Contains([]string{"W", "V", "A", "var", "VA", "Hz"}, r.Unit) {
				b.live = append(b.live, r)
			}
		}
		if len(b.live) > 0 {
			p.blocks = append(p.blocks, b)
		}
	}
}

// fingerprint sums up the live words of the block, 0 if it was not read, and counts those that are not 0.
func (b *standing) fingerprint(words registers.Words) (print uint64, nonZero, powers int) {
	h := fnv.New64a()
	read := false
	for i, r := range b.live {
		for j := range r.Words {
			w, ok := words[r.Address()+j]
			if !ok {
				continue
			}
			read = true
			h.Write([]byte{byte(i), byte(j), byte(w >> 8), byte(w)})
		}
		if v, err := r.Decode(words); err == nil && v != 0 {
			nonZero++
			if r.Unit == "W" {
				powers++
			}
		}
	}
	if !read {
		return 0, 0, 0
	}
	return h.Sum64(), nonZero, powers
}

// Still returns for how long every live word has been the same while some power is not 0: a dongle that goes on
// answering with the words of the past, by day or by night. It is 0 until that is certain.
func (p *Past) Still() time.Duration {
	if p == nil {
		return 0
	}
	powers := 0
	least := time.Duration(-1)
	for _, b := range p.blocks {
		if !b.seen || b.words == 0 {
			continue
		}
		if !b.still() {
			return 0
		}
		powers += b.powers
		if d := b.last.Sub(b.since); least < 0 || d < least {
			least = d
		}
	}
	if powers == 0 || least <= standsFor {
		return 0
	}
	return least
}

// standing are the blocks that stand still while others move. A string inverter's meter block is old already when it
// stands still without sun.
func (p *Past) standing(in Poll) []string {
	if p == nil {
		return nil
	}
	var old []string
	moving := slices.ContainsFunc(p.blocks, func(b *standing) bool { return b.seen && b.words >= fewWords && !b.still() })
	for _, b := range p.blocks {
		if print, _, _ := b.fingerprint(in.Words); print != b.print || !b.still() || b.powers == 0 {
			continue
		}
		if moving && b.words >= fewWords || !in.Hybrid && b.holdsMeter() && !sunny(in) {
			old = append(old, b.block)
		}
	}
	return old
}

func (b *standing) holdsMeter() bool {
	return slices.ContainsFunc(b.live, func(r registers.Register) bool {
		return slices.Contains(stringInverter.metered, r.Name)
	})
}

func sunny(in Poll) bool {
	reg, ok := in.Map.Lookup("total_dc_power")
	if !ok {
		return false
	}
	v, err := reg.Decode(in.Words)
	return err == nil && v > 0
}

// repeated are the blocks with the very words of the poll before, while others moved.
func (p *Past) repeated(in Poll) []string {
	if p == nil || p.mapping != in.Map {
		return nil
	}
	var same []string
	moved := false
	for _, b := range p.blocks {
		print, words, _ := b.fingerprint(in.Words)
		switch {
		case print == 0 || words == 0 || !b.seen:
		case print != b.print:
			moved = true
		case words >= fewWords:
			same = append(same, b.block)
		}
	}
	if !moved {
		return nil
	}
	return same
}

func (p *Past) metered() bool { return p != nil && p.unmetered > 0 && p.unmetered <= meterPolls }

// unbalanced reports whether the powers have not added up for long enough to be how this unit is.
func (p *Past) unbalanced(at time.Time) bool {
	return p != nil && !p.off.IsZero() && at.Sub(p.off) > standsFor
}

func (p *Past) reversed() bool { return p != nil && p.turned }

func (v pastValue) recent(at time.Time) *float64 {
	if v.at.IsZero() || at.Sub(v.at) > gaugeFor {
		return nil
	}
	return &v.v
}
