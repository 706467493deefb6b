// Package inverter reads one inverter through one Modbus TCP connection: an address goes in, readings come out.
//
//	Turn ──> Inverter.Read ──> plan ──> Dongle ──> Transport ──> inverter
//	         is it the same    which    pauses,    frames, one
//	         inverter?         blocks   retries    connection
//	             │
//	             └──> Reading: the words of registers, and why others are missing
//
// Several inverters may share a Dongle; a Turn lets them use it one after the other. Nothing is ever written to an inverter.
package inverter

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"time"

	"sunspool/edge/registers"
)

// Reading is the result of one poll of an inverter, not interpreted yet.
type Reading struct {
	At       time.Time // when the powers were read
	Model    registers.Model
	Serial   string // "" if the inverter does not report it
	Firmware string // of its processors, "" if it does not report it
	Map      *registers.Map
	Words    registers.Words  // input registers; absent ones were refused, or not answered in this poll
	Set      registers.Words  // holding registers of a user's own map, when they were due
	Lost     map[string]error // why a block is missing or incomplete, by its name
}

// Anonymous returns the words of r without those that identify the unit and its parts: the identity block, and all texts.
func (r Reading) Anonymous() registers.Words {
	words := maps.Clone(r.Words)
	maps.DeleteFunc(words, func(address, _ uint16) bool { return address < deviceType.Address() })
	if r.Map == nil {
		return words
	}
	for reg := range r.Map.All() {
		if reg.Type == registers.UTF8 && reg.Kind == registers.Input {
			for i := range reg.Words {
				delete(words, reg.Address()+uint16(i))
			}
		}
	}
	return words
}

// now is the only place of the package that reads the host's clock: only to measure durations.
func now() time.Time { return time.Now() }

// errNotReady is returned while the inverter answers without its type, as a dongle does while it starts.
var errNotReady = errors.New("the inverter does not tell its type yet")

// Inverter reads one unit behind a Dongle, which it may share with others.
type Inverter struct {
	Unit   byte
	Own    *registers.Map // a user's additions to the map, or nil
	Place  Place          // among the inverters of the dongle
	Log    *slog.Logger
	Dongle *Dongle

	Serial  string               // of the inverter to read, as set by the operator; "" is that of Known
	Known   Identity             // of the inverter that was read before, by this process or an earlier one
	Changed func(Identity) error // stores Known after a change; may be nil

	unsaved    bool // Changed failed
	identified int  // number of the connection on which type and serial number were read

	model     registers.Model
	mapping   *registers.Map
	family    family
	asks      growingWait // reads of block D of a type that is not in the table
	breaksAtD int         // connections lost there in a row
	refusedD  int         // refusals of it in a row
	zerosAtD  time.Time   // when it was first answered with zeros
	serial    string
	firmware  string
	about     registers.Words // words of the identity block, which is read once per connection
	plan      plan
	head      *planned // block A, while the model is not known
	other     sighting
	others    growingWait // closing connections because of another inverter

	absent     absence
	reconnects growingWait
}

// Read polls once. While the dongle or the unit is left alone it fails at once, with the last error. The error is a
// *health.Fault, or that of ctx. A reading may lack blocks, see Reading.Lost: it has block A, or those blocks from which the
// power of a hybrid is known as well.
func (in *Inverter) Read(ctx context.Context) (Reading, error) {
	d := in.Dongle
	if err := cmp.Or(in.absent.paused(), d.paused()); err != nil {
		return Reading{}, err
	}
	r, err := in.poll(ctx)
	if ctx.Err() != nil {
		d.Close()
		return Reading{}, ctx.Err()
	}
	err = in.countOther(err)
	switch {
	case d.connected():
		d.failures = 0
		d.endPoll()
	case err != nil:
		d.pause(err, in.explain(err))
	}
	// The next poll reopens a connection that was lost after block A: the plan skips the block that broke it.
	in.recordResult(err)
	if _, ok := errors.AsType[*otherInverter](err); ok {
		if in.others.due(time.Minute) {
			d.Close()
		}
	}
	if err != nil {
		return Reading{}, in.explain(err)
	}
	return r, nil
}

func (in *Inverter) explain(err error) error {
	if other, ok := errors.AsType[*otherInverter](err); ok {
		other.place = in.Place
	}
	f := explain(in.Dongle.Link.Address, in.Unit, err)
	in.absent.explain(f, in.Unit)
	return f
}

// SleepsAtNight reports whether the inverter switches itself off without sun, as far as is known.
func (in *Inverter) SleepsAtNight() bool { return in.mapping != nil && !in.model.Hybrid }

// isIdentified reports whether type and serial number were read on the current connection.
func (in *Inverter) isIdentified() bool {
	return in.identified > 0 && in.identified == in.Dongle.connection
}

