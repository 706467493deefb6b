package registers

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Raw returns the register's number as it is in the words, low word first, not scaled and not signed.
// It fails with ErrNotRead, or with ErrNotAvailable and the raw value that says so; a text has no number.
func (r Register) Raw(w Words) (uint64, error) {
	if r.Type == UTF8 {
		return 0, fmt.Errorf("%v as a number: %w", r, errKind)
	}
	var raw uint64
	for i := range r.Words {
		word, ok := w[r.Address()+i]
		if !ok {
			return 0, ErrNotRead
		}
		raw |= uint64(word) << (16 * i)
	}
	if raw == r.Type.marker() || slices.Contains(r.Unavailable, raw) {
		return raw, ErrNotAvailable
	}
	return raw, nil
}

// Decode returns the register's value in its unit. It fails like Raw; a value outside of [Min, Max] comes with
// ErrImplausible, to be shown and not to be used.
func (r Register) Decode(w Words) (float64, error) {
	raw, err := r.Raw(w)
	if err != nil {
		return 0, err
	}
	scale := r.Scale
	if r.Rescale.holds(raw) {
		scale = r.Rescale.Scale
	}
	v := scaled(r.Type.signed(raw), scale)
	if !r.plausible(v) {
		return v, fmt.Errorf("%w: %v %s is not within %v to %v", ErrImplausible, v, r.Unit, r.Min, r.Max)
	}
	return v, nil
}

// Text returns the text of a UTF8 register without its padding. It fails with ErrNotRead, with ErrNotAvailable when
// nothing is there, and with ErrImplausible when something else than printable ASCII is.
func (r Register) Text(w Words) (string, error) {
	if r.Type != UTF8 {
		return "", fmt.Errorf("%v as a text: %w", r, errKind)
	}
	b := make([]byte, 0, 2*r.Words)
	for i := range r.Words {
		word, ok := w[r.Address()+i]
		if !ok {
			return "", ErrNotRead
		}
		b = append(b, byte(word>>8), byte(word))
	}
	if only(b, 0x00) || only(b, 0xFF) {
		return "", ErrNotAvailable
	}
	s, _, _ := strings.Cut(string(b), "\x00") // what follows is what was there before
	if !printable(s) || strings.TrimSpace(s) == "" {
		return "", fmt.Errorf("%w: %q is no text", ErrImplausible, b)
	}
	return strings.TrimRight(s, " "), nil
}

// Encode is the inverse of Decode: the words that mean value, rounded to the register's resolution, low word first. It
// fails when the value does not fit the type or would read as something else; the plausible range is not asked. The raw
// values of Unavailable are let pass, for they are ambiguous: -1 W at most of the signed powers.
func (r Register) Encode(value float64) ([]uint16, error) {
	if r.Type == UTF8 {
		return nil, fmt.Errorf("%v as a number: %w", r, errKind)
	}
	n, d := fraction(r.Scale)
	count := math.Round(value * d / n)
	low, high := r.Type.limits()
	if math.IsNaN(count) || count < low || count > high {
		return nil, fmt.Errorf("%v: %v %s does not fit into %v", r, value, r.Unit, r.Type)
	}
	raw := uint64(int64(count)) & (1<<(16*r.Words) - 1)
	if raw == r.Type.marker() {
		return nil, fmt.Errorf("%v: %v %s would read as %w", r, value, r.Unit, ErrNotAvailable)
	}
	if r.Rescale.holds(raw) {
		return nil, fmt.Errorf("%v: %v %s would read as %v", r, value, r.Unit, float64(raw)*r.Rescale.Scale)
	}
	words := make([]uint16, r.Words)
	for i := range words {
		words[i] = uint16(raw >> (16 * i))
	}
	return words, nil
}

// EncodeText is the inverse of Text. It fails when s is too long or is not printable ASCII; an empty s reads as not
// available.
func (r Register) EncodeText(s string) ([]uint16, error) {
	if r.Type != UTF8 {
		return nil, fmt.Errorf("%v as a text: %w", r, errKind)
	}
	if !printable(s) || len(s) > 2*int(r.Words) {
		return nil, fmt.Errorf("%v: %q is not up to %d printable characters", r, s, 2*r.Words)
	}
	words := make([]uint16, r.Words)
	for i := range len(s) {
		words[i/2] |= uint16(s[i]) << (8 * (1 - i%2))
	}
	return words, nil
}

// signed gives the raw number of the type its sign.
func (t Type) signed(raw uint64) float64 {
	switch t {
	case S16:
		return float64(int16(raw))
	case S32:
		return float64(int32(raw))
	}
	return float64(raw)
}

// limits are the least and the greatest number of the type.
func (t Type) limits() (low, high float64) {
	switch t {
	case S16:
		return math.MinInt16, math.MaxInt16
	case U32:
		return 0, math.MaxUint32
	case S32:
		return math.MinInt32, math.MaxInt32
	}
	return 0, math.MaxUint16
}

// scaled is count * scale without the error of a scale that binary cannot hold: 93 at 0.1 is 93/10 = 9.3, not
// 9.300000000000001.
func scaled(count, scale float64) float64 {
	n, d := fraction(scale)
	return count * n / d
}

// fraction returns scale as n/d with d the smallest power of ten that makes n whole, if there is a small one.
func fraction(scale float64) (n, d float64) {
	if scale == 0 {
		return 1, 1
	}
	for d = 1; d <= 1e6; d *= 10 {
		if n := math.Round(scale * d); n != 0 && math.Abs(scale*d-n) < 1e-9*math.Abs(n) {
			return n, d
		}
	}
	return scale, 1
}

func only(b []byte, c byte) bool { return bytes.Count(b, []byte{c}) == len(b) }

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
}
