package batch

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sunspool/vps/problem"
	"sunspool/wire"
)

// What a body may hold beside the limits of the server. They bound memory and what is stored, and are far above what
// an edge sends.
const (
	maxDepth     = 64   // of nested JSON
	MaxValues    = 512  // names in one sample's values
	MaxName      = 64   // bytes of such a name
	MaxText      = 128  // bytes of batch_id, tz and what the edge reports of itself
	smallSample  = 100  // bytes: a sample with all its fields is larger
	maxMagnitude = 1e15 // of any number: beyond it a sum could leave the finite numbers
)

// CodeOutOfRange is that of a number whose sum with others could leave the finite numbers.
const CodeOutOfRange = "out_of_range"

var (
	errTooDeep        = errors.New("nested more than 64 deep")
	errTooManySamples = problem.New(413, "too_many_samples", "Too many samples in one batch.").WithNext("send fewer samples per batch")
)

// Decoder reads a body in one pass over its bytes, strictly: a duplicate name, invalid UTF-8, or anything after the end
// refuses the whole body, a wrong field only its sample. Unknown names are skipped; the names known are matched exactly.
type Decoder struct {
	Body   bytes.Buffer
	json   *jsontext.Decoder
	names  map[string]*valueName // of this body's values, so that a name is allocated once
	object uint32                // how many objects of values this body had
	width  int                   // how many names the last sample had: a guess for the next
	text   []byte                // the last string that had escapes
	among  []string              // the devices that the batch may be of
	floats []float64             // room for optional fields: a pointer each into a small shared block

	now   time.Time
	max   int
	whole []byte // the body
	Batch
}

// valueName is a name of values.
type valueName struct {
	text string
	in   uint32 // the last object that had it
}

// The decoder finds names that come twice itself, see members: jsontext makes a table for that of each object.
var options = jsontext.AllowDuplicateNames(true)

var decoders = sync.Pool{New: func() any {
	return &Decoder{json: jsontext.NewDecoder(new(bytes.Buffer), options), names: map[string]*valueName{}}
}}

// NewDecoder returns a decoder for one body, which the caller writes to its body; release gives it back.
func NewDecoder() *Decoder { return decoders.Get().(*Decoder) }

// Release gives d back, and a buffer that is large for itself.
func (d *Decoder) Release() {
	if d.Body.Cap() > 2*SmallBody {
		d.json.Reset(new(bytes.Buffer), options)
		largeBuffers.Put(new(d.Body))
		d.Body = bytes.Buffer{}
	}
	d.whole, d.among, d.Batch, d.floats = nil, nil, Batch{}, nil
	decoders.Put(d)
}

// The names of a sample beside those of wire.Fields, as indexes behind those.
const (
	deviceName = 31 - iota
	timeName
	countName
	valuesName
	unknownName
)

// sampleNames are the indexes in wire.Fields by JSON name, and those of the other names that a sample has.
var sampleNames, requiredFields = func() (map[string]int, uint32) {
	places, required := map[string]int{"device_id": deviceName, "ts": timeName, "sample_count": countName, "values": valuesName}, uint32(0)
	for i, f := range wire.Fields {
		places[f.Name] = i
		if f.Required {
			required |= 1 << i
		}
	}
	return places, required
}()

// Decode reads d.body as a batch of one of some devices, that the first sample names, sent at the time now. The error is a
// refusal of the whole.
func (d *Decoder) Decode(among []string, now time.Time, maxSamples int) (Batch, error) {
	d.among, d.now, d.max = among, now, maxSamples
	d.Batch, d.floats = Batch{}, nil
	if len(among) == 1 {
		d.Device = among[0]
	}
	d.whole = d.Body.Bytes() // json takes it out of the buffer
	clear(d.names)
	d.object = 0
	d.json.Reset(&d.Body, options)

	if err := d.root(); err != nil {
		return Batch{}, d.refusal(err)
	}
	return d.Batch, nil
}

