package edge

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/pace"
	"sunspool/edge/simulator"
)

// bed is an inverter on the other end of a pipe, in virtual time, and ours that reads it.
type bed struct {
	t    *testing.T
	sim  *simulator.Server
	in   *Inverter
	file string // of the pace
}

func newBed(t *testing.T, sim *simulator.Server) *bed {
	b := &bed{t: t, sim: sim, file: filepath.Join(t.TempDir(), "last-poll")}
	b.restart()
	return b
}

// restart is what a new process has: nothing but the file.
func (b *bed) restart() {
	pace := &pace.Pace{Interval: 5 * time.Second, File: b.file, BootID: "boot", Up: sinceEpoch}
	b.in = &Inverter{Unit: 1, Log: slog.New(slog.DiscardHandler), Dongle: &Dongle{Pace: pace, Link: transport{
		Address: "dongle:502", Dial: b.dial, Timeout: 5 * time.Second, Gap: 20 * time.Millisecond, Settle: 3 * time.Second,
	}}}
}

// sinceEpoch is the uptime of a host in virtual time.
func sinceEpoch() time.Duration { return time.Duration(time.Now().UnixNano()) }

func (b *bed) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if b.sim == nil {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	ours, theirs := net.Pipe()
	go b.sim.ServeConn(b.t.Context(), theirs)
	return ours, nil
}

// poll waits for its turn and reads.
func (b *bed) poll() (Reading, error) {
	b.t.Helper()
	if err := b.in.Dongle.Pace.Wait(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return b.in.Read(b.t.Context())
}

func (b *bed) mustPoll() Reading {
	b.t.Helper()
	r, err := b.poll()
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// polite complains when the dongle was treated badly.
func (b *bed) polite() {
	b.t.Helper()
	a := b.sim.Audit()
	if a.MaxOpen > 1 {
		b.t.Errorf("%d connections at a time", a.MaxOpen)
	}
	if a.RequestGap.Count > 0 && a.RequestGap.Least < 20*time.Millisecond {
		b.t.Errorf("a request %v after the last answer", a.RequestGap.Least)
	}
	if a.PollGap.Count > 0 && a.PollGap.Least < 5*time.Second {
		b.t.Errorf("a poll %v after the last", a.PollGap.Least)
	}
	if a.ConnectGap.Count > 0 && a.ConnectGap.Least < 5*time.Second {
		b.t.Errorf("a connection %v after the last", a.ConnectGap.Least)
	}
}

func (b *bed) faults(texts ...string) {
	b.t.Helper()
	var all []simulator.Fault
	for _, text := range texts {
		f, err := simulator.ParseFault(text)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, f)
	}
	b.sim.SetFaults(all...)
}

func ofImage(t *testing.T, id string) *simulator.Server {
	t.Helper()
	image, err := simulator.LoadImage(id)
	if err != nil {
		t.Fatal(err)
	}
	sim, err := simulator.New(simulator.Options{Image: image})
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

const hybridImage = "calc-sh4rs-sunny-charging-exporting"

// unit is another inverter behind the same dongle.
func (b *bed) unit(id byte) *Inverter {
	return &Inverter{Unit: id, Log: slog.New(slog.DiscardHandler), Dongle: b.in.Dongle}
}

// pollOf waits for its turn and reads in.
func (b *bed) pollOf(in *Inverter) (Reading, error) {
	b.t.Helper()
	if err := b.in.Dongle.Pace.Wait(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return in.Read(b.t.Context())
}

// altered is a server of an image with some words changed.
func altered(t *testing.T, id string, change map[uint16]uint16) *simulator.Server {
	t.Helper()
	image, err := simulator.LoadImage(id)
	if err != nil {
		t.Fatal(err)
	}
	other := *image
	other.Input = maps.Clone(image.Input)
	maps.Copy(other.Input, change)
	sim, err := simulator.New(simulator.Options{Image: &other})
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

// twinOf is an inverter of the same type with another serial number.
func twinOf(t *testing.T, id string) *simulator.Server {
	return altered(t, id, map[uint16]uint16{4991: 0x3939})
}
