package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sunspool/vps/history"
	"sunspool/vps/store"
	"sunspool/wire"
)

func (b *bench) exported(query string, separator rune) [][]string {
	b.t.Helper()
	w := b.get("/v1/export.csv?device_id=inv-1&"+query, viewerAll)
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/csv; charset=utf-8; header=present" {
		b.t.Fatalf("%d %s %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	r := csv.NewReader(w.Body)
	r.Comma = separator
	lines, err := r.ReadAll()
	if err != nil {
		b.t.Fatal(err)
	}
	return lines
}

// TestExportHasEverySampleOnce over pages that are just full, or not, with both times.
func TestExportHasEverySampleOnce(t *testing.T) {
	end := time.Date(2026, 10, 25, 12, 0, 0, 0, time.UTC)
	b := zoned(t, "Europe/Brussels", end)
	var lines [][]string
	for i, n := range []int{history.ExportPage - 1, history.ExportPage, history.ExportPage + 1, 2 * history.ExportPage} {
		var samples []wire.Sample
		for len(samples) < n {
			samples = append(samples, wire.Sample{Time: end.Add(-time.Duration(len(samples)+1) * 10 * time.Second), PVPowerW: 1, Count: 1})
		}
		b.put("inv-1", samples)
		lines = b.exported("resolution=raw&from=2026-10-24&to=2026-10-25", ',')
		if len(lines) != n+1 {
			t.Errorf("%d: %d lines of %d samples", i, len(lines)-1, n)
		}
	}
	if fmt.Sprint(lines[0]) != "[ts_utc ts_local pv_power_w pv_daily_kwh battery_power_w battery_soc_pct battery_temp_c load_power_w export_power_w pv_total_kwh import_total_kwh export_total_kwh charge_total_kwh discharge_total_kwh direct_total_kwh sample_count]" {
		t.Errorf("%v", lines[0])
	}
	previous := time.Time{}
	for _, line := range lines[1:] {
		utc, err := time.Parse(time.RFC3339, line[0])
		local, err2 := time.Parse(time.RFC3339, line[1])
		if err != nil || err2 != nil || !utc.Equal(local) || !utc.After(previous) || !strings.HasSuffix(line[0], "Z") {
			t.Fatalf("%v %v %v", line, err, err2)
		}
		previous = utc
	}
	if !strings.HasSuffix(lines[1][1], "+02:00") || !strings.HasSuffix(lines[len(lines)-1][1], "+01:00") || lines[1][3] != "" {
		t.Errorf("%v\n%v", lines[1], lines[len(lines)-1])
	}
}

func TestExportOfPeriodsIsTheSeries(t *testing.T) {
	b := zoned(t, "Europe/Brussels", testNow)
	b.put("inv-1", newHouse(31).live(testNow.Add(-20*24*time.Hour), testNow))
	for resolution, seconds := range map[string]float64{"5m": 300, "15m": 900, "1h": 3600, "1d": 86400} {
		lines := b.exported("sep=;&from=2026-06-02&to=2026-06-20&resolution="+resolution, ';')
		if want := int(19 * 86400 / seconds); len(lines)-1 != want {
			t.Errorf("%s: %d lines, want %d", resolution, len(lines)-1, want)
			continue
		}
		column := map[string]int{}
		for i, name := range lines[0] {
			column[name] = i
		}
		sum := map[string]float64{}
		for _, line := range lines[1:] {
			for _, name := range []string{"pv_kwh", "load_kwh", "pv_w"} {
				v, err := strconv.ParseFloat(strings.Replace(line[column[name]], ",", ".", 1), 64)
				if err != nil {
					t.Fatal(line, err)
				}
				sum[name] += v
			}
		}
		want := answered[energyTest](b, "/v1/energy?device_id=inv-1&from=2026-06-02&to=2026-06-20")
		if load := float64(want.Totals["load_kwh"]); math.Abs(sum["load_kwh"]-load) > 0.005*load || math.Abs(sum["pv_w"]*seconds/3.6e6-sum["pv_kwh"]) > 0.01*sum["pv_kwh"] {
			t.Errorf("%s: %v, the load is %v", resolution, sum, load)
		}
		if lines[1][column["pv_total_kwh"]] == "" {
			t.Errorf("%s: no counter", resolution)
		}
	}
}

// TestNoCellIsAFormula: each is a number, a time or nothing.
func TestNoCellIsAFormula(t *testing.T) {
	b := zoned(t, "Europe/Brussels", testNow)
	s := sample(time.Minute)
	s.ExportPowerW, s.LoadPowerW, s.Values = new(-1e300), new(-1.7e308), map[string]float64{"=cmd()": 1, "@x": 2}
	b.put("inv-1", append(newHouse(32).live(testNow.Add(-2*time.Hour), testNow.Add(-time.Hour)), s))
	cell := regexp.MustCompile(`^(-?[0-9]+(\.[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]{5}))?$`)
	for _, query := range []string{"resolution=raw", "resolution=5m", "resolution=1d&sep=tab"} {
		separator := ','
		if strings.Contains(query, "tab") {
			separator = '\t'
		}
		lines := b.exported(query, separator)
		if len(lines) < 2 {
			t.Fatalf("%s: %v", query, lines)
		}
		for _, line := range lines[1:] {
			for i, text := range line {
				if !cell.MatchString(text) {
					t.Errorf("%s, %s: %q", query, lines[0][i], text)
				}
			}
		}
	}
	w := b.get("/v1/export.csv?device_id=inv-1&from=2026-06-21", token1)
	if got := w.Header().Get("Content-Disposition"); got != `attachment; filename="inv-1_2026-06-21_5m.csv"` {
		t.Errorf("%s", got)
	}
}

// TestSpreadsheetReadsAnExportWithSemicolons: those of countries that separate by a semicolon have a decimal comma, and
// take a time for one if it has neither a T nor a zone.
func TestSpreadsheetReadsAnExportWithSemicolons(t *testing.T) {
	b := zoned(t, "Europe/Brussels", testNow)
	s := sample(0)
	s.Time = time.Date(2026, 1, 9, 23, 0, 0, 123e6, time.UTC)
	s.PVPowerW, s.LoadPowerW, s.ExportPowerW = 1234567.25, new(0.00000012), new(math.Copysign(0, -1))
	whole := sample(0)
	whole.Time, whole.PVPowerW = s.Time.Add(4877*time.Millisecond), -0.5
	b.put("inv-1", append([]wire.Sample{s, whole}, newHouse(33).live(whole.Time.Add(time.Minute), whole.Time.Add(3*time.Hour))...))
	number := regexp.MustCompile(`^(-?[0-9]+(,[0-9]+)?)?$`)
	moment := regexp.MustCompile(`^2026-01-(09|10) [0-9]{2}:[0-9]{2}:[0-9]{2}(,[0-9]{1,3})?$`)
	for _, resolution := range []string{"raw", "5m", "15m", "1h", "1d"} {
		query := "from=2026-01-10&to=2026-01-10&resolution=" + resolution
		german := b.exported(query+"&sep=semicolon", ';')
		if sameCells := b.exported(query+"&sep=%3B", ';'); !slices.EqualFunc(german, sameCells, slices.Equal) {
			t.Errorf("%s: the character itself is another table", resolution)
		}
		iso := b.exported(query, ',')
		if tabs := b.exported(query+"&sep=tab", '\t'); !slices.EqualFunc(iso, tabs, slices.Equal) {
			t.Errorf("%s: tabs are another table than commas", resolution)
		}
		if len(german) != len(iso) || len(german) < 2 || !slices.Equal(german[0], iso[0]) {
			t.Fatalf("%s: %d and %d lines", resolution, len(german), len(iso))
		}
		for i, line := range german[1:] {
			for k, cell := range line {
				want := strings.Replace(iso[i+1][k], ".", ",", 1)
				if k < 2 {
					want = strings.TrimSuffix(strings.Replace(want, "T", " ", 1), "Z")
					want = strings.TrimSuffix(want, "+01:00")
				}
				if cell != want || k < 2 && !moment.MatchString(cell) || k >= 2 && !number.MatchString(cell) || cell == "-0" {
					t.Errorf("%s, %s: %q, want %q", resolution, german[0][k], cell, want)
				}
			}
		}
		if resolution == "raw" {
			if first := german[1]; first[0] != "2026-01-09 23:00:00,123" || first[1] != "2026-01-10 00:00:00,123" || first[2] != "1234567,25" || first[7] != "0,00000012" || first[8] != "0" {
				t.Errorf("%q", first)
			}
			if second := german[2]; second[0] != "2026-01-09 23:00:05" || second[2] != "-0,5" {
				t.Errorf("%q", second)
			}
		} else if first := german[1]; first[0] != "2026-01-09 23:00:00" || first[1] != "2026-01-10 00:00:00" {
			t.Errorf("%s: %q", resolution, first)
		}
	}
}

func TestExportOfNothingIsItsHead(t *testing.T) {
	b := newBench(t)
	for _, query := range []string{"resolution=raw", "resolution=1h", "resolution=1h&from=2031-01-01"} {
		if lines := b.exported(query, ','); len(lines) != 1 || lines[0][0] != "ts_utc" {
			t.Errorf("%s: %v", query, lines)
		}
	}
	if w := do(b.api, "HEAD", "/v1/export.csv?device_id=inv-1", token1, nil); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Disposition") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// failing is a store that breaks after some pages.
type failing struct {
	store.Samples
	pages int
}

func (f *failing) Each(ctx context.Context, device string, from, to time.Time, yield func(wire.Sample) bool) error {
	if f.pages--; f.pages < 0 {
		return errDisk
	}
	return f.Samples.Each(ctx, device, from, to, yield)
}

// TestExportThatBreaksOffIsNotAWholeOne: a client must see that lines are missing.
func TestExportThatBreaksOffIsNotAWholeOne(t *testing.T) {
	b := newBench(t, func(s *Server) { s.Store = &failing{Samples: s.Store, pages: 2} })
	b.put("inv-1", polled(rand.New(rand.NewPCG(1, 1)), testNow.Add(-10*time.Hour), testNow, 5*time.Second))
	server := httptest.NewServer(b.api)
	defer server.Close()
	read := func() (int, error) {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/export.csv?device_id=inv-1&resolution=raw", nil)
		r.Header.Set("Authorization", "Bearer "+token1)
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		n := 0
		lines := bufio.NewScanner(answer.Body)
		for lines.Scan() {
			n++
		}
		return n, lines.Err()
	}
	if n, err := read(); !errors.Is(err, io.ErrUnexpectedEOF) || n < 2*history.ExportPage-100 {
		t.Errorf("%d lines, then %v", n, err)
	}
	if b.Exports.Taken()+b.Reads.Taken() != 0 {
		t.Error("a place is lost")
	}
	if !strings.Contains(b.log.String(), `"route":"/v1/export.csv"`) {
		t.Error("not in the access log")
	}
}

// TestSlowReaderOfAnExportIsCutOffNotAFastOne: the time runs anew for each page.
func TestExportOutlastsTheServersWriteTimeout(t *testing.T) {
	slow := &slowPages{}
	b := newBench(t, func(s *Server) { slow.Samples = s.Store; s.Store = slow })
	b.put("inv-1", polled(rand.New(rand.NewPCG(1, 1)), testNow.Add(-10*time.Hour), testNow, 5*time.Second))
	server := httptest.NewUnstartedServer(b.api)
	server.Config.WriteTimeout = 150 * time.Millisecond
	server.Start()
	defer server.Close()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/export.csv?device_id=inv-1&resolution=raw", nil)
	r.Header.Set("Authorization", "Bearer "+token1)
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if n := strings.Count(string(body), "\n"); err != nil || n != b.stored("inv-1") {
		t.Errorf("%d lines of %d, %v", n, b.stored("inv-1"), err)
	}
}

type slowPages struct{ store.Samples }

func (s *slowPages) Each(ctx context.Context, device string, from, to time.Time, yield func(wire.Sample) bool) error {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
	}
	return s.Samples.Each(ctx, device, from, to, yield)
}

func TestExportsAtOnceAreFew(t *testing.T) {
	b := newBench(t, func(s *Server) { s.MaxAtOnce = 8 })
	others := occupy(b.Exports, "others", b.Exports.Most)
	if w := b.get("/v1/export.csv?device_id=inv-1", token1); w.Code != 503 || w.Header().Get("Retry-After") != "30" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	others[0].Release()
	if w := b.get("/v1/export.csv?device_id=inv-1", token1); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

// TestMemoryOfAnExportIsBounded: fifty thousand samples are not held at once.
func TestMemoryOfAnExportIsBounded(t *testing.T) {
	b := zoned(t, "UTC", testNow)
	r := rand.New(rand.NewPCG(1, 1))
	b.put("inv-1", polled(r, testNow.Add(-70*time.Hour), testNow, 5*time.Second))
	lines, most := 0, uint64(0)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	w := &discard{header: http.Header{}, wrote: func(p []byte) {
		lines += strings.Count(string(p), "\n")
		runtime.GC()
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}}
	q := httptest.NewRequest("GET", "/v1/export.csv?device_id=inv-1&resolution=raw&from=2026-06-01", nil)
	q.Header.Set("Authorization", "Bearer "+token1)
	b.api.ServeHTTP(w, q)
	if lines < 45_000 || most > before+4<<20 {
		t.Errorf("%d lines, %d KiB more than before", lines, (int64(most)-int64(before))>>10)
	}
}

type discard struct {
	header http.Header
	wrote  func([]byte)
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { d.wrote(p); return len(p), nil }
