package batch

import (
	"bytes"
	"math"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sunspool/vps/store"
	"sunspool/wire"
)

func (d *Decoder) readDevice(index int, s *wire.Sample) error {
	id, isText, err := d.readText()
	switch {
	case err != nil:
		return err
	case !isText:
		d.refuse(index, "device_id", "string_type", "Input should be a valid string")
	case d.Device != "" && string(id) == d.Device:
		s.DeviceID = d.Device
	case d.Device == "" && slices.Contains(d.among, string(id)):
		d.Device = string(id)
		s.DeviceID = d.Device
	default:
		s.DeviceID = string(id[:min(len(id), 2*MaxName)]) // enough to be refused
		d.Foreign = d.Foreign || wire.ValidDeviceID(s.DeviceID)
	}
	return nil
}

func (d *Decoder) readTime(index int, s *wire.Sample) error {
	text, isText, err := d.readText()
	switch {
	case err != nil:
		return err
	case !isText || !strictTime(text) || s.Time.UnmarshalText(text) != nil:
		d.refuse(index, "ts", "datetime_parsing", "Input should be an RFC 3339 time with a zone")
	default:
		s.Time = s.Time.UTC().Truncate(time.Millisecond)
	}
	return nil
}

// strictTime refuses what package time forgives: a comma before the fraction, an hour of one digit.
func strictTime(text []byte) bool {
	const shortest = len("2006-01-02T15:04:05Z")
	return len(text) >= shortest && text[13] == ':' && bytes.IndexByte(text, ',') < 0
}

func (d *Decoder) readCount(index int, s *wire.Sample) error {
	v, code, err := d.readNumber()
	if err != nil {
		return err
	}
	if code != "" || v != math.Trunc(v) || v < 1 || v > math.MaxInt32 {
		d.refuse(index, "sample_count", wire.CodeSampleCount, "must be a positive 32-bit integer")
		return nil
	}
	s.Count = int(v)
	return nil
}

func (d *Decoder) readField(index int, s *wire.Sample, f wire.Field) error {
	if f.Nullable && d.json.PeekKind() == 'n' {
		return d.skip()
	}
	v, code, err := d.readNumber()
	switch {
	case err != nil:
		return err
	case code != "":
		d.refuse(index, f.Name, code, numberProblems[code])
	default:
		f.Set(s, d.float(v))
	}
	return nil
}

func (d *Decoder) readValues(index int, s *wire.Sample) error {
	switch kind := d.json.PeekKind(); kind {
	case '{', jsontext.KindInvalid:
	case 'n':
		return d.skip()
	default:
		d.refuse(index, "values", "dict_type", "Input should be an object of numbers")
		return d.skip()
	}
	sound := true // the first problem is enough
	refuse := func(code, what string) error {
		if sound {
			d.refuse(index, "values", code, what)
		}
		sound = false
		return nil
	}
	s.Values = make(map[string]float64, d.width)
	defer func() { d.width = min(len(s.Values), MaxName) }()
	d.object++
	var name *valueName
	return d.members(func(raw []byte) bool {
		if name = d.names[string(raw)]; name == nil {
			name = &valueName{text: string(raw)}
			d.names[name.text] = name
		}
		first := name.in != d.object
		name.in = d.object
		return first
	}, func(raw []byte) error {
		if len(raw) == 0 || len(raw) > MaxName || len(s.Values) == MaxValues {
			refuse("too_long", "must have at most 512 names of 1 to 64 bytes")
			return d.skip()
		}
		if bytes.IndexByte(raw, 0) >= 0 { // no text of PostgreSQL has one
			refuse(store.CodeNotStorable, "must have names without a zero byte")
			return d.skip()
		}
		v, code, err := d.readNumber()
		if err == nil && code != "" {
			return refuse(code, numberProblems[code])
		}
		s.Values[name.text] = v
		return err
	})
}

// readEdge reads what the edge reports of itself. Nothing in it can refuse samples: what does not fit is left out.
func (d *Decoder) readEdge() error {
	if kind := d.json.PeekKind(); kind != '{' && kind != jsontext.KindInvalid {
		return d.skip()
	}
	d.Edge = new(wire.Edge)
	text := func(to *string) error {
		raw, _, err := d.readText()
		*to = storable(raw)
		return err
	}
	number := func(set func(float64)) error {
		v, code, err := d.readNumber()
		if err == nil && code == "" && v >= 0 {
			set(min(v, math.MaxInt32))
		}
		return err
	}
	return d.members(distinct(), func(name []byte) error {
		switch string(name) {
		case "version":
			return text(&d.Edge.Version)
		case "time":
			raw, isText, err := d.readText()
			if isText && strictTime(raw) && d.Edge.Time.UnmarshalText(raw) == nil {
				d.Edge.Time = d.Edge.Time.UTC()
			}
			return err
		case "model":
			return text(&d.Edge.Model)
		case "serial":
			return text(&d.Edge.Serial)
		case "firmware":
			return text(&d.Edge.Firmware)
		case "state":
			return text(&d.Edge.State)
		case "poll_interval_s":
			return number(func(v float64) { d.Edge.PollIntervalS = v })
		case "spool_count":
			return number(func(v float64) { d.Edge.SpoolCount = int(v) })
		case "quarantined":
			return number(func(v float64) { d.Edge.Quarantined = int(v) })
		}
		return d.skip()
	})
}