// poll reads the plan. If the connection was closed while idle, it reconnects once within the poll.
func (in *Inverter) poll(ctx context.Context) (Reading, error) {
	d := in.Dongle
	if err := d.startPoll(ctx); err != nil {
		return Reading{}, err
	}
	r, err := in.readPlan(ctx)
	if !d.diedIdle(err) {
		return r, err
	}
	if err := d.startPoll(ctx); err != nil {
		return Reading{}, err
	}
	return in.readPlan(ctx)
}

// readPlan reads every block of the plan. The first is A: its first word is the type of the inverter and its request starts
// the poll. Next is D, whose powers belong to the same instant, then the blocks that a sample does not need.
func (in *Inverter) readPlan(ctx context.Context) (Reading, error) {
	r := Reading{Words: make(registers.Words, 256), Set: make(registers.Words), Lost: make(map[string]error)}
	for _, p := range in.plan {
		p.outcome = notTried
	}
	if err := in.readHead(ctx, &r); err != nil {
		return r, err
	}
	if err := in.readRest(ctx, &r); err != nil {
		return r, err
	}
	if err := in.verify(r); err != nil {
		return r, err
	}
	in.plan.learn()
	maps.Copy(r.Words, in.about)
	r.Model, r.Serial, r.Firmware, r.Map = in.model, in.serial, in.firmware, in.mapping
	if in.family == familyUnknown {
		common(r.Words)
	}
	return r, nil
}

// readHead reads block A, which determines the map and the plan if they are not known yet. If A fails, a hybrid is read
// nevertheless: block D has most of what a sample needs.
func (in *Inverter) readHead(ctx context.Context, r *Reading) error {
	p := in.head
	if in.mapping != nil {
		p = in.plan.find("A")
	} else if p == nil {
		p = newPlan(registers.Hybrid(), true).find("A")
		in.head = p
	}
	err := p.read(ctx, in.readBlock, r.Words)
	r.At = now()
	if err != nil {
		r.Lost["A"] = err
	}
	code, hasType := r.Words[deviceType.Address()]
	switch {
	case !in.Dongle.connected():
		in.plan.learn()
		return err
	case hasType && (code == 0 || code == 0xFFFF), errors.Is(err, errZeros) && in.mapping == nil:
		return errNotReady
	case hasType && (in.mapping == nil || code != in.model.Code):
		return in.setModel(ctx, code, r)
	case !hasType && (in.mapping == nil || !in.model.Hybrid):
		plan{p}.learn()
		return cmp.Or(err, in.nameless())
	}
	in.retryFamily(ctx, r)
	return nil
}

// nameless returns the error of a reading without a type, nil if the type is known already.
func (in *Inverter) nameless() error {
	if in.mapping == nil {
		return errNotReady
	}
	return nil
}

// readRest reads the other blocks. If the connection breaks, what was read until then is still a reading.
func (in *Inverter) readRest(ctx context.Context, r *Reading) error {
	_, lostA := r.Lost["A"]
	_, hasType := r.Words[deviceType.Address()]
	lostA = lostA && !hasType
	for _, p := range in.plan {
		if !in.Dongle.connected() {
			break
		}
		name := p.block.Name
		if name == "A" || name == registers.Identity && in.isIdentified() {
			continue
		}
		words := r.Words
		if p.block.Kind == registers.Holding {
			words = r.Set
		}
		err := p.read(ctx, in.readBlock, words)
		if err != nil {
			r.Lost[name] = err
		}
		if !in.Dongle.connected() && lostA {
			in.plan.learn()
			return err
		}
		switch {
		case !p.needed:
		case p.outcome == answered || p.partly:
			r.At = now()
		case lostA:
			in.plan.learn()
			return r.Lost["A"]
		}
	}
	return nil
}

// readBlock reads one block of this unit into words.
func (in *Inverter) readBlock(ctx context.Context, b registers.Block, words registers.Words) error {
	return in.Dongle.read(ctx, in.Unit, b, words)
}

// growingWait limits how often something that rarely helps is tried: at once, then after increasing waits.
type growingWait struct {
	next time.Time
	wait time.Duration
}

// due reports whether the next try is due. If so it postpones the one after it, by first, then by twice the previous wait, up
// to an hour.
func (g *growingWait) due(first time.Duration) bool {
	if now().Before(g.next) {
		return false
	}
	g.wait = min(max(2*g.wait, first), time.Hour)
	g.next = now().Add(g.wait)
	return true
}

// Reconnect closes the connection, so that the next poll opens a new one, because the answers are stale: a new connection may
// wake a dongle that repeats itself. It may be called after every such poll: the first call closes the connection, then one
// after 5 min, 10 min, 20 min ... an hour, until Recovered is called.
func (in *Inverter) Reconnect() {
	if in.reconnects.due(5 * time.Minute) {
		in.Dongle.Close()
	}
}

// Recovered records that the answers are current again.
func (in *Inverter) Recovered() { in.reconnects = growingWait{} }
