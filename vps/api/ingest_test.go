package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/internal/vpstest"
	"sunspool/vps/batch"
	"sunspool/wire"
)

// An edge tries again with a new server what an old one refused, whatever a proxy makes of the headers. A caller without
// a token is not told the version.
func TestAnswersToAnIngestNameTheVersion(t *testing.T) {
	b := newBench(t, func(s *Server) { s.Version = "1.2.3" })
	for body, status := range map[string]int{`{"samples":[]}`: 200, `{"samples":7}`: 422, `{"samples":[{"device_id":"other"}]}`: 403} {
		w := b.post(token1, body)
		if w.Header().Get("Server") != "sunspool/1.2.3" || w.Header().Get(wire.VersionHeader) != "1.2.3" || w.Code != status && w.Code != 422 {
			t.Errorf("%s: %d, %v", body, w.Code, w.Header())
		}
	}
	var receipt wire.Receipt
	if w := b.post(token1, `{"samples":[]}`, "Prefer", wire.Lenient); json.Unmarshal(w.Body.Bytes(), &receipt) != nil || receipt.Version != "1.2.3" {
		t.Errorf("the receipt is %s", w.Body)
	}
	if w := b.post(token1, `{"samples":[]}`); w.Body.String() != `{"inserted":0}` {
		t.Errorf("without Prefer the answer is %s", w.Body)
	}
	if w := b.post("wrong", `{"samples":[]}`); w.Header().Get("Server") != "" || w.Header().Get(wire.VersionHeader) != "" {
		t.Errorf("without a token: %v", w.Header())
	}
}

// TestLenientVerdictsAddUp sends random mixes of good, bad and repeated samples and checks each verdict by what was
// sent, and the sum by what is stored.
func TestLenientVerdictsAddUp(t *testing.T) {
	b := newBench(t)
	random := rand.New(rand.NewPCG(1, 2))
	spoil := map[string]func(map[string]any) map[string]any{
		"missing":            func(f map[string]any) map[string]any { return without(f, "battery_power_w") },
		"float_type":         func(f map[string]any) map[string]any { return with(f, "load_power_w", "730") },
		"ts_too_old":         func(f map[string]any) map[string]any { return with(f, "ts", "1999-01-01T00:00:00Z") },
		"ts_in_future":       func(f map[string]any) map[string]any { return with(f, "ts", "2126-01-01T00:00:00Z") },
		"datetime_parsing":   func(f map[string]any) map[string]any { return with(f, "ts", 17) },
		"device_id_invalid":  func(f map[string]any) map[string]any { return with(f, "device_id", "") },
		batch.CodeOutOfRange: func(f map[string]any) map[string]any { return with(f, "pv_power_w", 1e300) },
		wire.CodeSampleCount: func(f map[string]any) map[string]any { return with(f, "sample_count", 1.5) },
		"dict_type":          func(f map[string]any) map[string]any { return with(f, "values", []int{1}) },
	}
	codes := slices.Sorted(func(yield func(string) bool) {
		for code := range spoil {
			if !yield(code) {
				return
			}
		}
	})
	stored := map[time.Duration]bool{}
	for round := range 100 {
		var samples []map[string]any
		want := map[int]string{}
		fresh, repeated := 0, 0
		for i := range random.IntN(40) {
			ago := time.Duration(random.IntN(2000)) * time.Second
			f := fields(ago)
			if random.IntN(4) == 0 {
				code := codes[random.IntN(len(codes))]
				f, want[i] = spoil[code](f), code
			} else if stored[ago] {
				repeated++
			} else {
				fresh, stored[ago] = fresh+1, true
			}
			samples = append(samples, f)
		}
		body, _ := json.Marshal(map[string]any{"batch_id": fmt.Sprint("b", round), "samples": append([]map[string]any{}, samples...)})
		w := b.post(token1, string(body), "Prefer", "respond-async, Handling=Lenient; wait=1")
		got := decodeJSON[wire.Receipt](t, w)
		if w.Code != 200 || w.Header().Get("Preference-Applied") != wire.Lenient {
			t.Fatalf("%d %s", w.Code, w.Header())
		}
		if *got.Accepted+*got.Duplicates+len(got.Rejected) != len(samples) {
			t.Fatalf("verdicts do not add up to %d: %s", len(samples), w.Body)
		}
		if got.Inserted != fresh || *got.Accepted != fresh || *got.Duplicates != repeated || got.BatchID != fmt.Sprint("b", round) {
			t.Fatalf("want %d inserted, %d duplicates: %s", fresh, repeated, w.Body)
		}
		for _, r := range got.Rejected {
			if want[r.Index] != r.Code || r.Detail == "" {
				t.Fatalf("sample %d: %+v, want code %q", r.Index, r, want[r.Index])
			}
			delete(want, r.Index)
		}
		if len(want) > 0 {
			t.Fatalf("without a verdict: %v", want)
		}
	}
	if n := b.stored("inv-1"); n != len(stored) {
		t.Errorf("%d samples in the store, %d sent", n, len(stored))
	}
}

