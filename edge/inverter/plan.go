package inverter

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"sunspool/edge/pace"
	"sunspool/edge/registers"
)

const (
	lasting     = 10 * time.Minute // a shorter refusal is a temporary fault of the dongle: the plan does not change
	firstWait   = 10 * time.Minute // first wait until a block that does not answer is read again
	longestWait = 24 * time.Hour   // longest wait: firmware does not change more often
	maxFailures = 3                // failures in a row after which an optional block is not read for a while
	probesAPoll = 6                // refused pieces that are split in one poll: each costs a request
	rarely      = 10 * time.Minute // between reads of holding registers, which the protocol asks to be rare
	silentPolls = 60               // polls with an empty otherMeter after which it is read rarely

	otherMeter = "M" // the meter block of string inverters, which few dongles serve
)

// plan is the list of blocks that are read from one inverter. It starts as the blocks of the map and adapts to what the
// inverter refuses.
//
//	                       a needed block (A, and D of a hybrid)       an optional block
//	refused as a whole     also read in halves in each poll; after     the same; after 3 polls
//	                       10 min in halves only                       in halves only
//	breaks the connection  A: read again; D: skipped for 20 s,         skipped after 3 times in a row
//	                       40 s, a minute, after 10 min for 10 min
//	the whole is retried   every 10 min                                after 10 min, 20 min ... 24 h
type plan []*planned

// planned is one block of the map, and how it was answered so far.
type planned struct {
	block  registers.Block
	needed bool // a sample is worth little without it: a temporary fault does not remove it from the plan

	pieces    []registers.Block // readable parts of a block that is refused as a whole; nil while the whole is answered
	bisected  time.Time         // when the whole was split last
	retry     time.Time         // until then only the pieces are read
	skipUntil time.Time         // until then nothing is read
	wait      time.Duration     // length of the last of these two; 0 while the whole is read in each poll

	outcome  outcome   // of this poll
	partly   bool      // a piece was answered in this poll
	trouble  error     // of this poll, or of the last one that read the whole
	failures int       // polls in a row in which the whole failed with an exception
	failing  time.Time // time of the first of them
	breaks   int       // connections lost here in a row
	breaking time.Time // time of the first of them
	answered time.Time // when the whole was last answered
	failed   time.Time // when it last failed

	silent    int       // polls in a row in which otherMeter was empty
	hadValues bool      // it had words that a block of zeros lacks, see emptyBlock
	due       time.Time // next read of a block of holding registers
}

// outcome is the result of reading the whole block in this poll.
type outcome int

const (
	notTried outcome = iota
	answered
	refused     // exception 2
	exceptional // another exception, or zeros
	broke       // the connection was lost
)

// reader reads one block into words.
type reader func(context.Context, registers.Block, registers.Words) error

// order is the order of the blocks in a poll: the needed ones first and close together in time, the identity last.
var order = []string{"A", "D", "B", "C", "E"}

func newPlan(m *registers.Map, hybrid bool) plan {
	var p plan
	for _, b := range m.Reads() {
		needed := b.Name == "A" || b.Name == "D" && hybrid
		p = append(p, &planned{block: b, needed: needed})
	}
	slices.SortStableFunc(p, func(a, b *planned) int { return cmp.Compare(rank(a.block.Name), rank(b.block.Name)) })
	return p
}

