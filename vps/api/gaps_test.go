package api

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sunspool/vps/history"
	"sunspool/vps/query"
	"sunspool/vps/store"
	"sunspool/wire"
)

// polled returns samples in [from, to), about step apart.
func polled(r *rand.Rand, from, to time.Time, step time.Duration) (samples []wire.Sample) {
	for at := from; at.Before(to); at = at.Add(step + time.Duration(r.Int64N(step.Milliseconds()/10+1))*time.Millisecond) {
		samples = append(samples, wire.Sample{Time: at, PVPowerW: 1000, BatterySOCPct: new(50.0), Count: 1})
	}
	return samples
}

// TestEveryHoleIsFound: random outages in weeks of samples, against a plain look at all neighbours.
func TestEveryHoleIsFound(t *testing.T) {
	r := rand.New(rand.NewPCG(20, 21))
	for round := range 12 {
		b := zoned(t, "UTC", testNow)
		step := []time.Duration{5 * time.Second, 30 * time.Second, time.Minute, 4 * time.Minute}[round%4]
		start := testNow.Add(-time.Duration(24+r.IntN(80)) * time.Hour)
		var samples []wire.Sample
		for at := start; at.Before(testNow.Add(-3 * time.Hour)); {
			up := at.Add(time.Duration(r.IntN(30)) * time.Hour / 2)
			samples = append(samples, polled(r, at, query.Earlier(up, testNow.Add(-2*time.Hour)), step)...)
			at = up.Add(time.Duration(r.IntN(9)*r.IntN(9)*r.IntN(40)) * time.Minute / 4)
		}
		b.put("inv-1", samples)
		got := answered[history.GapsAnswer](b, "/v1/continuity?device_id=inv-1&from="+start.Add(-time.Hour).Format(time.RFC3339))
		var want []string
		for i := range samples[1:] {
			if from, to := samples[i].Time, samples[i+1].Time; to.Sub(from) >= history.MinGap {
				want = append(want, fmt.Sprint(from, to))
			}
		}
		var found []string
		for _, h := range got.Gaps {
			found = append(found, fmt.Sprint(h.From, h.To))
		}
		if n := len(found); n < 2 || got.Gaps[0].Reason != "before_first" || !got.Gaps[n-1].Open || !got.Gaps[n-1].To.Equal(testNow) {
			t.Fatalf("round %d: the ends are %+v", round, got.Gaps)
		}
		if found = found[1 : len(found)-1]; fmt.Sprint(found) != fmt.Sprint(want) {
			t.Fatalf("round %d, every %v: found\n%s\nwant\n%s", round, step, strings.Join(found, "\n"), strings.Join(want, "\n"))
		}
		if got.Rows != int64(len(samples)) || !got.First.Equal(samples[0].Time) || !got.Last.Equal(samples[len(samples)-1].Time) || got.Complete {
			t.Errorf("round %d: %+v", round, got)
		}
	}
}

func TestHolesHaveReasons(t *testing.T) {
	day := time.Date(2026, 6, 20, 0, 0, 0, 0, time.UTC)
	sunny := func(from, to time.Time) (samples []wire.Sample) { // an inverter without a battery
		for at := from; at.Before(to); at = at.Add(30 * time.Second) {
			watts := 2000.0
			if to.Sub(at) < time.Minute {
				watts = 12
			}
			samples = append(samples, wire.Sample{Time: at, PVPowerW: watts, Count: 1})
		}
		return samples
	}
	b := zoned(t, "UTC", testNow)
	b.put("inv-1", sunny(day.Add(5*time.Hour), day.Add(20*time.Hour)))
	b.put("inv-1", sunny(day.Add(29*time.Hour), day.Add(34*time.Hour+30*time.Minute)))
	reasons := func(query string) string {
		var all []string
		got := answered[history.GapsAnswer](b, "/v1/continuity?device_id=inv-1"+query)
		for _, h := range got.Gaps {
			all = append(all, h.Reason)
			if h.Says == "" || h.Seconds != int64(h.To.Sub(h.From).Seconds()) {
				t.Errorf("%+v", h)
			}
		}
		return fmt.Sprint(all, got.Complete)
	}
	if got := reasons("&from=2026-06-20&to=2026-06-21"); got != "[before_first asleep] true" {
		t.Errorf("two days: %s", got)
	}
	if got := reasons(""); got != "[asleep] true" { // cut by midnight
		t.Errorf("today: %s", got)
	}
	if got := reasons("&from=2026-06-01&to=2026-06-02"); got != "[before_first] true" {
		t.Errorf("before everything: %s", got)
	}

	hybrid := polled(rand.New(rand.NewPCG(1, 1)), day.Add(5*time.Hour), day.Add(12*time.Hour), 5*time.Second)
	b.put("inv-2", hybrid)
	ask := func() (all []history.Gap) {
		return answered[history.GapsAnswer](b, "/v1/continuity?device_id=inv-2&from=2026-06-20").Gaps
	}
	if got := ask(); len(got) != 2 || got[1].Reason != "not_received" || !got[1].Open {
		t.Errorf("%+v", got)
	}
	silent := answered[history.GapsAnswer](b, "/v1/continuity?device_id=inv-2&from=2026-06-20")
	if silent.Complete || silent.MissingS != silent.Gaps[1].Seconds {
		t.Errorf("%+v", silent)
	}
	about := store.About{Edge: &wire.Edge{Version: "1", PollIntervalS: 5, SpoolCount: 9000}, Seen: testNow.Add(-time.Minute)}
	if err := b.bolt.Describe(t.Context(), "inv-2", about); err != nil {
		t.Fatal(err)
	}
	b.restart()
	if got := ask(); got[1].Reason != "waiting" || !strings.Contains(got[1].Says, "9000 samples") {
		t.Errorf("%+v", got)
	}
}

func TestContinuityOfTheFutureIsEmpty(t *testing.T) {
	b := zoned(t, "UTC", testNow)
	got := answered[history.GapsAnswer](b, "/v1/continuity?device_id=inv-1&from=2027-01-01&to=2027-01-02")
	if !got.To.Equal(got.From) || got.Complete || got.Rows != 0 || got.Gaps == nil || len(got.Gaps) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestContinuityOfAPerfectDayIsComplete(t *testing.T) {
	b := zoned(t, "Europe/Brussels", testNow)
	b.put("inv-1", polled(rand.New(rand.NewPCG(1, 1)), testNow.Add(-30*time.Hour), testNow, 5*time.Second))
	got := answered[history.GapsAnswer](b, "/v1/continuity?device_id=inv-1")
	if !got.Complete || got.Gaps == nil || len(got.Gaps) != 0 || got.Coverage < 0.999 || !got.From.Equal(time.Date(2026, 6, 20, 22, 0, 0, 0, time.UTC)) || !got.To.Equal(testNow) {
		t.Errorf("%+v", got)
	}
}
