package simulator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is something that goes wrong with answers. Its text form is
//
//	kind[=value][:from-to][@chance][*times]
//
// where from-to limits it to reads that start at these wire addresses, chance to a part of them, and times to so many:
// "exception=6:5600-5638@0.1" spoils a tenth of the reads of one block, "silent*2" the next two requests.
type Fault struct {
	Kind     string
	Value    time.Duration // of slow, late and idle: how long; of the others the number that the kind takes
	Local    bool          // only reads that start From these wire addresses To those
	From, To uint16
	Chance   float64 // 0: always
	Times    int     // 0: for ever
	Unit     byte    // that it is limited to, 0: any; has no text form
}

// kinds are the faults and the value each has if none is given; a negative one says that it takes none.
var kinds = map[string]time.Duration{
	"slow":          2 * time.Second,  // answers late and meanwhile nothing else
	"late":          7 * time.Second,  // answers late and meanwhile other requests
	"silent":        -1,               // accepts and never answers
	"half":          -1,               // breaks off in the middle of an answer and closes
	"stall":         -1,               // breaks off in the middle of an answer and stays
	"wrong-unit":    99,               // another unit id answers
	"exception":     4,                // this exception code
	"code0":         -1,               // the exception code 0, which does not exist
	"bad-length":    4,                // an exception whose header says that it is a byte shorter
	"bad-count":     2,                // so many bytes of registers less than the answer says
	"surplus":       3,                // so many bytes after the answer
	"reset":         -1,               // resets the connection
	"refuse":        2,                // exception 2 for an address range
	"zeros":         -1,               // registers read 0, as of a dongle that starts or lost its inverter
	"frozen":        -1,               // the registers do not change any more
	"asleep":        -1,               // a string inverter at night: no voltage, the day's yield stays
	"second-client": -1,               // another client's answer comes first
	"idle":          12 * time.Second, // closes a connection after so long without a request
	"off":           -1,               // closes every connection at once
}

// FaultKinds are the kinds of faults there are, sorted.
func FaultKinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// ParseFault reads the text form.
func ParseFault(text string) (Fault, error) {
	bad := func(why string) (Fault, error) { return Fault{}, fmt.Errorf("fault %q: %s", text, why) }
	var f Fault
	rest, times, limited := strings.Cut(text, "*")
	if limited {
		n, err := strconv.Atoi(times)
		if err != nil || n < 1 {
			return bad("after * comes how often, 1 or more")
		}
		f.Times = n
	}
	rest, chance, some := strings.Cut(rest, "@")
	if some {
		p, err := strconv.ParseFloat(chance, 64)
		if err != nil || !(p > 0 && p <= 1) {
			return bad("after @ comes a chance above 0 and up to 1")
		}
		f.Chance = p
	}
	rest, area, local := strings.Cut(rest, ":")
	kind, value, given := strings.Cut(rest, "=")
	f.Kind = kind
	usual, known := kinds[kind]
	if !known {
		return bad("the kinds are " + strings.Join(FaultKinds(), ", "))
	}
	f.Value = max(usual, 0)
	switch {
	case kind == "refuse":
		area, local = cmp.Or(value, area), true
	case given && usual < 0:
		return bad(kind + " takes no value")
	case given && timed(kind):
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return bad("a duration such as 2s is needed")
		}
		f.Value = d
	case given:
		n, err := strconv.ParseUint(value, 10, 8)
		if err != nil {
			return bad("a number of 0 to 255 is needed")
		}
		f.Value = time.Duration(n)
	}
	if local {
		from, to, pair := strings.Cut(area, "-")
		if !pair {
			to = from
		}
		low, err1 := strconv.ParseUint(from, 10, 16)
		high, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil || low > high {
			return bad("wire addresses such as 5213-5241 are needed")
		}
		f.Local, f.From, f.To = true, uint16(low), uint16(high)
	}
	return f, nil
}

// String returns the text form.
func (f Fault) String() string {
	s := f.Kind
	switch usual := kinds[f.Kind]; {
	case f.Kind == "refuse" || usual < 0:
	case timed(f.Kind):
		s += "=" + f.Value.String()
	default:
		s += "=" + strconv.Itoa(int(f.Value))
	}
	if f.Local {
		sep := ":"
		if f.Kind == "refuse" {
			sep = "="
		}
		s += fmt.Sprintf("%s%d-%d", sep, f.From, f.To)
	}
	if f.Chance != 0 {
		s += "@" + strconv.FormatFloat(f.Chance, 'g', -1, 64)
	}
	if f.Times != 0 {
		s += "*" + strconv.Itoa(f.Times)
	}
	return s
}

// timed reports whether the value of a kind is a duration.
func timed(kind string) bool { return kind == "slow" || kind == "late" || kind == "idle" }

// UnmarshalText lets a command line take faults.
func (f *Fault) UnmarshalText(text []byte) (err error) {
	*f, err = ParseFault(string(text))
	return err
}

// touches reports whether the fault is about reads of a unit that start at address.
func (f Fault) touches(unit byte, address uint16) bool {
	if f.Unit != 0 && f.Unit != unit {
		return false
	}
	return !f.Local || f.From <= address && address <= f.To
}

// strikes are the faults that hit one request, by kind.
type strikes map[string]time.Duration

func (s strikes) has(kind string) bool {
	_, ok := s[kind]
	return ok
}
