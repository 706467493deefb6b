//go:build unix

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

func TestPostgres(t *testing.T) {
	open := opensPostgres(t)
	storetest.Run(t, func(t *testing.T, dir string) store.Samples { return open(t, dir) })
}

// With statements that are prepared, and with those through a pooler, which are not.
func TestPostgresTokensAndSites(t *testing.T) {
	for _, mode := range []string{"cache_statement", "exec"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			open := opensOn(t, testservices.SharedPostgres(t), mode)
			storetest.RunTokens(t, func(t *testing.T, dir string) storetest.TokenStore { return open(t, dir) })
			storetest.RunSites(t, func(t *testing.T, dir string) storetest.SiteStore { return open(t, dir) })
		})
	}
}

func TestCachedPostgres(t *testing.T) {
	open := opensPostgres(t)
	storetest.Run(t, func(t *testing.T, dir string) store.Samples {
		p := open(t, dir)
		return storetest.InFront(store.NewCached(p, time.Hour), p)
	})
}

// opensPostgres returns a function that opens the store of a folder: a database of its own in one server.
func opensPostgres(t *testing.T) func(t *testing.T, dir string) *Store {
	return opensOn(t, testservices.SharedPostgres(t), "")
}

// opensOn is opensPostgres on a server; mode is how statements are sent, "" for as in service.
func opensOn(t *testing.T, pg *testservices.PostgresServer, mode string) func(t *testing.T, dir string) *Store {
	var mu sync.Mutex
	databases := map[string]string{}
	return func(tt *testing.T, dir string) *Store {
		mu.Lock()
		url := databases[dir]
		if url == "" {
			url = pg.NewDatabase(t) // lives longer than the test of the folder: stores close before
			if mode != "" {
				url = with(url, "default_query_exec_mode", mode)
			}
			databases[dir] = url
		}
		mu.Unlock()
		return openPostgres(tt, url)
	}
}

// openPostgres opens the store with few connections: many tests share one server. The test closes it.
// openPostgres returns a store that is connected, and patient with a database of a busy machine.
func openPostgres(t testing.TB, url string) *Store {
	t.Helper()
	return openWithin(t, url, testservices.Patience)
}

// openWithin returns one whose calls take so long at most; 0 is as long as in service.
func openWithin(t testing.TB, url string, callTime time.Duration) *Store {
	t.Helper()
	p, err := Open(Options{URL: url, Writers: 2, Readers: 2, Log: quiet, CallTime: callTime})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	testservices.Await(t, "the store is connected", func() bool {
		return p.db.Pools() != nil
	})
	return p
}

// versionTable has the version of the schema.
const versionTable = "sunspool_schema"

var quiet = slog.New(slog.DiscardHandler)

