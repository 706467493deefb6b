package inverter

import (
	"context"
	"errors"

	"sunspool/edge/registers"
)

// TypeCode reads the type of a unit with one request, and closes the connection: so much is asked of a host that may be no
// inverter. isModbus reports whether what answers is Modbus, whatever it says.
func (d *Dongle) TypeCode(ctx context.Context, unit byte) (code uint16, isModbus bool, err error) {
	defer d.Close()
	if err := d.startPoll(ctx); err != nil {
		return 0, false, err
	}
	words := make(registers.Words, 1)
	err = d.readOnce(ctx, unit, registers.Block{Name: "A", Kind: registers.Input, Start: deviceType.Address(), Count: 1}, words)
	if err != nil {
		return 0, isException(err), err
	}
	code = words[deviceType.Address()]
	if code == 0 || code == 0xFFFF {
		return 0, true, errors.New("it does not say its type")
	}
	return code, true, nil
}
