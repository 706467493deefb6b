package vps

import (
	"context"
	"crypto/sha256"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/wire"
)

// take takes n of the slots for a token, whatever is its share.
func take(p *slots, token string, n int) (all []*slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		all = append(all, p.hold(sha256.Sum256([]byte(token))))
	}
	return all
}

func sum(token string) tokenSum { return sha256.Sum256([]byte(token)) }

// A token waits for slots of its own beyond its share, not so long that its caller gives up, and few of its requests do.
func TestTokenHasNoMoreThanItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlots(8, 2, 1)
		first, second := p.take(t.Context(), sum("a")), p.take(t.Context(), sum("a"))
		third := make(chan *slot, 1)
		began := time.Now()
		go func() { third <- p.take(t.Context(), sum("a")) }()
		synctest.Wait()
		if p.take(t.Context(), sum("a")) != nil || time.Since(began) > 0 {
			t.Errorf("a fourth one waits, too, for %v", time.Since(began))
		}
		if p.take(t.Context(), sum("b")) == nil || time.Since(began) > 0 {
			t.Error("another token waits")
		}
		if got := <-third; got != nil || time.Since(began) != slotPatience {
			t.Errorf("the third one got %v after %v", got, time.Since(began))
		}
		go func() { third <- p.take(t.Context(), sum("a")) }()
		synctest.Wait()
		first.leave()
		first.leave() // again is without effect
		got := <-third
		if got == nil || p.taken() != 3 || !p.full(sum("a")) {
			t.Errorf("after one left: %v, %d taken", got, p.taken())
		}
		got.leave()
		second.leave()
	})
}

// What becomes free goes to the token that has least, not to the one that waits longest.
func TestSlotGoesToTheTokenThatHasLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlots(5, 5, 4)
		held := append(take(p, "a", 4), take(p, "b", 1)...)
		order := make(chan string, 3)
		for _, name := range []string{"a", "b", "c"} {
			go func() {
				if p.take(t.Context(), sum(name)) != nil {
					order <- name
				}
			}()
			synctest.Wait()
		}
		for _, want := range []string{"c", "b"} {
			held[0].leave()
			held = held[1:]
			synctest.Wait()
			if len(order) != 1 {
				t.Fatalf("%d got one", len(order))
			}
			if got := <-order; got != want {
				t.Errorf("%s got it, want %s", got, want)
			}
		}
		time.Sleep(slotPatience)
		synctest.Wait()
		if n := len(p.waiting); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

// Of tokens that have as many, the one that was served longest ago is next, however many requests of another wait.
func TestSlotsGoRoundTheTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlots(1, 1, 8)
		first := p.take(t.Context(), sum("a"))
		order := make(chan string, 8)
		for _, name := range []string{"a", "a", "a", "b", "b", "c"} {
			go func() {
				l := p.take(t.Context(), sum(name))
				order <- name
				time.Sleep(time.Millisecond)
				l.leave()
			}()
			synctest.Wait()
		}
		first.leave()
		time.Sleep(time.Second)
		var got strings.Builder
		for range 6 {
			got.WriteString(<-order)
		}
		synctest.Wait() // the last one has left
		if got.String() != "abcaba" && got.String() != "abcbaa" {
			t.Errorf("they were served as %s", got.String())
		}
		if len(p.last) > 0 {
			t.Errorf("%d tokens are remembered", len(p.last))
		}
	})
}

// One that waits gets a slot of the token that has most as soon as that can be ended, one of a token that has as little as
// itself only when that has taken long, and none that cannot be ended.
func TestTokenThatHasMostMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newSlots(4, 4, 4)
		ended := make(chan string, 10)
		held := map[string][]*slot{"a": take(p, "a", 1), "b": take(p, "b", 2), "c": take(p, "c", 1)}
		may := func(name string, i int) {
			l := held[name][i]
			l.mayEnd(func() { ended <- name; go l.leave() })
		}
		may("a", 0)
		time.Sleep(slotGrace / 2)
		may("b", 1)
		began := time.Now()
		if p.take(t.Context(), sum("d")) == nil || time.Since(began) > 0 || <-ended != "b" {
			t.Errorf("waited %v for what could be ended", time.Since(began))
		}
		if p.take(t.Context(), sum("e")) == nil || time.Since(began) < slotGrace/2 || time.Since(began) > slotGrace || <-ended != "a" {
			t.Errorf("waited %v for what took long", time.Since(began))
		}
		if p.take(t.Context(), sum("f")) != nil || time.Since(began) < slotPatience {
			t.Error("got what cannot be ended")
		}
		if p.take(t.Context(), sum("d")) != nil {
			t.Error("got one although nobody has more")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if p.take(ctx, sum("g")) != nil || len(p.waiting) != 0 || len(ended) != 0 {
			t.Errorf("%d wait, %d ended", len(p.waiting), len(ended))
		}
	})
}