// with sets an option of a URL.
func with(text, name, value string) string {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// Two stores are two processes: they share nothing but the database.
func TestWritersOfSeveralProcessesEqualARecount(t *testing.T) {
	writersEqualARecount(t, testservices.SharedPostgres(t))
}

func writersEqualARecount(t *testing.T, pg *testservices.PostgresServer) {
	url := pg.URL()
	stores := []*Store{openPostgres(t, url), openPostgres(t, url)}
	all := storetest.Random(rand.New(rand.NewPCG(21, 22)), storetest.Noon, 30*time.Hour, 4000)
	slices.SortFunc(all, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	var inserted atomic.Int64
	var g sync.WaitGroup
	for w := range 8 {
		g.Go(func() {
			mine := [][]wire.Sample{all, reversed}[w%2]
			for batch := range slices.Chunk(mine, 50+w*13) {
				for range 1 + w%3/2 { // some say everything twice
					n, err := stores[w/2%2].Insert(t.Context(), "a", batch)
					if err != nil {
						t.Error(err)
						return
					}
					inserted.Add(int64(n))
				}
			}
		})
	}
	g.Wait()
	if inserted.Load() != int64(len(all)) {
		t.Errorf("%d were called new, there are %d", inserted.Load(), len(all))
	}
	storetest.ExactlyOnce(t, stores[0], "a", all)
	if n := stores[0].Conflicts() + stores[1].Conflicts(); n != 0 {
		t.Errorf("%d conflicts among repetitions", n)
	}
}

// Processes that store different samples of the same five minutes at the same time must know of each other's: neither's
// rows are in the way of the other's, only the lock is.
func TestRollupsKnowWhatOtherProcessesStore(t *testing.T) {
	rollupsKnowOthers(t, testservices.SharedPostgres(t))
}

func rollupsKnowOthers(t *testing.T, pg *testservices.PostgresServer) {
	url := pg.URL()
	stores := []*Store{openPostgres(t, url), openPostgres(t, url), openPostgres(t, url)}
	all := storetest.Houses(storetest.Noon, time.Second, 0, 3000)
	var g sync.WaitGroup
	for i, p := range stores {
		g.Go(func() {
			for n := i; n < len(all); n += 10 * len(stores) {
				var batch []wire.Sample
				for k := n; k < min(n+10*len(stores), len(all)); k += len(stores) {
					batch = append(batch, all[k])
				}
				if _, err := p.Insert(t.Context(), "a", batch); err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	storetest.ExactlyOnce(t, stores[0], "a", all)
}

func TestConflictsInPostgresAreCounted(t *testing.T) {
	conflictsAreCounted(t, testservices.SharedPostgres(t))
}

func conflictsAreCounted(t *testing.T, pg *testservices.PostgresServer) {
	p := openPostgres(t, pg.URL())
	with := func(name string, v float64) wire.Sample {
		s := storetest.At(storetest.Noon, 1)
		s.Values = map[string]float64{name: v}
		return s
	}
	storetest.Insert(t, p, "a", 1, with("x", 1))
	for want, s := range []wire.Sample{with("x", 1), with("x", 2), with("y", 1), storetest.At(storetest.Noon, 1), storetest.At(storetest.Noon, 2)} {
		storetest.Insert(t, p, "a", 0, s)
		if got := p.Conflicts(); got != uint64(want) {
			t.Errorf("%d conflicts after %+v, want %d", got, s, want)
		}
	}
	storetest.Insert(t, p, "a", 1, storetest.At(storetest.Noon.Add(time.Second), 1), storetest.At(storetest.Noon.Add(time.Second), 1), storetest.At(storetest.Noon.Add(time.Second), 2))
	if got := p.Conflicts(); got != 5 {
		t.Errorf("%d conflicts, one more is within the call", got)
	}
}

func TestRowOfAnotherProgramIsARepetition(t *testing.T) {
	rowOfAnotherIsARepetition(t, testservices.SharedPostgres(t))
}

// Another program inserts a row without having locked its device, and commits when ours has looked already what is there.
func rowOfAnotherIsARepetition(t *testing.T, pg *testservices.PostgresServer) {
	p := openPostgres(t, pg.URL())
	all := storetest.Houses(storetest.Noon, 5*time.Second, 0, 5)
	storetest.Insert(t, p, "a", 2, all[:2]...)
	other, err := pgx.Connect(t.Context(), pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(context.WithoutCancel(t.Context()))
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := insertionOf(t, "a", all[3])
	if _, err := tx.Exec(t.Context(), insertOne, oneRowArgs(&w.rows[0])...); err != nil {
		t.Fatal(err)
	}
	var n int
	done := make(chan error, 1)
	go func() {
		var err error
		n, err = p.Insert(t.Context(), "a", all)
		done <- err
	}()
	for pg.Query(`select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'transactionid'`) == "0" {
		select {
		case err := <-done:
			t.Fatal("it does not wait for what may become a row of the same key:", n, err)
		default:
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || n != 2 {
		t.Errorf("%d inserted, want 2, %v", n, err)
	}
	if got := pg.Query(`select count(*) from samples where device_id = 'a'`); got != "5" || p.Conflicts() != 0 {
		t.Errorf("%s rows are stored, %d in conflict, want 5 and 0", got, p.Conflicts())
	}
	storetest.Insert(t, p, "a", 0, all...)
}

// While a transaction waits for the disk, all that arrive wait for the same next one.
func TestInsertsOfManyDevicesShareOneCommit(t *testing.T) {
	pg := testservices.SharedPostgres(t)
	p := openPostgres(t, pg.URL())
	var all []*insertion
	for i := range 60 {
		all = append(all, insertionOf(t, fmt.Sprint("device-", i%7), storetest.At(storetest.Noon, 1), storetest.At(storetest.Noon.Add(time.Duration(i)*time.Second), 1)))
	}
	p.commit(all)
	inserted := 0
	for _, w := range all {
		if err := <-w.done; err != nil {
			t.Error(err)
		}
		inserted += w.new
	}
	if n := pg.Query(`select count(distinct xmin::text) from samples`); n != "1" || inserted != 7+59 {
		t.Errorf("%s transactions, %d inserted, want 1 and %d", n, inserted, 7+59)
	}
}

func insertionOf(t *testing.T, device string, samples ...wire.Sample) *insertion {
	t.Helper()
	w, err := newInsertion(device, samples)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// What the database itself cannot hold must not keep the others of its group from being stored.
func TestRowThatPostgresRefusesIsItsSendersAlone(t *testing.T) {
	refusedRowIsItsSendersAlone(t, testservices.SharedPostgres(t))
}

func refusedRowIsItsSendersAlone(t *testing.T, pg *testservices.PostgresServer) {
	p := openPostgres(t, pg.URL())
	bad := storetest.At(storetest.Noon, 1)
	bad.Values = map[string]float64{"a\x00b": 1}
	sick, well := insertionOf(t, "sick", bad), insertionOf(t, "well", storetest.At(storetest.Noon, 1))
	p.commit([]*insertion{sick, well})
	if err := <-sick.done; !isInvalid(err, store.CodeNotStorable) {
		t.Errorf("a name with a zero byte: %v", err)
	}
	if err := <-well.done; err != nil || well.new != 1 {
		t.Errorf("the other: %d new, %v", well.new, err)
	}
	for _, year := range []int{10_000, 250_000, 300_000, 20_000_000} {
		_, err := p.Insert(t.Context(), "sick", []wire.Sample{storetest.At(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), 1)})
		if !isInvalid(err, wire.CodeInFuture) {
			t.Errorf("year %d: %v", year, err)
		}
	}
	if _, err := p.Latest(t.Context(), "sick"); !errors.Is(err, store.ErrNone) {
		t.Errorf("a part of what was refused is stored: %v", err)
	}
	extreme := storetest.At(storetest.Noon.Add(time.Second), -1.7976931348623157e308)
	extreme.Values = map[string]float64{"": 5e-324, "\u2028 'quoted\" \\ $1": 1.7976931348623157e308, "third": 1.0 / 3}
	storetest.Insert(t, p, "extreme", 1, extreme)
	storetest.ExactlyOnce(t, p, "extreme", []wire.Sample{extreme})
}

func isInvalid(err error, code string) bool {
	invalid, ok := errors.AsType[*wire.Invalid](err)
	return ok && invalid.Code == code
}

// One transaction carries rows of devices of which some are pruned.
func TestPrunedDeviceDoesNotHoldUpTheOthers(t *testing.T) {
	prunedDeviceIsAlone(t, testservices.SharedPostgres(t))
}

func prunedDeviceIsAlone(t *testing.T, pg *testservices.PostgresServer) {
	p := openPostgres(t, pg.URL())
	all := storetest.Random(rand.New(rand.NewPCG(27, 28)), storetest.Noon, 10*time.Hour, 1000)
	storetest.Insert(t, p, "pruned", 1000, all...)
	if n, err := p.Prune(t.Context(), storetest.Noon.Add(8*time.Hour)); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	day := store.Query{Device: "pruned", Resolution: store.Day}
	want, err := p.Periods(t.Context(), day)
	if err != nil {
		t.Fatal(err)
	}
	pruned := insertionOf(t, "pruned", append(slices.Clone(all), storetest.At(storetest.Noon.Add(-time.Hour), 1), storetest.At(storetest.Noon.Add(11*time.Hour), 1))...)
	other := insertionOf(t, "other", all...)
	p.commit([]*insertion{pruned, other})
	if err := errors.Join(<-pruned.done, <-other.done); err != nil || pruned.new != 2 || other.new != 1000 {
		t.Errorf("%d and %d new, %v; want 2 and 1000", pruned.new, other.new, err)
	}
	storetest.ExactlyOnce(t, p, "other", all)
	if got, err := p.Periods(t.Context(), day); err != nil || got[0].Rows != want[0].Rows+2 {
		t.Errorf("%v, %d rows, want %d", err, got[0].Rows, want[0].Rows+2)
	}
	if p.Conflicts() != 0 {
		t.Errorf("%d conflicts", p.Conflicts())
	}
}

// Rollups of another version are as good as absent, wherever they are needed.
func TestRollupsOfAnotherVersionAreDerived(t *testing.T) {
	otherVersionIsDerived(t, testservices.SharedPostgres(t))
}

func otherVersionIsDerived(t *testing.T, pg *testservices.PostgresServer) {
	p := openPostgres(t, pg.URL())
	all := storetest.Random(rand.New(rand.NewPCG(23, 24)), storetest.Noon, 50*time.Hour, 1500)
	storetest.Insert(t, p, "a", 1499, all[1:]...)
	q := store.Query{Device: "a", From: storetest.Noon.Add(25 * time.Hour), To: storetest.Noon.Add(26 * time.Hour), Resolution: store.FiveMinutes}
	was, around, err := p.Surrounded(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	devices, err := p.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pg.Exec(`update rollups set packed = set_byte(packed, 0, 99)`)
	storetest.ExactlyOnce(t, p, "a", all[1:])
	if is, now, err := p.Surrounded(t.Context(), q); err != nil || len(is) != len(was) || !bytes.Equal(now.Before.Append(nil), around.Before.Append(nil)) ||
		!bytes.Equal(now.After.Append(nil), around.After.Append(nil)) {
		t.Errorf("%d periods, %v; were %d", len(is), err, len(was))
	}
	if got, err := p.Devices(t.Context()); len(got) != 1 || !got[0].First.Equal(devices[0].First) || err != nil {
		t.Errorf("devices %v, %v; were %v", got, err, devices)
	}
	storetest.Insert(t, p, "a", 1, all[0])
	storetest.ExactlyOnce(t, p, "a", all)
}
