//go:build unix

package store_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.etcd.io/bbolt"

	"sunspool/internal/golden"
	"sunspool/internal/race"
	"sunspool/internal/testservices"
	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/vps/store/postgres"
	"sunspool/wire"
)

var remake = flag.Bool("remake-golden", false, "make the golden files again, in today's formats")

const (
	goldenBolt     = "testdata/golden/vps.db.gz"
	goldenPostgres = "testdata/golden/postgres.sql.gz"
	goldenAnswers  = "testdata/golden/answers.json.gz" // of both
)

// What an earlier version has stored is read, and answers the same.
func TestFileOfAnEarlierVersionAnswersTheSame(t *testing.T) {
	race.Skip(t, "one question after the other")
	if *remake {
		makeGoldenBolt(t)
	}
	path := filepath.Join(t.TempDir(), "vps.db")
	if err := os.WriteFile(path, golden.Read(t, goldenBolt), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := pendingIn(t, path); n == 0 {
		t.Error("no rollup in the file is pending, so nothing is shown of these")
	}
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if *remake {
		golden.Write(t, goldenAnswers, answers(t, s))
	}
	isGolden(t, s)
}

func TestDatabaseOfAnEarlierVersionAnswersTheSame(t *testing.T) {
	race.Skip(t, "one question after the other")
	pg := testservices.SharedPostgres(t)
	if *remake {
		makeGoldenPostgres(t, pg)
	}
	url := pg.NewDatabase(t)
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	if _, err := db.PgConn().Exec(t.Context(), string(golden.Read(t, goldenPostgres))).ReadAll(); err != nil {
		t.Fatal(err)
	}
	pending := 0
	if err := db.QueryRow(t.Context(), `select count(*) from public.rollups where substring(packed for 1) = $1`, []byte{energy.PendingVersion}).Scan(&pending); err != nil || pending == 0 {
		t.Errorf("%d rollups in the database are pending, %v", pending, err)
	}
	s, err := postgres.Open(postgres.Options{URL: url, Writers: 2, Readers: 2, CallTime: testservices.Patience})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	testservices.Await(t, "the store is connected", func() bool { return s.Check(t.Context()) == nil })
	isGolden(t, s)
}

// isGolden compares the answers of s with the golden ones, twice: what is pending is computed in between.
func isGolden(t *testing.T, s store.Samples) {
	t.Helper()
	want := golden.Read(t, goldenAnswers)
	for range 2 {
		got := answers(t, s)
		if bytes.Equal(got, want) {
			continue
		}
		is, was := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
		for i := range min(len(is), len(was)) {
			if is[i] != was[i] {
				t.Fatalf("line %d of the answers is\n%s, was\n%s", i+1, is[i], was[i])
			}
		}
		t.Fatalf("the answers have %d lines, had %d", len(is), len(was))
	}
}

// answers returns what s answers about all that the golden files have.
func answers(t *testing.T, s store.Samples) []byte {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	brussels, err := time.LoadLocation("Europe/Brussels")
	check(err)
	all := map[string]any{}
	devices, err := s.Devices(t.Context())
	check(err)
	all["devices"] = devices
	for _, device := range []string{"barn", "roof", "none"} {
		about, err := s.About(t.Context(), device)
		check(err)
		watts, err := s.GreatestW(t.Context(), device)
		check(err)
		aside, err := s.Aside(t.Context(), device, 0, 100)
		check(err)
		var asides, samples []string
		for _, a := range aside {
			asides = append(asides, fmt.Sprintf("%d %s %s %s", a.Number, a.Received.Format(time.RFC3339Nano), a.Code, a.JSON))
		}
		check(s.Each(t.Context(), device, time.Time{}, time.Time{}, func(s wire.Sample) bool {
			text, err := json.Marshal(s)
			check(err)
			samples = append(samples, string(text))
			return true
		}))
		of := map[string]any{"about": about, "greatest_w": watts, "aside": asides, "samples": samples}
		if latest, err := s.Latest(t.Context(), device); err == nil {
			of["latest"] = latest
		} else {
			of["latest"] = err.Error()
		}
		ask := func(zone *time.Location, all ...store.Resolution) {
			for _, r := range all {
				periods, err := s.Periods(t.Context(), store.Query{Device: device, Resolution: r, Zone: zone})
				check(err)
				of[fmt.Sprintf("periods %s %s", r, zone)] = periodLines(periods)
			}
		}
		ask(time.UTC, store.Minute, store.FiveMinutes, store.Quarter, store.Hour, store.Day, store.Month, store.Year)
		ask(brussels, store.Hour, store.Day, store.Month, store.Year)
		day := store.Query{Device: device, From: time.Date(2026, 10, 25, 0, 0, 0, 0, brussels), To: time.Date(2026, 10, 26, 0, 0, 0, 0, brussels), Resolution: store.Hour, Zone: brussels}
		periods, around, err := s.Surrounded(t.Context(), day)
		check(err)
		of["the day of 25 hours, surrounded"] = periodLines(append(append([]energy.Period{around.Before}, periods...), around.After))
		all[device] = of
	}
	text, err := json.MarshalIndent(all, "", " ")
	check(err)
	return append(text, '\n')
}

// periodLines are periods as text, rounded to what the order of a sum and the processor leave the same.
func periodLines(periods []energy.Period) (lines []string) {
	for i := range periods {
		p := &periods[i]
		var counters strings.Builder
		for k, c := range p.Counters {
			if c.N > 0 {
				fmt.Fprintf(&counters, " %d:%d %.6g-%.6g", k, c.N, c.Low, c.High)
			}
		}
		lines = append(lines, fmt.Sprintf("%s %s rows %d count %d %d-%d sums %.6g weights %d max %.6g at %d power %.6g energy %.6g covered %d soc %.6g old %v counters%s",
			p.Start.UTC().Format(time.RFC3339), p.End.UTC().Format(time.RFC3339), p.Rows, p.Count, p.First, p.Last, p.Sums, p.Weights, p.PVMax, p.PVMaxAt,
			p.Power, p.Energy, p.Covered, p.SOC, p.Old, counters.String()))
	}
	return lines
}

// pendingIn returns how many rollups of five minutes in a file are pending.
func pendingIn(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("devices")).Bucket([]byte("roof")).Bucket([]byte("base")).ForEach(func(_, v []byte) error {
			if len(v) > 0 && v[0] == energy.PendingVersion {
				n++
			}
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	return n
}
