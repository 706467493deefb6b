package api

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/vps/store"
	"sunspool/wire"
)

// fromEdge sends what an edge does: samples, or what it keeps of those that it has delivered.
func (b *bench) fromEdge(token string, kept *wire.Kept, samples ...wire.Sample) wire.Receipt {
	b.t.Helper()
	body, _ := json.Marshal(wire.Batch{Samples: append([]wire.Sample{}, samples...), ID: "1", Edge: &wire.Edge{Version: "1"}, Kept: kept})
	w := b.post(token, string(body), "Prefer", wire.Lenient)
	if w.Code != 200 {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return decodeJSON[wire.Receipt](b.t, w)
}

const hour = int64(time.Hour / time.Millisecond)

// hoursAgo is where the hour begins in which the server's time of tests was n hours ago.
func hoursAgo(n int) time.Time { return testNow.Truncate(time.Hour).Add(-time.Duration(n) * time.Hour) }

// each ten seconds of an hour there is a sample.
func samplesOf(start time.Time, n int) (all []wire.Sample) {
	for i := range n {
		s := sample(0)
		s.Time = start.Add(time.Duration(i) * 10 * time.Second)
		all = append(all, s)
	}
	return all
}

// keptOf is a Kept of inv-1 of pairs: hours ago, samples.
func keptOf(pairs ...[2]int) *wire.Kept {
	k := &wire.Kept{DeviceID: "inv-1", Hours: [][2]int64{}}
	for _, p := range pairs {
		k.Hours = append(k.Hours, [2]int64{hoursAgo(p[0]).UnixMilli(), int64(p[1])})
	}
	return k
}

func TestHoursThatAreMissingAreNamed(t *testing.T) {
	b := newBench(t)
	b.ingested(samplesOf(hoursAgo(10), 360)...)
	b.ingested(samplesOf(hoursAgo(9), 100)...)
	b.ingested(samplesOf(hoursAgo(5), 200)...)
	got := b.fromEdge(token1, keptOf([2]int{10, 360}, [2]int{9, 360}, [2]int{8, 1}, [2]int{6, 17}, [2]int{5, 100}, [2]int{1, 360})).Missing
	want := [][2]int64{
		{hoursAgo(9).UnixMilli(), hoursAgo(7).UnixMilli()},
		{hoursAgo(6).UnixMilli(), hoursAgo(5).UnixMilli()},
		{hoursAgo(1).UnixMilli(), hoursAgo(0).UnixMilli()},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if !strings.Contains(b.log.String(), `"device":"inv-1","samples":638`) {
		t.Errorf("log: %s", b.log)
	}
	b.ingested(samplesOf(hoursAgo(9).Add(1000*time.Second), 260)...)
	if got := b.fromEdge(token1, keptOf([2]int{10, 360}, [2]int{9, 360}, [2]int{5, 200})).Missing; got != nil {
		t.Errorf("%v are missing, though all is there", got)
	}
	if got := b.fromEdge(token1, keptOf()); got.Missing != nil || got.Compare {
		t.Errorf("%+v of an edge that keeps nothing", got)
	}
}

// Retention deletes samples, but their sums stay: they are not asked for again, and none of them comes back.
func TestPrunedHoursAreNotMissing(t *testing.T) {
	b := newBench(t)
	b.ingested(samplesOf(hoursAgo(40), 360)...)
	b.ingested(samplesOf(hoursAgo(39), 360)...)
	b.ingested(samplesOf(hoursAgo(2), 360)...)
	for {
		n, err := b.bolt.Prune(t.Context(), hoursAgo(39).Add(30*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if got := b.fromEdge(token1, keptOf([2]int{40, 360}, [2]int{39, 360}, [2]int{2, 360})).Missing; got != nil {
		t.Errorf("missing %v", got)
	}
}

// Each edge is asked after the start, and then once an hour; sooner after something was missing.
func TestEdgesAreAskedWhatTheyKeep(t *testing.T) {
	b := newBench(t)
	now := testNow
	b.Now = func() time.Time { return now }
	asked := func() bool { return b.fromEdge(token1, nil).Compare }
	for range 2 { // until it has answered
		if !asked() {
			t.Error("not asked after the start")
		}
	}
	if !b.fromEdge(token2, nil).Compare {
		t.Error("another device is not asked")
	}
	for _, c := range []struct {
		kept *wire.Kept
		wait time.Duration
	}{{keptOf(), compareEvery}, {keptOf([2]int{3, 1}), compareAgain}} {
		b.fromEdge(token1, c.kept)
		if now = now.Add(c.wait - time.Second); asked() {
			t.Errorf("asked before %v are over", c.wait)
		}
		if now = now.Add(time.Second); !asked() {
			t.Errorf("not asked after %v", c.wait)
		}
	}
	for range asksInRow {
		asked()
	}
	if asked() {
		t.Error("an edge that keeps nothing is asked with each receipt")
	}
	if now = now.Add(compareEvery); !asked() {
		t.Error("never asked again")
	}

	// Others than our edges are not asked: what they do with a field that they do not know is theirs.
	other := newBench(t)
	for _, w := range []*httptest.ResponseRecorder{
		other.post(token1, `{"samples":[]}`), other.post(token1, `{"samples":[]}`, "Prefer", wire.Lenient), other.post(token1, `{"samples":[],"edge":{"version":"1"}}`),
		other.post(token1, `{"samples":[],"kept":{"device_id":"inv-1","hours":[]}}`),
	} {
		if w.Code != 200 || strings.Contains(w.Body.String(), "compare") || strings.Contains(w.Body.String(), "missing") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

// Two servers on one store ask for themselves; what one has asked for is there for both.
func TestTwoServersCompare(t *testing.T) {
	a := newBench(t)
	b := newBench(t, func(s *Server) { s.Store = a.bolt })
	for _, s := range []*bench{a, b} {
		if !s.fromEdge(token1, nil).Compare {
			t.Error("not asked")
		}
	}
	if got := a.fromEdge(token1, keptOf([2]int{3, 360})); len(got.Missing) != 1 {
		t.Errorf("%+v", got)
	}
	b.ingested(samplesOf(hoursAgo(3), 360)...)
	for _, s := range []*bench{a, b} {
		if got := s.fromEdge(token1, keptOf([2]int{3, 360})); got.Missing != nil || got.Compare {
			t.Errorf("%+v", got)
		}
	}
}

// A list that no edge sends is refused with one clear error, and costs nothing.
func TestAbsurdListsOfWhatIsKept(t *testing.T) {
	b := newBench(t)
	h := hoursAgo(0).UnixMilli()
	many := make([]string, 40_000)
	for i := range many {
		many[i] = fmt.Sprintf("[%d,1]", h+int64(i-len(many))*hour)
	}
	for _, hours := range []string{
		`{}`, `7`, `"x"`, `[7]`, `[[]]`, `[[1]]`, fmt.Sprintf(`[[%d]]`, h), fmt.Sprintf(`[[%d,"1"]]`, h), `[[null,null]]`,
		fmt.Sprintf(`[[%d,0]]`, h), fmt.Sprintf(`[[%d,-1]]`, h), fmt.Sprintf(`[[%d,1e9]]`, h), fmt.Sprintf(`[[%d,1.5]]`, h), fmt.Sprintf(`[[%d,1e400]]`, h),
		fmt.Sprintf(`[[%d,1]]`, h+1), fmt.Sprintf(`[[%d,1]]`, h+2*hour), fmt.Sprintf(`[[%d,1]]`, -h), `[[0,1]]`, `[[9e18,1]]`, `[[-9e18,1]]`,
		fmt.Sprintf(`[[%d,1],[%d,1]]`, h, h), fmt.Sprintf(`[[%d,1],[%d,1]]`, h, h-hour), fmt.Sprintf(`[[%d,1],[%d,1]]`, h-wire.MaxKeptHours*hour, h),
		`[` + strings.Join(many, ",") + `]`,
	} {
		w := b.post(token1, `{"samples":[],"edge":{"version":"1"},"kept":{"device_id":"inv-1","hours":`+hours+`}}`, "Prefer", wire.Lenient)
		if w.Code != 422 || !strings.Contains(w.Body.String(), `"code":"kept_invalid"`) || w.Body.Len() > 300 {
			t.Errorf("%.100s: %d %s", hours, w.Code, w.Body)
		}
	}
	for _, kept := range []string{`7`, `[]`, `{"device_id":7,"hours":[]}`} {
		if w := b.post(token1, `{"samples":[],"kept":`+kept+`}`, "Prefer", wire.Lenient); w.Code != 422 {
			t.Errorf("%s: %d %s", kept, w.Code, w.Body)
		}
	}
	for _, kept := range []string{`{}`, `{"device_id":"inv-2","hours":[]}`, `{"hours":[]}`} {
		if w := b.post(token1, `{"samples":[],"kept":`+kept+`}`, "Prefer", wire.Lenient); w.Code != 403 {
			t.Errorf("%s: %d %s", kept, w.Code, w.Body)
		}
	}
	held := func() (m runtime.MemStats) {
		runtime.GC() // what is garbage is not remembered
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m
	}
	before := held()
	for i := range 200 {
		b.post(token1, fmt.Sprintf(`{"samples":[],"kept":{"device_id":"made-up-%d","hours":[[%d,%d]]}}`, i, h, i+1), "Prefer", wire.Lenient)
	}
	after := held()
	if n := len(b.compares.of); n > 1 || after.HeapObjects > before.HeapObjects+2000 {
		t.Errorf("%d devices are remembered, one is in the token; %d objects, %d before", n, after.HeapObjects, before.HeapObjects)
	}
	full := &wire.Kept{DeviceID: "inv-1"}
	for i := range wire.MaxKeptHours {
		full.Hours = append(full.Hours, [2]int64{h + int64(i-wire.MaxKeptHours+1)*hour, int64(store.MostInSpan*12 - i%2)})
	}
	if got := b.fromEdge(token1, full).Missing; len(got) != 1 || got[0][1]-got[0][0] != wire.MaxKeptHours*hour {
		t.Errorf("missing of all: %v", got)
	}
}

// While the store is away nothing is said of what is missing: the edge asks again.
func TestComparisonWhileTheStoreIsAway(t *testing.T) {
	b := newBench(t)
	body, _ := json.Marshal(wire.Batch{Samples: []wire.Sample{}, Kept: keptOf([2]int{3, 1})})
	away(b)
	if w := b.post(token1, string(body), "Prefer", wire.Lenient); w.Code != 503 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if b.Store = b.bolt; !b.fromEdge(token1, nil).Compare {
		t.Error("what failed counts as compared")
	}
}

// BenchmarkCompare is what an edge's list of a week costs a server.
func BenchmarkCompare(b *testing.B) {
	s := newBench(b)
	kept := keptOf()
	for i := range 168 {
		s.ingested(samplesOf(hoursAgo(168-i), 360)...)
		kept.Hours = append(kept.Hours, [2]int64{hoursAgo(168 - i).UnixMilli(), 360})
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := s.fromEdge(token1, kept); got.Missing != nil {
			b.Fatal(got.Missing)
		}
	}
}