// Few answers of many rows are computed at a time, one of a token; those that wait are asked to come again, and so is the
// reader whose answer another token waits for. Answers of few rows wait for none of them.
func TestLargeReadsLeaveRoomForSmallOnes(t *testing.T) {
	b := newBench(t)
	b.ingested(sample(0))
	b.large.patience = 0
	others := take(b.large, "others", b.large.most)
	const large, small = "/v1/series?device_id=inv-1&resolution=5m&from=2026-06-10&to=2026-06-20", "/v1/series?device_id=inv-1&resolution=1h&from=2026-06-20"
	if w := b.get(large, token1); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("a large one: %d %s", w.Code, w.Body)
	}
	if w := b.get(small, token1); w.Code != 200 {
		t.Errorf("a small one: %d %s", w.Code, w.Body)
	}
	others[0].leave()
	if w := b.get(large, token1); w.Code != 200 {
		t.Errorf("with room: %d %s", w.Code, w.Body)
	}
	if b.large.taken() != b.large.most-1 || b.places.taken() != 0 {
		t.Errorf("%d and %d are taken afterwards", b.large.taken(), b.places.taken())
	}
}

// Few bodies that are large are in memory at a time; one that waits for its turn leaves its place to whoever has less.
func TestLargeUploadsLeaveRoomForSmallOnes(t *testing.T) {
	b := newBench(t, func(s *Server) { s.MaxAtOnce = 8 })
	batch := func(n int, device string) string {
		all := make([]wire.Sample, n)
		for i := range all {
			all[i] = sample(time.Duration(i) * time.Second)
			all[i].DeviceID = device
		}
		return string(toJSON(wire.Batch{Samples: all}))
	}
	large, small := batch(500, "inv-1"), batch(5, "inv-2")
	if len(large) <= smallBody {
		t.Fatalf("%d bytes are not large", len(large))
	}
	if w := b.post(token1, large); w.Code != 200 || b.bulky.taken() != 0 {
		t.Fatalf("%d %s, %d are taken", w.Code, w.Body, b.bulky.taken())
	}
	b.bulky.patience = time.Hour
	others := take(b.bulky, "others", b.bulky.most)
	answers := make(chan *httptest.ResponseRecorder, 2)
	for range 2 {
		go func() { answers <- b.post(token1, large) }()
	}
	testservices.Await(t, "both wait", func() bool { return b.uploads.taken() == 2 && waits(b.bulky) })
	take(b.uploads, "others", 6)
	if w := b.post(token2, small); w.Code != 200 {
		t.Errorf("a small one: %d %s", w.Code, w.Body)
	}
	if w := <-answers; w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("the one that made room: %d %s", w.Code, w.Body)
	}
	others[0].leave()
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
	large := string(toJSON(wire.Batch{Samples: all}))
	b.reading.patience, b.decoding.patience = 0, 0

	reads := take(b.reading, "others", b.reading.most)
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
		l.leave()
	}
	take(b.decoding, "others", b.decoding.most)
	if w := b.post(token1, large); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("a large upload: %d %.200s", w.Code, w.Body)
	}
	b.ingested(sample(time.Hour))
}

func waits(p *slots) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting) > 0
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
	asked := make(chan struct{}, 10)
	b := newBench(t, func(s *Server) { s.MaxAtOnce = 8; s.Store = hanging{s.Store, asked} })
	answers := make(chan *httptest.ResponseRecorder, 2)
	for range 2 {
		go func() { answers <- b.get("/v1/realtime?device_id=inv-1", token1) }()
	}
	<-asked
	<-asked
	take(b.places, "others", 6)
	if w := b.get("/v1/series?device_id=inv-2&frame=day", token2); w.Code != 200 {
		t.Errorf("another token's read: %d %s", w.Code, w.Body)
	}
	if w := <-answers; w.Code != 503 || w.Header().Get("Retry-After") != "1" || detail(t, w) != "Too many requests at once." {
		t.Errorf("the one that made room: %d %s", w.Code, w.Body)
	}
	<-answers // by the time that a store has
}
