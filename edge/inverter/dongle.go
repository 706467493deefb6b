package inverter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/goburrow/modbus"

	"sunspool/edge/pace"
	"sunspool/edge/registers"
)

const (
	RetryAfter  = 250 * time.Millisecond // until a read is retried: the random exceptions of dongles have passed by then
	LongestIdle = 10 * time.Second       // of a connection: gateways were seen to close one after 12 s without a request
)

// errRefused is exception 2: the inverter does not have the register.
var errRefused = errors.New("illegal data address")

// pauses are the pauses after each connection lost in a row: an overloaded dongle recovers when it is left alone.
var pauses = []time.Duration{5 * time.Second, 20 * time.Second, 45 * time.Second, 90 * time.Second}

// Dongle connects to one or more inverters: a WiNet-S, or the LAN port of an inverter. It supports one connection, which its
// inverters share; they have different unit ids and are polled in turn. A lost connection affects all of them, an exception
// only the unit that sent it.
//
// One goroutine owns a Dongle and its inverters; the counters may be read by any.
type Dongle struct {
	Link   Transport
	Pace   *pace.Pace      // of the polls of all units together
	Round  time.Duration   // in which each of several units is polled once; 0 if there is one unit
	Pauses []time.Duration // pauses after each connection lost in a row; nil is the default
	Asked  func()          // called after each request, answered or not; may be nil

	packager   packager
	connection int       // number of the current or the last connection, from 1
	dialled    time.Time // time of the last attempt to connect
	begun      time.Time // when the first request of the last poll was written
	asked      int       // requests in this poll
	answers    int       // answers in this poll, including exceptions

	failures  int       // connections lost in a row
	notBefore time.Time // earliest time of the next connection
	fault     error     // reason for the pause until notBefore
	lostBy    byte      // unit that was polled when the last connection was lost
	served    uint64    // polls that did not lose the connection

	Exceptions, Retries atomic.Int64
}

// Close closes the connection.
func (d *Dongle) Close() { d.Link.close() }

// connected reports whether there is a connection.
func (d *Dongle) connected() bool { return d.Link.conn != nil }

// connect dials if there is no connection. Transaction ids start at random, so that the answer to another client, which a
// dongle may leak to us, is not mistaken for ours.
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

// startPoll connects if needed and waits until the first request of a poll may be sent.
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
	d.Link.written = func() { // a busy host may need time in between, and the dongle counts from the request
		d.begun = now()
		d.Pace.Touch()
	}
	return nil
}

// sinceRest waits until the dongle has rested since t, if that is set.
func (d *Dongle) sinceRest(ctx context.Context, t time.Time) error {
	if t.IsZero() {
		return nil
	}
	return pace.Sleep(ctx, t.Add(d.Pace.Rest()+pace.Margin).Sub(now()))
}

// diedIdle reports whether err, of the first request of a poll, means that a connection which had worked was closed:
// gateways close connections that are idle for some seconds, and only the next request may show it.
func (d *Dongle) diedIdle(err error) bool {
	return !d.connected() && d.asked == 1 && d.answers == 0 && d.Link.answered && isClosed(err)
}

// endPoll closes the connection if it would be idle until the next poll for so long that a gateway may close or forget it.
func (d *Dongle) endPoll() {
	if d.Pace.Interval > LongestIdle {
		d.Close()
	}
}

// paused returns the reason while the dongle is left alone after a lost connection, else nil.
func (d *Dongle) paused() error {
	if now().Before(d.notBefore) {
		return d.fault
	}
	return nil
}

// pause starts a pause after a lost connection: the longest after silence, as from an overloaded dongle, a shorter one after a
// refusal, as from a dongle that restarts. explained is err for the owner.
func (d *Dongle) pause(err, explained error) {
	steps := d.Pauses
	if steps == nil {
		steps = pauses
	}
	last := len(steps) - 1
	if !isTimeout(err) {
		last--
	}
	wait := steps[max(min(d.failures, last), 0)]
	d.failures++
	d.notBefore = now().Add(pace.Jitter(wait))
	d.fault = explained
}

// read reads one block of a unit into words. After an exception it retries once, because dongles return them at random.
func (d *Dongle) read(ctx context.Context, unit byte, b registers.Block, words registers.Words) error {
	err := d.readOnce(ctx, unit, b, words)
	if !isException(err) {
		return err
	}
	d.Retries.Add(1)
	if err := pace.Sleep(ctx, RetryAfter); err != nil {
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

// exception is a Modbus exception in answer to the read of a block.
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

// packager is goburrow's framing with a start value for the transaction ids.
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

// sender makes a function a Transporter of goburrow.
type sender func(request []byte) ([]byte, error)

func (s sender) Send(request []byte) ([]byte, error) { return s(request) }
