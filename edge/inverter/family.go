package inverter

import (
	"context"
	"errors"
	"time"

	"sunspool/edge/registers"
)

// family is how the family of the type that answers is known.
type family int

const (
	familyListed  family = iota // the type is in the table
	familyHybrid                // not in the table, but it has block D
	familyString                // not in the table, and it refused block D; that is checked again later
	familyUnknown               // block D was not answered yet
)

// errFamilyUnknown is the reason why a reading of an unknown type has no block D.
var errFamilyUnknown = errors.New("whether this type of inverter has it is not known yet")

// findFamily determines the family of a type that is not in the table: only a hybrid has the registers of block D; others
// refuse them, or answer all zeros or all ones. Only an answer or exception 2 is conclusive, see familyBy: until then only the
// registers that all families have in common are read.
func (in *Inverter) findFamily(ctx context.Context, model registers.Model, r *Reading) {
	was, words := in.family, make(registers.Words)
	if in.mapping == nil {
		was = familyListed
	}
	in.family = familyUnknown
	if in.breaksAtD < maxFailures || in.asks.due(5*time.Minute) { // else it breaks the connection
		err := in.readBlock(ctx, blockD, words)
		in.breaksAtD++
		if in.Dongle.connected() {
			in.breaksAtD = 0
		}
		in.family = in.familyBy(words, err)
	}
	if was == familyString && in.family == familyUnknown {
		in.family = was
	}
	model.Hybrid = in.family != familyString
	if was != in.family || in.model.Code != model.Code {
		in.setMap(model)
	}
	if in.family == familyUnknown {
		in.plan = plan{in.plan.find("A"), in.plan.find(registers.Identity)}
		r.Lost["D"] = errFamilyUnknown
	}
}

// startTime is the longest time for which a dongle answers zeros after its start.
const startTime = time.Minute

// familyBy returns the family by the answer to block D. A refusal must come twice, because dongles refuse reads at random, and
// zeros must last, because a dongle that starts answers them.
func (in *Inverter) familyBy(words registers.Words, err error) family {
	switch {
	case err == nil && anyWord(words):
		return familyHybrid
	case err == nil && words[blockD.Start] == 0:
		if in.zerosAtD.IsZero() {
			in.zerosAtD = now()
		}
		if now().Sub(in.zerosAtD) < startTime {
			return familyUnknown
		}
	case err == nil, errors.Is(err, errRefused):
		if in.refusedD++; in.refusedD < 2 {
			return familyUnknown
		}
	default:
		return familyUnknown
	}
	return familyString
}

// retryFamily reads block D again of an inverter whose type is not in the table and that is not known to be a hybrid: in each
// poll until it has answered, then once per connection and at growing intervals.
func (in *Inverter) retryFamily(ctx context.Context, r *Reading) {
	if in.family == familyUnknown || in.family == familyString && (!in.isIdentified() || in.asks.due(5*time.Minute)) {
		in.findFamily(ctx, in.model, r)
	}
}

func anyWord(words registers.Words) bool {
	for _, w := range words {
		if w != 0 && w != 0xFFFF {
			return true
		}
	}
	return false
}

// common removes the words that have another meaning in another family.
func common(words registers.Words) {
	families := []*registers.Map{registers.Hybrid(), registers.String()}
	for i, m := range families {
		for r := range m.All() {
			if twin, ok := families[1-i].Lookup(r.Name); ok && twin.Address() == r.Address() && len(r.Models)+len(twin.Models) == 0 {
				continue
			}
			for i := range r.Words {
				delete(words, r.Address()+i)
			}
		}
	}
}
