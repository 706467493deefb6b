package inverter_test

import (
	"encoding/binary"
	"slices"
	"time"

	"sunspool/edge/inverter"
)

// chunk is something that comes over the line, after a pause.
type chunk struct {
	pause time.Duration
	bytes []byte // nil closes the connection
}

// spoiling makes of an answer what really arrives. It must not touch its argument.
type spoiling struct {
	name string
	do   func(n *noise, answer []byte) []chunk
}

// Not among them is what Modbus TCP cannot show, as it has no checksum of its own and leaves that to TCP: other register
// values in a frame that is otherwise the answer, be it by flipped bits or by an answer of somebody else with the same
// transaction id, unit, function and length. payloadFlip is exactly that.
var spoilings = []spoiling{
	{"flips in the header", func(n *noise, a []byte) []chunk { return whole(n.flip(a, 0, inverter.MBAPSize, 3)) }},
	{"flips in function and count", func(n *noise, a []byte) []chunk {
		return whole(n.flip(a, inverter.MBAPSize, min(len(a), inverter.MBAPSize+2), 2))
	}},
	{"flips in header and payload", func(n *noise, a []byte) []chunk {
		return whole(n.flip(n.flip(a, 0, inverter.MBAPSize, 2), inverter.MBAPSize, len(a), 8))
	}},
	{"flips in an exception", func(n *noise, a []byte) []chunk {
		return whole(n.flip(exceptionOf(a, 1+byte(n.rng.IntN(11))), 0, inverter.MBAPSize+2, 2))
	}},
	{"an exception", func(n *noise, a []byte) []chunk { return whole(exceptionOf(a, byte(n.rng.IntN(256)))) }},
	{"late", func(n *noise, a []byte) []chunk { return []chunk{{n.upTo(20 * time.Second), a}} }},
	{"split", func(n *noise, a []byte) []chunk {
		var parts []chunk
		for rest := a; len(rest) > 0; {
			k := 1 + n.rng.IntN(len(rest))
			parts = append(parts, chunk{n.upTo(2 * time.Second), rest[:k]})
			rest = rest[k:]
		}
		return parts
	}},
	{"cut off", func(n *noise, a []byte) []chunk { return whole(a[:n.rng.IntN(len(a))]) }},
	{"cut off and closed", func(n *noise, a []byte) []chunk { return append(whole(a[:n.rng.IntN(len(a))]), chunk{}) }},
	{"closed after it", func(n *noise, a []byte) []chunk { return append(whole(a), chunk{}) }},
	{"twice at once", func(n *noise, a []byte) []chunk { return whole(slices.Concat(a, a)) }},
	{"twice", func(n *noise, a []byte) []chunk { return append(whole(a), chunk{n.upTo(time.Second), a}) }},
	{"surplus at once", func(n *noise, a []byte) []chunk { return whole(slices.Concat(a, n.garbage(9))) }},
	{"surplus later", func(n *noise, a []byte) []chunk {
		return append(whole(a), chunk{n.upTo(time.Second), n.garbage(9)})
	}},
	{"garbage before it", func(n *noise, a []byte) []chunk { return whole(slices.Concat(n.garbage(300), a)) }},
	{"garbage instead", func(n *noise, a []byte) []chunk { return whole(n.garbage(300)) }},
	{"foreign before it", func(n *noise, a []byte) []chunk { return []chunk{{0, n.foreign(a)}, {n.upTo(time.Second), a}} }},
	{"foreign at once with it", func(n *noise, a []byte) []chunk { return whole(slices.Concat(n.foreign(a), a)) }},
	{"foreign behind it", func(n *noise, a []byte) []chunk { return append(whole(a), chunk{0, n.foreign(a)}) }},
	{"foreign instead", func(n *noise, a []byte) []chunk { return whole(n.foreign(a)) }},
	{"another unit", func(n *noise, a []byte) []chunk {
		b := n.scramble(a)
		b[6] += 1 + byte(n.rng.IntN(255))
		return whole(b)
	}},
	{"fewer or more registers", func(n *noise, a []byte) []chunk {
		words := n.rng.IntN(126)
		if 2*words == len(a)-inverter.MBAPSize-2 {
			words++
		}
		b := slices.Concat(a[:inverter.MBAPSize+1], []byte{byte(2 * words)}, make([]byte, 2*words))
		for i := inverter.MBAPSize + 2; i < len(b); i++ {
			b[i] = byte(n.rng.Uint32())
		}
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-inverter.MBAPSize+1))
		return whole(b)
	}},
	{"an answer of long ago before it", func(n *noise, a []byte) []chunk { return []chunk{{0, n.old(a)}, {0, a}} }},
	{"an answer of long ago instead", func(n *noise, a []byte) []chunk { return whole(n.old(a)) }},
}

var payloadFlip = spoiling{"flips in the payload alone", func(n *noise, a []byte) []chunk { return whole(n.flip(a, inverter.MBAPSize+2, len(a), 1)) }}

func whole(b []byte) []chunk { return []chunk{{0, b}} }

func (n *noise) upTo(d time.Duration) time.Duration { return time.Duration(n.rng.Int64N(int64(d))) }

// flip returns b with one to most different bits of b[from:to] flipped.
func (n *noise) flip(b []byte, from, to, most int) []byte {
	b = slices.Clone(b)
	for _, bit := range n.rng.Perm(8 * (to - from))[:1+n.rng.IntN(most)] {
		b[from+bit/8] ^= 1 << (bit % 8)
	}
	return b
}

func (n *noise) garbage(most int) []byte {
	b := make([]byte, 1+n.rng.IntN(most))
	for i := range b {
		b[i] = byte(n.rng.Uint32())
	}
	return b
}

// scramble is a with other registers.
func (n *noise) scramble(a []byte) []byte {
	b := slices.Clone(a)
	for i := inverter.MBAPSize + 2; i < len(b); i++ {
		b[i] ^= byte(1 + n.rng.IntN(255))
	}
	return b
}

// foreign is the answer to another client that asked for as many registers.
func (n *noise) foreign(a []byte) []byte {
	b := n.scramble(a)
	binary.BigEndian.PutUint16(b, binary.BigEndian.Uint16(a)+1+uint16(n.rng.IntN(1<<16-1)))
	return b
}

// old is an answer to an earlier request of ours, of this connection or of one before.
func (n *noise) old(a []byte) []byte {
	b := n.past[n.rng.IntN(len(n.past))]
	if inverter.SameTransaction(a, b) {
		return n.foreign(a)
	}
	return b
}

func exceptionOf(a []byte, code byte) []byte {
	b := append(slices.Clone(a[:inverter.MBAPSize]), a[inverter.MBAPSize]|0x80, code)
	binary.BigEndian.PutUint16(b[4:], 3)
	return b
}
