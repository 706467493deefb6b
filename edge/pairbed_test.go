package edge

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sunspool/edge/config"
	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/simulator"
	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
	"sunspool/settings"
	"sunspool/wire"
)

// pairBed is two inverters behind one dongle, a hybrid as unit 1 and a string inverter as unit 2, the edges that read
// them, and a server that stores by device. All of it is in virtual time.
type pairBed struct {
	*invertertest.Bed
	dir   string
	pollS float64
	edges []*Edge
	stop  func()
	ended chan error

	mu     sync.Mutex
	made   map[string]map[time.Time]wire.Sample // durable in a spool, by the device id of its edge
	stored map[string]map[time.Time]wire.Sample // by the device id of the sample
	cut    bool                                 // the network
}

var daylight = time.Date(2026, 6, 21, 8, 0, 0, 0, time.UTC)

func newPairBed(t *testing.T, dir string) *pairBed {
	t.Helper()
	time.Sleep(time.Until(daylight))
	home := func(model string, seed uint64) *simulator.Home {
		home, err := simulator.NewHome(simulator.HomeOptions{Model: model, Seed: seed, Since: daylight.AddDate(0, 0, -2)})
		if err != nil {
			t.Fatal(err)
		}
		return home
	}
	sim, err := simulator.New(simulator.Options{Home: home("SH10RT", 1), Others: []simulator.Unit{{ID: 2, Home: home("SG5.0RS", 2)}}})
	if err != nil {
		t.Fatal(err)
	}
	return &pairBed{Bed: &invertertest.Bed{T: t, Sim: sim}, dir: dir, pollS: 5,
		made: make(map[string]map[time.Time]wire.Sample), stored: make(map[string]map[time.Time]wire.Sample)}
}

// open makes the edges of a new process, which do not run yet.
func (b *pairBed) open() { b.openWith(b.settings()) }

// settings are those of an edge for both inverters.
func (b *pairBed) settings() config.Config {
	return config.Config{Host: "dongle", Port: 502, Units: "1,2", DeviceID: "roof,garage", PollS: b.pollS, GapMS: 20, URL: "https://vps.example.org",
		Token: settings.Secret("roof-0123456789abcdef,garage-0123456789abcdef"), BatchSize: 30, UploadS: 10, MaxBackoffS: 60, ClockTrust: config.ClockAlways, RawDebugEach: 60,
		SpoolPath: filepath.Join(b.dir, "spool.db")}
}

func (b *pairBed) openWith(c config.Config) {
	b.T.Helper()
	if err := c.Validate(); err != nil {
		b.T.Fatal(err)
	}
	each, _ := c.PerInverter()
	var err error
	if b.edges, err = newEdges(each, "test", slog.New(slog.DiscardHandler)); err != nil {
		b.T.Fatal(err)
	}
	pulses := new(health.Pulses)
	for _, e := range b.edges {
		e.Pulses = pulses
		e.Inverter.Dongle.Link.Dial = b.Dial
		e.Pace.Up = func() time.Duration { return time.Since(daylight.AddDate(0, 0, -1)) }
		e.Clock.Host.Up = e.Pace.Up
		e.Uploader.Client.Transport = uploadtest.Tripper(b.take)
		e.Kept = func(s wire.Sample) { b.note(b.made, e.DeviceID, s) }
	}
}

// start runs them.
func (b *pairBed) start() { b.startWith(b.settings()) }

func (b *pairBed) startWith(c config.Config) {
	b.T.Helper()
	b.openWith(c)
	b.run()
}

// run runs the edges that are open.
func (b *pairBed) run() {
	ctx, cancel := context.WithCancel(b.T.Context())
	b.stop, b.ended = cancel, make(chan error, 1)
	go func(edges []*Edge, ended chan error) { ended <- runAll(ctx, edges) }(b.edges, b.ended)
}

// end ends the process as it was told to.
func (b *pairBed) end() {
	b.T.Helper()
	b.stop()
	if err := <-b.ended; err != nil {
		b.T.Error(err)
	}
	for _, e := range b.edges {
		e.Spool.Close()
	}
}

// crash ends it as a power cut does: nothing that it still wants to write or to send happens.
func (b *pairBed) crash() {
	for _, e := range b.edges {
		e.Spool.Close()
	}
	b.stop()
	<-b.ended
}

func (b *pairBed) note(where map[string]map[time.Time]wire.Sample, device string, s wire.Sample) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if where[device] == nil {
		where[device] = make(map[time.Time]wire.Sample)
	}
	where[device][s.Time] = s
}

// count returns how many samples of a device are in where.
func (b *pairBed) count(where map[string]map[time.Time]wire.Sample, device string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(where[device])
}

// take is the network and the server, for which a token is good for one device.
func (b *pairBed) take(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	cut := b.cut
	b.mu.Unlock()
	if cut {
		return nil, errors.New("the network is cut")
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	var batch wire.Batch
	if err := json.NewDecoder(z).Decode(&batch); err != nil {
		return nil, err
	}
	for _, s := range batch.Samples {
		if r.Header.Get("Authorization") != "Bearer "+s.DeviceID+"-0123456789abcdef" {
			b.T.Errorf("a sample of %s came with the token of another", s.DeviceID)
		}
		b.note(b.stored, s.DeviceID, s)
	}
	n := len(batch.Samples)
	receipt, _ := json.Marshal(wire.Receipt{Inserted: n, Accepted: new(n), Duplicates: new(0), BatchID: batch.ID})
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(receipt))), Request: r}, nil
}

// complete complains unless the server has what was made, each sample under its own device and of its own inverter.
func (b *pairBed) complete() {
	b.T.Helper()
	for _, device := range []string{"roof", "garage"} {
		made, stored, hybrid := b.made[device], b.stored[device], 0
		if len(made) != len(stored) {
			b.T.Errorf("%s: %d samples made, %d stored", device, len(made), len(stored))
		}
		for at, s := range made {
			if got, ok := stored[at]; !ok || !got.Equal(&s) {
				b.T.Fatalf("%s: the sample of %v is stored as %+v, %v", device, at, got, ok)
			}
			if s.DeviceID != device {
				b.T.Fatalf("%s has a sample of %s", device, s.DeviceID)
			}
			if s.BatterySOCPct != nil {
				hybrid++
			}
		}
		if device == "garage" && hybrid > 0 || device == "roof" && hybrid < len(made)/2 {
			b.T.Errorf("%d of %d samples of %s are those of a hybrid", hybrid, len(made), device)
		}
	}
	if len(b.stored) > 2 {
		b.T.Errorf("%d devices", len(b.stored))
	}
}
