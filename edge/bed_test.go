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
	T    *testing.T
	Sim  *simulator.Server
	In   *Inverter
	file string // of the pace
}

func newBed(t *testing.T, sim *simulator.Server) *bed {
	b := &bed{T: t, Sim: sim, file: filepath.Join(t.TempDir(), "last-poll")}
	b.Restart()
	return b
}

// Restart is what a new process has: nothing but the file.
func (b *bed) Restart() {
	pace := &pace.Pace{Interval: 5 * time.Second, File: b.file, BootID: "boot", Up: sinceEpoch}
	b.In = &Inverter{Unit: 1, Log: slog.New(slog.DiscardHandler), Dongle: &Dongle{Pace: pace, Link: Transport{
		Address: "dongle:502", Dial: b.Dial, Timeout: 5 * time.Second, Gap: 20 * time.Millisecond, Settle: 3 * time.Second,
	}}}
}

// sinceEpoch is the uptime of a host in virtual time.
func sinceEpoch() time.Duration { return time.Duration(time.Now().UnixNano()) }

func (b *bed) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if b.Sim == nil {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	ours, theirs := net.Pipe()
	go b.Sim.ServeConn(b.T.Context(), theirs)
	return ours, nil
}

// Poll waits for its turn and reads.
func (b *bed) Poll() (Reading, error) {
	b.T.Helper()
	if err := b.In.Dongle.Pace.Wait(b.T.Context()); err != nil {
		b.T.Fatal(err)
	}
	return b.In.Read(b.T.Context())
}

func (b *bed) MustPoll() Reading {
	b.T.Helper()
	r, err := b.Poll()
	if err != nil {
		b.T.Fatal(err)
	}
	return r
}

// Polite complains when the dongle was treated badly.
func (b *bed) Polite() {
	b.T.Helper()
	a := b.Sim.Audit()
	if a.MaxOpen > 1 {
		b.T.Errorf("%d connections at a time", a.MaxOpen)
	}
	if a.RequestGap.Count > 0 && a.RequestGap.Least < 20*time.Millisecond {
		b.T.Errorf("a request %v after the last answer", a.RequestGap.Least)
	}
	if a.PollGap.Count > 0 && a.PollGap.Least < 5*time.Second {
		b.T.Errorf("a poll %v after the last", a.PollGap.Least)
	}
	if a.ConnectGap.Count > 0 && a.ConnectGap.Least < 5*time.Second {
		b.T.Errorf("a connection %v after the last", a.ConnectGap.Least)
	}
}

func (b *bed) Faults(texts ...string) {
	b.T.Helper()
	var all []simulator.Fault
	for _, text := range texts {
		f, err := simulator.ParseFault(text)
		if err != nil {
			b.T.Fatal(err)
		}
		all = append(all, f)
	}
	b.Sim.SetFaults(all...)
}

func OfImage(t *testing.T, id string) *simulator.Server {
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

const HybridImage = "calc-sh4rs-sunny-charging-exporting"

// Unit is another inverter behind the same dongle.
func (b *bed) Unit(id byte) *Inverter {
	return &Inverter{Unit: id, Log: slog.New(slog.DiscardHandler), Dongle: b.In.Dongle}
}

// PollOf waits for its turn and reads in.
func (b *bed) PollOf(in *Inverter) (Reading, error) {
	b.T.Helper()
	if err := b.In.Dongle.Pace.Wait(b.T.Context()); err != nil {
		b.T.Fatal(err)
	}
	return in.Read(b.T.Context())
}

// Altered is a server of an image with some words changed.
func Altered(t *testing.T, id string, change map[uint16]uint16) *simulator.Server {
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

// TwinOf is an inverter of the same type with another serial number.
func TwinOf(t *testing.T, id string) *simulator.Server {
	return Altered(t, id, map[uint16]uint16{4991: 0x3939})
}
