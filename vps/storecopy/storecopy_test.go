//go:build unix

package storecopy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/internal/testservices"
	"sunspool/vps/progress"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/vps/store/postgres"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

var day1 = time.Date(2025, 3, 24, 0, 0, 0, 0, time.UTC)

// whole is what both stores are.
type whole interface {
	store.Samples
	store.Tokens
	store.Sites
}

// opened opens the store of a DATA_DIR or a URL until the test ends it. It is patient with a database of a busy machine.
func opened(t *testing.T, at string) whole {
	t.Helper()
	if !strings.Contains(at, "://") {
		s, err := bolt.Open(filepath.Join(at, bolt.FileName))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s, err := postgres.Open(postgres.Options{URL: at, CallTime: testservices.Patience})
	if err != nil {
		t.Fatal(err)
	}
	testservices.Await(t, "the store is connected", func() bool { return s.Check(t.Context()) == nil })
	return s
}

// change opens a store, changes it and closes it.
func change(t *testing.T, at string, f func(whole)) string {
	t.Helper()
	s := opened(t, at)
	f(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return at
}

// insert inserts samples of a house, days long.
func insert(t *testing.T, s whole, device string, from time.Time, step time.Duration, days int) {
	t.Helper()
	n := int(time.Duration(days) * 24 * time.Hour / step)
	for i := 0; i < n; i += 1000 {
		some := storetest.Houses(from, step, i, min(1000, n-i))
		if _, err := s.Insert(t.Context(), device, some); err != nil {
			t.Fatal(err)
		}
	}
}

// source is a store in a file with some devices.
func source(t *testing.T, step time.Duration) string {
	t.Helper()
	return change(t, t.TempDir(), func(s whole) {
		insert(t, s, "a", day1, step, 5)
		insert(t, s, "b", day1.AddDate(0, 0, 3), step, 4)
		if err := s.SetSite(t.Context(), store.Site{Name: "home", Devices: []string{"a", "b"}}); err != nil {
			t.Fatal(err)
		}
		if err := s.AddToken(t.Context(), store.Token{ID: "1", Sum: []byte("sum"), Name: "one", Role: store.RoleAdmin, Created: day1}); err != nil {
			t.Fatal(err)
		}
	})
}

func run(t *testing.T, c Config) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(t.Context(), c, "", &out, &out)
	return out.String(), err
}

// equal runs a copy, after which both must be equal.
func equal(t *testing.T, from, to string) string {
	t.Helper()
	said, err := run(t, Config{From: from, To: to})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if said, err := run(t, Config{From: from, To: to, Compare: true}); err != nil || !strings.Contains(said, "Both are equal") {
		t.Fatalf("compared: %v\n%s", err, said)
	}
	return said
}

func failsWith(t *testing.T, err error, code string, exit int) *health.Fault {
	t.Helper()
	f, ok := errors.AsType[*health.Fault](err)
	if !ok || f.Code != code || max(f.Exit, 1) != exit || f.Next == "" {
		t.Fatalf("%#v, want %s, %d", err, code, exit)
	}
	return f
}

// targets are an empty file and an empty database.
func targets(t *testing.T) map[string]string {
	return map[string]string{"file": t.TempDir(), "postgres": testservices.SharedPostgres(t).NewDatabase(t)}
}

// What came since a copy is added by the next one: new days, late samples, what retention deleted, tokens and sites.
func TestCopyOfAStoreThatGrewAddsWhatIsNew(t *testing.T) {
	for kind, to := range targets(t) {
		t.Run(kind, func(t *testing.T) {
			from := source(t, 5*time.Minute)
			if said := equal(t, from, to); !strings.Contains(said, "2 devices, 2592 samples to copy, 0 are there already") {
				t.Error(said)
			}
			if said := equal(t, from, to); !strings.Contains(said, "0 samples to copy, 2592 are there already") || strings.Contains(said, "samples/s") {
				t.Error(said)
			}
			change(t, from, func(s whole) {
				insert(t, s, "a", day1.AddDate(0, 0, 5), 5*time.Minute, 1)
				storetest.Insert(t, s, "a", 1, storetest.At(day1.Add(75*time.Hour+time.Second), 5))
				storetest.Insert(t, s, "c", 1, storetest.At(day1, 5))
				for n := int64(1); n > 0; {
					n, _ = s.Prune(t.Context(), day1.Add(30*time.Hour+2*time.Minute))
				}
				if _, err := s.SetAside(t.Context(), "b", []store.Aside{{Received: day1, Code: wire.CodeTooOld, JSON: []byte(`{"ts":1}`)}}); err != nil {
					t.Fatal(err)
				}
				if _, err := s.RevokeToken(t.Context(), "1", day1.AddDate(0, 0, 1)); err != nil {
					t.Fatal(err)
				}
				if err := s.SetSite(t.Context(), store.Site{Name: "away", Devices: []string{"c"}}); err != nil {
					t.Fatal(err)
				}
			})
			if said, err := run(t, Config{From: from, To: to, Compare: true}); err == nil || !strings.Contains(said, "a: NOT EQUAL: 288 and 0 samples of 2025-03-24") && !strings.Contains(said, "a: NOT EQUAL: 0 and 288 samples of 2025-03-24") {
				t.Errorf("%v\n%s", err, said)
			} else {
				failsWith(t, err, "copy_unequal", health.ExitUnhealthy)
			}
			equal(t, from, to)
			change(t, to, func(s whole) { // pruned there by its own retention, and copied again
				for n := int64(1); n > 0; {
					n, _ = s.Prune(t.Context(), day1.Add(50*time.Hour))
				}
			})
			equal(t, from, to)
		})
	}
}

// A target with anything of its own is refused, and stays as it is.
func TestTargetWithForeignDataIsRefused(t *testing.T) {
	from := source(t, 15*time.Minute)
	for name, own := range map[string]func(*testing.T, whole){
		"device":  func(t *testing.T, s whole) { storetest.Insert(t, s, "other", 1, storetest.At(day1, 1)) },
		"day":     func(t *testing.T, s whole) { storetest.Insert(t, s, "a", 1, storetest.At(day1.AddDate(0, 1, 0), 1)) },
		"samples": func(t *testing.T, s whole) { storetest.Insert(t, s, "a", 1, storetest.At(day1.Add(time.Second), 1)) },
		"values":  func(t *testing.T, s whole) { storetest.Insert(t, s, "a", 1, storetest.At(day1, 12345)) },
		"many":    func(t *testing.T, s whole) { insert(t, s, "a", day1, time.Minute, 1) },
		"described": func(t *testing.T, s whole) {
			if err := s.Describe(t.Context(), "other", store.About{Zone: "UTC"}); err != nil {
				t.Fatal(err)
			}
		},
		"token": func(t *testing.T, s whole) {
			if err := s.AddToken(t.Context(), store.Token{ID: "2", Sum: []byte("other"), Name: "two", Role: store.RoleAdmin}); err != nil {
				t.Fatal(err)
			}
		},
		"site": func(t *testing.T, s whole) {
			if err := s.SetSite(t.Context(), store.Site{Name: "own", Devices: []string{"a"}}); err != nil {
				t.Fatal(err)
			}
		},
		"aside": func(t *testing.T, s whole) {
			if _, err := s.SetAside(t.Context(), "a", []store.Aside{{Received: day1, Code: wire.CodeTooOld, JSON: []byte(`{"ts":1}`)}}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		to := map[string]string{"file": t.TempDir()}
		if name == "device" || name == "samples" || name == "values" { // what the database itself finds
			to = targets(t)
		}
		for kind, to := range to {
			t.Run(name+"/"+kind, func(t *testing.T) {
				change(t, to, func(s whole) { own(t, s) })
				before := days(t, to)
				said, err := run(t, Config{From: from, To: to})
				if f := failsWith(t, err, "copy_target_foreign", health.ExitUsage); f.Why == "" {
					t.Errorf("%+v\n%s", f, said)
				}
				if after := days(t, to); after != before {
					t.Errorf("the target was %s\nand is %s", before, after)
				}
			})
		}
	}
}

// days is what a store has of device a.
func days(t *testing.T, at string) string {
	t.Helper()
	e, err := parseEnd("--to", at, "")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := e.openRows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all, err := rows.Days(t.Context(), "a", true)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(all)
}

// during calls f once, when a copy has shown some progress.
type during struct {
	f    func()
	said bytes.Buffer
}

func (d *during) Write(p []byte) (int, error) {
	if d.f != nil && strings.Contains(string(p), " of ") {
		d.f()
		d.f = nil
	}
	return d.said.Write(p)
}

func linesAtOnce(t *testing.T) {
	was := progress.LineEvery
	progress.LineEvery = 0
	t.Cleanup(func() { progress.LineEvery = was })
}

func TestInterruptedCopyGoesOn(t *testing.T) {
	linesAtOnce(t)
	from := source(t, time.Minute)
	for kind, to := range targets(t) {
		t.Run(kind, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := Run(ctx, Config{From: from, To: to}, "", &during{f: cancel}, io.Discard)
			failsWith(t, err, "copy_interrupted", health.ExitInterrupted)
			equal(t, from, to)
		})
	}
}

// A database that ends or whose disk is full stops the copy with one error, and it goes on when that is over; at either side.
func TestCopyGoesOnAfterAnOutage(t *testing.T) {
	linesAtOnce(t)
	from := source(t, time.Minute)
	pg := testservices.Postgres(t, testservices.OnSmallDisk(200), testservices.NoFsync)
	if equalNow := t.Run("lost", func(t *testing.T) {
		out := &during{f: pg.Kill}
		err := Run(t.Context(), Config{From: from, To: pg.URL()}, "", out, io.Discard)
		if f := failsWith(t, err, "copy_stopped", 1); !strings.Contains(f.Error(), "2025-03-2") {
			t.Errorf("%v", f)
		}
		failsWith(t, Run(t.Context(), Config{From: from, To: pg.URL()}, "", io.Discard, io.Discard), "copy_unreachable", health.ExitUnreachable)
		pg.Start()
		equal(t, from, pg.URL())
	}); !equalNow {
		return
	}
	t.Run("lost source", func(t *testing.T) {
		to := t.TempDir()
		err := Run(t.Context(), Config{From: pg.URL(), To: to}, "", &during{f: pg.Kill}, io.Discard)
		failsWith(t, err, "copy_stopped", 1)
		pg.Start()
		equal(t, pg.URL(), to)
	})
	t.Run("full", func(t *testing.T) {
		to := pg.NewDatabase(t)
		err := Run(t.Context(), Config{From: from, To: to}, "", &during{f: pg.Full}, io.Discard)
		f := failsWith(t, err, "copy_stopped", 1)
		t.Log(f)
		pg.Free()
		equal(t, from, to)
	})
}

// Rows that are damaged are in no answer, nor in the copy, which says so. A file that is cut is refused.
func TestDamagedSourceIsSaid(t *testing.T) {
	from := source(t, 15*time.Minute)
	path := filepath.Join(from, bolt.FileName)
	sample := storetest.Houses(day1, 15*time.Minute, 5, 1)[0]
	at := sample.Time
	sample.DeviceID, sample.Time = "", time.UnixMilli(0)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	packed := sample.AppendPacked(nil)
	damaged := bytes.Clone(packed)
	damaged[20] ^= 1
	if !bytes.Contains(file, packed) {
		t.Fatalf("there is no sample of %v", at)
	}
	file = bytes.ReplaceAll(file, packed, damaged) // of both devices, also in pages that are no longer used
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	said, err := run(t, Config{From: from, To: to})
	if err != nil || !strings.Contains(said, "2 rows of the source are damaged") || !strings.Contains(said, "a: equal") {
		t.Errorf("%v\n%s", err, said)
	}
	if err := os.Truncate(path, int64(len(file)/2)); err != nil {
		t.Fatal(err)
	}
	_, err = run(t, Config{From: from, To: t.TempDir()})
	failsWith(t, err, "store_damaged", 1)
}

func TestStoreOfAServerThatRunsIsNotOpened(t *testing.T) {
	from := source(t, time.Hour)
	running := opened(t, from)
	defer running.Close()
	_, err := run(t, Config{From: from, To: t.TempDir()})
	if f := failsWith(t, err, "store_locked", health.ExitBusy); !strings.Contains(f.Next, "sunspool vps backup") {
		t.Errorf("%+v", f)
	}
	_, err = run(t, Config{From: source(t, time.Hour), To: from})
	if f := failsWith(t, err, "store_locked", health.ExitBusy); strings.Contains(f.Next, "backup") {
		t.Errorf("%+v", f)
	}
}

// No error has the password of a URL, wherever that comes from.
func TestPasswordIsNotShown(t *testing.T) {
	const secret = "canary-pw"
	from := source(t, time.Hour)
	file := filepath.Join(t.TempDir(), "url")
	server := strings.Replace(testservices.SharedPostgres(t).NewDatabase(t), "://", "://nobody:"+secret+"@", 1)
	server = "postgres://nobody:" + secret + "@" + server[strings.LastIndex(server, "@")+1:]
	for _, url := range []string{"postgres://u:" + secret + "@127.0.0.1:1/x", "postgres://u:" + secret + "@127.0.0.1:port/x", "mysql://u:" + secret + "@host/x", server} {
		if err := os.WriteFile(file, []byte(url+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []Config{{From: from, To: url}, {From: url, To: t.TempDir()}, {From: from, To: "@" + file}, {From: "DATABASE_URL", To: t.TempDir()}} {
			var out bytes.Buffer
			err := Run(t.Context(), c, url, &out, &out)
			f, ok := errors.AsType[*health.Fault](err)
			if !ok || f.Next == "" {
				t.Errorf("%s: %v", url, err)
				continue
			}
			if text := fmt.Sprintf("%+v %v %s", *f, f.Err, &out); strings.Contains(text, secret) {
				t.Errorf("the password is shown: %s", text)
			}
		}
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := run(t, Config{From: from, To: "@" + file})
	failsWith(t, err, "config_invalid", health.ExitConfig)
	_, err = run(t, Config{From: from}) // COPY_TO= in the environment
	failsWith(t, err, "config_invalid", health.ExitConfig)
	_, err = run(t, Config{From: from, To: from})
	failsWith(t, err, "usage", health.ExitUsage)
	_, err = run(t, Config{From: testservices.SharedPostgres(t).NewDatabase(t), To: t.TempDir()})
	failsWith(t, err, "database_without_store", health.ExitConfig)
}

// With --json standard output has the comparison alone.
func TestComparisonAsJSON(t *testing.T) {
	from, to := source(t, time.Hour), filepath.Join(t.TempDir(), "new.db")
	var out, progress bytes.Buffer
	if err := Run(t.Context(), Config{From: from, To: to, JSON: true}, "", &out, &progress); err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || !r.Equal || !r.Tokens || !r.Sites || len(r.Devices) != 2 {
		t.Fatalf("%+v, %v\n%s", r, err, &out)
	}
	if d := r.Devices[0]; d.Device != "a" || d.From.Samples != 120 || d.From.SamplesSum != d.To.SamplesSum || d.To.RollupsSum == "" || !d.To.First.Equal(day1) {
		t.Errorf("%+v", d)
	}
	out.Reset()
	if err := Run(t.Context(), Config{From: from, To: to, Quick: true}, "", &out, &progress); err != nil || !strings.Contains(out.String(), "not compared") {
		t.Errorf("%v\n%s", err, &out)
	}
}
