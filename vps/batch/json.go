package batch

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"sunspool/vps/problem"
	"sunspool/wire"
)

// members reads an object and calls member with each name, which is valid until member reads the value. IsNew reports whether
// the object did not have a name yet; one that comes twice is an error.
func (d *Decoder) members(isNew func(name []byte) bool, member func(name []byte) error) error {
	if err := d.open(); err != nil {
		return err
	}
	for d.json.PeekKind() == '"' {
		name, _, err := d.readText()
		switch {
		case err != nil:
			return err
		case !isNew(name):
			return jsontext.ErrDuplicateName
		}
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken()
	return err
}

// distinct returns a function that reports whether it is called with a name for the first time.
func distinct() func(name []byte) bool {
	var names map[string]bool
	return func(name []byte) bool {
		if names[string(name)] {
			return false
		}
		if names == nil {
			names = map[string]bool{}
		}
		names[string(name)] = true
		return true
	}
}

// array reads an array and calls element, which reads one, until its end.
func (d *Decoder) array(element func() error) error {
	if err := d.open(); err != nil {
		return err
	}
	for {
		switch d.json.PeekKind() {
		case ']', jsontext.KindInvalid:
			_, err := d.json.ReadToken()
			return err
		}
		if err := element(); err != nil {
			return err
		}
	}
}

func (d *Decoder) open() error {
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	if d.json.StackDepth() > maxDepth {
		return errTooDeep
	}
	return nil
}

// skip reads a value of any kind and forgets it.
func (d *Decoder) skip() error {
	switch d.json.PeekKind() {
	case '{':
		return d.members(distinct(), func([]byte) error { return d.skip() })
	case '[':
		return d.array(d.skip)
	}
	return d.json.SkipValue()
}

// readText reads a value that should be a string. Its bytes are valid until the next read.
func (d *Decoder) readText() (text []byte, isText bool, err error) {
	if d.json.PeekKind() != '"' {
		return nil, false, d.skip()
	}
	raw, err := d.json.ReadValue()
	if err != nil {
		return nil, false, err
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], true, nil
	}
	d.text, err = jsontext.AppendUnquote(d.text[:0], raw)
	return d.text, true, err
}

func (d *Decoder) shortText(field string, to *string) error {
	text, isText, err := d.readText()
	switch {
	case err != nil:
		return err
	case !isText:
		return problem.Invalid("string_type", "Input should be a valid string", field)
	case len(text) > MaxText:
		return problem.Invalid("string_too_long", "String should have at most 128 bytes", field)
	}
	*to = string(text)
	return nil
}

// storable returns as much of a text as is kept: nothing of one with a zero byte, which PostgreSQL cannot hold.
func storable(text []byte) string {
	if bytes.IndexByte(text, 0) >= 0 {
		return ""
	}
	end := min(len(text), MaxText)
	for end > 0 && end < len(text) && !utf8.RuneStart(text[end]) {
		end--
	}
	return string(text[:end])
}

// float returns a pointer to a copy of v. Blocks are small, so that one sample that is kept keeps little else alive.
func (d *Decoder) float(v float64) *float64 {
	if len(d.floats) == cap(d.floats) {
		d.floats = make([]float64, 0, 128)
	}
	d.floats = append(d.floats, v)
	return &d.floats[len(d.floats)-1]
}

// numberProblems is the text for each code of readNumber.
var numberProblems = map[string]string{
	"float_type":       "Input should be a valid number",
	wire.CodeNotFinite: "Input should be a finite number",
	CodeOutOfRange:     "Input should be between -1e15 and 1e15",
}

// readNumber reads a value that should be a number; code is what is wrong with it, "" if nothing. -0 is 0.
func (d *Decoder) readNumber() (v float64, code string, err error) {
	if d.json.PeekKind() != '0' {
		return 0, "float_type", d.skip()
	}
	raw, err := d.json.ReadValue()
	if err != nil {
		return 0, "", err
	}
	v, err = strconv.ParseFloat(string(raw), 64)
	switch {
	case err != nil:
		return 0, wire.CodeNotFinite, nil // the syntax is JSON's, so it can only be the range
	case math.Abs(v) > maxMagnitude:
		return 0, CodeOutOfRange, nil
	}
	return v + 0, "", nil // -0 + 0 = 0
}

// refusal turns an error of reading into the answer to it. It never quotes the body.
func (d *Decoder) refusal(err error) error {
	if _, already := errors.AsType[*problem.Refusal](err); already {
		return err
	}
	what := "JSON decode error"
	switch {
	case errors.Is(err, errTooDeep):
		what += ": " + errTooDeep.Error()
	case errors.Is(err, jsontext.ErrDuplicateName):
		what += ": duplicate name"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		what += ": unexpected end"
	}
	return &problem.Refusal{Status: 422, Problem: wire.Problem{
		Detail: []wire.FieldError{{Type: "json_invalid", Loc: []any{"body", d.json.InputOffset()}, Msg: what}},
		Code:   "json_invalid",
	}}
}
