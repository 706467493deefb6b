package spool

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sunspool/internal/golden"
	"sunspool/wire"
)

var remake = flag.Bool("remake-golden", false, "make the golden files again, in today's format")

const (
	goldenSpool   = "testdata/golden/spool.db.gz"
	goldenListing = "testdata/golden/spool.txt"
	goldenBoot    = "boot-of-the-golden-file"
)

// A spool that an earlier version has left: dated and undated samples, a quarantine, and samples whose acknowledgement is
// not in the file yet. This version opens it and finds the same.
func TestSpoolOfAnEarlierVersionIsRead(t *testing.T) {
	if *remake {
		makeGoldenSpool(t)
	}
	path := filepath.Join(t.TempDir(), "spool.db")
	if err := os.WriteFile(path, golden.Read(t, goldenSpool), 0o600); err != nil {
		t.Fatal(err)
	}
	got := listSpool(t, path)
	if *remake {
		if err := os.WriteFile(goldenListing, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenListing)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, the spool is read as\n%s\nit was\n%s", err, got, want)
	}
}

// listSpool returns what is in the spool at path as text, before and after its undated samples get their times.
func listSpool(t *testing.T, path string) []byte {
	t.Helper()
	var b bytes.Buffer
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	line := func(what string, r Record) {
		text, err := json.Marshal(r.Sample)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %d, %v, boot %d, up %v: %s\n", what, r.Seq, r.When.Quality, r.When.Boot, r.When.Since, text)
	}
	list := func() {
		fmt.Fprintf(&b, "%d wait, %d of them undated, %d in quarantine\n", s.Waiting(), s.Undated(), s.InQuarantine())
		records, err := s.Peek(1000, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			line("sample", r)
		}
	}
	list()
	records, reasons, err := s.Quarantined()
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range records {
		line("quarantined", r)
		fmt.Fprintf(&b, "  %s, %s, from %s to %s\n", reasons[i].Code, reasons[i].Detail,
			reasons[i].First.UTC().Format(time.RFC3339), reasons[i].Last.UTC().Format(time.RFC3339))
	}
	up := 2 * time.Hour
	n, _, err := s.Join(goldenBoot, up)
	if err != nil {
		t.Fatal(err)
	}
	known := Anchor{Taken: up, Start: goldenStart.Add(10 * time.Hour).UnixNano(), Quality: Synced}
	if err := s.AssignTimestamps(n, known, up); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&b, "the clock is set")
	list()
	return b.Bytes()
}

var goldenStart = time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)

func makeGoldenSpool(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spool.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	n, _, err := s.Join("the boot before", 0)
	if err != nil {
		t.Fatal(err)
	}
	add := func(n uint32, i int, q Quality) {
		t.Helper()
		v := float64(i)
		sample := wire.Sample{DeviceID: "roof", Time: goldenStart.Add(time.Duration(i) * 10 * time.Second), PVPowerW: 100 * v, BatteryPowerW: new(-v),
			LoadPowerW: new(730.0), PVTotalKWh: new(20_000 + v/10), Count: 1 + i%2, Interval: 10 * time.Second, Values: map[string]float64{"grid_frequency": 50.01, "a register of mine": v / 3}}
		if err := s.Append(&sample, When{Boot: n, Since: time.Duration(i) * 10 * time.Second, Quality: q}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 12 {
		add(n, i, []Quality{Synced, ByServer, Believed}[i%3])
	}
	records, err := s.Peek(6, nil)
	if err != nil {
		t.Fatal(err)
	}
	refused := []Rejection{
		{Seq: records[2].Seq, Code: "ts_too_old", Detail: "no inverter is that old", First: goldenStart, Last: goldenStart.Add(time.Hour)},
		{Seq: records[4].Seq, Code: "value_error", Detail: "", First: goldenStart, Last: goldenStart},
	}
	if err := s.Settle([]uint64{records[0].Seq, records[1].Seq}, refused); err != nil {
		t.Fatal(err)
	}
	if n, _, err = s.Join(goldenBoot, 0); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		add(n, 20+i, Undated)
	}
	if err := s.Settle([]uint64{records[3].Seq}, nil); err != nil { // with the next commit, which does not come
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden.Write(t, goldenSpool, whole)
}
