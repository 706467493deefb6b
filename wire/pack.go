package wire

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// The packed form of a sample, at rest in the edge's spool and in the embedded store. It needs nothing but itself and
// this package to be read again:
//
//	version, device_id, ts, sample_count, presence bits of Fields, interval in seconds if its bit is among them,
//	numbers of the present Fields,
//	runs of consecutive names: length, gap to the run before, numbers; a length of 0 ends them,
//	the names that are in no table: how many, then name, number each
//
// Integers are varints, signed ones zigzag; a text is its length and its bytes. A number is the varint of
// zigzag(mantissa)<<2 | decimals where mantissa / 10^decimals is exactly that float64, as it is for whatever was a
// register times a power of ten and was divided, not multiplied by 0.1; otherwise it is rawNumber and its eight bytes.
//
// Fields and names.txt may grow at their ends without a new version, because a reader that does not know an entry
// refuses it by its index. The bit of the interval is the last one, where Fields does not come; a sample without an
// interval has the bytes that it had before there were any.
const packVersion = 1

const (
	intervalBit = 1 << 63
	maxInterval = math.MaxInt32 // s

	rawNumber   = 3       // three decimals and a mantissa of zero: a zero is always written with no decimals
	maxMantissa = 1 << 53 // beyond, a float64 is not exact in integers
)

// ErrNewer is returned for a packed sample that a later version of this program wrote.
var ErrNewer = errors.New("packed by a newer sunspool: update this one to read it")

var errPacked = errors.New("damaged packed sample")

//go:embed names.txt
var namesText string

var (
	names     = strings.Fields(namesText)
	nameIndex = func() map[string]int {
		index := make(map[string]int, len(names))
		for i, name := range names {
			index[name] = i
		}
		return index
	}()
	pow10 = [4]float64{1, 10, 100, 1000}
)

// AppendPacked appends the packed form of s to b. Its time is kept in whole milliseconds, its Interval in whole seconds;
// every number comes back bit for bit, except that -0 becomes 0; an empty Values comes back nil. Equal samples of one
// Interval have equal packed forms.
func (s *Sample) AppendPacked(b []byte) []byte {
	b = append(b, packVersion)
	b = appendText(b, s.DeviceID)
	b = binary.AppendVarint(b, s.Time.UnixMilli())
	b = binary.AppendVarint(b, int64(s.Count))

	var present uint64
	for i, f := range Fields {
		if f.Get(s) != nil {
			present |= 1 << i
		}
	}
	interval := s.IntervalS()
	if interval > 0 {
		present |= intervalBit
	}
	b = binary.AppendUvarint(b, present)
	if interval > 0 {
		b = binary.AppendUvarint(b, uint64(interval))
	}
	for _, f := range Fields {
		if v := f.Get(s); v != nil {
			b = appendNumber(b, *v)
		}
	}
	return s.appendValues(b)
}

// mostNames is at least as many as there are in names; appendValues has no room for more.
const mostNames = 256

