//go:build unix

package store_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sunspool/internal/golden"
	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/vps/store/postgres"
	"sunspool/wire"
)

// fillGolden stores what the golden files have, and closes s while rollups are pending.
func fillGolden(t *testing.T, s store.Samples) {
	t.Helper()
	insert := func(device string, want int, samples ...wire.Sample) {
		t.Helper()
		if n, err := s.Insert(t.Context(), device, samples); err != nil || n != want {
			t.Fatalf("%d of %d samples inserted, %v; want %d", n, len(samples), err, want)
		}
	}
	full := func(at time.Time, i int) wire.Sample {
		v := float64(i)
		s := wire.Sample{Time: at, PVPowerW: float64(i * 137 % 4000), Count: 1 + i%3, Interval: 10 * time.Minute,
			Values: map[string]float64{"grid_frequency": 49.98, "nominal_power": 10, "a register of mine": v / 3}}
		for k, f := range wire.Fields[1:] {
			if (i+k)%7 > 0 {
				f.Set(&s, new(1000*float64(k)+v/10))
			}
		}
		return s
	}
	plain := func(at time.Time, i int) wire.Sample {
		return wire.Sample{Time: at, PVPowerW: float64(i % 900), Count: 1}
	}

	october := func(day int) time.Time { return time.Date(2026, 10, day, 0, 0, 0, 0, time.UTC) }
	var barn []wire.Sample
	for i := range 200 {
		barn = append(barn, plain(october(1).Add(time.Duration(i)*7*time.Minute+5*time.Second), i))
	}
	insert("barn", 201, append(barn, full(october(20), 1))...)
	for n := int64(1); n > 0; {
		var err error
		if n, err = s.Prune(t.Context(), october(1).Add(20*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	insert("barn", 1, plain(october(1).Add(time.Second), 1), barn[3]) // counted only, and a repetition

	var roof []wire.Sample
	for at := october(24).Add(20 * time.Hour); at.Before(october(26).Add(2 * time.Hour)); at = at.Add(10 * time.Minute) {
		roof = append(roof, full(at, len(roof)))
	}
	insert("roof", len(roof), roof...)
	const spans, each = 6, 540 // more than are counted again at once, see recountRoom
	var late []wire.Sample
	for i := range spans {
		start := october(27).Add(time.Duration(i) * 5 * time.Minute)
		var dense []wire.Sample
		for k := range each {
			dense = append(dense, plain(start.Add(time.Duration(k)*500*time.Millisecond), k))
		}
		insert("roof", each, dense...)
		late = append(late, plain(start.Add(251*time.Millisecond), 7))
	}
	describe := func(device string, a store.About) {
		t.Helper()
		if err := s.Describe(t.Context(), device, a); err != nil {
			t.Fatal(err)
		}
	}
	describe("roof", store.About{Zone: "Europe/Brussels", Earlier: []store.PastZone{{Zone: "UTC", Until: october(24)}}, Seen: october(27),
		Edge: &wire.Edge{Version: "1.2.3", Model: "SH10RT", PollIntervalS: 10, SpoolCount: 7, Quarantined: 1, State: "all is well"}})
	describe("described", store.About{Zone: "Asia/Kathmandu"})
	var aside []store.Aside
	for i := range 3 {
		aside = append(aside, store.Aside{Received: october(27).Add(time.Duration(i) * time.Second), Code: "ts_too_old", JSON: fmt.Appendf(nil, `{"ts":"1970-01-01T00:00:00Z","n":%d}`, i)})
	}
	if _, err := s.SetAside(t.Context(), "roof", aside); err != nil {
		t.Fatal(err)
	}
	if n, err := s.DeleteAside(t.Context(), "roof", 1); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	insert("roof", spans, late...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func makeGoldenBolt(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vps.db")
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	fillGolden(t, s)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden.Write(t, goldenBolt, whole)
}

func makeGoldenPostgres(t *testing.T, pg *testservices.PostgresServer) {
	t.Helper()
	url := pg.NewDatabase(t)
	s, err := postgres.Open(postgres.Options{URL: url, Writers: 2, Readers: 2, CallTime: testservices.Patience})
	if err != nil {
		t.Fatal(err)
	}
	testservices.Await(t, "the store is connected", func() bool { return s.Check(t.Context()) == nil })
	fillGolden(t, s)
	dump, err := exec.CommandContext(t.Context(), pg.Program("pg_dump"), "--dbname="+url, "--rows-per-insert=500", "--no-owner", "--no-privileges").Output()
	if err != nil {
		t.Fatal(err)
	}
	var sql []byte
	for line := range bytes.Lines(dump) { // what belongs to one version of psql, or to the session
		if !bytes.HasPrefix(line, []byte("\\")) && !bytes.HasPrefix(line, []byte("SET ")) && !bytes.HasPrefix(line, []byte("--")) && len(line) > 1 &&
			!bytes.HasPrefix(line, []byte("SELECT pg_catalog.set_config(")) {
			sql = append(sql, line...)
		}
	}
	golden.Write(t, goldenPostgres, sql)
}
