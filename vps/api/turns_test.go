package api

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/batch"
	"sunspool/vps/fair"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// occupy takes n of the slots for a token, and those beyond its share for others.
func occupy(p *fair.Slots, token string, n int) (all []*fair.Slot) {
	for i := range n {
		owner := auth.SumOf(token)
		if i >= p.Each {
			owner = auth.SumOf(fmt.Sprint(token, " ", i))
		}
		got := p.Take(context.Background(), owner)
		if got == nil {
			panic("there are no more slots")
		}
		all = append(all, got)
	}
	return all
}

// Few answers of many rows are computed at a time, one of a token; those that wait are asked to come again, and so is the
// reader whose answer another token waits for. Answers of few rows wait for none of them.
func TestLargeReadsLeaveRoomForSmallOnes(t *testing.T) {
	b := newBench(t)
	b.ingested(sample(0))
	b.Large.Patience = 0
	others := occupy(b.Large, "others", b.Large.Most)
	const large, small = "/v1/series?device_id=inv-1&resolution=5m&from=2026-06-10&to=2026-06-20", "/v1/series?device_id=inv-1&resolution=1h&from=2026-06-20"
	if w := b.get(large, token1); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("a large one: %d %s", w.Code, w.Body)
	}
	if w := b.get(small, token1); w.Code != 200 {
		t.Errorf("a small one: %d %s", w.Code, w.Body)
	}
	others[0].Release()
	if w := b.get(large, token1); w.Code != 200 {
		t.Errorf("with room: %d %s", w.Code, w.Body)
	}
	if b.Large.Taken() != b.Large.Most-1 || b.Reads.Taken() != 0 {
		t.Errorf("%d and %d are taken afterwards", b.Large.Taken(), b.Reads.Taken())
	}
}

// Few bodies that are large are in memory at a time; one that waits for its turn leaves its place to whoever has less.
func TestLargeUploadsLeaveRoomForSmallOnes(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, _ *pipes, _ func() error) { largeUploads(t, b) }, func(s *Server) { s.MaxAtOnce = 8 })
}

func largeUploads(t *testing.T, b *bench) {
	upload := func(n int, device string) string {
		all := make([]wire.Sample, n)
		for i := range all {
			all[i] = sample(time.Duration(i) * time.Second)
			all[i].DeviceID = device
		}
		return string(request.ToJSON(wire.Batch{Samples: all}))
	}
	large, small := upload(500, "inv-1"), upload(5, "inv-2")
	if len(large) <= batch.SmallBody {
		t.Fatalf("%d bytes are not large", len(large))
	}
	if w := b.post(token1, large); w.Code != 200 || b.Bulky.Taken() != 0 {
		t.Fatalf("%d %s, %d are taken", w.Code, w.Body, b.Bulky.Taken())
	}
	b.Bulky.Patience = time.Hour
	others := occupy(b.Bulky, "others", b.Bulky.Most)
	answers := make(chan *httptest.ResponseRecorder, 2)
	for range 2 {
		go func() { answers <- b.post(token1, large) }()
	}
	synctest.Wait() // both wait for their turn
	if n := b.Uploads.Taken(); n != 2 {
		t.Fatalf("%d are on their way", n)
	}
	occupy(b.Uploads, "others", 6)
	if w := b.post(token2, small); w.Code != 200 {
		t.Errorf("a small one: %d %s", w.Code, w.Body)
	}
	if w := <-answers; w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("the one that made room: %d %s", w.Code, w.Body)
	}
	others[0].Release()
	if w := <-answers; w.Code != 200 {
		t.Errorf("the other one, with room: %d %s", w.Code, w.Body)
	}
}

// What takes a processor for long waits for its turn; what is short waits for nobody, and an upload for no read.
func TestLongWorkWaitsForItsTurn(t *testing.T) {
	b := newBench(t)
	all := make([]wire.Sample, 500)
	for i := range all {
		all[i] = sample(time.Duration(i) * time.Second)
	}
	b.ingested(all...)
	large := string(request.ToJSON(wire.Batch{Samples: all}))
	b.Reading.Patience, b.Decoding.Patience = 0, 0

	reads := occupy(b.Reading, "others", b.Reading.Most)
	const week = "&from=2026-06-10&to=2026-06-20"
	for _, target := range []string{"series?resolution=5m" + week, "energy?resolution=hour&from=2026-05-01&to=2026-06-20",
		"series?resolution=raw", "export.csv?resolution=raw", "export.csv?resolution=5m", "continuity?frame=day", "capacity/month/2026-06?"} {
		if w := b.get("/v1/"+target+"&device_id=inv-1", token1); w.Code != 503 {
			t.Errorf("%s: %d %.200s", target, w.Code, w.Body)
		}
	}
	for _, target := range []string{"realtime?", "series?resolution=1h&from=2026-06-20", "energy?frame=day"} {
		if w := b.get("/v1/"+target+"&device_id=inv-1", token1); w.Code != 200 {
			t.Errorf("%s: %d %.200s", target, w.Code, w.Body)
		}
	}
	if w := b.post(token1, large); w.Code != 200 {
		t.Errorf("a large upload beside long reads: %d %.200s", w.Code, w.Body)
	}
	for _, l := range reads {
		l.Release()
	}
	occupy(b.Decoding, "others", b.Decoding.Most)
	if w := b.post(token1, large); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("a large upload: %d %.200s", w.Code, w.Body)
	}
	b.ingested(sample(time.Hour))
}

// hanging is a store in which reads take until their context ends.
type hanging struct {
	store.Samples
	asked chan struct{}
}

func (h hanging) Latest(ctx context.Context, _ string) (wire.Sample, error) {
	h.asked <- struct{}{}
	<-ctx.Done()
	return wire.Sample{}, context.Cause(ctx)
}

// Reads of a token that takes all places are ended for another token's, with an answer that asks them to come again.
func TestReadMakesRoomForAnotherToken(t *testing.T) {
	var asked chan struct{} // of the bubble
	onAir(t, func(t *testing.T, b *bench, _ *pipes, _ func() error) { makeRoom(t, b, asked) }, func(s *Server) {
		asked = make(chan struct{}, 10)
		s.MaxAtOnce, s.Store = 8, hanging{s.Store, asked}
	})
}

func makeRoom(t *testing.T, b *bench, asked <-chan struct{}) {
	answers := make(chan *httptest.ResponseRecorder, 2)
	for range 2 {
		go func() { answers <- b.get("/v1/realtime?device_id=inv-1", token1) }()
	}
	<-asked
	<-asked
	occupy(b.Reads, "others", 6)
	if w := b.get("/v1/series?device_id=inv-2&frame=day", token2); w.Code != 200 {
		t.Errorf("another token's read: %d %s", w.Code, w.Body)
	}
	if w := <-answers; w.Code != 503 || w.Header().Get("Retry-After") != "1" || detail(t, w) != "Too many requests at once." {
		t.Errorf("the one that made room: %d %s", w.Code, w.Body)
	}
	<-answers // by the time that a store has
}
