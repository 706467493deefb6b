//go:build unix

package api

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/history"
	"sunspool/vps/store"
	"sunspool/wire"
)

// asking counts the questions to a store.
type asking struct {
	store.Samples
	n *atomic.Int64
}

func (a asking) Periods(ctx context.Context, q store.Query) ([]energy.Period, error) {
	a.n.Add(1)
	return a.Samples.Periods(ctx, q)
}

func (a asking) Each(ctx context.Context, device string, from, to time.Time, yield func(wire.Sample) bool) error {
	a.n.Add(1)
	return a.Samples.Each(ctx, device, from, to, yield)
}

// A line that breaks down every quarter of an hour, and units that are heard of now and then in the dark: what is listed costs,
// and not what there is.
func TestManyHolesCostWhatIsListed(t *testing.T) {
	const looks = 20 // at most, into the level below, of one level
	type reading struct {
		at    time.Duration
		watts float64
	}
	for name, c := range map[string]struct {
		days      int
		every     time.Duration
		readings  []reading
		reason    string // of the holes that are over
		questions int64
	}{
		"every 15 minutes": {15, 15 * time.Minute, []reading{{0, 5}, {5 * time.Second, 5}}, "not_received", looks * looks},
		"every two hours":  {100, 2 * time.Hour, []reading{{0, 5}, {5 * time.Second, 5}}, "asleep", looks * looks},
		"dusk each time":   {100, 2 * time.Hour, []reading{{0, 500}, {5 * time.Second, 5}}, "asleep", history.MaxGaps + looks*looks},
	} {
		t.Run(name, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, b *bench) {
				var samples []wire.Sample
				from := testNow.AddDate(0, 0, -c.days)
				for at := from; at.Before(testNow); at = at.Add(c.every) {
					for _, r := range c.readings {
						samples = append(samples, wire.Sample{Time: at.Add(r.at), PVPowerW: r.watts, Count: 1})
					}
				}
				holes, seconds := 1, int64(testNow.Sub(samples[len(samples)-1].Time).Seconds()) // the open one
				for i := range samples[1:] {
					if length := samples[i+1].Time.Sub(samples[i].Time); length >= history.MinGap {
						holes, seconds = holes+1, seconds+int64(length.Seconds())
					}
				}
				for some := range slices.Chunk(samples, 2000) {
					if _, err := b.Store.Insert(t.Context(), "inv-1", some); err != nil {
						t.Fatal(err)
					}
				}
				var asked atomic.Int64
				b.Store = asking{b.Store, &asked}
				got := answered[history.GapsAnswer](b, "/v1/continuity?device_id=inv-1&from="+from.Format(time.RFC3339))
				if got.GapsTotal != holes || len(got.Gaps) != history.MaxGaps || !got.Gaps[history.MaxGaps-1].Open || got.Complete {
					t.Errorf("%d holes, %d listed; want %d", got.GapsTotal, len(got.Gaps), holes)
				}
				asleepS := int64(0)
				for i, h := range got.Gaps {
					if h.Reason == "asleep" {
						asleepS += h.Seconds
					}
					if !h.Open && h.Reason != c.reason {
						t.Fatalf("%d is %+v, want %s", i, h, c.reason)
					}
				}
				if got.MissingS != seconds-asleepS {
					t.Errorf("%d s are missing, want %d less %d", got.MissingS, seconds, asleepS)
				}
				if n := asked.Load(); n > c.questions {
					t.Errorf("%d questions to the store", n)
				}
			})
		})
	}
}
