package simulator

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"sunspool/edge/registers"
)

// Unit is an inverter behind the dongle. Either Home or Image is served.
type Unit struct {
	ID    byte // Modbus unit id
	Home  *Home
	Image *Image // frozen, word by word
}

// unit is a Unit and its registers. Server.mu guards it.
type unit struct {
	with   Unit
	bank   *bank // nil for an image
	knows  func(registers.Kind, uint16) bool
	now    values
	shown  *Plant // what the values are of; nil before the first read and for an image
	asleep *Plant // as it fell asleep
}

// values are the registers at one instant.
type values struct {
	taken          time.Time // host's time
	input, holding registers.Words
}

func newUnit(with Unit, now time.Time) (*unit, error) {
	if (with.Home == nil) == (with.Image == nil) {
		return nil, errors.New("a simulated inverter needs either a home or an image")
	}
	u := &unit{with: with}
	if with.Image != nil {
		u.now = values{now, with.Image.Input, with.Image.Holding}
		return u, nil
	}
	var err error
	if u.bank, err = newBank(with.Home); err != nil {
		return nil, err
	}
	u.knows = u.bank.knows()
	return u, nil
}

func (u *unit) name() string {
	if u.with.Image != nil {
		return fmt.Sprintf("%s image %s", u.with.Image.Model, u.with.Image.ID)
	}
	return u.with.Home.site.model
}

// words returns count registers from start.
func (u *unit) words(kind registers.Kind, start, count uint16) []uint16 {
	table, fill := u.now.input, uint16(0)
	if kind == registers.Holding {
		table = u.now.holding
	}
	if u.with.Image != nil {
		fill = u.with.Image.Fill
	}
	words := make([]uint16, count)
	for i := range words {
		word, ok := table[start+uint16(i)]
		if !ok {
			word = fill
		}
		words[i] = word
	}
	return words
}

// refused reports whether a read must not start here.
func (u *unit) refused(kind registers.Kind, start uint16) bool {
	if u.with.Image == nil {
		return !u.knows(kind, start)
	}
	return kind == registers.Input && slices.ContainsFunc(u.with.Image.Refused, func(area [2]uint16) bool {
		return area[0] <= start && start <= area[1]
	})
}

// refresh takes new values, those of the simulated time at, when a poll starts, or when the present ones are old.
func (u *unit) refresh(now, at time.Time, startsPoll bool, struck strikes) error {
	old := u.now.taken.IsZero() || now.Sub(u.now.taken) >= hold
	if u.with.Image != nil || !startsPoll && !old || struck.has("frozen") && !u.now.taken.IsZero() {
		return nil
	}
	p := u.with.Home.At(at)
	switch {
	case !struck.has("asleep"):
		u.asleep = nil
	case u.asleep == nil:
		u.asleep = new(p.Sleeping())
		p = *u.asleep
	default:
		at := p.Time
		p = *u.asleep
		p.Time = at // only the clock goes on
	}
	input, holding, err := u.bank.read(&p)
	if err != nil {
		return err
	}
	u.now, u.shown = values{now, input, holding}, &p
	return nil
}
