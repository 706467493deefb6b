package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/vps/store"
	"sunspool/wire"
)

// partlyAway is a store that some devices cannot be stored in, as when a machine of a cluster is away.
type partlyAway struct {
	store.Samples
	away  map[string]bool
	probe error
	kind  error
}

func (s partlyAway) Insert(ctx context.Context, device string, samples []wire.Sample) (int, error) {
	if s.away[device] {
		return 0, fmt.Errorf("%w: %w: its machine is away", s.kind, store.ErrUnavailable)
	}
	return s.Samples.Insert(ctx, device, samples)
}

func (s partlyAway) Check(ctx context.Context) error {
	if s.probe != nil {
		return s.probe
	}
	return s.Samples.Check(ctx)
}

// A balancer takes away a server that is not ready, and with it the devices that are stored.
func TestReadyWhileSomeInsertsSucceed(t *testing.T) {
	now := testNow
	partly := partlyAway{away: map[string]bool{"inv-2": true}, kind: store.ErrPartly}
	b := newBench(t, func(s *Server) {
		s.Now = func() time.Time { return now }
		partly.Samples = s.Store
		s.Store = partly
	})
	n := 0
	insert := func(token string, want int) {
		t.Helper()
		n++
		device := map[string]string{token1: "inv-1", token2: "inv-2"}[token]
		if w := b.post(token, bodyOf(with(fields(time.Duration(n)*time.Second), "device_id", device))); w.Code != want {
			t.Fatalf("%s: %d %s", device, w.Code, w.Body)
		}
	}
	ready := func(what string, want int) {
		t.Helper()
		if w := b.get("/ready", ""); w.Code != want {
			t.Errorf("%s, at %v: ready is %d, want %d", what, now.Sub(testNow), w.Code, want)
		}
	}
	insert(token1, 200)
	for range 30 {
		now = now.Add(time.Second)
		insert(token1, 200)
		ready("one was stored", 200)
		insert(token2, 503)
		ready("one was stored just before", 200)
	}
	if n := strings.Count(b.log.String(), "store_partly_unavailable"); n != 1 {
		t.Errorf("the log has it %d times that some samples are not stored", n)
	}
	for range 5 { // now the other one is away too
		now = now.Add(time.Second)
		partly.away = map[string]bool{"inv-1": true, "inv-2": true}
		partly.probe = errDisk
		b.Store = partly
		insert(token1, 503)
		ready("all fail, and so does a probe", 503)
	}
	now = now.Add(time.Hour)
	partly.probe, partly.kind = nil, store.ErrUnavailable // of all, such as a full disk, where a small batch may fit
	partly.away = map[string]bool{"inv-2": true}
	b.Store = partly
	insert(token1, 200)
	insert(token2, 503)
	ready("a failure that is of all", 503)
	now = now.Add(time.Hour)
	partly.kind = store.ErrPartly
	b.Store = partly
	insert(token2, 503)
	ready("all fail, though a probe does not", 503)
}

// A database that refuses a statement is not away: it comes back by nothing but what the log says.
func TestUnfitStoreIsNoOutage(t *testing.T) {
	fault := &health.Fault{Code: "database_unfit", What: "PostgreSQL refuses a statement", Why: "no such column", Next: "undo what was changed"}
	b := newBench(t, func(s *Server) {
		s.Store = brokenStore{Samples: s.Store, err: fmt.Errorf("%w: insert: %w", store.ErrUnfit, fault)}
	})
	w := b.post(token1, bodyOf(fields(0)))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "60" || !strings.Contains(w.Body.String(), `"store_unfit"`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if log := b.log.String(); !strings.Contains(log, "database_unfit") || !strings.Contains(log, "undo what was changed") || strings.Contains(log, "samples cannot be stored") {
		t.Errorf("the log: %s", log)
	}
	if w := b.get("/ready", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("ready is %d", w.Code)
	}
}
