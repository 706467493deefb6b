package edge

import (
	"context"
	"fmt"

	"sunspool/edge/registers"
)

// The registers by which an inverter is recognized; they are the same in every family.
var (
	deviceType   = register("device_type_code")
	serialNumber = register("serial_number")
)

func register(name string) registers.Register {
	r, ok := registers.Hybrid().Lookup(name)
	if !ok {
		panic("the register map has no " + name)
	}
	return r
}

// meet reads block A as far as every family has it and learns from it which map and plan apply.
func (in *Inverter) meet(ctx context.Context, words registers.Words) error {
	head := newPlan(registers.Hybrid(), true)[0].block
	if err := in.readBlock(ctx, head, words); err != nil {
		return err
	}
	code := words[head.Start]
	switch {
	case code == 0 || code == 0xFFFF:
		return errNotReady
	case in.mapping == nil:
		return in.adopt(ctx, code)
	case code == in.model.Code:
		return nil
	case in.convinced(fmt.Sprintf("type %#04x", code)):
		in.serial, in.plans = "", nil
		return in.adopt(ctx, code)
	}
	return fmt.Errorf("%w: type %#04x instead of %#04x", errStranger, code, in.model.Code)
}

// adopt takes code as the type of our inverter.
func (in *Inverter) adopt(ctx context.Context, code uint16) error {
	model, ok := registers.ModelOf(code)
	if !ok {
		hybrid, err := in.answersAsHybrid(ctx)
		if err != nil {
			return err
		}
		model = registers.Model{Code: code, Name: fmt.Sprintf("unknown type %#04x", code), Hybrid: hybrid}
	}
	in.model, in.mapping = model, model.Map()
	if in.Own != nil {
		in.mapping = in.mapping.Overlay(in.Own)
	}
	in.plan = newPlan(in.mapping, in.model.Hybrid)
	in.Log.Info("inverter found", "model", model.Name, "family", model.Family, "hybrid", model.Hybrid)
	return nil
}

// answersAsHybrid tells the family of a type that is not in the table: only a hybrid has the registers of block D, and
// what others answer there, if they do, is all zeros or all ones.
func (in *Inverter) answersAsHybrid(ctx context.Context) (bool, error) {
	words := make(registers.Words)
	err := in.readBlock(ctx, newPlan(registers.Hybrid(), true)[1].block, words)
	if isException(err) {
		return false, nil
	}
	for _, w := range words {
		if w != 0 && w != 0xFFFF {
			return true, err
		}
	}
	return false, err
}

// recognize makes sure that the words are those of the inverter we know: its type with every poll, its serial number
// once a connection.
func (in *Inverter) recognize(words registers.Words) error {
	if code := words[deviceType.Address()]; code != in.model.Code {
		return fmt.Errorf("%w: type %#04x instead of %#04x", errStranger, code, in.model.Code)
	}
	if in.isIdentified() {
		return nil
	}
	if p := in.plan.find("identity"); p != nil && p.lost > 0 {
		return nil // the connection broke there: the next one asks again
	}
	serial, _ := serialNumber.Text(words)
	if serial != "" && in.serial != "" && serial != in.serial && !in.convinced(serial) {
		return fmt.Errorf("%w: serial number %s instead of %s", errStranger, mask(serial), mask(in.serial))
	}
	if serial != "" && serial != in.serial {
		in.remember(serial)
	}
	in.identified, in.seen, in.about = in.Dongle.connection, 0, make(registers.Words)
	for a, w := range words {
		if a < deviceType.Address() {
			in.about[a] = w
		}
	}
	return nil
}

// remember takes serial as our inverter's number, and with it the plan that this inverter taught us.
func (in *Inverter) remember(serial string) {
	if in.serial != "" {
		in.Log.Warn("inverter replaced", "serial", mask(serial), "was", mask(in.serial))
		if p, ok := in.plans[serial]; ok {
			in.plan = p
		} else {
			in.plan = newPlan(in.mapping, in.model.Hybrid)
		}
	}
	if in.plans == nil {
		in.plans = make(map[string]plan)
	}
	in.serial, in.plans[serial] = serial, in.plan
}

// convinced counts how often the same stranger answered in a row: after sightings it is our new inverter.
func (in *Inverter) convinced(who string) bool {
	if who != in.stranger {
		in.stranger, in.seen = who, 0
	}
	in.seen++
	return in.seen >= sightings
}

// mask shows as much of a serial number as a log may keep.
func mask(serial string) string {
	if len(serial) < 7 {
		return serial
	}
	return serial[:3] + "…" + serial[len(serial)-3:]
}