// rank returns the position of a block in order; a user's own blocks come after the known ones, the identity after all.
func rank(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	if name == registers.Identity {
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

// read reads p into words: the whole block, or its pieces if that is refused. The error is the reason why something is
// missing: the last exception, a block of zeros, or what broke the connection.
func (p *planned) read(ctx context.Context, read reader, words registers.Words) error {
	p.outcome, p.partly = notTried, false
	if p.block.Kind == registers.Holding {
		if now().Before(p.due) {
			return nil
		}
		p.due = now().Add(rarely)
	}
	if now().Before(p.skipUntil) {
		return p.missing()
	}
	if now().Before(p.retry) {
		err := p.readPieces(ctx, read, words)
		if p.needed && !p.partly { // the pieces are refused as well: it is no property of the inverter
			p.pieces, p.retry = nil, time.Time{}
		}
		return err
	}
	err := p.readWhole(ctx, read, words)
	p.trouble = err
	switch {
	case err == nil:
		p.outcome = answered
		if p.silent++; p.block.Name != otherMeter || !silent(p.block, words) {
			p.silent = 0
		}
	case errors.Is(err, errRefused):
		p.outcome = refused
		p.bisect()
		if err := p.readPieces(ctx, read, words); err != nil {
			return err
		}
	case isException(err), errors.Is(err, errZeros):
		p.outcome = exceptional
	default:
		p.outcome = broke
	}
	return err
}

// missing returns why a block that is skipped is not in the reading, nil for an optional one.
func (p *planned) missing() error {
	if !p.needed {
		return nil
	}
	return p.trouble
}

// readWhole reads the block as a whole. If it is a block of zeros, it is read once more; then that is an error.
func (p *planned) readWhole(ctx context.Context, read reader, words registers.Words) error {
	err := read(ctx, p.block, words)
	if err == nil && emptyBlock(p.block, words, p.hadValues) {
		if err := pace.Sleep(ctx, RetryAfter); err != nil {
			return err
		}
		err = read(ctx, p.block, words)
	}
	if err != nil {
		return err
	}
	return p.dropZeros(words)
}

// dropZeros removes the words of a block of zeros and returns errZeros for one.
func (p *planned) dropZeros(words registers.Words) error {
	if emptyBlock(p.block, words, p.hadValues) {
		for i := range p.block.Count {
			delete(words, p.block.Start+i)
		}
		return errZeros
	}
	p.hadValues = p.hadValues || hasValues(p.block, words)
	return nil
}

// bisect splits the whole, which was just refused, unless its pieces are known.
func (p *planned) bisect() {
	again := longestWait
	if len(p.pieces) == 0 {
		again = lasting
	}
	if p.pieces != nil && now().Sub(p.bisected) < again {
		return
	}
	p.pieces, p.bisected = []registers.Block{}, now()
	if lo, hi, ok := p.split(p.block); ok {
		p.pieces = append(p.pieces, lo, hi)
	}
}

// split splits a piece of p in two. A read that starts at the address of block A starts a poll, so that no other block may have
// one: the registers that the identity shares with A are read with A.
func (p *planned) split(piece registers.Block) (lo, hi registers.Block, ok bool) {
	if p.block.Name == registers.Identity {
		piece.Registers = slices.DeleteFunc(slices.Clone(piece.Registers), func(r registers.Register) bool { return r.Address() >= deviceType.Address() })
	}
	return piece.Split()
}

// readPieces reads the pieces of p into words. A piece that is refused is split at once; one that is answered with another
// exception is missing in this poll. The error is the last other exception, or what broke the connection.
func (p *planned) readPieces(ctx context.Context, read reader, words registers.Words) error {
	var trouble error
	var kept []registers.Block
	probes := 0
	for todo := slices.Clone(p.pieces); len(todo) > 0; {
		piece := todo[0]
		todo = todo[1:]
		if probes >= probesAPoll && !p.needed { // the next poll goes on
			kept = append(kept, piece)
			continue
		}
		err := read(ctx, piece, words)
		switch {
		case err == nil:
			p.partly = true
			kept = append(kept, piece)
		case errors.Is(err, errRefused):
			probes++
			lo, hi, ok := p.split(piece)
			switch {
			case !ok:
			case probes > probesAPoll:
				kept = append(kept, piece)
			default:
				todo = append([]registers.Block{lo, hi}, todo...)
			}
		case isException(err):
			trouble = err
			kept = append(kept, piece)
		default:
			p.outcome, p.trouble = broke, err
			return err
		}
	}
	p.pieces = kept
	if kept == nil {
		p.pieces = []registers.Block{}
	}
	if p.partly {
		trouble = cmp.Or(trouble, p.dropZeros(words))
	}
	return trouble
}
