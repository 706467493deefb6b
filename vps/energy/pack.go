package energy

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The packed form of a rollup, at rest in a store: the version, one bit for each word of it that is not as usual, then
// those words, eight bytes each, little-endian, each XOR what is usual for it; then whatever levels its counters have
// beside the last.

// PackVersion changes with the words and with the arithmetic that makes them. Rollups that an earlier version made are
// counted again where their samples are still there. Where these were pruned only the rollup is left: once a version was
// released, Read must go on to read it. With a new version the schemas of both stores are raised, so that an older program
// refuses what it cannot read.
const PackVersion = 2

const (
	words    = 8 + 3 + 2*averages + Knowledge + Energies + partly + 9 + 13 + Counters*levelWords
	maskSize = (words + 7) / 8

	levelWords = 12
	levelSize  = 1 + 8*levelWords
)

// codec writes or reads the words of a rollup, in one order for both.
type codec struct {
	all    [words]uint64 // each XOR what is usual for it
	next   int
	writes bool
	beside int64 // levels that follow
	spoilt bool  // there is a word that must not be there
}

func (c *codec) bits(v, usual uint64) uint64 {
	w := &c.all[c.next]
	c.next++
	if c.writes {
		*w = v ^ usual
		return v
	}
	return *w ^ usual
}

func (c *codec) integer(p *int64, usual int64) { *p = int64(c.bits(uint64(*p), uint64(usual))) }

func (c *codec) number(p *float64, usual float64) {
	*p = math.Float64frombits(c.bits(math.Float64bits(*p), math.Float64bits(usual)))
}

func (c *codec) rollup(r *Rollup) {
	var old int64
	if r.Old {
		old = 1
	}
	c.integer(&old, 0)
	r.Old = old != 0
	beside := int64(r.besides())
	c.integer(&beside, 0)
	c.beside = beside
	c.integer(&r.Rows, 0)
	c.integer(&r.Count, r.Rows)
	c.integer(&r.First, 0)
	c.integer(&r.Last, 0)
	c.integer(&r.PVMaxAt, r.First)
	c.integer(&r.apart, max(r.Rows-1, 0))
	c.number(&r.PVMax, 0)
	c.number(&r.Power, r.PVMax)
	for i := range averages {
		c.integer(&r.Weights[i], r.Count)
		c.number(&r.Sums[i], 0)
	}
	c.number(&r.SOC, 0)
	for i := range Knowledge {
		usual := r.Covered[KnowsPV]
		if i == KnowsPV || i == KnowsBlind {
			usual = 0
		}
		c.integer(&r.Covered[i], usual)
	}
	for i := range Energies {
		c.number(&r.Energy[i], 0)
	}
	for i, flow := range partlyKnown {
		usual := 0.0
		if i >= partly/2 && r.Covered[KnowsBlind] == r.Covered[KnowsFlows] {
			usual = r.Energy[flow] // there is no battery
		}
		c.number(&r.part[i], usual)
	}
	c.quarters(r)
	c.ends(r)
}

func (c *codec) counters(r *Rollup) {
	for k := range Counters {
		c.counter(r, k)
	}
}

func (c *codec) quarters(r *Rollup) {
	start := int64(0)
	if r.Rows > 0 {
		start = quarterOf(r.First)
	}
	c.integer(&r.from.Start, start)
	c.number(&r.from.Energy, r.Energy[Import])
	c.integer(&r.from.Covered, r.Covered[KnowsGrid])
	for _, q := range [...]*Quarter{&r.peak, &r.to} {
		c.integer(&q.Start, 0)
		c.number(&q.Energy, 0)
		usual := int64(0)
		if q.Start != 0 {
			usual = quarterMS
		}
		c.integer(&q.Covered, usual)
	}
}

// ends are the powers of the head and of the tail. Bits beside them are set for those that are known: 0 W is a known power.
func (c *codec) ends(r *Rollup) {
	var known int64
	all := [...]**float64{&r.head.Load, &r.head.Battery, &r.head.Export, &r.head.SOC, &r.tail.Load, &r.tail.Battery, &r.tail.Export, &r.tail.SOC}
	for i, p := range all {
		if *p != nil {
			known |= 1 << i
		}
	}
	for i, e := range [...]*end{&r.head, &r.tail} {
		if e.single {
			known |= 1 << (len(all) + i)
		}
	}
	c.integer(&known, 0)
	r.head.single, r.tail.single = known&(1<<len(all)) != 0, known&(2<<len(all)) != 0
	reach := int64(0)
	if r.Rows > 0 {
		reach = aloneReach
	}
	c.integer(&r.head.reach, reach)
	c.integer(&r.tail.reach, r.head.reach)
	c.number(&r.head.PV, 0)
	c.number(&r.tail.PV, r.head.PV)
	values := new([len(all)]float64) // one allocation, into which the ends point
	for i, p := range all {
		if *p != nil {
			values[i] = **p
		}
		usual := 0.0
		if i >= len(all)/2 {
			usual = values[i-len(all)/2]
		}
		c.number(&values[i], usual)
		switch {
		case known&(1<<i) == 0:
			*p = nil
		case !c.writes:
			*p = &values[i]
		}
	}
}