func (d *Decoder) root() error {
	seen := false
	switch kind := d.json.PeekKind(); kind {
	case '{':
	case jsontext.KindInvalid:
		_, err := d.json.ReadToken()
		return err
	default:
		return problem.Invalid("model_attributes_type", "Input should be an object")
	}
	err := d.members(distinct(), func(name []byte) error {
		switch string(name) {
		case "samples":
			seen = true
			return d.samples()
		case "batch_id":
			return d.shortText("batch_id", &d.ID)
		case "tz":
			return d.shortText("tz", &d.Zone)
		case "edge":
			return d.readEdge()
		case "kept":
			return d.readKept()
		}
		return d.skip()
	})
	if err != nil {
		return err
	}
	if _, err := d.json.ReadToken(); err != io.EOF {
		return errors.Join(errors.New("data after the end"), err)
	}
	if !seen {
		return problem.Invalid("missing", "Field required", "samples")
	}
	return nil
}

func (d *Decoder) samples() error {
	if kind := d.json.PeekKind(); kind != '[' && kind != jsontext.KindInvalid {
		return problem.Invalid("list_type", "Input should be a valid list", "samples")
	}
	return d.array(func() error {
		if d.Sent++; d.Sent > d.max {
			return errTooManySamples
		}
		return d.sample(d.Sent - 1)
	})
}

// sample reads one sample into good, or what is wrong with it into problems.
func (d *Decoder) sample(index int) error {
	if kind := d.json.PeekKind(); kind != '{' && kind != jsontext.KindInvalid {
		d.refuse(index, "", "model_attributes_type", "Input should be an object")
		return d.skip()
	}
	if d.Good == nil {
		d.Good = make([]wire.Sample, 0, min(d.max, d.Body.Len()/smallSample+1))
		d.Indexes = make([]int, 0, cap(d.Good))
	}
	d.Good = append(d.Good, wire.Sample{Count: 1}) // decoded in place, and removed again if it is bad
	s, start := &d.Good[len(d.Good)-1], d.json.InputOffset()
	before, seen, others, place := len(d.Problems), uint32(0), distinct(), 0
	err := d.members(func(name []byte) bool {
		var known bool
		if place, known = sampleNames[string(name)]; !known {
			place = unknownName
			return others(name)
		}
		first := seen&(1<<place) == 0
		seen |= 1 << place
		return first
	}, func([]byte) error {
		switch place {
		case deviceName:
			return d.readDevice(index, s)
		case timeName:
			return d.readTime(index, s)
		case countName:
			return d.readCount(index, s)
		case valuesName:
			return d.readValues(index, s)
		case unknownName:
			return d.skip()
		}
		return d.readField(index, s, wire.Fields[place])
	})
	if err != nil {
		return err
	}

	if seen&(1<<deviceName) == 0 {
		d.refuse(index, "device_id", "missing", "Field required")
	}
	if seen&(1<<timeName) == 0 {
		d.refuse(index, "ts", "missing", "Field required")
	}
	if seen&requiredFields != requiredFields {
		for i, f := range wire.Fields {
			if f.Required && seen&(1<<i) == 0 {
				d.refuse(index, f.Name, "missing", "Field required")
			}
		}
	}
	if len(d.Problems) == before {
		if why, bad := errors.AsType[*wire.Invalid](s.Validate(d.now)); bad {
			d.refuse(index, why.Field, why.Code, why.Detail)
			if sent := bytes.TrimLeft(d.whole[start:d.json.InputOffset()], " \t\r\n,"); untimelyCode(why.Code) && len(sent) <= MaxUntimely {
				d.Untimely = append(d.Untimely, Untimely{index, why.Code, bytes.Clone(sent)})
			}
		}
	}
	if len(d.Problems) > before {
		d.Good = d.Good[:len(d.Good)-1]
	} else {
		d.Indexes = append(d.Indexes, index)
	}
	return nil
}

func (d *Decoder) refuse(index int, field, code, what string) {
	d.Problems = append(d.Problems, Problem{index, field, code, what})
}
