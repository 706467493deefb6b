// Package paircode is the code by which an edge and a server find each other: what the server checks, and by what the edge
// knows the server if that has an authority of its own.
//
//	K7F3-9Q2D-5TXA-M1WE              a server with a certificate that everybody trusts
//	K7F3-9Q2D-5TXA-M1WE-8GZC-...     and 16 characters more: the beginning of the fingerprint of TLS_SELF
package paircode

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strings"
)

const (
	secretLength = 16 // characters: 80 bits
	pinLength    = 16
	group        = 4

	PinBytes = 10 // of a fingerprint
)

// digits are Crockford's: none looks like another one.
var digits = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// Code is a code.
type Code struct {
	Secret string // what the server checks
	Pin    []byte // the first PinBytes bytes of the fingerprint of the server's authority; nil without one
}

// NewSecret makes a secret.
func NewSecret() string {
	b := make([]byte, PinBytes)
	_, _ = rand.Read(b) // never fails
	return digits.EncodeToString(b)
}

// String returns the code in groups.
func (c Code) String() string {
	text := c.Secret + digits.EncodeToString(c.Pin)
	var groups []string
	for ; text != ""; text = text[min(group, len(text)):] {
		groups = append(groups, text[:min(group, len(text))])
	}
	return strings.Join(groups, "-")
}

var errNoCode = errors.New("a pairing code has 4 or 8 groups of 4 letters and digits, as sunspool vps pair prints it")

// upper is the capital of a small letter of ASCII, and every other character itself.
func upper(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r - 'a' + 'A'
	}
	return r
}

// Parse reads a code as people type it: in small letters, without dashes, with an O for a 0.
func Parse(text string) (c Code, err error) {
	text = strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.Map(upper, text))
	if len(text) != secretLength && len(text) != secretLength+pinLength {
		return c, errNoCode
	}
	if _, err := digits.DecodeString(text); err != nil {
		return c, errNoCode
	}
	c.Secret = text[:secretLength]
	if rest := text[secretLength:]; rest != "" {
		c.Pin, _ = digits.DecodeString(rest)
	}
	return c, nil
}
