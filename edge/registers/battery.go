package registers

import "errors"

// ErrDirectionUnknown is a battery that works while nothing tells whether it charges or discharges.
var ErrDirectionUnknown = errors.New("battery direction unknown")

// What told the sign of BatteryPower.
const (
	BySignedPower = "battery_power_signed"
	ByLegacySign  = "sign of battery_power_legacy"
	ByFlowBits    = "power_flow_status"
	ByCurrentSign = "sign of the battery current"
	ByIdle        = "no power"
)

// Bits of power_flow_status.
const (
	charging    = 1 << 1
	discharging = 1 << 2
)

// BatteryPower returns the battery's power in watts with the sign of this program: above 0 charging, below 0
// discharging. The registers have the opposite sign, where they have one at all: battery_power_legacy was a magnitude
// on old firmware, is signed on newer, and always positive on some units. method says what told the direction.
//
// The error is ErrDirectionUnknown when nothing told it, else why there is no power to read.
func BatteryPower(w Words) (watts float64, method string, err error) {
	power, err := legacyPower(w)
	if signed, ok := signedPower(w, power, err); ok {
		return 0 - signed, BySignedPower, nil
	}
	switch {
	case err != nil:
		return 0, "", err
	case power < 0:
		return -power, ByLegacySign, nil
	case power == 0:
		return 0, ByIdle, nil
	}
	switch flow, _ := decode("power_flow_status", w); int(flow) & (charging | discharging) {
	case charging:
		return power, ByFlowBits, nil
	case discharging:
		return -power, ByFlowBits, nil
	}
	for _, name := range []string{"battery_current_legacy", "battery_current_signed"} {
		if amps, err := decode(name, w); err == nil && amps < 0 {
			return power, ByCurrentSign, nil
		}
	}
	return 0, "", ErrDirectionUnknown
}

// signedPower returns battery_power_signed, in the inverter's sign, if the unit has it. A reserved hole reads -1 there,
// which is believed only of a battery that the other register says works with 1 W.
func signedPower(w Words, legacy float64, legacyErr error) (watts float64, ok bool) {
	watts, err := decode("battery_power_signed", w)
	if readsMinusOne("battery_power_signed", w) {
		return -1, legacyErr == nil && (legacy == 1 || legacy == -1)
	}
	return watts, err == nil
}

// legacyPower returns battery_power_legacy as it is. Its 0xFFFF is -1 W, or a hole; in a hole the current is one too.
func legacyPower(w Words) (float64, error) {
	watts, err := decode("battery_power_legacy", w)
	if readsMinusOne("battery_power_legacy", w) {
		if _, noCurrent := decode("battery_current_legacy", w); noCurrent == nil {
			return -1, nil
		}
	}
	return watts, err
}

// readsMinusOne reports whether the register is not available by its words, which could be a -1 as well.
func readsMinusOne(name string, w Words) bool {
	r, _ := Hybrid().Lookup(name)
	raw, err := r.Raw(w)
	return errors.Is(err, ErrNotAvailable) && r.Type.signed(raw) == -1
}

// decode decodes a register of the hybrid map.
func decode(name string, w Words) (float64, error) {
	r, ok := Hybrid().Lookup(name)
	if !ok {
		panic("no register " + name) // a name in this package: no test passes without it
	}
	return r.Decode(w)
}
