package health

import "errors"

// ErrResting is reported by a link across which nothing can come for now, without anything being wrong.
var ErrResting = errors.New("resting")

// Fault is an error that an operator can act on: what happened, why, and what to type or check next. Err is its
// cause, for errors.Is and for -v.
type Fault struct {
	Code string // for programs, stable: inverter_unreachable, config_invalid, ...
	What string // "inverter 192.168.1.100:502 did not answer within 3 s"
	Why  string // "the host is up but port 502 is closed"
	Next string // a command or words, see Pasteable: "enable Modbus TCP in the WiNet-S web page"
	Exit int    // exit status of the process if this ends it; 0 means 1
	Err  error
}

func (f *Fault) Error() string {
	s := f.What
	if f.Why != "" {
		s += ": " + f.Why
	}
	if f.Err != nil && f.Why == "" {
		s += ": " + f.Err.Error()
	}
	return s
}

func (f *Fault) Unwrap() error { return f.Err }

// Exit statuses of the process: a service manager and scripts decide by them.
const (
	ExitUsage       = 2   // wrong command line
	ExitConfig      = 3   // a setting is missing or wrong: do not restart
	ExitAuth        = 4   // credentials refused
	ExitUnreachable = 5   // an inverter, a server or a database cannot be reached
	ExitUnhealthy   = 6   // reachable, but stale or degraded
	ExitBusy        = 7   // port in use, data directory locked
	ExitInterrupted = 130 // interrupted by a signal
)

func codeOf(err error) string {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Code
	}
	return ""
}
