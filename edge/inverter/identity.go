package inverter

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sunspool/edge/registers"
)

// The registers that identify an inverter are the same in every family. Block D is that of a hybrid.
var (
	deviceType   = register("device_type_code")
	serialNumber = register("serial_number")
	armSoftware  = register("arm_software_version")
	dspSoftware  = register("dsp_software_version")
	blockD       = newPlan(registers.Hybrid(), true).find("D").block
)

func register(name string) registers.Register {
	r, ok := registers.Hybrid().Lookup(name)
	if !ok {
		panic("the register map has no " + name)
	}
	return r
}

// setModel makes code the type of the inverter. If it differs from the known type, the serial number must be the known one.
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
		in.findFamily(ctx, model, r)
		return nil
	}
	in.setMap(model)
	return nil
}

// setMap makes model that of the inverter, with its map and plan.
func (in *Inverter) setMap(model registers.Model) {
	in.model, in.mapping = model, model.Map()
	if in.Own != nil {
		in.mapping = in.mapping.Overlay(in.Own)
	}
	in.plan = newPlan(in.mapping, model.Hybrid)
	if in.head != nil && in.head.pieces != nil { // refused as a whole, and so it will be again
		in.plan.find("A").failing, in.plan.find("A").failures = in.head.failing, in.head.failures
	}
	in.head = nil
	in.Log.Info("inverter found", "model", model.Name, "family", model.Family, "hybrid", model.Hybrid)
}

// sameSerial reads the serial number of an inverter of another type. If it is the known one, this is the same inverter with new
// firmware, or its type was misread before; else the error is an *otherInverter.
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

// verify checks once per connection that the words are those of the known inverter. If the serial number was not answered, the
// type is sufficient until the next poll, which reads it again.
func (in *Inverter) verify(r Reading) error {
	if in.isIdentified() {
		return nil
	}
	serial, _ := serialNumber.Text(r.Words)
	p := in.plan.find(registers.Identity)
	switch want := in.want(); {
	case serial == "" && r.Lost["A"] != nil && r.Words[deviceType.Address()] == 0:
		return r.Lost["A"] // neither type nor serial number is known: it may be any inverter
	case serial == "" && p != nil && p.outcome != answered && p.wait == 0:
		return nil // the next poll asks again
	case serial == "":
	case want != "" && !sameNumber(want, serial):
		return &otherInverter{who: serial, want: want}
	}
	if serial != "" {
		in.serial, in.firmware = serial, firmwareOf(r.Words)
	}
	in.identified, in.about = in.Dongle.connection, make(registers.Words)
	for a, w := range r.Words {
		if a < deviceType.Address() {
			in.about[a] = w
		}
	}
	in.setKnown(Identity{Serial: in.serial, Type: in.model.Code})
	return nil
}

// firmwareOf returns the versions of the software of both processors, as far as the identity block has them: some units answer
// zeros there. The packages of firmware, which an inverter shows on its own, are not read: some firmware hangs at their registers.
func firmwareOf(words registers.Words) string {
	var versions []string
	for _, r := range []registers.Register{armSoftware, dspSoftware} {
		if version, _ := r.Text(words); version != "" {
			versions = append(versions, version)
		}
	}
	return strings.Join(versions, ", ")
}
