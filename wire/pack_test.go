package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// ordinary is a sample as a house with a battery sends it, without values.
func ordinary() Sample {
	return Sample{
		DeviceID: "192.168.1.100", Time: time.Date(2026, 7, 14, 11, 52, 35, 120e6, time.UTC), PVPowerW: 4317,
		PVDailyKWh: new(17.3), BatteryPowerW: new(-1204.0), BatterySOCPct: new(83.5), BatteryTempC: new(-4.1),
		LoadPowerW: new(812.0), ExportPowerW: new(2301.0), Count: 1,
		PVTotalKWh: new(50096.3), ImportTotalKWh: new(4711.2), ExportTotalKWh: new(18758.9),
		ChargeTotalKWh: new(21493.4), DischargeTotalKWh: new(19967.1), DirectTotalKWh: new(9845.6),
	}
}

// full is ordinary with n register values of believable size.
func full(n int) Sample {
	s, r := ordinary(), rand.New(rand.NewPCG(1, 2))
	s.Values = map[string]float64{}
	for i := range n {
		i += 8 * (i / 8) // as reads do: some registers in a row, some left out
		s.Values[names[i]] = float64(r.IntN(1<<uint(r.IntN(14)))) / []float64{1, 10, 10, 100}[r.IntN(4)]
	}
	return s
}

// anything is a sample that no inverter sends: any bits in any field.
func anything(r *rand.Rand) Sample {
	number := func() float64 {
		switch r.IntN(5) {
		case 0:
			return math.Float64frombits(r.Uint64())
		case 1:
			return []float64{0, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, 5e-324, 1 << 53, -1 << 53, 1<<53 - 1}[r.IntN(9)]
		case 2:
			return r.NormFloat64() * 1000
		default:
			return float64(r.IntN(200_001)-100_000) / pow10[r.IntN(4)]
		}
	}
	s := Sample{
		DeviceID: strings.Repeat("d", r.IntN(65)), Time: time.UnixMilli(r.Int64N(1<<45) - 1<<44).UTC(), Count: int(r.Int32()) - 1<<30,
	}
	for _, f := range Fields {
		if !f.Nullable || r.IntN(2) == 0 {
			f.Set(&s, new(number()))
		}
	}
	if r.IntN(3) == 0 {
		s.Interval = time.Duration(1+r.IntN(3600)) * time.Second
	}
	for range r.IntN(3) * r.IntN(60) {
		if s.Values == nil {
			s.Values = map[string]float64{}
		}
		name := names[r.IntN(len(names))]
		if r.IntN(8) == 0 {
			name = fmt.Sprint("own register ", r.IntN(1000))
		}
		s.Values[name] = number()
	}
	return s
}

// difference names the first field in which a and b differ, bit by bit except for the sign of zero.
func difference(a, b *Sample) string {
	same := func(x, y float64) bool { return x == 0 && y == 0 || math.Float64bits(x) == math.Float64bits(y) }
	if a.DeviceID != b.DeviceID || !a.Time.Equal(b.Time) || a.Count != b.Count {
		return "device_id, ts or sample_count"
	}
	if a.Interval != b.Interval {
		return "interval"
	}
	for _, f := range Fields {
		x, y := f.Get(a), f.Get(b)
		if (x == nil) != (y == nil) || x != nil && !same(*x, *y) {
			return f.Name
		}
	}
	if len(a.Values) != len(b.Values) {
		return "values"
	}
	for name, x := range a.Values {
		if y, ok := b.Values[name]; !ok || !same(x, y) {
			return name
		}
	}
	return ""
}

func TestPackedSampleComesBackBitForBit(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	samples := []Sample{{Time: time.UnixMilli(0).UTC()}, ordinary(), full(90), {PVPowerW: math.Copysign(0, -1), Time: Oldest}}
	for range 5000 {
		samples = append(samples, anything(r))
	}
	for _, want := range samples {
		packed := want.AppendPacked([]byte("before"))[len("before"):]
		var got, fields Sample
		if err := got.Unpack(packed); err != nil {
			t.Fatalf("unpack %+v: %v", want, err)
		}
		if d := difference(&want, &got); d != "" {
			t.Fatalf("%s changed:\n%+v\n%+v", d, want, got)
		}
		if err := fields.UnpackFields(packed); err != nil || fields.Values != nil {
			t.Fatalf("fields alone: %v, values %v", err, fields.Values)
		}
		fields.Values = got.Values
		if d := difference(&want, &fields); d != "" {
			t.Fatalf("fields alone: %s changed", d)
		}
		if again := got.AppendPacked(nil); !bytes.Equal(again, packed) {
			t.Fatalf("equal samples, packed as %x and %x", packed, again)
		}
	}
}

