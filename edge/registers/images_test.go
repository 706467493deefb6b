package registers

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// image is what an inverter holds, and what it means.
type image struct {
	ID              string
	Family          string
	DeviceTypeCode  uint16            `json:"device_type_code"`
	FillWord        uint16            `json:"fill_word"`
	RefusedRanges   [][2]uint16       `json:"refused_ranges"`
	Input, Holding  map[uint16]uint16 // by wire address
	Expected        map[string]any    // a number, a text, null for not available, REFUSED
	ExpectedHolding map[string]any    `json:"expected_holding"`
	Derived         map[string]any
}

func (im image) hybrid() bool { return !strings.HasPrefix(im.Family, "SG") }

func images(t *testing.T) []image {
	t.Helper()
	text, err := os.ReadFile("../simulator/images.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []image
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 15 {
		t.Fatalf("%d images", len(all))
	}
	return all
}

// read is the answer to one request for these words: what the image does not list is the fill word, what it refuses is
// absent.
func (im image) read(w Words, table map[uint16]uint16, start, count uint16) {
	for a := start; a < start+count; a++ {
		if slices.ContainsFunc(im.RefusedRanges, func(r [2]uint16) bool { return a >= r[0] && a <= r[1] }) {
			continue
		}
		word, ok := table[a]
		if !ok {
			word = im.FillWord
		}
		w[a] = word
	}
}

// poll is what a poller knows of the image: the plan of its map.
func (im image) poll() Words {
	w := make(Words)
	for _, b := range (Model{Hybrid: im.hybrid()}).Map().Reads() {
		im.read(w, im.Input, b.Start, b.Count)
	}
	return w
}

func TestEveryImageDecodes(t *testing.T) {
	for _, im := range images(t) {
		t.Run(im.ID, func(t *testing.T) {
			if len(im.Expected) == 0 {
				t.Error("nothing is expected")
			}
			for _, table := range []struct {
				words    map[uint16]uint16
				kind     Kind
				expected map[string]any
			}{{im.Input, Input, im.Expected}, {im.Holding, Holding, im.ExpectedHolding}} {
				for name, want := range table.expected {
					r := im.register(t, name)
					if r.Kind != table.kind {
						t.Errorf("%v is not %v", r, table.kind)
					}
					w := make(Words)
					im.read(w, table.words, r.Address(), r.Words)
					polled := im.poll()
					if r.Block != "" && im.owns(name) {
						for a := range w {
							if word, ok := polled[a]; !ok || word != w[a] {
								t.Errorf("%s is not polled", name)
							}
						}
					}
					expect(t, r, w, want)
				}
			}
		})
	}
}

// owns reports whether the map of the image's family has the register. Units serve registers of the other one, too.
func (im image) owns(name string) bool {
	_, ok := Model{Hybrid: im.hybrid()}.Map().Lookup(name)
	return ok
}

func (im image) register(t *testing.T, name string) Register {
	if r, ok := (Model{Hybrid: im.hybrid()}).Map().Lookup(name); ok {
		return r
	}
	return register(t, name)
}

func expect(t *testing.T, r Register, w Words, want any) {
	t.Helper()
	var got any
	var err error
	if r.Type == UTF8 {
		got, err = r.Text(w)
	} else {
		got, err = r.Decode(w)
	}
	switch {
	case want == nil:
		if !errors.Is(err, ErrNotAvailable) {
			t.Errorf("%v = %v, %v, not not available", r, got, err)
		}
	case want == "REFUSED":
		if !errors.Is(err, ErrNotRead) {
			t.Errorf("%v = %v, %v, though it is refused", r, got, err)
		}
	case got != want || err != nil:
		t.Errorf("%v = %v, %v, not %v", r, got, err, want)
	}
}
