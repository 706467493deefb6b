package inverter

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/registers"
)

func TestRefusedBlockCostsItsPieceOnly(t *testing.T) {
	for _, c := range []struct {
		block    string
		from, to uint16 // refused
	}{
		{"B", 5213, 5241},
		{"B", 5241, 5241},
		{"B", 5215, 5240}, // a hole that may not be read across
		{"C", 5600, 5638},
		{"D", 13049, 13078}, // the alarms
		{"D", 13057, 13057}, // half a register
		{"A", 5032, 5034},
	} {
		t.Run(fmt.Sprintf("%s %d-%d", c.block, c.from, c.to), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlan(registers.Hybrid(), true).find(c.block)
				refusals := 0
				device := func(_ context.Context, b registers.Block, words registers.Words) error {
					if b.Start <= c.to && b.Start+b.Count > c.from {
						refusals++
						return &exception{b, 2, errRefused}
					}
					for i := range b.Count {
						words[b.Start+i] = 1
					}
					return nil
				}
				var words registers.Words
				poll := func() int {
					time.Sleep(5 * time.Second)
					refusals, words = 0, registers.Words{}
					p.read(t.Context(), device, words)
					plan{p}.learn()
					return refusals
				}
				for i := range 200 { // more than 10 min
					if n := poll(); n > 2*probesAPoll {
						t.Errorf("poll %d followed up %d refusals", i, n)
					}
				}
				asked := 0
				for range 120 { // 10 min
					asked += poll()
				}
				if asked > 1 {
					t.Errorf("what is refused is still asked for %d times in 10 min", asked)
				}
				for _, reg := range p.block.Registers {
					refused := reg.Address() <= c.to && reg.Address()+reg.Words > c.from
					if _, got := words[reg.Address()]; got == refused {
						t.Errorf("%v was read: %v, refused: %v", reg, got, refused)
					}
				}
				time.Sleep(longestWait)
				if n := poll(); n == 0 {
					t.Error("a day later the refusal is not looked at again")
				}
			})
		})
	}
}
