package inverter

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"sunspool/health"
)

// explain returns err, of an inverter, with what its owner can do about it.
func explain(address string, unit byte, err error) *health.Fault {
	if busy, ok := errors.AsType[*health.Fault](err); ok {
		return busy // another process of this machine reads it
	}
	f := &health.Fault{Code: "inverter_unreachable", What: "inverter " + address, Exit: health.ExitUnreachable, Err: err}
	var exc *exception
	var other *otherInverter
	switch {
	case ExplainDial(f, err):
	case isTimeout(err):
		f.Code = "inverter_silent"
		f.Why = "connected, but it does not answer"
		f.Next = "a dongle serves one client: stop other programs that read it (evcc, Home Assistant, SunGather), and check SUNGROW_SLAVE_ID"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		f.Code = "inverter_reset"
		f.Why = "it closed the connection"
		f.Next = "another client may hold its only session, or its firmware has Modbus TCP switched off"
	case errors.Is(err, errFraming):
		f.Code = "inverter_garbled"
		f.Why = err.Error()
		f.Next = "if it lasts, restart the dongle; a second Modbus client has the same effect"
	case errors.As(err, &other):
		explainOther(f, other)
	case errors.Is(err, errNotReady), errors.Is(err, errZeros):
		f.Code = "inverter_not_ready"
		f.Why = err.Error()
		f.Next = "wait a minute; if it lasts, restart the dongle"
	case errors.As(err, &exc):
		f.Code = "inverter_exception"
		f.Why = err.Error()
		f.Next = cmp.Or(unitHint(exc.code, unit), "if it lasts, restart the dongle")
		if exc.code == refusal && unit == homeManager {
			f.Code = "ihomemanager"
			f.Why = fmt.Sprintf("unit %d is an iHomeManager, which is no inverter: it refuses an inverter's registers", unit)
			f.Next = "set SUNGROW_HOST to the address of the inverter's own dongle or LAN port, and SUNGROW_SLAVE_ID to its unit id, which is usually 1"
		}
	}
	return f
}

// ExplainDial reports whether err is that of a connection to an inverter that was not made; then f has why, and what its owner
// can do about it.
func ExplainDial(f *health.Fault, err error) bool {
	dns, unresolved := errors.AsType[*net.DNSError](err)
	switch {
	case unresolved:
		f.Why = "the name cannot be resolved: " + dns.Err
		f.Next = "`sunspool probe` finds a dongle that announces itself; set SUNGROW_HOST to its IP address, and reserve that in your router"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Why = "the host is up but refuses connections on this port"
		f.Next = "enable Modbus TCP in the WiNet-S web page, or use the inverter's LAN port"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		f.Why = "no route to the host"
		f.Next = "check the address, the cable and the Wi-Fi of the dongle"
	case isTimeout(err) && isDial(err):
		f.Why = "the host does not answer"
		f.Next = "check the address and that the dongle has power and network; a string inverter answers by daylight only"
	default:
		return false
	}
	return true
}

const (
	homeManager = 247 // unit id of an iHomeManager
	refusal     = 2   // exception code: no such register
)

// explainOther names another inverter after it has answered several polls in a row; before that it is more likely a single
// crossed answer.
func explainOther(f *health.Fault, e *otherInverter) {
	if !e.confirmed {
		f.Code = "inverter_garbled"
		f.Why = fmt.Sprintf("one answer of another inverter, %s instead of %s", shown(e.who), shown(e.want))
		f.Next = "nothing: it is asked again; if it lasts, check that SUNGROW_HOST is still this inverter's address"
		return
	}
	f.Code = "inverter_changed"
	f.Why = fmt.Sprintf("inverter %s answers instead of %s since %s; it is not stored under this name",
		shown(e.who), shown(e.want), e.since.Local().Format("2006-01-02 15:04"))
	f.Next = "give SUNGROW_HOST the address that the right inverter has now"
	if strings.HasPrefix(e.who, typePrefix) {
		return
	}
	f.Next = fmt.Sprintf("if the inverter was replaced, set SUNGROW_SERIAL=%s; if not, give SUNGROW_HOST the address that the right one has now", e.place.InList(shown(e.who)))
}

// unitHint returns what to do about exceptions by which a gateway reports that no inverter has the unit id.
func unitHint(code, unit byte) string {
	switch code {
	case refusal:
		return "if it lasts, check SUNGROW_HOST and SUNGROW_SLAVE_ID: this unit has no inverter's registers (a logger and an iHomeManager, unit 247, are none)"
	case 10, 11:
	default:
		return ""
	}
	return fmt.Sprintf("no inverter answers as unit %d: check SUNGROW_SLAVE_ID (1, or 2 for the second of a pair)", unit)
}

// Refused reports whether a block is missing because the inverter does not have its registers.
func Refused(err error) bool { return errors.Is(err, errRefused) }

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
