package api

import (
	"fmt"
	"testing"
	"time"

	"sunspool/vps/energytest"
)

func (b *bench) asking() energytest.Ask {
	return func(resolution string, from, to time.Time) energytest.Answer {
		b.t.Helper()
		a := answered[energyTest](b, energyTarget(resolution, from, to))
		columns := map[string][]float64{}
		for name, column := range a.Columns {
			for _, v := range column {
				columns[name] = append(columns[name], float64(v))
			}
		}
		return energytest.Answer{From: a.From, Columns: columns}
	}
}

// TestServerIsRightAboutRandomHistories of houses whose energy is known, with its own store, in any order of arrival.
func TestServerIsRightAboutRandomHistories(t *testing.T) {
	const histories, houses = 40, 10
	for i := range uint64(histories) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			g := energytest.New(i, energytest.NewHouse(i%houses))
			if faults := g.Check(remembering(t, g, true).asking()); len(faults) > 0 {
				t.Errorf("%s%s", g, faults)
			}
		})
	}
}
