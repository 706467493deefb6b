package demo

import (
	"context"
	"encoding/json"
	"iter"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/report"
	"sunspool/edge/simulator"
	"sunspool/edge/spool/inspect"
	"sunspool/internal/testservices"
	"sunspool/wire"
)

// spooledBacklog is a spool to copy, and what is in it.
type spooledBacklog struct {
	path    string
	samples iter.Seq[wire.Sample]
	n       int
	home    *simulator.Home
}

func newBacklog(t *testing.T, n int) spooledBacklog {
	t.Helper()
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: time.Now().AddDate(0, 0, -4)})
	if err != nil {
		t.Fatal(err)
	}
	b := spooledBacklog{filepath.Join(t.TempDir(), "spool.db"), backlog(home, pollOnce(t, home).Values, n), n, home}
	fillBacklog(t, b.samples, b.path)
	return b
}

// deliver starts an edge with the backlog and an inverter of its own.
func (s *proxied) deliver(t *testing.T, waiting spooledBacklog) (*process, *simulator.Server) {
	t.Helper()
	text, err := os.ReadFile(waiting.path)
	if err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(s.dir, "roof", "spool.db")
	if err := os.Mkdir(filepath.Dir(spool), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(spool, text, 0o600); err != nil {
		t.Fatal(err)
	}
	sim, modbus := inverter(t, simulator.Options{Home: waiting.home})
	return s.edge("roof", "t0ken-0123456789abcdef", modbus), sim
}

// status is what the edge reports of itself now; ok is false while it does not.
func (s *site) status() (h report.Health, ok bool) {
	socket := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.dir, "roof", "edge.sock"))
	}}}
	resp, err := socket.Get("http://edge/status")
	if err != nil {
		return h, false
	}
	defer resp.Body.Close()
	return h, json.NewDecoder(resp.Body).Decode(&h) == nil
}

// exactlyOnce ends the edge and the vps and compares what was spooled, before and by polls, with what is stored.
func (s *proxied) exactlyOnce(t *testing.T, e *process, sim *simulator.Server, waiting spooledBacklog) {
	t.Helper()
	sim.SetFaults(simulator.Fault{Kind: "off"}) // no more samples
	testservices.Await(t, "the edge has delivered everything", func() bool { h, ok := s.status(); return ok && h.SpoolCount+h.RAMOnly == 0 })
	h, _ := s.status()
	if err := e.end(syscall.SIGTERM); err != nil {
		t.Errorf("told to stop the edge exits with %v", err)
	}
	if err := s.vps.end(syscall.SIGTERM); err != nil {
		t.Errorf("told to stop the vps exits with %v", err)
	}
	live := s.spooled("roof")
	if len(live) == 0 {
		t.Error("the edge polled nothing")
	}
	s.storedOnce(t, "roof", waiting.samples, slices.Values(live))
	if left, err := inspect.CountUnsent(filepath.Join(s.dir, "roof", "spool.db")); err != nil || left.Waiting != 0 || left.Quarantined != 0 {
		t.Errorf("at the end: %+v, %v", left, err)
	}
	t.Logf("%s: %d seeded and %d polled samples stored once, %d requests, %d samples sent again", s.program.name, waiting.n, len(live), h.Counts["upload_requests_total"], h.Counts["duplicate_samples_total"])
}
