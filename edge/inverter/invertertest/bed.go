// Package invertertest reads a simulated inverter in tests:
//
//	Inverter <── pipe in virtual time ──> simulator.Server, with faults on demand
//
// Its tests and those of the edge share it.
package invertertest

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/pace"
	"sunspool/edge/registers"
	"sunspool/edge/simulator"
	"sunspool/health"
)

// HybridImage is the image of a hybrid inverter by day, with a battery and a meter.
const HybridImage = "calc-sh4rs-sunny-charging-exporting"

// Bed is an inverter on the other end of a pipe, in virtual time, and ours that reads it.
type Bed struct {
	T   *testing.T
	Sim *simulator.Server // nil refuses connections
	In  *inverter.Inverter

	file string // of the pace
}

// New returns a bed whose In reads sim.
func New(t *testing.T, sim *simulator.Server) *Bed {
	b := &Bed{T: t, Sim: sim, file: filepath.Join(t.TempDir(), "last-poll")}
	b.Restart()
	return b
}

// Restart makes In that of a new process, in which only the file of the pace is left.
func (b *Bed) Restart() {
	p := &pace.Pace{Interval: 5 * time.Second, File: b.file, BootID: "boot", Up: sinceEpoch}
	b.In = &inverter.Inverter{Unit: 1, Log: slog.New(slog.DiscardHandler), Dongle: &inverter.Dongle{Pace: p, Link: inverter.Transport{
		Address: "dongle:502", Dial: b.Dial, Timeout: 5 * time.Second, Gap: 20 * time.Millisecond, Settle: 3 * time.Second,
	}}}
}

// sinceEpoch is the uptime of a host in virtual time.
func sinceEpoch() time.Duration { return time.Duration(time.Now().UnixNano()) }

// Dial returns a connection to Sim.
func (b *Bed) Dial(context.Context, string, string) (net.Conn, error) {
	if b.Sim == nil {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	ours, theirs := net.Pipe()
	go b.Sim.ServeConn(b.T.Context(), theirs)
	return ours, nil
}

// Unit returns another inverter behind the same dongle.
func (b *Bed) Unit(id byte) *inverter.Inverter {
	return &inverter.Inverter{Unit: id, Log: slog.New(slog.DiscardHandler), Dongle: b.In.Dongle}
}

// Poll waits until the next poll is due and reads In.
func (b *Bed) Poll() (inverter.Reading, error) {
	b.T.Helper()
	return b.PollOf(b.In)
}

// PollOf waits until the next poll is due and reads in, another inverter behind the same dongle.
func (b *Bed) PollOf(in *inverter.Inverter) (inverter.Reading, error) {
	b.T.Helper()
	if err := b.In.Dongle.Pace.Wait(b.T.Context()); err != nil {
		b.T.Fatal(err)
	}
	return in.Read(b.T.Context())
}

// MustPoll is Poll, which must succeed.
func (b *Bed) MustPoll() inverter.Reading {
	b.T.Helper()
	r, err := b.Poll()
	if err != nil {
		b.T.Fatal(err)
	}
	return r
}

// Polite fails the test if the dongle was treated badly.
func (b *Bed) Polite() {
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

// Faults sets the faults of Sim, see simulator.ParseFault; without texts there are none.
func (b *Bed) Faults(texts ...string) {
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

// OfImage returns a server of the image of that id.
func OfImage(t *testing.T, id string) *simulator.Server {
	t.Helper()
	return Altered(t, id, nil)
}

// Altered returns a server of an image with some words changed.
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

// TwinOf returns a server of an inverter of the same type with another serial number.
func TwinOf(t *testing.T, id string) *simulator.Server {
	t.Helper()
	return Altered(t, id, map[uint16]uint16{4991: 0x3939})
}

// ReadingOf returns a reading of an image at time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC), with some words changed and without others.
func ReadingOf(t *testing.T, id string, change map[uint16]uint16, without ...uint16) inverter.Reading {
	t.Helper()
	image, err := simulator.LoadImage(id)
	if err != nil {
		t.Fatal(err)
	}
	model, _ := registers.ModelOf(*image.DeviceType)
	words := registers.Words{}
	for _, b := range model.Map().Reads() {
		for i := range b.Count {
			words[b.Start+i] = image.Fill
		}
	}
	for a := range words {
		if w, ok := image.Input[a]; ok {
			words[a] = w
		}
	}
	maps.Copy(words, change)
	for _, a := range without {
		delete(words, a)
	}
	return inverter.Reading{At: time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC), Model: model, Map: model.Map(), Words: words, Lost: map[string]error{}}
}

// FaultOf returns err as a *health.Fault, nil if it is none.
func FaultOf(err error) *health.Fault {
	f, _ := errors.AsType[*health.Fault](err)
	return f
}

// HasCode reports whether err is a *health.Fault of that code.
func HasCode(err error, code string) bool {
	f := FaultOf(err)
	return f != nil && f.Code == code
}
