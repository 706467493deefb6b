package edge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sunspool/edge/registers"
)

// The registers by which an inverter is recognized; they are the same in every family. Block D is that of a hybrid.
var (
	deviceType   = register("device_type_code")
	serialNumber = register("serial_number")
	blockD       = newPlan(registers.Hybrid(), true).find("D").block
)

func register(name string) registers.Register {
	r, ok := registers.Hybrid().Lookup(name)
	if !ok {
		panic("the register map has no " + name)
	}
	return r
}

// Identity is the inverter that belongs to a device id. Its samples make one series: those of another inverter, with
// other counters, must not get into it.
type Identity struct {
	Serial string `json:"serial,omitempty"`
	Type   uint16 `json:"type,omitempty"` // device_type_code

	// Another inverter that answers in its place, and since when: its serial number, or its type.
	Other string    `json:"other,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// sightings is how many polls in a row another inverter must answer until it is more than a crossed answer of a dongle.
const sightings = 3

// sighting is another inverter that answered.
type sighting struct {
	who   string
	seen  int // polls in a row
	since time.Time
}

const typePrefix = "type "

// otherInverter is the error of a poll that another inverter answered.
type otherInverter struct {
	who, want string // serial numbers, or types
	since     time.Time
	named     bool  // it has answered often enough to be more than one crossed answer
	place     Place // of the inverter in whose place it answered
}

func (e *otherInverter) Error() string {
	return fmt.Sprintf("%s answers instead of %s", shown(e.who), shown(e.want))
}

// family is what is known of the family of the type that answers.
type family int

const (
	familyListed    family = iota // the type is in the table
	familyHybrid                  // not in the table, but it has block D
	familyString                  // it answered that it has none; it is asked again
	familyUnsettled               // block D was not answered yet
)

// errUnsettled is why a reading of an unknown type has no block D.
var errUnsettled = errors.New("whether this type of inverter has it is not known yet")

// setModel takes code as the type of our inverter. A type other than the known one is our inverter only if its serial
// number is.
func (in *Inverter) setModel(ctx context.Context, code uint16, r *Reading) error {
	known := in.Known.Type
	if in.mapping != nil {
		known = in.model.Code
	}
	if known != 0 && code != known {
		if err := in.sameSerial(ctx, code, known, r.Words); err != nil {
			return err
		}
	}
	model, ok := registers.ModelOf(code)
	in.family, in.refusedD, in.zerosAtD = familyListed, 0, time.Time{}
	if !ok {
		model = registers.Model{Code: code, Name: fmt.Sprintf("unknown type %#04x", code)}
		in.settle(ctx, model, r)
		return nil
	}
	in.adopt(model)
	return nil
}

// adopt makes model that of our inverter, with the map and the plan that it has.
func (in *Inverter) adopt(model registers.Model) {
	in.model, in.mapping = model, model.Map()
	if in.Own != nil {
		in.mapping = in.mapping.Overlay(in.Own)
	}
	in.plan = newPlan(in.mapping, model.Hybrid)
	if in.head != nil && in.head.pieces != nil { // refused as a whole: it will be again
		in.plan.find("A").failing, in.plan.find("A").failures = in.head.failing, in.head.failures
	}
	in.head = nil
	in.Log.Info("inverter found", "model", model.Name, "family", model.Family, "hybrid", model.Hybrid)
}

// sameSerial reads the serial number of an inverter of another type: only if it is the known one the inverter is ours, with
// new firmware, or with a type that was misread before.
func (in *Inverter) sameSerial(ctx context.Context, code, known uint16, words registers.Words) error {
	typed := func(code uint16) string { return fmt.Sprintf(typePrefix+"%#04x", code) }
	other := &otherInverter{who: typed(code), want: typed(known)}
	identity := planned{block: newPlan(registers.Hybrid(), true).find(registers.Identity).block}
	err := identity.read(ctx, in.readBlock, words)
	if !in.Dongle.connected() {
		return err
	}
	serial, _ := serialNumber.Text(words)
	switch want := in.want(); {
	case serial == "":
		return other
	case want == "" || !sameNumber(want, serial):
		other.who = serial
		if want != "" {
			other.want = want
		}
		return other
	}
	return nil
}

// settle finds out the family of a type that is not in the table: only a hybrid has the registers of block D, and what
// others answer there, if they do, is all zeros or all ones. Only an answer or exception 2 settles it, see familyBy: until
// then the inverter is read as far as all families are the same.
func (in *Inverter) settle(ctx context.Context, model registers.Model, r *Reading) {
	was, words := in.family, make(registers.Words)
	if in.mapping == nil {
		was = familyListed
	}
	in.family = familyUnsettled
	if in.breaksAtD < strikes || in.asks.due(5*time.Minute) { // else it hangs there
		err := in.readBlock(ctx, blockD, words)
		in.breaksAtD++
		if in.Dongle.connected() {
			in.breaksAtD = 0
		}
		in.family = in.familyBy(words, err)
	}
	if was == familyString && in.family == familyUnsettled {
		in.family = was
	}
	model.Hybrid = in.family != familyString
	if was != in.family || in.model.Code != model.Code {
		in.adopt(model)
	}
	if in.family == familyUnsettled {
		in.plan = plan{in.plan.find("A"), in.plan.find(registers.Identity)}
		r.Lost["D"] = errUnsettled
	}
}

// startTime is how long a dongle that starts may answer zeros.
const startTime = time.Minute

// familyBy returns the family by what was answered at block D. A refusal must come twice, because dongles refuse things
// at random, and zeros must last, because a dongle that starts answers them.
func (in *Inverter) familyBy(words registers.Words, err error) family {
	switch {
	case err == nil && anyWord(words):
		return familyHybrid
	case err == nil && words[blockD.Start] == 0:
		if in.zerosAtD.IsZero() {
			in.zerosAtD = now()
		}
		if now().Sub(in.zerosAtD) < startTime {
			return familyUnsettled
		}
	case err == nil, errors.Is(err, errRefused):
		if in.refusedD++; in.refusedD < 2 {
			return familyUnsettled
		}
	default:
		return familyUnsettled
	}
	return familyString
}

// settleAgain asks an inverter whose type is not in the table, and that is not known to be a hybrid, again: with each poll
// while it gave no answer, else at each connection and now and then.
func (in *Inverter) settleAgain(ctx context.Context, r *Reading) {
	if in.family == familyUnsettled || in.family == familyString && (!in.isIdentified() || in.asks.due(5*time.Minute)) {
		in.settle(ctx, in.model, r)
	}
}

func anyWord(words registers.Words) bool {
	for _, w := range words {
		if w != 0 && w != 0xFFFF {
			return true
		}
	}
	return false
}

// common removes the words that mean something else in another family.
func common(words registers.Words) {
	families := []*registers.Map{registers.Hybrid(), registers.String()}
	for i, m := range families {
		for r := range m.All() {
			if twin, ok := families[1-i].Lookup(r.Name); ok && twin.Address() == r.Address() && len(r.Models)+len(twin.Models) == 0 {
				continue
			}
			for i := range r.Words {
				delete(words, r.Address()+i)
			}
		}
	}
}

// want is the serial number of the inverter that is to be read, "" while it is not known.
func (in *Inverter) want() string {
	if in.Serial != "" {
		return in.Serial
	}
	return in.Known.Serial
}

// verify makes sure, once a connection, that the words are those of the inverter we know. Where the serial number was not
// answered, which is asked again, the type is enough.
func (in *Inverter) verify(r Reading) error {
	if in.isIdentified() {
		return nil
	}
	serial, _ := serialNumber.Text(r.Words)
	p := in.plan.find(registers.Identity)
	switch want := in.want(); {
	case serial == "" && r.Lost["A"] != nil && r.Words[deviceType.Address()] == 0:
		return r.Lost["A"] // neither type nor serial number: it may be any inverter
	case serial == "" && p != nil && p.outcome != answered && p.leave == 0:
		return nil // the next poll asks again
	case serial == "":
	case want != "" && !sameNumber(want, serial):
		return &otherInverter{who: serial, want: want}
	}
	if serial != "" {
		in.serial = serial
	}
	in.identified, in.about = in.Dongle.connection, make(registers.Words)
	for a, w := range r.Words {
		if a < deviceType.Address() {
			in.about[a] = w
		}
	}
	in.remember(Identity{Serial: in.serial, Type: in.model.Code})
	return nil
}

// remember makes id the known inverter, here and where the next process finds it.
func (in *Inverter) remember(id Identity) {
	if id.Serial == "" {
		id.Serial = in.Known.Serial
	}
	in.other = sighting{}
	if id == in.Known && !in.unsaved {
		return
	}
	if was := in.Known.Serial; was != "" && id.Serial != was {
		in.Log.Warn("inverter replaced, as confirmed by SUNGROW_SERIAL", "serial", mask(id.Serial), "was", mask(was))
	}
	in.store(id)
}

func (in *Inverter) store(id Identity) {
	in.Known = id
	if in.Changed == nil {
		return
	}
	err := in.Changed(id)
	if err != nil && !in.unsaved {
		in.Log.Warn("identity of the inverter not stored", "error", err.Error())
	}
	in.unsaved = err != nil
}

// noteOther counts how often in a row another inverter has answered: after some polls it is named. It returns err, with
// what is known of that inverter.
func (in *Inverter) noteOther(err error) error {
	other, ok := errors.AsType[*otherInverter](err)
	if !ok {
		if err == nil && in.isIdentified() {
			in.other = sighting{}
			if in.Known.Other != "" {
				in.store(Identity{Serial: in.Known.Serial, Type: in.Known.Type})
			}
			in.others = growingRest{}
		}
		return err
	}
	in.identified = 0 // the next poll looks again
	if other.who != in.other.who {
		in.other = sighting{who: other.who, since: timestamp(now())}
		if in.Known.Other == other.who { // named before a restart
			in.other.seen, in.other.since = sightings, in.Known.Since
		}
	}
	in.other.seen++
	other.since, other.named = in.other.since, in.other.seen >= sightings
	if other.named && in.Known.Other != other.who {
		id := in.Known
		id.Other, id.Since = other.who, in.other.since
		in.store(id)
	}
	return other
}

// sameNumber reports whether set, which an operator may have copied from where numbers are shortened, is serial.
func sameNumber(set, serial string) bool {
	set = strings.ReplaceAll(strings.TrimSpace(set), "...", "…")
	return strings.EqualFold(set, serial) || strings.EqualFold(set, mask(serial))
}

// validSerial reports whether s can be a serial number, shortened or not, or is empty.
func validSerial(s string) bool {
	s = strings.Replace(strings.ReplaceAll(s, "...", "…"), "…", "", 1)
	return len(s) <= 20 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	})
}

// shown is an inverter for people: its masked serial number, or its type.
func shown(who string) string {
	if strings.HasPrefix(who, typePrefix) {
		return who
	}
	return mask(who)
}

// mask shows as much of a serial number as a log may keep.
func mask(serial string) string {
	if len(serial) < 7 {
		return serial
	}
	return serial[:3] + "…" + serial[len(serial)-3:]
}
