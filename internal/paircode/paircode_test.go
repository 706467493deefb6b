package paircode

import (
	"bytes"
	"strings"
	"testing"
)

func TestCodesAreReadAsPeopleTypeThem(t *testing.T) {
	pin := []byte{0, 1, 2, 253, 254, 255, 7, 8, 9, 10}
	for _, c := range []Code{{Secret: NewSecret()}, {Secret: NewSecret(), Pin: pin}, {Secret: "0000111122223333", Pin: pin}} {
		text := c.String()
		for _, typed := range []string{text, strings.ToLower(text), strings.ReplaceAll(text, "-", ""), strings.ReplaceAll(text, "-", " "),
			strings.ReplaceAll(text, "0", "o"), strings.ReplaceAll(text, "1", "l"), strings.ReplaceAll(text, "1", "I"), " " + text + " "} {
			got, err := Parse(typed)
			if err != nil || got.Secret != c.Secret || !bytes.Equal(got.Pin, c.Pin) {
				t.Errorf("%q is read as %+v, %v", typed, got, err)
			}
		}
	}
	for _, wrong := range []string{"", "K7F3", "K7F3-9Q2D-5TXA-M1W", "K7F3-9Q2D-5TXA-M1WU", "K7F3-9Q2D-5TXA-M1WE-8GZC", "K7F3-9Q2D-5TXA-M1W€", strings.Repeat("A", 64)} {
		if got, err := Parse(wrong); err == nil {
			t.Errorf("%q is read as %+v", wrong, got)
		}
	}
	if a, b := NewSecret(), NewSecret(); a == b || len(a) != secretLength {
		t.Errorf("secrets %s, %s", a, b)
	}
}

// Only the small letters of ASCII are those of a code: ToUpper makes an S of a long s, too, and a K of the sign of kelvin.
func TestOtherLettersAreNone(t *testing.T) {
	for _, text := range []string{"3EXDFX7JV66XR1Z\u017f", "3EXDFX7JV66XR1Z\u212a", "3EXDFX7JV66XR1Z\u0131"} {
		if c, err := Parse(text); err == nil {
			t.Errorf("%q is taken as %q", text, c.Secret)
		}
	}
	if c, err := Parse("3exd-fx7j-v66x-r1zs"); err != nil || c.Secret != "3EXDFX7JV66XR1ZS" {
		t.Errorf("%q, %v", c.Secret, err)
	}
}
