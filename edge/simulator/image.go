package simulator

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"sunspool/edge/registers"
)

// Image is the words of one inverter at one instant, captured or computed, and what they mean.
type Image struct {
	ID         string  `json:"id"`
	Kind       string  `json:"kind"` // real, real-values, real-partial, official, computed
	Situation  string  `json:"situation"`
	Model      string  `json:"model"`
	DeviceType *uint16 `json:"device_type_code"` // nil where nobody knows
	Family     string  `json:"family"`
	MPPTs      int     `json:"mppt_count"`
	Phases     int     `json:"phases"`
	Transport  string  `json:"transport"`

	Input   registers.Words `json:"input"`
	Holding registers.Words `json:"holding"`
	Fill    uint16          `json:"fill_word"` // for addresses that are not listed: 0 of a dongle, 0xFFFF of a LAN port
	Refused [][2]uint16     `json:"refused_ranges"`

	Expected        map[string]any `json:"expected"` // by register name: a number, a text, null or "REFUSED"
	ExpectedHolding map[string]any `json:"expected_holding"`
	Derived         map[string]any `json:"derived"` // in the units and signs of the contract
}

// imagesPacked is images.json as gzip: make docs writes it.
//
//go:embed images.json.gz
var imagesPacked []byte

var images = sync.OnceValue(func() []Image {
	z, err := gzip.NewReader(bytes.NewReader(imagesPacked))
	if err != nil {
		panic(err) // our own file: no test passes without it
	}
	text, err := io.ReadAll(z)
	if err != nil {
		panic(err)
	}
	all, err := parseImages(text)
	if err != nil {
		panic(err)
	}
	return all
})

// Images returns the images that the program carries.
func Images() []Image { return images() }

// LoadImage returns the image with that id, or the one in a file of the same form: an image, or a list of one. The
// error of an unknown id lists the known ones.
func LoadImage(idOrPath string) (*Image, error) {
	var ids []string
	for _, image := range Images() {
		if image.ID == idOrPath {
			return &image, nil
		}
		ids = append(ids, image.ID)
	}
	text, err := os.ReadFile(idOrPath)
	if err != nil {
		return nil, fmt.Errorf("image %q is none of ours and no file that can be read (%w); ours are:\n  %s",
			idOrPath, err, strings.Join(ids, "\n  "))
	}
	all, err := parseImages(text)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", idOrPath, err)
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("image %s: has %d images instead of one", idOrPath, len(all))
	}
	return &all[0], nil
}

func parseImages(text []byte) (all []Image, err error) {
	if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		all = make([]Image, 1)
		err = json.Unmarshal(text, &all[0])
	} else {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return nil, err
	}
	for i := range all {
		if err := all[i].complete(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// complete adds the device type code to an image that has it only by name, and refuses an image without any word.
func (m *Image) complete() error {
	if len(m.Input)+len(m.Holding) == 0 {
		return fmt.Errorf("%q has no words", m.ID)
	}
	code, _ := registers.Hybrid().Lookup("device_type_code")
	if _, listed := m.Input[code.Address()]; !listed && m.DeviceType != nil {
		if m.Input == nil {
			m.Input = make(registers.Words)
		}
		m.Input[code.Address()] = *m.DeviceType
	}
	return nil
}
