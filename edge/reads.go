package edge

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"sunspool/edge/registers"
)

const (
	refusedFor  = 24 * time.Hour   // firmware does not change more often
	strikes     = 3                // polls in a row that a block may cost the connection
	strikedFor  = 10 * time.Minute // until such a block is tried again
	probesAPoll = 6                // refusals that one poll follows up: each costs the dongle a request
	rarely      = 10 * time.Minute // between reads of holding registers, which the protocol wants to be rare
)

// plan is how one inverter, known by its serial number, lets its registers be read. It starts as the map's blocks and
// learns: a block that is refused is halved until what works remains.
type plan []*planned

// planned is one block of the map and the pieces of it that are read.
type planned struct {
	block  registers.Block
	needed bool // without it there is no sample
	pieces []registers.Block
	retry  time.Time // when pieces become the whole block again; zero while they are
	lost   int       // connections lost here in a row
	due    time.Time // of a block of settings, which a dongle must not be asked for often
}

// order is that of the blocks in a poll: what is needed first and close together in time, the identity last.
var order = []string{"A", "D", "B", "C", "E"}

func newPlan(m *registers.Map, hybrid bool) plan {
	var p plan
	for _, b := range m.Reads() {
		needed := b.Name == "A" || b.Name == "D" && hybrid
		p = append(p, &planned{block: b, needed: needed, pieces: []registers.Block{b}})
	}
	slices.SortStableFunc(p, func(a, b *planned) int { return cmp.Compare(rank(a.block.Name), rank(b.block.Name)) })
	return p
}

// rank is a block's place in order; a user's own blocks come after the known ones, the identity after all.
func rank(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	if name == "identity" {
		return len(order) + 1
	}
	return len(order)
}

func (p plan) find(name string) *planned {
	i := slices.IndexFunc(p, func(b *planned) bool { return b.block.Name == name })
	if i < 0 {
		return nil
	}
	return p[i]
}

// read reads the pieces of p into words. A piece that is refused is halved there and then; one that is answered by
// another exception is missing this time. The error is the last exception, or what broke the connection.
func (p *planned) read(ctx context.Context, readBlock func(context.Context, registers.Block, registers.Words) error, words registers.Words) error {
	if !p.retry.IsZero() && !now().Before(p.retry) {
		p.pieces, p.retry, p.lost = []registers.Block{p.block}, time.Time{}, 0
	}
	if p.block.Kind == registers.Holding {
		if now().Before(p.due) {
			return nil
		}
		p.due = now().Add(rarely)
	}
	var trouble error
	var kept []registers.Block
	probes := 0
	for todo := slices.Clone(p.pieces); len(todo) > 0; {
		piece := todo[0]
		todo = todo[1:]
		if probes > probesAPoll { // the rest is looked at by the next poll
			kept = append(kept, piece)
			continue
		}
		err := readBlock(ctx, piece, words)
		switch {
		case err == nil:
			kept = append(kept, piece)
		case errors.Is(err, errRefused):
			trouble = err
			probes++
			p.retry = now().Add(refusedFor)
			if lo, hi, ok := piece.Split(); ok {
				todo = append([]registers.Block{lo, hi}, todo...)
			}
		case isException(err):
			trouble = err
			kept = append(kept, piece)
		default:
			return err
		}
	}
	p.pieces, p.lost = kept, 0
	return trouble
}

// strike notes that the connection broke while p was read. A block that does so again and again is left alone for a
// while: some firmware hangs, or answers with a frame that cannot be read, when asked for what it does not have.
func (p *planned) strike() {
	if p.lost++; p.lost >= strikes {
		p.pieces, p.retry = nil, now().Add(strikedFor)
	}
}
