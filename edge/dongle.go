package edge

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/goburrow/modbus"

	"sunspool/edge/registers"
)

const (
	retryAfter  = 250 * time.Millisecond // a dongle's random exception is gone by then
	longestIdle = 10 * time.Second       // gateways were seen to close a connection after 12 s without a request
)

// errRefused is exception 2: the inverter has no such register.
var errRefused = errors.New("illegal data address")

// quiet is how long a dongle is left alone after each connection lost in a row: it recovers from an overload by itself
// if one lets it.
var quiet = []time.Duration{5 * time.Second, 20 * time.Second, 45 * time.Second, 90 * time.Second}

// Dongle is the way to one or more inverters: a WiNet-S, or the LAN port of an inverter. It bears one connection, which
// its inverters share; they have different unit ids and are polled in turn. A lost connection concerns them all, an
// exception only the unit that sent it.
//
// One goroutine owns a Dongle and its inverters, except for the counters, which any goroutine may read.
type Dongle struct {
	Link  transport
	Pace  *Pace           // of the polls of all units together
	Round time.Duration   // in which each of several units has its turn; 0 if there is one
	Quiet []time.Duration // as the package's quiet, which is what nil means
	Asked func()          // called after each request, answered or not; may be nil

	packager   packager
	connection int       // number of the present connection, or of the last one; the first is 1
	dialled    time.Time // the last time
	begun      time.Time // when the first request of the last poll was written
	asked      int       // requests of this poll
	answers    int       // answers in this poll, exceptions included

	failures  int       // connections lost in a row
	notBefore time.Time // of the next connection
	fault     error     // why
	lostBy    byte      // the unit that was polled when the last connection was lost
	served    uint64    // polls that did not lose it

	Exceptions, Retries atomic.Int64
}

// Close ends the connection.
func (d *Dongle) Close() { d.Link.close() }

// connected reports whether there is a connection.
func (d *Dongle) connected() bool { return d.Link.conn != nil }

// connect dials if there is no connection. Transaction ids start at random, so that another client's answer, which a
// dongle may leak to us, is not taken for ours.
func (d *Dongle) connect(ctx context.Context) error {
	if d.connected() {
		return nil
	}
	if err := d.sinceRest(ctx, d.dialled); err != nil {
		return err
	}
	d.Pace.Touch()
	d.dialled = now()
	if err := d.Link.connect(ctx); err != nil {
		return err
	}
	d.packager = packager{modbus.NewTCPClientHandler(""), uint16(rand.N(1 << 16))}
	d.connection++
	return nil
}

// startPoll connects if needed and waits until a poll may send its first request.
func (d *Dongle) startPoll(ctx context.Context) error {
	if d.connected() && !d.Link.alive() {
		d.Close()
	}
	d.asked, d.answers = 0, 0
	if err := d.connect(ctx); err != nil {
		return err
	}
	if err := d.Link.ready(ctx); err != nil {
		return err
	}
	if err := d.sinceRest(ctx, d.begun); err != nil {
		return err
	}
	d.Pace.Touch()
	d.Link.written = func() { // a busy host may take its time between the two, and the dongle counts from the request
		d.begun = now()
		d.Pace.Touch()
	}
	return nil
}

// sinceRest waits until the dongle has rested since t.
func (d *Dongle) sinceRest(ctx context.Context, t time.Time) error {
	if t.IsZero() {
		return nil
	}
	return sleep(ctx, t.Add(d.Pace.rest()+margin).Sub(now()))
}

// diedIdle reports whether err, of the first request of a poll, is the end of a connection that had worked before: a
// gateway closes what is idle for some seconds, and that may be noticed by the next request only.
func (d *Dongle) diedIdle(err error) bool {
	return !d.connected() && d.asked == 1 && d.answers == 0 && d.Link.answered && isClosed(err)
}

// endPoll closes a connection that would be idle for so long that a gateway may close it, or forget it.
func (d *Dongle) endPoll() {
	if d.Pace.Interval > longestIdle {
		d.Close()
	}
}

// resting returns the last error while the dongle is left alone.
func (d *Dongle) resting() error {
	if now().Before(d.notBefore) {
		return d.fault
	}
	return nil
}

// rest keeps us away from the dongle after a lost connection: longest when it did not answer, which is how it looks
// when it is overloaded, less when it refused us, which is how it looks when it restarts. explained is err for the owner.
func (d *Dongle) rest(err, explained error) {
	steps := d.Quiet
	if steps == nil {
		steps = quiet
	}
	last := len(steps) - 1
	if !isTimeout(err) {
		last--
	}
	wait := steps[max(min(d.failures, last), 0)]
	d.failures++
	d.notBefore = now().Add(jitter(wait))
	d.fault = explained
}

// read reads one block of a unit into words. An exception is tried once more, because a dongle throws them at random.
func (d *Dongle) read(ctx context.Context, unit byte, b registers.Block, words registers.Words) error {
	err := d.readOnce(ctx, unit, b, words)
	if !isException(err) {
		return err
	}
	d.Retries.Add(1)
	if err := sleep(ctx, retryAfter); err != nil {
		return err
	}
	return d.readOnce(ctx, unit, b, words)
}

func (d *Dongle) readOnce(ctx context.Context, unit byte, b registers.Block, words registers.Words) error {
	if !d.connected() {
		return errNotConnected
	}
	d.packager.SlaveId = unit
	client := modbus.NewClient2(&d.packager, sender(func(request []byte) ([]byte, error) {
		return d.Link.send(ctx, request)
	}))
	read := client.ReadInputRegisters
	if b.Kind == registers.Holding {
		read = client.ReadHoldingRegisters
	}
	d.asked++
	data, err := read(b.Start, b.Count)
	if d.Asked != nil {
		d.Asked()
	}
	if e, ok := errors.AsType[*modbus.ModbusError](err); ok {
		d.Exceptions.Add(1)
		d.answers++
		if e.ExceptionCode == modbus.ExceptionCodeIllegalDataAddress {
			return &exception{b, e.ExceptionCode, errRefused}
		}
		return &exception{b, e.ExceptionCode, err}
	}
	if err != nil {
		return fmt.Errorf("read %d registers at %d: %w", b.Count, b.Start, err)
	}
	d.answers++
	for i := range b.Count {
		words[b.Start+i] = binary.BigEndian.Uint16(data[2*i:])
	}
	return nil
}

// exception is the inverter's own no to the read of a block.
type exception struct {
	block registers.Block
	code  byte
	err   error
}

func (e *exception) Error() string {
	return fmt.Sprintf("read %d registers at %d: exception %d: %v", e.block.Count, e.block.Start, e.code, e.err)
}

func (e *exception) Unwrap() error { return e.err }

func isException(err error) bool {
	_, ok := errors.AsType[*exception](err)
	return ok
}

// packager is goburrow's framing with transaction ids that start where we say.
type packager struct {
	*modbus.TCPClientHandler
	id uint16
}

func (p *packager) Encode(pdu *modbus.ProtocolDataUnit) ([]byte, error) {
	adu, err := p.TCPClientHandler.Encode(pdu)
	if err != nil {
		return nil, err
	}
	p.id++
	binary.BigEndian.PutUint16(adu, p.id)
	return adu, nil
}

// sender makes a function goburrow's Transporter.
type sender func(request []byte) ([]byte, error)

func (s sender) Send(request []byte) ([]byte, error) { return s(request) }