func (s *Sample) appendValues(b []byte) []byte {
	var numbers [mostNames]float64 // by the index of their names
	var set [mostNames]bool
	var others []string
	for name, v := range s.Values {
		i, known := nameIndex[name]
		if !known {
			others = append(others, name)
			continue
		}
		numbers[i] = v
		set[i] = true
	}
	for i, end, left := 0, 0, len(s.Values)-len(others); left > 0; i++ {
		if !set[i] {
			continue
		}
		gap, start := i-end, i
		for i < len(names) && set[i] {
			i++
		}
		end = i
		b = binary.AppendUvarint(b, uint64(end-start))
		b = binary.AppendUvarint(b, uint64(gap))
		for _, v := range numbers[start:end] {
			b = appendNumber(b, v)
		}
		left -= end - start
	}
	b = append(b, 0)

	b = binary.AppendUvarint(b, uint64(len(others)))
	slices.Sort(others)
	for _, name := range others {
		b = appendText(b, name)
		b = appendNumber(b, s.Values[name])
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendNumber(b []byte, v float64) []byte {
	for decimals, unit := range pow10 {
		m := math.Round(v * unit)
		if !(math.Abs(m) < maxMantissa) { // NaN too
			break
		}
		if m/unit == v {
			return binary.AppendUvarint(b, zigzag(int64(m))<<2|uint64(decimals))
		}
	}
	b = append(b, rawNumber)
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

func zigzag(v int64) uint64   { return uint64(v<<1) ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// Unpack sets s to the sample whose packed form is b, which may come from a damaged disk or from an enemy: then it
// returns an error and s keeps what it had. It keeps no reference to b.
func (s *Sample) Unpack(b []byte) error {
	p := unpacker{b: b}
	out := p.fields()
	out.Values = p.values()
	if p.err == nil && len(p.b) > 0 {
		p.fail("%d bytes after its end", len(p.b))
	}
	if p.err != nil {
		return p.err
	}
	*s = out
	return nil
}

// UnpackFields is Unpack without Values, which it neither reads nor checks: an aggregate over many samples has no use
// for them.
func (s *Sample) UnpackFields(b []byte) error {
	p := unpacker{b: b}
	out := p.fields()
	if p.err != nil {
		return p.err
	}
	*s = out
	return nil
}

// unpacker reads from the front of b. After the first error everything it reads is zero.
type unpacker struct {
	b   []byte
	err error
}

func (p *unpacker) fields() (s Sample) {
	switch {
	case len(p.b) == 0:
		p.fail("empty")
		return s
	case p.b[0] > packVersion:
		p.err = fmt.Errorf("packed sample of version %d, this program knows %d: %w", p.b[0], packVersion, ErrNewer)
		return s
	case p.b[0] != packVersion:
		p.fail("version %d", p.b[0])
		return s
	}
	p.b = p.b[1:]
	s.DeviceID = string(p.text())
	s.Time = time.UnixMilli(p.varint()).UTC()
	count := p.varint()
	if s.Count = int(count); int64(s.Count) != count {
		p.fail("count %d", count)
	}

	present := p.uvarint()
	if present&intervalBit != 0 {
		present &^= intervalBit
		s.Interval = p.interval()
	}
	if present>>len(Fields) != 0 {
		p.newer("field", uint64(len(Fields)))
		return s
	}
	numbers := make([]float64, len(Fields)) // one allocation, into which the fields point
	for i, f := range Fields {
		switch {
		case present&(1<<i) != 0:
			numbers[i] = p.number()
			f.Set(&s, &numbers[i])
		case !f.Nullable:
			p.fail("without %s", f.Name)
		}
	}
	return s
}

// interval reads what is never 0: then its bit is not set.
func (p *unpacker) interval() time.Duration {
	seconds := p.uvarint()
	if seconds == 0 || seconds > maxInterval {
		p.fail("interval of %d s", seconds)
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// values reads the values, nil if there are none. Each takes a byte or more, so b bounds the memory that it uses.
func (p *unpacker) values() map[string]float64 {
	var values map[string]float64
	set := func(name string) {
		if values == nil {
			values = make(map[string]float64, min(len(p.b), len(names)))
		}
		if _, twice := values[name]; twice {
			p.fail("%q twice", name)
		}
		values[name] = p.number()
	}
	for next := uint64(0); p.err == nil; {
		length := p.uvarint()
		if length == 0 {
			break
		}
		gap, known := p.uvarint(), uint64(len(names))
		if gap > known-next || length > known-next-gap {
			p.newer("name", known)
			break
		}
		next += gap
		for range length {
			set(names[next])
			next++
		}
	}
	for n := p.uvarint(); n > 0 && p.err == nil; n-- {
		name := string(p.text())
		if p.err == nil {
			set(name)
		}
	}
	return values
}

func (p *unpacker) number() float64 {
	u := p.uvarint()
	if u == rawNumber {
		if len(p.b) < 8 {
			p.fail("cut in a number")
			return 0
		}
		v := math.Float64frombits(binary.LittleEndian.Uint64(p.b))
		p.b = p.b[8:]
		return v
	}
	return float64(unzigzag(u>>2)) / pow10[u&3]
}

func (p *unpacker) text() []byte {
	n := p.uvarint()
	if n > uint64(len(p.b)) {
		p.fail("text of %d bytes, %d left", n, len(p.b))
		return nil
	}
	text := p.b[:n]
	p.b = p.b[n:]
	return text
}

func (p *unpacker) varint() int64 { return unzigzag(p.uvarint()) }

func (p *unpacker) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.fail("cut or malformed integer")
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *unpacker) newer(what string, known uint64) {
	if p.err == nil {
		p.err = fmt.Errorf("packed sample has a %s beyond the %d known ones: %w", what, known, ErrNewer)
		p.b = nil
	}
}

func (p *unpacker) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s", errPacked, fmt.Sprintf(format, args...))
		p.b = nil
	}
}
