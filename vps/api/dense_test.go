package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sunspool/vps/store"
	"sunspool/wire"
)

// denseBody is samples of inv-1, ms milliseconds after the start of five minutes.
func denseBody(ms ...int) string {
	start := testNow.Add(-time.Hour).Truncate(5 * time.Minute)
	var all []map[string]any
	for _, m := range ms {
		all = append(all, with(fields(0), "ts", start.Add(time.Duration(m)*time.Millisecond).Format(time.RFC3339Nano)))
	}
	return bodyOf(all...)
}

// every returns the numbers from one to another.
func every(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

// TestFiveMinutesMayBeFull of what a device sent. That is a verdict on the samples that are more, and no fault of the store.
func TestFiveMinutesMayBeFull(t *testing.T) {
	b := newBench(t)
	for from := 0; from < store.MostInSpan-10; from += 598 {
		if w := b.post(token1, denseBody(every(from, min(from+598, store.MostInSpan-10))...)); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	next := 300_000 // of the next five minutes
	body := denseBody(append(every(5000, 5012), 7, next)...)

	w := b.post(token1, body)
	if w.Code != 422 || !strings.Contains(w.Body.String(), `"code":"too_dense"`) ||
		!strings.Contains(w.Body.String(), `["samples",10,"ts"]`) || strings.Contains(w.Body.String(), `["samples",9,"ts"]`) {
		t.Fatalf("strict: %d %s", w.Code, w.Body)
	}
	if n := b.stored("inv-1"); n != store.MostInSpan-10 {
		t.Fatalf("%d samples are stored: some of a batch that was refused", n)
	}

	lenient := strings.Replace(body, `{"samples":[`, `{"batch_id":"b7","samples":[{"device_id":"inv-1","ts":"never"},`, 1)
	w = b.post(token1, lenient, "Prefer", wire.Lenient)
	r := decodeJSON[wire.Receipt](t, w)
	if w.Code != 200 || r.Inserted != 11 || *r.Accepted != 11 || *r.Duplicates != 1 || r.BatchID != "b7" || len(r.Rejected) != 3 {
		t.Fatalf("lenient: %d %s", w.Code, w.Body)
	}
	for i, want := range []wire.Rejection{{Index: 0, Code: "datetime_parsing"}, {Index: 11, Code: wire.CodeTooDense}, {Index: 12, Code: wire.CodeTooDense}} {
		if got := r.Rejected[i]; got.Index != want.Index || got.Code != want.Code || got.Detail == "" {
			t.Errorf("verdict %d: %+v, want %+v", i, got, want)
		}
	}

	w = b.post(token1, denseBody(append(every(8000, 8003), every(0, 20)...)...), "Prefer", wire.Lenient) // some are stored
	if r := decodeJSON[wire.Receipt](t, w); w.Code != 200 || *r.Duplicates != 20 || len(r.Rejected) != 3 || r.Inserted != 0 {
		t.Errorf("again: %d %s", w.Code, w.Body)
	}
	if w := b.post(token1, denseBody(every(5000, 5010)...)); w.Code != 200 || w.Body.String() != `{"inserted":0}` {
		t.Errorf("what is stored, sent again: %d %s", w.Code, w.Body)
	}
	if w := b.post(token1, denseBody(9000, 9001, 9000), "Prefer", wire.Lenient); len(decodeJSON[wire.Receipt](t, w).Rejected) != 3 {
		t.Errorf("twice in a batch: %d %s", w.Code, w.Body)
	}
	if n := b.stored("inv-1"); n != store.MostInSpan+1 {
		t.Errorf("%d samples are stored", n)
	}
	for code, want := range map[string]int{wire.CodeTooDense: 2 + 3 + 3, "datetime_parsing": 1} {
		if line := fmt.Sprintf("sunspool_samples_rejected_total{code=%q} %d\n", code, want); !strings.Contains(scrape(b), line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	if w := b.get("/ready", ""); w.Code != 200 {
		t.Errorf("/ready: %d %s", w.Code, w.Body)
	}
	if strings.Contains(b.log.String(), "store_unavailable") || strings.Contains(scrape(b), `outcome="error",op="insert"`) {
		t.Error("it is taken for a fault of the store")
	}
}

func scrape(b *bench) string { return do(b.Internal(), "GET", "/metrics", "", nil).Body.String() }
