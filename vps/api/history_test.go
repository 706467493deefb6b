package api

import (
	"fmt"
	"testing"
	"time"

	"sunspool/vps/energytest"
)

// remembering is a bench that has a history in its store.
func remembering(t *testing.T, g *energytest.History, shuffled bool) *bench {
	t.Helper()
	b := zoned(t, g.House.Zone.String(), g.House.Border.AddDate(0, 0, 20))
	for _, batch := range g.Arrival(g.Seed, shuffled) {
		b.put("inv-1", batch)
	}
	return b
}

func energyTarget(resolution string, from, to time.Time) string {
	return fmt.Sprintf("/v1/energy?device_id=inv-1&resolution=%s&from=%s&to=%s", resolution, from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
}

// TestOrderOfArrivalChangesNoAnswer, byte for byte.
func TestOrderOfArrivalChangesNoAnswer(t *testing.T) {
	for i := range uint64(12) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			g := energytest.New(100+i, energytest.NewHouse(i))
			inOrder, shuffled := remembering(t, g, false), remembering(t, g, true)
			for _, resolution := range []string{"hour", "day", "month", "year"} {
				target := energyTarget(resolution, g.From, g.To)
				if want, got := inOrder.get(target, viewerAll).Body.String(), shuffled.get(target, viewerAll).Body.String(); got != want || want == "" {
					t.Errorf("%s\n%s: in order\n%s\nshuffled\n%s", g, resolution, want, got)
				}
			}
		})
	}
}
