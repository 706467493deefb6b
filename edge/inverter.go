package edge

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/goburrow/modbus"

	"sunspool/edge/registers"
)

// Reading is what one poll got out of the inverter, not yet interpreted.
type Reading struct {
	At     time.Time // when the powers were read
	Model  registers.Model
	Serial string // "" where the inverter does not tell
	Map    *registers.Map
	Words  registers.Words  // input registers; what is absent was refused, or not answered this time
	Set    registers.Words  // holding registers, of a user's own map, when they were due
	Lost   map[string]error // why a block is missing or not whole, by its name
}

var (
	// errRefused is exception 2: the inverter has no such register.
	errRefused = errors.New("illegal data address")
	// errNotReady is an inverter that answers but does not know its own type yet, as a dongle does while it starts.
	errNotReady = errors.New("the inverter does not tell its type yet")
	// errStranger is an answer of another inverter than the one we know, which is one crossed answer more often than
	// it is a new inverter.
	errStranger = errors.New("another inverter answered")
)

const (
	retryAfter = 250 * time.Millisecond // a dongle's random exception is gone by then
	sightings  = 3                      // polls in a row that a stranger must answer to be the new inverter
)

// quiet is how long a dongle is left alone after each connection lost in a row: it recovers from an overload by itself
// if one lets it.
var quiet = []time.Duration{5 * time.Second, 20 * time.Second, 45 * time.Second, 90 * time.Second}

// Inverter reads one inverter through the one connection that its dongle can bear. One goroutine owns it, but for the
// counters, which any may read.
type Inverter struct {
	Unit byte
	Own  *registers.Map // a user's additions to the map, or nil
	Pace *Pace
	Log  *slog.Logger
	Link transport

	Quiet []time.Duration // as the package's quiet, which is what nil means

	Asked func() // called after each request, answered or not; may be nil

	packager packager
	met      bool // model and serial number were read on this connection

	model   registers.Model
	mapping *registers.Map
	serial  string
	about   registers.Words // the words of the identity, which is read once a connection
	plan    plan
	plans   map[string]plan // by serial number

	stranger string // who else answered, and how often in a row
	seen     int

	broke     error     // what cost the connection in the middle of a poll
	failures  int       // connections lost in a row
	notBefore time.Time // of the next connection
	fault     error     // why

	Exceptions, Retries atomic.Int64
}

// Read polls once. It fails at once, with the last error, while the dongle is to be left alone. The error is a
// *health.Fault, or ctx's.
func (in *Inverter) Read(ctx context.Context) (Reading, error) {
	if now().Before(in.notBefore) {
		return Reading{}, in.fault
	}
	r, err := in.poll(ctx)
	if ctx.Err() != nil {
		in.Close()
		return Reading{}, ctx.Err()
	}
	if errors.Is(err, errStranger) {
		in.Close()
	}
	if in.Link.conn != nil {
		in.failures = 0
	} else if err != nil {
		in.rest(err)
	} else { // lost after all that matters was read
		in.rest(in.broke)
	}
	if err != nil {
		return Reading{}, explain(in.Link.Address, in.Unit, err)
	}
	return r, nil
}

// Close ends the connection.
func (in *Inverter) Close() { in.Link.close() }

// SleepsAtNight reports whether the inverter is one that switches itself off without sun, as far as is known.
func (in *Inverter) SleepsAtNight() bool { return in.mapping != nil && !in.model.Hybrid }

// rest keeps us away from the dongle after a lost connection: longest when it did not answer, which is how it looks
// when it is overloaded, less when it refused us, which is how it looks when it restarts.
func (in *Inverter) rest(err error) {
	steps := in.Quiet
	if steps == nil {
		steps = quiet
	}
	last := len(steps) - 1
	if !isTimeout(err) {
		last--
	}
	wait := steps[min(in.failures, last)]
	in.failures++
	in.notBefore = now().Add(jitter(wait))
	in.fault = explain(in.Link.Address, in.Unit, err)
}

// poll reads every block of the plan. The first is A, whose first word says what inverter this is and whose request is
// the start of the poll; D, whose powers belong to the same instant, follows it, then what a sample can do without.
func (in *Inverter) poll(ctx context.Context) (Reading, error) {
	if err := in.connect(ctx); err != nil {
		return Reading{}, err
	}
	if err := in.Link.ready(ctx); err != nil {
		return Reading{}, err
	}
	in.Pace.Touch()
	in.Link.written = in.Pace.Touch // a busy host may take its time between the two, and the dongle counts from the request
	r := Reading{Words: make(registers.Words, 256), Set: make(registers.Words), Lost: make(map[string]error)}
	if !in.met {
		if err := in.meet(ctx, r.Words); err != nil {
			return r, err
		}
		r.At = now() // block A is read
	}
	for _, p := range in.plan {
		name := p.block.Name
		if name == "identity" && in.met || name == "A" && !in.met {
			continue // known, or just read
		}
		words := r.Words
		if p.block.Kind == registers.Holding {
			words = r.Set
		}
		err := p.read(ctx, in.readBlock, words)
		if err != nil {
			r.Lost[name] = err
		}
		if in.Link.conn == nil {
			in.broke = err
			if p.strike(); p.needed {
				return r, err
			}
			break
		}
		if p.needed {
			r.At = now()
		}
	}
	if err := in.recognize(r.Words); err != nil {
		return r, err
	}
	maps.Copy(r.Words, in.about)
	r.Model, r.Serial, r.Map = in.model, in.serial, in.mapping
	return r, nil
}

// connect dials if there is no connection. Transaction ids start at random, so that another client's answer, which a
// dongle may leak to us, is not taken for ours.
func (in *Inverter) connect(ctx context.Context) error {
	if in.Link.conn != nil {
		return nil
	}
	if err := in.Link.connect(ctx); err != nil {
		return err
	}
	in.packager = packager{modbus.NewTCPClientHandler(""), uint16(rand.N(1 << 16))}
	in.packager.SlaveId = in.Unit
	in.met = false
	return nil
}

// readBlock reads one block into words. An exception is tried once more, because a dongle throws them at random.
func (in *Inverter) readBlock(ctx context.Context, b registers.Block, words registers.Words) error {
	err := in.readOnce(ctx, b, words)
	if !isException(err) {
		return err
	}
	in.Retries.Add(1)
	if err := sleep(ctx, retryAfter); err != nil {
		return err
	}
	return in.readOnce(ctx, b, words)
}

func (in *Inverter) readOnce(ctx context.Context, b registers.Block, words registers.Words) error {
	client := modbus.NewClient2(&in.packager, sender(func(request []byte) ([]byte, error) {
		return in.Link.send(ctx, request)
	}))
	read := client.ReadInputRegisters
	if b.Kind == registers.Holding {
		read = client.ReadHoldingRegisters
	}
	data, err := read(b.Start, b.Count)
	if in.Asked != nil {
		in.Asked()
	}
	if e, ok := errors.AsType[*modbus.ModbusError](err); ok {
		in.Exceptions.Add(1)
		if e.ExceptionCode == modbus.ExceptionCodeIllegalDataAddress {
			return &exception{b, e.ExceptionCode, errRefused}
		}
		return &exception{b, e.ExceptionCode, err}
	}
	if err != nil {
		return fmt.Errorf("read %d registers at %d: %w", b.Count, b.Start, err)
	}
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
