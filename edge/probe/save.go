package probe

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"

	"sunspool/edge/registers"
	"sunspool/health"
	"sunspool/internal/durable"
)

// image is the form in which simulate serves what was read.
type image struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind"`
	Situation string          `json:"situation"`
	Model     string          `json:"model"`
	Code      uint16          `json:"device_type_code"`
	Family    string          `json:"family"`
	MPPTs     int             `json:"mppt_count"`
	Phases    int             `json:"phases"`
	Firmware  string          `json:"firmware,omitempty"`
	Fill      uint16          `json:"fill_word"`
	Refused   [][2]uint16     `json:"refused_ranges"`
	Input     registers.Words `json:"input"`
	Holding   registers.Words `json:"holding"`
}

// save writes the words of the last poll, without those that identify the unit.
func (p *Probe) save(r *Report, file string) error {
	m := p.last.Model
	text, err := json.MarshalIndent(image{
		ID: "probe", Kind: "real", Situation: "probed at " + p.readAt.Format("2006-01-02 15:04"), Model: m.Name, Code: m.Code, Family: m.Family,
		MPPTs: m.MPPTs, Phases: m.Phases, Firmware: p.last.Firmware, Refused: slices.Clip(r.Refused), Input: r.Words, Holding: p.last.Set,
	}, "", " ")
	if err != nil {
		return err
	}
	err = durable.WriteWhole(file, 0o644, func(f *os.File) error {
		_, err := f.Write(append(bytes.TrimSpace(text), '\n'))
		return err
	})
	if err != nil {
		return &health.Fault{Code: "file_not_written", What: "the file " + file + " was not written", Err: err, Next: "name another file with --save"}
	}
	return nil
}
