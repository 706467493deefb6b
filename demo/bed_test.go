package demo

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sunspool/edge"
	"sunspool/edge/simulator"
	"sunspool/settings"
	"sunspool/vps"
	"sunspool/vps/store"
	"sunspool/wire"
)

// bed is the whole chain in virtual time: the real edge with a real spool, the real handlers on a real store, and pipes
// in place of wires. Its faults are set from outside; what it must keep is checked at the end.
type bed struct {
	t        *testing.T
	dir      string
	inverter *simulator.Server

	mu      sync.Mutex
	cut     bool         // the network between edge and vps
	lose    float64      // part of the answers that are lost after the server has acted
	api     http.Handler // nil while the server is down
	rng     *rand.Rand
	made    []wire.Sample // durable in the spool
	retries int           // answers lost
	disk    *store.Bolt
	edge    *edge.Edge
	stopped chan struct{} // closed when the edge has ended
	cancel  context.CancelFunc
}

// epoch is when the tests play: a bubble's clock starts in 2000, before any inverter.
var epoch = time.Date(2026, 6, 21, 10, 0, 0, 0, time.UTC)

// commit is SPOOL_COMMIT_INTERVAL_S of the edges that are started.
var commit float64

func newBed(t *testing.T) *bed {
	t.Helper()
	time.Sleep(time.Until(epoch))
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: epoch.AddDate(0, 0, -2)})
	if err != nil {
		t.Fatal(err)
	}
	inverter, err := simulator.New(simulator.Options{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, dir: t.TempDir(), inverter: inverter, rng: rand.New(rand.NewPCG(1, 1))}
	b.startServer()
	b.startEdge()
	return b
}

func (b *bed) startServer() {
	b.t.Helper()
	disk, err := store.OpenBolt(filepath.Join(b.dir, "vps.db"))
	if err != nil {
		b.t.Fatal(err)
	}
	tokens, err := vps.ParseTokens("t0ken:roof", "")
	if err != nil {
		b.t.Fatal(err)
	}
	server := &vps.Server{Store: store.NewCached(disk, 5*time.Second), Tokens: tokens, Log: slog.New(slog.DiscardHandler)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.disk, b.api = disk, server.Handler()
}

func (b *bed) stopServer() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.api = nil
	b.disk.Close()
}

func (b *bed) startEdge() {
	b.t.Helper()
	e, err := edge.New(edge.Config{
		Host: "dongle", Port: 502, Unit: 1, PollS: 5, GapMS: 20, URL: "https://vps.example.org", Token: settings.Secret("t0ken"),
		DeviceID: "roof", BatchSize: 30, UploadS: 10, MaxBackoffS: 300,
		CommitS: commit, SpoolPath: filepath.Join(b.dir, "spool.db"), HealthPath: filepath.Join(b.dir, "health.json"),
	}, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	e.Inverter.Link.Dial = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go b.inverter.ServeConn(b.t.Context(), theirs)
		return ours, nil
	}
	e.Uploader.Client.Transport = b
	e.Kept = func(s wire.Sample) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.made = append(b.made, s)
	}
	b.edge, b.cancel, b.stopped = e, cancel, make(chan struct{})
	go func() {
		defer close(b.stopped)
		e.Run(ctx)
	}()
}

func (b *bed) stopEdge() {
	b.cancel()
	<-b.stopped
	b.edge.Spool.Close()
}

var errNetwork = errors.New("network is unreachable")

// RoundTrip is the network: it carries a request to the handlers and the answer back, or not.
func (b *bed) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	api, cut, lost := b.api, b.cut, b.rng.Float64() < b.lose
	b.mu.Unlock()
	if cut || api == nil {
		return nil, errNetwork
	}
	w := &recorder{header: make(http.Header), status: 200}
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "192.0.2.1:1234"
	api.ServeHTTP(w, in)
	if lost {
		b.mu.Lock()
		b.retries++
		b.mu.Unlock()
		return nil, io.ErrUnexpectedEOF
	}
	return w.response(r), nil
}

func (b *bed) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// check holds what was made against what is stored: the same samples, each once.
func (b *bed) check() {
	b.t.Helper()
	if n := b.edge.Spool.Waiting(); n != 0 {
		b.t.Errorf("%d samples still wait", n)
	}
	if n := b.edge.Spool.InQuarantine(); n != 0 {
		b.t.Errorf("%d samples are in quarantine", n)
	}
	stored(b.t, b.disk, "roof", b.made)
}

// stored fails unless the store has exactly these samples of the device.
func stored(t *testing.T, disk *store.Bolt, device string, made []wire.Sample) {
	t.Helper()
	rows := 0
	buckets, err := disk.Series(t.Context(), store.Query{Device: device, Resolution: store.Quarter})
	if err != nil {
		t.Fatal(err)
	}
	for _, bucket := range buckets {
		rows += bucket.SampleCount
	}
	missing, err := disk.Insert(t.Context(), device, made) // what is there already is not inserted again
	if err != nil {
		t.Fatal(err)
	}
	if rows != len(made) || missing != 0 {
		t.Errorf("%d samples made, %d rows stored, %d of them missing", len(made), rows, missing)
	}
	if n := disk.Conflicts(); n != 0 {
		t.Errorf("%d rows are not what was made", n)
	}
}