func TestOneBadSampleRefusesAStrictBatch(t *testing.T) {
	b := newBench(t)
	w := b.post(token1, bodyOf(fields(0), with(fields(time.Second), "ts", nil), without(fields(time.Minute), "load_power_w")))
	if w.Code != 422 || !strings.Contains(w.Body.String(), `["samples",1,"ts"]`) || !strings.Contains(w.Body.String(), `["samples",2,"load_power_w"]`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if n := b.stored("inv-1"); n != 0 {
		t.Errorf("%d samples of a refused batch are stored", n)
	}
}

func TestOneForeignSampleRefusesTheBatchInBothModes(t *testing.T) {
	b := newBench(t)
	body := bodyOf(fields(0), with(fields(0), "device_id", "inv-2"), with(fields(0), "ts", "never"))
	if w := b.post(token1, body, "Prefer", wire.Lenient); w.Code != 403 || w.Header().Get("Preference-Applied") != "" {
		t.Errorf("lenient: %d %s", w.Code, w.Body)
	}
	if w := b.post(token1, bodyOf(fields(0), with(fields(0), "device_id", "inv-2"))); w.Code != 403 {
		t.Errorf("strict: %d %s", w.Code, w.Body)
	}
	if n := b.stored("inv-1") + b.stored("inv-2"); n != 0 {
		t.Errorf("%d samples stored", n)
	}
}

func TestEmptyBatchIsFine(t *testing.T) {
	b := newBench(t)
	if w := b.post(token1, `{"samples":[]}`); w.Code != 200 || w.Body.String() != `{"inserted":0}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := b.post(token1, `{"samples":[], "batch_id":"x"}`, "Prefer", wire.Lenient); w.Code != 200 ||
		w.Body.String() != `{"inserted":0,"accepted":0,"duplicates":0,"batch_id":"x"}` {
		t.Errorf("lenient: %d %s", w.Code, w.Body)
	}
}

// TestAnswerOfTheWorstBatchIsSmall: an edge does not read more than 64 KiB of an answer.
func TestAnswerOfTheWorstBatchIsSmall(t *testing.T) {
	b := newBench(t)
	bad := with(fields(0), "values", map[string]any{strings.Repeat("\x01", batch.MaxName): 1e20})
	body, _ := json.Marshal(map[string]any{"batch_id": strings.Repeat("\x01", batch.MaxText), "samples": slices.Repeat([]map[string]any{bad}, wire.MaxSamples)})
	for _, prefer := range []string{wire.Lenient, ""} {
		w := b.post(token1, string(body), "Prefer", prefer)
		if w.Body.Len() > 60<<10 {
			t.Errorf("%q: %d bytes", prefer, w.Body.Len())
		}
		if prefer != "" && len(decodeJSON[wire.Receipt](t, w).Rejected) != wire.MaxSamples {
			t.Errorf("verdicts are missing: %d %.200s", w.Code, w.Body)
		}
	}
}

// TestHostileJSON: none of these is stored, none is a 5xx.
func TestHostileJSON(t *testing.T) {
	one := bodyOf(fields(0))
	replace := func(old, with string) string {
		if !strings.Contains(one, old) {
			t.Fatalf("no %s in %s", old, one)
		}
		return strings.Replace(one, old, with, 1)
	}
	for name, body := range map[string]string{
		"nothing":               "",
		"null":                  "null",
		"list":                  "[]",
		"text":                  `"samples"`,
		"NaN":                   replace("4210.5", "NaN"),
		"Infinity":              replace("4210.5", "-Infinity"),
		"1e400":                 replace("4210.5", "1e400"),
		"-1e400":                replace("4210.5", "-1e400"),
		"1e308":                 replace("4210.5", "1e308"),
		"hex":                   replace("4210.5", "0x10"),
		"leading zero":          replace("4210.5", "04210.5"),
		"boolean number":        replace("4210.5", "true"),
		"number in a list":      replace("4210.5", "[1]"),
		"number as text":        replace("4210.5", `"4210.5"`),
		"huge number of digits": replace("4210.5", strings.Repeat("9", 100_000)),
		"duplicate field":       replace(`"pv_power_w"`, `"pv_power_w":1,"pv_power_w"`),
		"escaped duplicate":     replace(`"pv_power_w"`, `"pv_power\u005fw":1,"pv_power_w"`),
		"duplicate samples":     `{"samples":[],"samples":[]}`,
		"duplicate unknown":     `{"samples":[],"x":1,"x":1}`,
		"case variant":          replace(`"pv_power_w"`, `"PV_Power_W"`),
		"case variant samples":  strings.Replace(one, `"samples"`, `"Samples"`, 1),
		"trailing data":         one + `{}`,
		"trailing garbage":      one + `x`,
		"trailing NUL":          one + "\x00",
		"BOM":                   "\xef\xbb\xbf" + one,
		"invalid UTF-8":         replace(`"inv-1"`, "\"inv\xff1\""),
		"lone surrogate":        replace(`"inv-1"`, `"inv\ud800"`),
		"NUL in text":           replace(`"inv-1"`, "\"inv\x001\""),
		"escaped NUL":           replace(`"inv-1"`, `"inv\u00001"`),
		"cut off":               one[:len(one)/2],
		"deep list":             `{"x":` + strings.Repeat("[", 11_000) + strings.Repeat("]", 11_000) + `,"samples":[]}`,
		"deep object":           `{"x":` + strings.Repeat(`{"a":`, 11_000) + "1" + strings.Repeat("}", 11_000) + `,"samples":[]}`,
		"65 deep":               `{"samples":[` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `]}`,
		"deep edge":             `{"edge":{"x":` + strings.Repeat("[", 11_000) + strings.Repeat("]", 11_000) + `},"samples":[]}`,
		"unclosed and deep":     strings.Repeat(`{"samples":[`, 50_000),
		"samples object":        `{"samples":{}}`,
		"samples null":          `{"samples":null}`,
		"sample null":           `{"samples":[null]}`,
		"sample list":           `{"samples":[[]]}`,
		"values list":           replace(`"pv_power_w"`, `"values":[1],"pv_power_w"`),
		"values of text":        replace(`"pv_power_w"`, `"values":{"a":"1"},"pv_power_w"`),
		"values of 1e400":       replace(`"pv_power_w"`, `"values":{"a":1e400},"pv_power_w"`),
		"long name of a value":  replace(`"pv_power_w"`, `"values":{"`+strings.Repeat("a", batch.MaxName+1)+`":1},"pv_power_w"`),
		"empty name of a value": replace(`"pv_power_w"`, `"values":{"":1},"pv_power_w"`),
		"too many values":       replace(`"pv_power_w"`, `"values":`+manyValues(batch.MaxValues+1)+`,"pv_power_w"`),
		"long batch_id":         `{"samples":[],"batch_id":"` + strings.Repeat("a", batch.MaxText+1) + `"}`,
		"batch_id number":       `{"samples":[],"batch_id":7}`,
		"ts number":             replace(`"ts":"`, `"ts":7,"x":"`),
		"ts year 290000":        replace(`"ts":"2026`, `"ts":"290000`),
		"ts with comma":         replace(`:30:00Z"`, `:30:00,5Z"`),
		"ts lower case":         replace(`:30:00Z"`, `:30:00z"`),
		"ts short hour":         replace(`T10:30:00Z"`, `T1:30:00Z"`),
		"ts far zone":           replace(`:30:00Z"`, `:30:00+25:00"`),
		"ts leap second":        replace(`:30:00Z"`, `:30:60Z"`),
		"count huge":            replace(`"sample_count":1`, `"sample_count":2147483648`),
		"count null":            replace(`"sample_count":1`, `"sample_count":null`),
		"count text":            replace(`"sample_count":1`, `"sample_count":"1"`),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			for _, prefer := range []string{"", wire.Lenient} {
				w := b.post(token1, body, "Prefer", prefer)
				if w.Code != 422 && (prefer == "" || w.Code != 200) {
					t.Errorf("%q: %d %s", prefer, w.Code, w.Body)
				}
				if w.Body.Len() > 500 {
					t.Errorf("%q: an answer of %d bytes: %.200s", prefer, w.Body.Len(), w.Body)
				}
			}
			if n := b.stored("inv-1"); n != 0 {
				t.Errorf("%d stored", n)
			}
		})
	}
}

func TestDepthIsBoundedAt64(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"x", "edge", "samples"} { // skipped, read and refused alike
		nested := func(depth int) string { // in all, the body's own object included
			text := strings.Repeat("[", depth-2) + strings.Repeat("]", depth-2)
			if name == "x" {
				return `{"samples":[],"x":[` + text + `]}`
			}
			if name == "edge" {
				return `{"samples":[],"edge":{"x":` + text + `}}`
			}
			return `{"samples":[` + text + `]}`
		}
		if w := b.post(token1, nested(64), "Prefer", wire.Lenient); w.Code != 200 {
			t.Errorf("%s, 64 deep: %d %s", name, w.Code, w.Body)
		}
		if w := b.post(token1, nested(65), "Prefer", wire.Lenient); w.Code != 422 || !strings.Contains(w.Body.String(), "nested more than 64 deep") {
			t.Errorf("%s, 65 deep: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	b := newBench(t)
	body := `{"new":{"deep":[1,{"x":null}]},"samples":[{"device_id":"inv-1","ts":"2026-06-21T12:30:00.1239999+02:00","pv_power_w":-0.0,
		"battery_power_w":null,"battery_soc_pct":null,"load_power_w":-0,"export_power_w":1e-400,"later":"unknown",
		"pv_total_kwh":12345.6,"values":` + manyValues(batch.MaxValues) + `,"mppt\u005f1":[1,2]}]}`
	if w := b.post(token1, body); w.Code != 200 || w.Body.String() != `{"inserted":1}` {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	s, err := b.bolt.Latest(t.Context(), "inv-1")
	if err != nil {
		t.Fatal(err)
	}
	if want := testNow.Add(123 * time.Millisecond); !s.Time.Equal(want) {
		t.Errorf("ts %v, want %v", s.Time, want)
	}
	if *s.ExportPowerW != 0 {
		t.Errorf("%+v", s)
	}
	if s.BatteryPowerW != nil || s.PVDailyKWh != nil || *s.PVTotalKWh != 12345.6 || len(s.Values) != batch.MaxValues || s.Count != 1 {
		t.Errorf("%+v", s)
	}
}

func TestGzipIsReadAndABombIs413InBoundedMemory(t *testing.T) {
	race.Skip(t, "one caller, and it measures memory")
	b := newBench(t)
	if w := b.post(token1, gzipped(bodyOf(fields(0))), "Content-Encoding", "GZIP"); w.Code != 200 || w.Body.String() != `{"inserted":1}` {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var bomb bytes.Buffer // 64 MiB in 64 KiB
	z := gzip.NewWriter(&bomb)
	io.CopyN(z, vpstest.Zeros{}, 64<<20)
	z.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := do(b.api, "POST", wire.IngestPath, token1, &bomb, "Content-Encoding", "gzip")
	runtime.ReadMemStats(&after)
	if w.Code != 413 {
		t.Errorf("bomb: %d %s", w.Code, w.Body)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 16<<20 {
		t.Errorf("%d MiB allocated", allocated>>20)
	}
	chunked := struct{ io.Reader }{io.LimitReader(vpstest.Zeros{}, 1<<30)} // no Content-Length
	if w := do(b.api, "POST", wire.IngestPath, token1, chunked); w.Code != 413 {
		t.Errorf("endless body: %d", w.Code)
	}
}

func TestZoneOfTheEdgeIsKeptAndANonsenseOneIgnored(t *testing.T) {
	b := newBench(t)
	for _, step := range []struct{ sent, want string }{
		{"Europe/Brussels", "Europe/Brussels"}, {"Mars/Base", "Europe/Brussels"}, {"Local", "Europe/Brussels"},
		{"../../etc/passwd", "Europe/Brussels"}, {"America/Sao_Paulo", "America/Sao_Paulo"}, {"", "America/Sao_Paulo"},
	} {
		body, _ := json.Marshal(map[string]any{"tz": step.sent, "samples": []any{}})
		if w := b.post(token1, string(body)); w.Code != 200 {
			t.Fatalf("%q: %d %s", step.sent, w.Code, w.Body)
		}
		if got, err := b.bolt.About(t.Context(), "inv-1"); got.Zone != step.want || err != nil {
			t.Errorf("after %q the zone is %q (%v)", step.sent, got.Zone, err)
		}
	}
	if n := strings.Count(b.log.String(), "unknown time zone"); n != 3 {
		t.Errorf("%d warnings of 3 unknown zones", n)
	}
}
