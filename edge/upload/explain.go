package upload

import (
	"errors"

	"sunspool/edge/transport"
	"sunspool/health"
)

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

// Explain turns what went wrong with an upload into what its owner can do about it.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	f := &health.Fault{Code: "vps_unreachable", What: "the server did not take the samples", Why: err.Error(), Err: err, Exit: health.ExitUnreachable}
	switch e := err.(type) {
	case *later:
		f.Code, f.Next = "vps_busy", "nothing: it is tried again by itself"
		return f
	case *intermediary:
		return e.fault()
	case *denied:
		e.explain(f)
		return f
	case *refusal:
		f.Code, f.Next = "batch_refused", "nothing yet: it is asked again, and nothing is given up while it takes nothing; if it lasts, update the server, or the edge"
		return f
	case *tooLarge:
		f.Code, f.Next = "batch_too_large", "nothing: smaller batches follow"
		return f
	}
	switch {
	case errors.Is(err, errSchemaMismatch):
		f.Code, f.Next = "schema_mismatch", "update the server, or the edge: their versions do not understand each other"
	case errors.Is(err, errClockAhead):
		f.Code, f.Next = "clock_ahead", "check the date of this host and of the server: nothing is given up"
	default:
		transport.Explain(f, err)
	}
	return f
}
