package edge

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"time"

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

// errNotReady is an inverter that answers but does not know its own type yet, as a dongle does while it starts.
var errNotReady = errors.New("the inverter does not tell its type yet")

// Inverter reads one unit behind a Dongle, which it may share with others.
type Inverter struct {
	Unit   byte
	Own    *registers.Map // a user's additions to the map, or nil
	Place  Place          // among the inverters of the dongle
	Log    *slog.Logger
	Dongle *Dongle

	Serial  string               // of the inverter that is to be read, as the operator set it; "" is that of Known
	Known   Identity             // of the inverter that was read before, and earlier by another process
	Changed func(Identity) error // stores Known when it has changed; may be nil

	unsaved    bool // Changed failed
	identified int  // number of the connection on which model and serial number were read

	model     registers.Model
	mapping   *registers.Map
	family    family
	asks      growingRest // for block D of a type that is not in the table
	breaksAtD int         // connections lost there in a row
	refusedD  int
	zerosAtD  time.Time // when it was answered with zeros first
	serial    string
	about     registers.Words // the words of the identity, which is read once a connection
	plan      plan
	head      *planned // block A, while the model is not known
	other     sighting
	others    growingRest // connections that are closed because of another inverter

	absent     absence
	reconnects growingRest
}

// Read polls once. It fails at once, with the last error, while the dongle is left alone. The error is a *health.Fault,
// or ctx's. A reading may lack blocks, see Reading.Lost: it has block A, or what else tells the power of a hybrid.
func (in *Inverter) Read(ctx context.Context) (Reading, error) {
	d := in.Dongle
	if err := cmp.Or(in.absent.resting(), d.resting()); err != nil {
		return Reading{}, err
	}
	r, err := in.poll(ctx)
	if ctx.Err() != nil {
		d.Close()
		return Reading{}, ctx.Err()
	}
	err = in.noteOther(err)
	switch {
	case d.connected():
		d.failures = 0
		d.endPoll()
	case err != nil:
		d.rest(err, in.explain(err))
	}
	// A connection lost after block A was read is opened again by the next poll: the plan leaves alone what breaks it.
	in.noteServed(err)
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

// SleepsAtNight reports whether the inverter is one that switches itself off without sun, as far as is known.
func (in *Inverter) SleepsAtNight() bool { return in.mapping != nil && !in.model.Hybrid }

// isIdentified reports whether model and serial number were read on the present connection.
func (in *Inverter) isIdentified() bool {
	return in.identified > 0 && in.identified == in.Dongle.connection
}

// poll reads the plan. A connection that died while it was idle is replaced once, within the poll.
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

// readPlan reads every block of the plan. The first is A, whose first word is the type of the inverter and whose request
// is the start of the poll; D, whose powers belong to the same instant, follows it, then what a sample can do without.
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
	r.Model, r.Serial, r.Map = in.model, in.serial, in.mapping
	if in.family == familyUnsettled {
		common(r.Words)
	}
	return r, nil
}

// readHead reads block A and learns from it, where that is not known, which map and plan apply. Without A a hybrid is
// read on: block D has most of what a sample needs.
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
	in.settleAgain(ctx, r)
	return nil
}

// nameless is the error of a reading without a type while the type is not known.
func (in *Inverter) nameless() error {
	if in.mapping == nil {
		return errNotReady
	}
	return nil
}

// readRest reads the other blocks. The connection may break there: what was read until then is a reading all the same.
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

// growingRest spaces out something that rarely helps: the first time at once, then with growing rests.
type growingRest struct {
	next time.Time
	wait time.Duration
}

// due reports whether the next try is due, and if so puts off the one after it: by first, then by twice as long as the last
// time, up to an hour.
func (g *growingRest) due(first time.Duration) bool {
	if now().Before(g.next) {
		return false
	}
	g.wait = min(max(2*g.wait, first), time.Hour)
	g.next = now().Add(g.wait)
	return true
}

// Reconnect closes the connection, so that the next poll opens a new one, because what the dongle answers is not to be
// used: a new connection may wake a dongle that repeats itself. It may be called with every such poll: the first closes,
// then one after 5 min, 10 min, 20 min ... an hour, until Recovered is called.
func (in *Inverter) Reconnect() {
	if in.reconnects.due(5 * time.Minute) {
		in.Dongle.Close()
	}
}

// Recovered notes that the answers can be used again.
func (in *Inverter) Recovered() { in.reconnects = growingRest{} }
