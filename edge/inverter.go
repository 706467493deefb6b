package edge

import (
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

var (
	// errNotReady is an inverter that answers but does not know its own type yet, as a dongle does while it starts.
	errNotReady = errors.New("the inverter does not tell its type yet")
	// errStranger is an answer of another inverter than the one we know, which is one crossed answer more often than
	// it is a new inverter.
	errStranger = errors.New("another inverter answered")
)

const sightings = 3 // polls in a row that another inverter must answer to be the new one

// Inverter reads one unit behind a Dongle, which it may share with others.
type Inverter struct {
	Unit   byte
	Own    *registers.Map // a user's additions to the map, or nil
	Log    *slog.Logger
	Dongle *Dongle

	identified int // number of the connection on which model and serial number were read

	model   registers.Model
	mapping *registers.Map
	serial  string
	about   registers.Words // the words of the identity, which is read once a connection
	plan    plan
	plans   map[string]plan // by serial number

	stranger string // who else answered, and how often in a row
	seen     int

	broke error // what cost the connection in the middle of a poll
}

// Read polls once. It fails at once, with the last error, while the dongle is left alone. The error is a *health.Fault,
// or ctx's.
func (in *Inverter) Read(ctx context.Context) (Reading, error) {
	d := in.Dongle
	if err := d.resting(); err != nil {
		return Reading{}, err
	}
	r, err := in.poll(ctx)
	if ctx.Err() != nil {
		d.Close()
		return Reading{}, ctx.Err()
	}
	if errors.Is(err, errStranger) {
		d.Close()
	}
	if d.connected() {
		d.failures = 0
	} else if err != nil {
		d.rest(err, in.explain(err))
	} else { // lost after all that matters was read
		d.rest(in.broke, in.explain(in.broke))
	}
	if err != nil {
		return Reading{}, in.explain(err)
	}
	return r, nil
}

func (in *Inverter) explain(err error) error {
	return explain(in.Dongle.Link.Address, in.Unit, err)
}

// SleepsAtNight reports whether the inverter is one that switches itself off without sun, as far as is known.
func (in *Inverter) SleepsAtNight() bool { return in.mapping != nil && !in.model.Hybrid }

// isIdentified reports whether model and serial number were read on the present connection.
func (in *Inverter) isIdentified() bool {
	return in.identified > 0 && in.identified == in.Dongle.connection
}

// poll reads every block of the plan. The first is A, whose first word says what inverter this is and whose request is
// the start of the poll; D, whose powers belong to the same instant, follows it, then what a sample can do without.
func (in *Inverter) poll(ctx context.Context) (Reading, error) {
	if err := in.Dongle.startPoll(ctx); err != nil {
		return Reading{}, err
	}
	r := Reading{Words: make(registers.Words, 256), Set: make(registers.Words), Lost: make(map[string]error)}
	if !in.isIdentified() {
		if err := in.meet(ctx, r.Words); err != nil {
			return r, err
		}
		r.At = now() // block A is read
	}
	for _, p := range in.plan {
		name := p.block.Name
		if name == "identity" && in.isIdentified() || name == "A" && !in.isIdentified() {
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
		if !in.Dongle.connected() {
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

// readBlock reads one block of this unit into words.
func (in *Inverter) readBlock(ctx context.Context, b registers.Block, words registers.Words) error {
	return in.Dongle.read(ctx, in.Unit, b, words)
}
