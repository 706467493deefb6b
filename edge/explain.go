package edge

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

// explain turns what went wrong with an inverter into what its owner can do about it.
func explain(address string, unit byte, err error) *health.Fault {
	f := &health.Fault{Code: "inverter_unreachable", What: "inverter " + address, Exit: health.ExitUnreachable, Err: err}
	var dns *net.DNSError
	var exc *exception
	var other *otherInverter
	switch {
	case errors.As(err, &dns):
		f.Why = "the name cannot be resolved: " + dns.Err
		f.Next = "set SUNGROW_HOST to the IP address (.local names are not resolved) and reserve it in your router"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Why = "the host is up but refuses connections on this port"
		f.Next = "enable Modbus TCP in the WiNet-S web page, or use the inverter's LAN port"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		f.Why = "no route to the host"
		f.Next = "check the address, the cable and the Wi-Fi of the dongle"
	case isTimeout(err) && isDial(err):
		f.Why = "the host does not answer"
		f.Next = "check the address and that the dongle has power and network"
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

const (
	homeManager = 247 // unit id of an iHomeManager
	refusal     = 2   // exception code: no such register
)

// explainOther names another inverter once it has answered some polls in a row; before, it is one crossed answer more
// often than not.
func explainOther(f *health.Fault, e *otherInverter) {
	if !e.named {
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
	f.Next = fmt.Sprintf("if the inverter was replaced, set SUNGROW_SERIAL=%s; if not, give SUNGROW_HOST the address that the right one has now", e.place.inList(shown(e.who)))
}

// unitHint is what to do about exceptions by which a gateway reports that no inverter has the unit id.
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

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// unusable reports a reading without a sample.
func (e *Edge) unusable(err error) error {
	u, ok := errors.AsType[*Unusable](err)
	if !ok {
		return err
	}
	return &health.Fault{Code: "reading_" + u.Code, What: "the inverter answers, but its reading gives no sample", Why: u.Why, Err: err,
		Next: "set RAW_DEBUG_ENABLED=true, which logs what was read, and report it with the model"}
}

// explain tells a token that the server does not know from one that it knows and that is for something else.
func (e *denied) explain(f *health.Fault) {
	f.Code, f.Exit, f.Why = "credential", health.ExitAuth, "it answered "+e.why
	switch {
	case e.status == 0:
		f.What, f.Why = "the token cannot be sent", e.why
		f.Next = "put the token of this inverter into VPS_DEVICE_TOKEN or the file of VPS_DEVICE_TOKEN_FILE"
	case e.code == "read_only":
		f.What = "the server takes nothing with this token, which may only read"
		f.Next = "use a token of the server's DEVICE_TOKENS in VPS_DEVICE_TOKEN: this one is of its VIEWER_TOKENS"
	case e.forbidden:
		f.What = "the server knows the token, but not as one of this device"
		f.Next = "set DEVICE_ID to the name that stands behind this token in the server's DEVICE_TOKENS, or use the token of DEVICE_ID"
	default:
		f.What = "the server does not know the token"
		f.Next = "check that VPS_DEVICE_TOKEN, or the file of VPS_DEVICE_TOKEN_FILE, holds a token of the server's DEVICE_TOKENS"
	}
}

// explainUpload turns what went wrong with an upload into what its owner can do about it.
func explainUpload(err error) error {
	if err == nil {
		return nil
	}
	f := &health.Fault{Code: "vps_unreachable", What: "the server did not take the samples", Why: err.Error(), Err: err, Exit: health.ExitUnreachable}
	switch e := err.(type) {
	case *later:
		f.Code, f.Next = "vps_busy", "nothing: it is tried again by itself"
		return f
	case *between:
		return e.fault()
	case *denied:
		e.explain(f)
		return f
	case *suspect:
		f.Code, f.Next = "batch_refused", "nothing yet: it is asked again, and nothing is given up while it takes nothing; if it lasts, update the server, or the edge"
		return f
	case *tooLarge:
		f.Code, f.Next = "batch_too_large", "nothing: smaller batches follow"
		return f
	}
	switch {
	case errors.Is(err, errSchema):
		f.Code, f.Next = "schema_mismatch", "update the server, or the edge: their versions do not understand each other"
	case errors.Is(err, errAhead):
		f.Code, f.Next = "clock_ahead", "check the date of this host and of the server: nothing is given up"
	default:
		explainNetwork(f, err)
	}
	return f
}
