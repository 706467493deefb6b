package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// What an edge sends is what encoding/json makes of a sample, whichever fields and values it has.
func TestEncoderWritesWhatTheStandardLibraryWrites(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	numbers := []float64{0, math.Copysign(0, -1), 1, -1, 0.1, -2.5, 1e14, 1e15, 1e16, 1e20, 1e21, 1.5e21, 1e-6, 9.99e-7, 1e-7, 1e-10, 1e-100, -1e-9, 1e300, math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 123456.789, math.Pi}
	pick := func() float64 {
		if rng.IntN(3) == 0 {
			return math.Round(rng.NormFloat64()*1e5) / 10
		}
		return numbers[rng.IntN(len(numbers))]
	}
	texts := append([]string{"", "roof", "é", "a\"b", "<&>", "\u2028", "a\x00", "bad\xff", "\\"}, names[:40]...)
	var e Encoder
	for i := range 20_000 {
		s := Sample{DeviceID: texts[rng.IntN(len(texts))], Count: rng.IntN(100) - 1, PVPowerW: pick(),
			Time: time.UnixMilli(rng.Int64N(200_000_000_000_000)).UTC()}
		if i%7 == 0 {
			s.Time = s.Time.In(time.FixedZone("", 3600*(rng.IntN(20)-10))).Add(time.Duration(rng.IntN(1000)))
		}
		for k, f := range Fields {
			if k > 0 && rng.IntN(2) == 0 {
				f.Set(&s, new(pick()))
			}
		}
		if i%5 > 0 { // often the same names as before
			s.Values = map[string]float64{}
			for k := range rng.IntN(3) * 20 {
				s.Values[texts[k%len(texts)]] = pick()
			}
		}
		if i%50 == 0 {
			s.Values = map[string]float64{"x": []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[rng.IntN(3)]}
		}
		if i%51 == 0 {
			s.Time = time.Date([]int{-1, 10_000}[i%2], 1, 1, 0, 0, 0, 0, time.UTC)
		}
		want, wrong := json.Marshal(s)
		got, err := e.Append([]byte("before"), &s)
		if (err == nil) != (wrong == nil) {
			t.Fatalf("%+v: %v, encoding/json: %v", s, err, wrong)
		}
		if err == nil && !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Fatalf("%s\nencoding/json:\n%s", got, want)
		}
	}
}

// BenchmarkEncode is of samples with all registers, in ratio to encoding/json.
func BenchmarkEncode(b *testing.B) {
	s := Sample{DeviceID: "roof", Time: time.UnixMilli(1_700_000_000_123).UTC(), Count: 1, Values: map[string]float64{}}
	for i, f := range Fields {
		f.Set(&s, new(float64(i*1234)/10))
	}
	for i, name := range names[:90] {
		s.Values[name] = float64(i*i*37) / 10
	}
	var e Encoder
	var ours, theirs time.Duration
	var buffer []byte
	for b.Loop() {
		began := time.Now()
		for range 100 {
			buffer, _ = e.Append(buffer[:0], &s)
		}
		between := time.Now()
		for range 100 {
			if _, err := json.Marshal(s); err != nil {
				b.Fatal(err)
			}
		}
		ours, theirs = ours+between.Sub(began), theirs+time.Since(between)
	}
	b.ReportMetric(float64(theirs)/float64(ours), "x_as_fast_as_encoding/json")
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N)/100, "ns/sample")
}
