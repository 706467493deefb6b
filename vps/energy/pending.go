package energy

import "encoding/binary"

// Pending is all that a store keeps of a rollup that it has not computed yet: the samples, or the rollups, that it is the
// sum of are stored and are to be read instead. It is stored in place of the packed rollup. An earlier program cannot read
// it, and does the same.
type Pending struct {
	Rows        int64 // stored samples
	First, Last int64 // times of samples, ms since 1970
}

const (
	PendingVersion = 0xff // the first byte, where a rollup has PackVersion
	pendingSize    = 1 + 3*8
)

// Pending returns r as one that has yet to be computed.
func (r *Rollup) Pending() Pending { return Pending{r.Rows, r.First, r.Last} }

// Add adds the samples of another pending rollup.
func (p *Pending) Add(o Pending) {
	switch {
	case o.Rows == 0:
	case p.Rows == 0:
		*p = o
	default:
		p.Rows += o.Rows
		p.First, p.Last = min(p.First, o.First), max(p.Last, o.Last)
	}
}

// Append appends the packed form to b.
func (p Pending) Append(b []byte) []byte {
	b = append(b, PendingVersion)
	for _, v := range [...]int64{p.Rows, p.First, p.Last} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return b
}

// ReadPending returns what Append wrote; false if b is anything else.
func ReadPending(b []byte) (p Pending, ok bool) {
	if len(b) != pendingSize || b[0] != PendingVersion {
		return p, false
	}
	for i, v := range [...]*int64{&p.Rows, &p.First, &p.Last} {
		*v = int64(binary.LittleEndian.Uint64(b[1+8*i:]))
	}
	return p, p.Rows > 0
}
