package rollup

import (
	"flag"
	"fmt"
	"sync/atomic"
	"testing"

	"sunspool/vps/energytest"
)

var histories = flag.Uint64("histories", 3000, "how many histories TestRandomHistoriesAreRight plays, a thousand or more")

// TestRandomHistoriesAreRight: hours, days, months and years of counters that dip, tremble, are reset or replaced, whatever was received of them and however it is asked.
func TestRandomHistoriesAreRight(t *testing.T) {
	const shards, each = 10, 100
	houses := max(1, *histories/(shards*each)) // of each shard
	if testing.Short() {
		houses = 1
	}
	var wrong atomic.Int64
	t.Run("shards", func(t *testing.T) {
		for shard := range uint64(shards) {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				var m memory
				for house := shard * houses; house < (shard+1)*houses; house++ {
					h := energytest.NewHouse(house)
					for i := house * each; i < (house+1)*each; i++ {
						g := energytest.New(i, h)
						m.hold(g.Samples)
						if faults := g.Check(m.asking(h.Zone)); len(faults) > 0 && wrong.Add(1) <= 20 {
							t.Errorf("%s%s", g, faults)
						}
					}
				}
			})
		}
	})
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d histories of %d", n, shards*houses*each)
	}
}