// counter codes the last level of counter k. 0 kWh is not a reading, so a counter that shows it has none.
func (c *codec) counter(r *Rollup, k int) {
	l := &r.Counters[k].Level
	c.number(&l.Low, 0)
	if l.Low == 0 {
		for range levelWords - 1 {
			c.spoilt = c.spoilt || c.all[c.next] != 0
			c.next++
		}
		return
	}
	c.integer(&l.N, r.Rows)
	c.integer(&l.First, r.First)
	c.integer(&l.Last, r.Last)
	c.integer(&l.Since, l.First)
	c.number(&l.High, l.Low)
	c.number(&l.Step, l.High-l.Low)
	up, next := int64(0), 0.0
	if l.High > l.Low+digit {
		up, next = l.Since, l.High
	}
	c.integer(&l.Up, up)
	c.number(&l.Next, next)
	c.number(&l.enter, 0)
	c.number(&l.mark, l.enter)
	c.number(&l.leave, r.Energy[measured[k]])
}

// besides returns how many levels the counters have beside the last.
func (r *Rollup) besides() (n int) {
	for k := range r.Counters {
		n += len(r.Counters[k].earlier)
	}
	return n
}

// Append appends the packed form of r to b.
func (r *Rollup) Append(b []byte) []byte {
	c := codec{writes: true}
	c.rollup(r)
	c.counters(r)
	b = append(b, PackVersion)
	mask := len(b)
	b = append(b, make([]byte, maskSize)...)
	for i, w := range c.all {
		if w != 0 {
			b[mask+i/8] |= 1 << (i % 8)
			b = binary.LittleEndian.AppendUint64(b, w)
		}
	}
	for k := range Counters {
		for i := range r.Counters[k].earlier {
			b = append(b, byte(k))
			for _, p := range r.Counters[k].earlier[i].words() {
				b = binary.LittleEndian.AppendUint64(b, p.get())
			}
		}
	}
	return b
}

// Read sets r to what Append wrote, and reports whether b is that, whole.
func (r *Rollup) Read(b []byte) bool {
	var c codec
	rest, ok := r.readPowers(b, &c)
	if !ok || len(b) > 0 && b[0] == 1 {
		return ok
	}
	if c.counters(r); c.spoilt {
		return false
	}
	for ; len(rest) > 0; rest = rest[levelSize:] {
		if rest[0] >= Counters {
			return false
		}
		var l Level
		for i, p := range l.words() {
			p.set(binary.LittleEndian.Uint64(rest[1+8*i:]))
		}
		counter := &r.Counters[rest[0]]
		counter.earlier = append(counter.earlier, l)
	}
	return true
}

// ReadPowers is Read without the counters, which are half of it.
func (r *Rollup) ReadPowers(b []byte) bool {
	var c codec
	_, ok := r.readPowers(b, &c)
	return ok
}

// readPowers reads all but the counters, of which the words are left in c and the rest.
func (r *Rollup) readPowers(b []byte, c *codec) (rest []byte, ok bool) {
	if len(b) > 0 && b[0] == 1 {
		return nil, r.readVersion1(b)
	}
	if len(b) < 1+maskSize || b[0] != PackVersion {
		return nil, false
	}
	mask := b[1 : 1+maskSize]
	rest = b[1+maskSize:]
	for at, m := range mask {
		for ; m != 0; m &= m - 1 {
			i := 8*at + bits.TrailingZeros8(m)
			if i >= words || len(rest) < 8 {
				return nil, false
			}
			c.all[i] = binary.LittleEndian.Uint64(rest)
			rest = rest[8:]
		}
	}
	*r = Rollup{}
	c.rollup(r)
	return rest, int64(len(rest)) == c.beside*levelSize
}

// Settled reports whether b is a packed rollup of today's rules: computed, and to be counted again only with another sample.
func Settled(b []byte) bool {
	return len(b) >= 1+maskSize && b[0] == PackVersion && b[1]&1 == 0 // the first word is Old
}

// word is one of the words of a level.
type word struct {
	integer *int64
	number  *float64
}

func (w word) get() uint64 {
	if w.integer != nil {
		return uint64(*w.integer)
	}
	return math.Float64bits(*w.number)
}

func (w word) set(v uint64) {
	if w.integer != nil {
		*w.integer = int64(v)
	} else {
		*w.number = math.Float64frombits(v)
	}
}

func (l *Level) words() [levelWords]word {
	return [levelWords]word{
		{integer: &l.First}, {integer: &l.Up}, {integer: &l.Since}, {integer: &l.Last}, {integer: &l.N},
		{number: &l.Low}, {number: &l.Next}, {number: &l.High}, {number: &l.Step}, {number: &l.enter}, {number: &l.mark}, {number: &l.leave},
	}
}
