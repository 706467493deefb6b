package history

import (
	"bytes"
	"math"
	"strconv"
)

// column is one of the columns of an answer, NaN where nothing is known: null in JSON, never 0.
type column []float64

// columns are the columns of an answer by name.
type columns map[string]column

// Number is one number of an answer; NaN is null.
type Number float64

func (c column) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 8*len(c)+2)
	b = append(b, '[')
	for i, v := range c {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNumber(b, v)
	}
	return append(b, ']'), nil
}

func (n Number) MarshalJSON() ([]byte, error) { return appendNumber(nil, float64(n)), nil }

func (n *Number) UnmarshalJSON(b []byte) (err error) {
	v := math.NaN()
	if !bytes.Equal(b, []byte("null")) {
		v, err = strconv.ParseFloat(string(b), 64)
	}
	*n = Number(v)
	return err
}

func appendNumber(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

var (
	unknown = math.NaN()
	null    = Number(unknown)
)

// known returns v, or NaN if it is not known.
func known(v float64, ok bool) float64 {
	if !ok {
		return unknown
	}
	return v
}

// round cuts digits that were not measured; NaN stays, and -0 becomes 0.
func round(v float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(v*p)/p + 0
}

// number returns v as an answer has it, rounded.
func number(v float64, digits int) Number { return Number(round(v, digits)) }

func rounded(all []float64, digits int) column {
	for i := range all {
		all[i] = round(all[i], digits)
	}
	return all
}
