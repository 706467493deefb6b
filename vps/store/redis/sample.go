package redis

import (
	"bytes"
	"encoding/json"
	"math"
	"time"

	"sunspool/wire"
)

const (
	maxSample = 16 << 10 // bytes of a sample in Redis: more is neither written nor accepted
	maxPower  = 1e15     // of any number in it, as for what edges send: sums of such stay finite
)

// encodeSample returns s as others may read it; false for one that is too long.
func encodeSample(s *wire.Sample) (value []byte, ok bool) {
	one := *s
	one.Time = s.Time.UTC().Truncate(time.Millisecond)
	value, err := json.Marshal(&one)
	return value, err == nil && len(value) <= maxSample
}

// decodeSample returns the sample of device that value is, if it is one to the byte: what encodes to anything else than
// value has a field twice, unknown, absent or misspelt, or something after the end.
func decodeSample(value []byte, device string, now time.Time) (wire.Sample, bool) {
	var s wire.Sample
	if len(value) > maxSample || json.Unmarshal(value, &s) != nil {
		return wire.Sample{}, false
	}
	again, ok := encodeSample(&s)
	if !ok || !bytes.Equal(again, value) || s.DeviceID != device || s.Validate(now) != nil || !plausible(&s) {
		return wire.Sample{}, false
	}
	return s, true
}

// plausible reports whether every number of s is one that an answer can be computed from.
func plausible(s *wire.Sample) bool {
	for _, f := range wire.Fields {
		if v := f.Get(s); v != nil && math.Abs(*v) > maxPower {
			return false
		}
	}
	for _, v := range s.Values {
		if math.Abs(v) > maxPower {
			return false
		}
	}
	return true
}
