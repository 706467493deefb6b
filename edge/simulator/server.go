// Package simulator is an inverter that is not there: a Modbus TCP server on the register map, with a believable day
// behind it and faults on demand.
//
//	sun, clouds ──┐
//	household ────┼─> dispatch ──> day ──> Plant ──> bank ──> words ──> Server ──> client
//	battery ──────┘   minute by minute                Image ──┘           ^
//	                                                              Fault ──┘
//
// A Home answers for any instant, from nothing but its HomeOptions, so a demo can show the past and the present of the
// same house. An Image is the words of a real inverter at one instant. The server measures how polite its client is.
package simulator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// Options of a Server. Either Home or Image is served.
type Options struct {
	Home  *Home
	Image *Image // frozen, word by word

	Unit      byte      // its Modbus unit id; 1 if zero
	Others    []Unit    // further inverters behind the same dongle
	Start     time.Time // that the simulated clock shows when the server is made; the host's time if zero
	Speed     float64   // simulated seconds in a second; 1 if zero
	PollStart uint16    // wire address of a poll's first read, which also takes new values; 4999 if zero
	Seed      uint64    // of the chances of faults
	Faults    []Fault
	Log       *slog.Logger // of connections; nil for none
}

// hold is how long values stay as they are unless a poll starts: a dongle, too, copies all registers at one instant.
// Without it the blocks of a poll would not add up at 600 times the speed of life.
const hold = 3 * time.Second

// Server answers Modbus TCP requests. Its methods may be called from any goroutine.
type Server struct {
	with  Options // with the defaults filled in
	units map[byte]*unit
	begun time.Time

	mu     sync.Mutex
	faults []Fault
	dice   *rand.Rand
	watch  watch
	open   map[net.Conn]bool
}

// New makes a server. Nothing listens yet.
func New(o Options) (*Server, error) {
	now := time.Now()
	o.Unit = cmp.Or(o.Unit, 1)
	o.Speed = cmp.Or(o.Speed, 1)
	o.PollStart = cmp.Or(o.PollStart, 4999)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.Start = cmp.Or(o.Start, now)
	s := &Server{
		with:   o,
		begun:  now,
		faults: slices.Clone(o.Faults),
		dice:   rand.New(rand.NewPCG(o.Seed, 0)),
		open:   make(map[net.Conn]bool),
		units:  make(map[byte]*unit),
	}
	for _, u := range append([]Unit{{o.Unit, o.Home, o.Image}}, o.Others...) {
		if s.units[u.ID] != nil {
			return nil, fmt.Errorf("two simulated inverters with unit id %d", u.ID)
		}
		var err error
		if s.units[u.ID], err = newUnit(u, now); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Name is what is simulated: "SH10RT", or "SH15T image real-sh15t-evening-discharging".
func (s *Server) Name() string { return s.units[s.with.Unit].name() }

// Now is the simulated time.
func (s *Server) Now() time.Time {
	return s.with.Start.Add(time.Duration(float64(time.Since(s.begun)) * s.with.Speed))
}

// SetFaults replaces the faults, from the next request on; without any the server is well again.
func (s *Server) SetFaults(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.Clone(faults)
	for _, f := range faults {
		if f.Kind == "off" {
			for conn := range s.open {
				conn.Close()
			}
		}
	}
}

// Audit returns how the clients behaved so far.
func (s *Server) Audit() Audit {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch.count(time.Now())
	return s.watch.audit
}

// Trace returns the last requests, oldest first.
func (s *Server) Trace() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watch.requests()
}

// Serve answers on every connection of the listener until ctx ends, then closes it and all connections, waits for them,
// and returns nil. It returns early with the listener's error.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept on %v: %w", l.Addr(), err)
		}
		wg.Go(func() { s.ServeConn(ctx, conn) })
	}
}

// ServeConn answers on one connection, which may be one end of a net.Pipe, until the other side closes it or ctx ends.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	s.mu.Lock()
	number := s.watch.connect(time.Now())
	s.open[conn] = true
	struck := s.strike(0, 0, "off")
	s.mu.Unlock()
	log := s.with.Log.With("connection", number, "remote", conn.RemoteAddr().String())
	log.Info("connected")

	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c := &link{server: s, conn: conn, number: number, turn: make(chan struct{}, 1)}
	frames := make(chan arrival, 16)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(c.receive(ctx, frames)) })
	if !struck.has("off") {
		for asked := range frames {
			if !c.answer(ctx, asked) {
				break
			}
		}
	}
	cancel(nil)
	conn.Close()
	wg.Wait()
	c.late.Wait()
	stop()

	s.mu.Lock()
	delete(s.open, conn)
	s.watch.disconnect(number, time.Now())
	s.mu.Unlock()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, io.EOF) {
		log = log.With("error", cause)
	}
	log.Info("disconnected")
}