// A register of 0.1 steps must not cost nine bytes: all of them, divided by ten, are short.
func TestRegisterValuesPackShort(t *testing.T) {
	for raw := range 1 << 16 {
		for _, unit := range pow10 {
			if b := appendNumber(nil, float64(raw)/unit); len(b) > 3 {
				t.Fatalf("%v takes %d bytes", float64(raw)/unit, len(b))
			}
		}
	}
}

func TestPackedSizes(t *testing.T) {
	contract := ordinary()
	for _, f := range Fields[7:] {
		f.Set(&contract, nil)
	}
	for _, c := range []struct {
		what   string
		sample Sample
		limit  int
	}{
		{"contract", contract, 45},
		{"contract and counters", ordinary(), 65},
		{"contract, counters and 90 values", full(90), 330},
	} {
		size := len(c.sample.AppendPacked(nil))
		t.Logf("%s: %d bytes", c.what, size)
		if size > c.limit {
			t.Errorf("%s: %d bytes, more than %d", c.what, size, c.limit)
		}
	}
}

// Bytes that a released version wrote must stay readable: never change this text, add another one.
func TestPackedFormOfVersionOneIsStillRead(t *testing.T) {
	s := ordinary()
	s.Values = map[string]float64{names[0]: 1, names[1]: 2.5, names[7]: 1.0 / 3, "mine": -0.25}
	const packed = "010d3139322e3136382e312e313030e090c687ec6702ff3fe88d02e90a9c4b9934c502e032e88f0199cef401c18017a9cc5bb1f968b9bf61c1" +
		"8930020008c901010503555555555555d53f0001046d696e65c601"
	got := hex.EncodeToString(s.AppendPacked(nil))
	if got != packed {
		t.Errorf("packed as\n%s, was\n%s", got, packed)
	}
	var back Sample
	b, err := hex.DecodeString(packed)
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Unpack(b); err != nil {
		t.Fatal(err)
	}
	if d := difference(&s, &back); d != "" {
		t.Errorf("%s is read differently", d)
	}
}

// A household that polls often has no byte more in its file, and one that polls rarely has its interval after the bits.
func TestIntervalIsPackedWhereThereIsOne(t *testing.T) {
	s := Sample{Time: time.UnixMilli(0).UTC(), PVPowerW: 1, Count: 1}
	for interval, want := range map[time.Duration]string{
		0:                           "0100000201080000",
		-time.Hour:                  "0100000201080000",
		999 * time.Millisecond:      "0100000201080000",
		30 * time.Second:            "01000002818080808080808080011e080000",
		30*time.Second + 1:          "01000002818080808080808080011e080000",
		10 * time.Minute:            "0100000281808080808080808001d804080000",
		time.Duration(1<<63 - 1):    "0100000281808080808080808001ffffffff07080000",
		math.MaxInt32 * time.Second: "0100000281808080808080808001ffffffff07080000",
	} {
		s.Interval = interval
		if got := hex.EncodeToString(s.AppendPacked(nil)); got != want {
			t.Errorf("%v is packed as %s, want %s", interval, got, want)
		}
		var back Sample
		if err := back.UnpackFields(s.AppendPacked(nil)); err != nil || back.Interval != time.Duration(s.IntervalS())*time.Second {
			t.Errorf("%v comes back as %v, %v", interval, back.Interval, err)
		}
	}
}

// The index of a name is in files all over the world: names.txt may grow at its end. When it did, raise both figures.
func TestNamesOnlyGrow(t *testing.T) {
	const (
		count = 201
		sum   = "6e9f5ca28793593ed21bc02079506b683270942f268cfd89dde9467b51fd9db5"
	)
	if len(names) < count {
		t.Fatalf("%d names, there were %d", len(names), count)
	}
	was := strings.Join(names[:count], "\n") + "\n"
	if got := fmt.Sprintf("%x", sha256.Sum256([]byte(was))); got != sum {
		t.Errorf("the first %d names changed: their hash is %s", count, got)
	}
	if len(nameIndex) != len(names) {
		t.Errorf("%d names, %d of them different", len(names), len(nameIndex))
	}
	if present := len(Fields); present > 63 {
		t.Errorf("%d fields do not fit the presence bits", present)
	}
}

