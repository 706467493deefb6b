package wire

import (
	"fmt"
	"math"
	"regexp"
	"time"
)

// Codes of an Invalid sample. ts_in_future is special: it accuses the clock, not the sample, so an edge keeps such a
// sample and sends it again.
const (
	CodeDeviceID    = "device_id_invalid"
	CodeTooOld      = "ts_too_old"
	CodeInFuture    = "ts_in_future"
	CodeNotFinite   = "not_finite"
	CodeSampleCount = "sample_count_invalid"
)

// CodeTooDense refuses a sample of a device that has sent very many for the same five minutes.
const CodeTooDense = "too_dense"

// The window of times that a server stores: no inverter with this interface is older, no honest clock further ahead.
var Oldest = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)

// MaxAhead is how far an edge's clock may be ahead of the server's.
const MaxAhead = 10 * time.Minute

var deviceID = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,64}$`)

// ValidDeviceID reports whether id can name a device: 1 to 64 of A-Z a-z 0-9 . _ ~ -
func ValidDeviceID(id string) bool { return deviceID.MatchString(id) }

// Invalid says which field of a sample cannot be stored, and why.
type Invalid struct {
	Field, Code, Detail string
}

func (e *Invalid) Error() string { return e.Field + ": " + e.Detail }

// Validate reports the first thing that keeps s out of a store at the time now, as an *Invalid, or nil.
func (s *Sample) Validate(now time.Time) error {
	switch {
	case !ValidDeviceID(s.DeviceID):
		return &Invalid{"device_id", CodeDeviceID, "must be 1 to 64 characters of A-Z a-z 0-9 . _ ~ -"}
	case s.Time.Before(Oldest):
		return &Invalid{"ts", CodeTooOld, fmt.Sprintf("is before %s", Oldest.Format(time.RFC3339))}
	case s.Time.After(now.Add(MaxAhead)):
		return &Invalid{"ts", CodeInFuture, fmt.Sprintf("is more than %v ahead of the server's clock", MaxAhead)}
	case s.Count < 1 || s.Count > math.MaxInt32:
		return &Invalid{"sample_count", CodeSampleCount, "must be a positive 32-bit integer"}
	}
	for _, f := range Fields {
		if v := f.Get(s); v != nil && !finite(*v) {
			return &Invalid{f.Name, CodeNotFinite, "must be a finite number"}
		}
	}
	for name, v := range s.Values {
		if !finite(v) {
			return &Invalid{"values." + name, CodeNotFinite, "must be a finite number"}
		}
	}
	return nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
