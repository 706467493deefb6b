package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sunspool/edge"
	"sunspool/edge/clock"
	"sunspool/edge/config"
	"sunspool/edge/simulator"
	"sunspool/edge/spool"
	"sunspool/settings"
	"sunspool/vps/api"
	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

// bed is the whole chain in virtual time: the real edge with a real spool, the real handlers on a real store, and pipes
// in place of wires. Its faults are set from outside; what it must keep is checked at the end.
type bed struct {
	t        *testing.T
	dir      string
	pollS    float64
	uploadS  float64
	commitS  float64      // SPOOL_COMMIT_INTERVAL_S of the edges that are started
	keepDays int          // KEEP_DELIVERED_DAYS of them
	log      *slog.Logger // of the edge
	inverter *simulator.Server
	link     http.RoundTripper                 // from the edge to the vps; the bed itself unless changed
	wrap     func(store.Samples) store.Samples // what stands before the store; may be nil
	tap      func(net.Conn) net.Conn           // what stands before the dongle; may be nil
	kept     func(wire.Sample)                 // told of each sample in made; may be nil
	rawEach  int                               // as edge.Edge.RawEach

	mu      sync.Mutex
	cut     bool         // the network between edge and vps
	lose    float64      // part of the answers that are lost after the server has acted
	api     http.Handler // nil while the server is down
	rng     *rand.Rand
	made    []wire.Sample // durable in the spool
	retries int           // answers lost
	disk    *bolt.Store
	host    *clock.Host // a clock that is not to be believed; nil for the bubble's
	dates   bool        // answers have a date and a connection that was verified, as in earnest
	edge    *edge.Edge
	tamper  func(*edge.Edge)  // changes an edge before it runs; may be nil
	why     []spool.Rejection // what is in quarantine, when the edge was stopped
	stopped chan struct{}     // closed when the edge has ended
	cancel  context.CancelFunc
}

// epoch is when the tests play: a bubble's clock starts in 2000, before any inverter.
var epoch = time.Date(2026, 6, 21, 10, 0, 0, 0, time.UTC)

func newBed(t *testing.T) *bed { return newBedOf(t, "SH10RT") }