func TestUnpackRefuses(t *testing.T) {
	good := ordinary()
	packed := good.AppendPacked(nil)
	empty := Sample{}
	head := len(empty.AppendPacked(nil)) - len("\x01\x00\x00\x00") // up to the presence bits
	bits := func(present uint64) []byte {
		return binary.AppendUvarint(slices.Clone(empty.AppendPacked(nil)[:head]), present)
	}
	many := append(bits(1), 0)

	for _, c := range []struct {
		what  string
		b     []byte
		newer bool
	}{
		{"nothing", nil, false},
		{"version 0", append([]byte{0}, packed[1:]...), false},
		{"version 2", append([]byte{2}, packed[1:]...), true},
		{"a field of the future", bits(1 << len(Fields)), true},
		{"an interval and a field of the future", append(bits(1<<63|1<<len(Fields)), 30), true},
		{"an interval of 0", append(bits(1<<63|1), 0, 8, 0, 0), false},
		{"an interval of 70 years", append(bits(1<<63|1), 0x80, 0x80, 0x80, 0x80, 8, 8, 0, 0), false},
		{"no pv_power_w", append(bits(0), 0, 0), false},
		{"a name of the future", append(many, 1, 0xff, 0xff, 3, 0), true},
		{"a run into the future", append(many, 0xff, 0xff, 3, 0, 0), true},
		{"the same name in and out of the table", append(append(many, 1, 0, 4, 0, 1, byte(len(names[0]))), append([]byte(names[0]), 4)...), false},
		{"a billion names", append(many, 0, 0xff, 0xff, 0xff, 0xff, 4), false},
		{"a text of an exabyte", []byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, false},
		{"an integer without end", append([]byte{1, 0}, bytes.Repeat([]byte{0xff}, 20)...), false},
		{"something after it", append(slices.Clone(packed), 0), false},
	} {
		kept := ordinary()
		err := kept.Unpack(c.b)
		switch {
		case err == nil:
			t.Errorf("%s: no error", c.what)
		case errors.Is(err, ErrNewer) != c.newer:
			t.Errorf("%s: %v", c.what, err)
		case difference(&kept, &good) != "":
			t.Errorf("%s: the sample was changed", c.what)
		}
	}
	for cut := range packed {
		if err := new(Sample).Unpack(packed[:cut]); err == nil {
			t.Errorf("cut after %d of %d bytes: no error", cut, len(packed))
		}
	}
}

func FuzzUnpack(f *testing.F) {
	for _, s := range []Sample{{}, ordinary(), full(90), {Values: map[string]float64{"mine": math.Pi}}} {
		f.Add(s.AppendPacked(nil))
	}
	rare := ordinary()
	rare.Interval = 10 * time.Minute
	f.Add(rare.AppendPacked(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, again Sample
		if s.Unpack(b) != nil {
			return
		}
		if len(s.Values) > len(b) {
			t.Fatalf("%d values of %d bytes", len(s.Values), len(b))
		}
		if err := again.Unpack(s.AppendPacked(nil)); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if d := difference(&s, &again); d != "" {
			t.Fatalf("%s changed", d)
		}
	})
}

func BenchmarkPack(b *testing.B) {
	for _, s := range []Sample{ordinary(), full(90)} {
		packed := s.AppendPacked(nil)
		b.Run(fmt.Sprintf("append/values=%d", len(s.Values)), func(b *testing.B) {
			for b.Loop() {
				packed = s.AppendPacked(packed[:0])
			}
		})
		b.Run(fmt.Sprintf("unpack/values=%d", len(s.Values)), func(b *testing.B) {
			for b.Loop() {
				var got Sample
				if err := got.Unpack(packed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestThereIsRoomForAllNames(t *testing.T) {
	if len(names) > mostNames {
		t.Errorf("%d names, room for %d", len(names), mostNames)
	}
}
