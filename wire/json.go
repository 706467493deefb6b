package wire

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// Encoder writes samples as encoding/json does, to the byte, in a fifth of the time: nearly all that an edge does for a sample
// of its backlog is to write some hundred numbers with their names. The zero value is ready to use.
type Encoder struct {
	names   []string // of the values of the last sample, sorted: those of the next one are mostly the same
	texts   []string // the names as JSON, each with its colon
	numbers []float64
}

// Append appends s as JSON to b. The error is that a number is not finite or a time not one of JSON; then what was appended
// is of no use.
func (e *Encoder) Append(b []byte, s *Sample) ([]byte, error) {
	if y := s.Time.Year(); y < 0 || y > 9999 {
		return b, fmt.Errorf("the year %d has no form in JSON", y)
	}
	var err error
	number := func(v *float64) {
		switch {
		case v == nil:
			b = append(b, "null"...)
		case math.IsInf(*v, 0) || math.IsNaN(*v):
			err = fmt.Errorf("the number %v has no form in JSON", *v)
		default:
			b = appendJSONNumber(b, *v)
		}
	}
	b = append(append(b, `{"device_id":`...), quoted(s.DeviceID)...)
	b = append(s.Time.AppendFormat(append(b, `,"ts":"`...), time.RFC3339Nano), '"')
	for i, f := range Fields {
		if i == firstCounter {
			b = strconv.AppendInt(append(b, `,"sample_count":`...), int64(s.Count), 10)
		}
		if v := f.Get(s); v != nil || i < firstCounter {
			b = append(append(append(b, `,"`...), f.Name...), `":`...)
			number(v)
		}
	}
	if len(s.Values) > 0 {
		b = append(b, `,"values":`...)
		e.sort(s.Values)
		comma := byte('{')
		for i, v := range e.numbers {
			b = append(append(b, comma), e.texts[i]...)
			number(&v)
			comma = ','
		}
		b = append(b, '}')
	}
	return append(b, '}'), err
}

// sort puts the numbers of values in the order of their names.
func (e *Encoder) sort(values map[string]float64) {
	if len(e.names) == len(values) && e.read(values) {
		return
	}
	e.names, e.texts = slices.AppendSeq(e.names[:0], maps.Keys(values)), e.texts[:0]
	slices.Sort(e.names)
	for _, name := range e.names {
		e.texts = append(e.texts, quoted(name)+":")
	}
	e.read(values)
}

// read reads the numbers of the names, and reports whether values has all of them.
func (e *Encoder) read(values map[string]float64) bool {
	e.numbers = e.numbers[:0]
	for _, name := range e.names {
		v, ok := values[name]
		if !ok {
			return false
		}
		e.numbers = append(e.numbers, v)
	}
	return true
}

// quoted returns text as JSON. It has always a form.
func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// appendJSONNumber writes very large and very small numbers with an exponent, as encoding/json does.
func appendJSONNumber(b []byte, v float64) []byte {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 && (v != 0 || !math.Signbit(v)) {
		return strconv.AppendInt(b, int64(v), 10)
	}
	if a := math.Abs(v); a == 0 || a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, v, 'e', -1, 64)
	if n := len(b); n >= 4 && b[n-4] == 'e' && (b[n-3] == '-' || b[n-3] == '+') && b[n-2] == '0' { // e-09 to e-9
		b[n-2] = b[n-1]
		b = b[:n-1]
	}
	return b
}