func newBedOf(t *testing.T, model string) *bed {
	t.Helper()
	time.Sleep(time.Until(epoch))
	home, err := simulator.NewHome(simulator.HomeOptions{Model: model, Seed: 1, Since: epoch.AddDate(0, 0, -2)})
	if err != nil {
		t.Fatal(err)
	}
	inverter, err := simulator.New(simulator.Options{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, dir: tempDir(t), pollS: 5, uploadS: 10, inverter: inverter, log: slog.New(slog.DiscardHandler), rng: rand.New(rand.NewPCG(1, 1))}
	b.link = b
	return b
}

// begin starts the server, then the edge.
func (b *bed) begin() *bed {
	b.t.Helper()
	b.startServer()
	b.startEdge()
	return b
}

// tempDir is a directory in memory where there is one: a flush of it costs nothing, and nobody pulls the plug here.
func tempDir(t *testing.T) string {
	t.Helper()
	const memory = "/dev/shm"
	dir, err := os.MkdirTemp(memory, "sunspool-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (b *bed) startServer() {
	b.t.Helper()
	disk, err := bolt.Open(filepath.Join(b.dir, "vps.db"))
	if err != nil {
		b.t.Fatal(err)
	}
	tokens, err := auth.ParseTokens("t0ken-0123456789abcdef:roof", "")
	if err != nil {
		b.t.Fatal(err)
	}
	var samples store.Samples = disk
	if b.wrap != nil {
		samples = b.wrap(disk)
	}
	server := &api.Server{Gate: request.Gate{Tokens: tokens, Log: slog.New(slog.DiscardHandler)}, Devices: deviceinfo.Devices{Store: store.NewCached(samples, 5*time.Second)}}
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

// crashEdge ends the edge as a power cut does: nothing that it still wants to write or to send happens.
func (b *bed) crashEdge() {
	b.edge.Spool.Close() // every commit is on the disk already, so there is nothing else to lose with the handle
	b.cancel()
	<-b.stopped
}

func (b *bed) startEdge() {
	b.t.Helper()
	e, err := edge.New(config.Config{
		Host: "dongle", Port: 502, Unit: 1, PollS: b.pollS, GapMS: 20, URL: "https://vps.example.org", Token: settings.Secret("t0ken-0123456789abcdef"),
		DeviceID: "roof", BatchSize: 30, UploadS: b.uploadS, MaxBackoffS: 300, ClockTrust: "always", CommitS: b.commitS, KeepDays: b.keepDays,
		SpoolPath: filepath.Join(b.dir, "spool.db"),
	}, "test", b.log)
	if err != nil {
		b.t.Fatal(err)
	}
	// The host's own uptime goes on while the bubble's time stands still: across a restart it would shorten the pace, and what
	// passes of it between two looks at it would make a sample older than it is.
	e.Pace.Up = func() time.Duration { return time.Since(epoch.AddDate(0, 0, -1)) }
	e.Clock.Host.Up = e.Pace.Up
	if b.host != nil {
		e.Clock.Trust, e.Clock.Host = false, *b.host
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	e.Inverter.Dongle.Link.Dial = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go b.inverter.ServeConn(b.t.Context(), theirs)
		if b.tap != nil {
			ours = b.tap(ours)
		}
		return ours, nil
	}
	e.Uploader.Client.Transport, e.RawEach = b.link, b.rawEach
	e.Kept = func(s wire.Sample) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.made = append(b.made, s)
		if b.kept != nil {
			b.kept(s)
		}
	}
	if b.tamper != nil {
		b.tamper(e)
	}
	b.set(func() { b.edge, b.cancel, b.stopped = e, cancel, make(chan struct{}) })
	go func(stopped chan struct{}) {
		defer close(stopped)
		e.Run(ctx)
	}(b.stopped)
}

func (b *bed) stopEdge() {
	b.cancel()
	<-b.stopped
	_, b.why, _ = b.edge.Spool.Quarantined()
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
	resp := carry(api, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if lost {
		b.mu.Lock()
		b.retries++
		b.mu.Unlock()
		return nil, io.ErrUnexpectedEOF
	}
	if b.dates {
		date(resp)
	}
	return resp, nil
}

// date puts into resp by what an edge without a clock learns the time.
func date(resp *http.Response) {
	resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	resp.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{}}}
}

// carry takes a request to the handlers and brings the answer back.
func carry(api http.Handler, r *http.Request) *http.Response {
	w := &recorder{header: make(http.Header), status: 200}
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "192.0.2.1:1234"
	api.ServeHTTP(w, in)
	return w.response(r)
}

func (b *bed) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// check holds what was made against what is stored: the same samples, each once.
func (b *bed) check() {
	b.t.Helper()
	for _, problem := range b.problems() {
		b.t.Error(problem)
	}
}

// problems is what is wrong at the end.
func (b *bed) problems() (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if n := b.edge.Spool.Waiting(); n != 0 {
		say("%d samples still wait: %s", n, b.edge.Report.Status())
	}
	if n := b.edge.Spool.InQuarantine(); n != 0 {
		say("%d samples are in quarantine: %v", n, b.why)
	}
	if err := stored(b.t.Context(), b.disk, "roof", b.made); err != nil {
		say("%v", err)
	}
	a := b.inverter.Audit()
	switch {
	case a.MaxOpen > 1, a.PollGap.Least < 5*time.Second, // a poll whose connection had died idle begins again a.RequestGap.Least < 20*time.Millisecond,
		a.ConnectGap.Count > 0 && a.ConnectGap.Least < 5*time.Second:
		say("the dongle was treated badly: %+v", a)
	}
	return all
}

// stored is an error unless the store has exactly these samples of the device.
func stored(ctx context.Context, disk *bolt.Store, device string, made []wire.Sample) error {
	rows := 0
	periods, err := disk.Periods(ctx, store.Query{Device: device, Resolution: store.Quarter})
	if err != nil {
		return err
	}
	for _, p := range periods {
		rows += int(p.Count)
	}
	missing, err := disk.Insert(ctx, device, made) // what is there already is not inserted again
	if err != nil {
		return err
	}
	if rows != len(made) || missing != 0 {
		return fmt.Errorf("%d samples made, %d rows stored, %d of them missing", len(made), rows, missing)
	}
	if n := disk.Conflicts(); n != 0 {
		return fmt.Errorf("%d rows are not what was made", n)
	}
	return nil
}
