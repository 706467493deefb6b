package clock

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/spool"
)

// A host without any clock takes the time of our server from the second of two prompt answers that agree.
func TestOneDateAloneSetsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		answers func(w *world)
		set     bool
	}{
		"one":                          {func(w *world) { w.answer(0, 0) }, false},
		"two":                          {func(w *world) { w.answer(0, 0); w.answer(0, 0) }, true},
		"two that took 2 s":            {func(w *world) { w.answer(0, 2*time.Second); w.answer(0, 2*time.Second) }, true},
		"two that took longer":         {func(w *world) { w.answer(0, 2100*time.Millisecond); w.answer(0, 2100*time.Millisecond) }, false},
		"two that took 9 s":            {func(w *world) { w.answer(-9*time.Second, 9*time.Second); w.answer(-9*time.Second, 9*time.Second) }, false},
		"a slow one between":           {func(w *world) { w.answer(0, 0); w.answer(-time.Hour, 5*time.Second); w.answer(0, 0) }, true},
		"a stale one, then a true one": {func(w *world) { w.answer(-time.Hour, 0); w.answer(0, 0) }, false},
		"a stale one, then two true":   {func(w *world) { w.answer(-time.Hour, 0); w.answer(0, 0); w.answer(0, 0) }, true},
		"two servers that differ":      {func(w *world) { w.answer(0, 0); w.answer(time.Minute, 0); w.answer(0, 0); w.answer(time.Minute, 0) }, false},
		"the same Date from a cache": {func(w *world) {
			w.answer(-time.Minute, 0)
			w.truth = w.truth.Add(10 * time.Second)
			w.answer(-70*time.Second, 0)
		}, false},
		"answers an hour from the other": {func(w *world) { w.answer(0, 0); w.truth = w.truth.Add(time.Hour); w.answer(0, 0) }, true},
	} {
		w := newWorld(t)
		w.boot(-year, false)
		w.polls(3)
		c.answers(w)
		w.polls(1)
		if set := w.spool.Undated() == 0; set != c.set {
			t.Errorf("%s: the time is known: %v", name, set)
		}
		if _, off := w.all(); c.set && (len(off) == 0 || off[0].Abs() > 2500*time.Millisecond) {
			t.Errorf("%s: the samples are off by %v", name, off)
		}
	}
}

// A clock that is known, by our server or by a time server, is not stepped by one answer that is stale or wrong.
func TestOneWrongDateStepsNoClock(t *testing.T) {
	for _, off := range []time.Duration{-24 * time.Hour, -time.Minute, -5 * time.Second, time.Minute, time.Hour} {
		w := newWorld(t)
		w.boot(-year, false)
		w.hear(0, 0)
		w.polls(1)
		for range 5 {
			w.answer(off, 0)
			w.polls(5)
			w.answer(0, 0)
			w.polls(5)
		}
		w.right(51, spool.ByServer, 1100*time.Millisecond)
		if err := w.clock.Check(); err != nil {
			t.Errorf("one answer that is off by %v disputes the clock: %v", off, err)
		}
	}
}

// The Date of any answer of our server counts, but not one that a cache has kept for some time.
func TestDateOfAnyPromptAnswerCounts(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*http.Response)
		taken  bool
	}{
		"a receipt":                     {func(*http.Response) {}, true},
		"a server that is busy":         {func(r *http.Response) { r.StatusCode = 503 }, true},
		"a token that is refused":       {func(r *http.Response) { r.StatusCode = 401 }, true},
		"not found, as behind a proxy":  {func(r *http.Response) { r.StatusCode = 404 }, true},
		"through a cache, not kept":     {func(r *http.Response) { r.Header.Set("Age", "0") }, true},
		"kept by a cache":               {func(r *http.Response) { r.Header.Set("Age", "1") }, false},
		"kept by one of two caches":     {func(r *http.Response) { r.Header["Age"] = []string{"0", "40"} }, false},
		"kept by a cache of long lists": {func(r *http.Response) { r.Header.Set("Age", "0, 40") }, false},
	} {
		w := newWorld(t)
		w.boot(-year, false)
		for range 2 {
			a := verified(w.truth)
			c.change(a)
			w.clock.Observe(a, w.clock.Host.Up())
		}
		w.polls(1)
		if taken := w.spool.Undated() == 0; taken != c.taken {
			t.Errorf("%s: the Date is taken: %v", name, taken)
		}
	}
}

// What a connection takes to be made is no part of an answer: over a slow line the Date of the first one counts, too.
func TestTimeToConnectDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		clock := &Clock{Host: Host{Up: func() time.Duration { return time.Since(begun) }}}
		ours, theirs := net.Pipe()
		var server sync.WaitGroup
		server.Go(func() {
			buffer := make([]byte, 4096)
			theirs.Read(buffer)
			time.Sleep(time.Second)
			io.WriteString(theirs, "HTTP/1.1 204 No Content\r\n\r\n")
		})
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(9 * time.Second)
			return ours, nil
		}}
		ctx, asked := clock.TraceStart(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vps/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transport.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if got := clock.Host.Up() - asked(); got != time.Second {
			t.Errorf("the answer is taken to have taken %v", got)
		}
		transport.CloseIdleConnections()
		theirs.Close()
		server.Wait()
	})
}
