//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

// deliver inserts as an edge does: again and again until the store says that it has the samples.
func deliver(t *testing.T, s store.Samples, device string, samples []wire.Sample) (refused int) {
	t.Helper()
	for end := time.Now().Add(testservices.Patience); time.Now().Before(end); refused++ {
		_, err := s.Insert(t.Context(), device, samples)
		if err == nil {
			return refused
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("insert: %v", err)
			return refused
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("not delivered in any time")
	return refused
}

// recovers waits until every call works.
func recovers(t *testing.T, p *Store) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		var errs []error
		for name, call := range storetest.Calls(p) {
			if err := call(t.Context()); err != nil && !errors.Is(err, store.ErrNone) {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
		if len(errs) == 0 {
			t.Logf("every call works %v after the database is back", time.Since(start).Round(time.Millisecond))
			return
		}
		if time.Since(start) > testservices.Patience {
			t.Fatalf("long after the database is back: %v", errors.Join(errs...))
		}
	}
}

func TestHungDatabaseIsAnsweredInTime(t *testing.T) {
	pg := testservices.Postgres(t, testservices.NoFsync)
	p := openWithin(t, pg.URL(), 0)
	sent := storetest.Random(rand.New(rand.NewPCG(31, 32)), storetest.Noon, time.Hour, 100)
	deliver(t, p, "b", sent)
	pg.Pause()
	var g sync.WaitGroup
	for name, call := range storetest.Calls(p) {
		for range 4 { // more than there are connections
			g.Go(func() {
				start := time.Now()
				if err := call(t.Context()); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%s: %v", name, err)
				}
				if took := time.Since(start); took > 20*time.Second { // an edge waits for 30 s, and the machine may be busy
					t.Errorf("%s took %v", name, took)
				}
			})
		}
	}
	g.Wait()
	pg.Resume()
	recovers(t, p)
	storetest.ExactlyOnce(t, p, "b", sent)
}

func TestReadOnlyDatabaseRefusesAndRecovers(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t, testservices.NoFsync)
	p := openWithin(t, pg.URL(), 0)
	storetest.Insert(t, p, "b", 1, storetest.At(storetest.Noon, 1))
	name := pg.Query(`select current_database()`)
	pg.Exec(`alter database ` + name + ` set default_transaction_read_only = on`)
	pg.Exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`)
	for _, call := range []string{"Insert", "Check", "Describe"} {
		if err := storetest.Calls(p)[call](t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", call, err)
		}
	}
	if got := storetest.Latest(t, p, "b"); got.PVPowerW != 1 {
		t.Errorf("latest %+v", got)
	}
	// New sessions may write again, those that are open not: as after a failover, when they lead to the old server.
	pg.Exec(`begin read write; alter database ` + name + ` reset default_transaction_read_only; commit`)
	testservices.Await(t, "on a connection from before", func() bool { return p.Check(t.Context()) == nil }) // which may be late on a busy machine
	recovers(t, p)
}

// A restart between two calls is not seen by anybody.
func TestRestartedDatabaseIsMetAgain(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t)
	p := openPostgres(t, pg.URL())
	for i, end := range []func(){pg.Stop, pg.Kill, pg.Stop} {
		storetest.Insert(t, p, "a", 1, storetest.At(storetest.Noon.Add(time.Duration(i)*time.Minute), 1))
		storetest.Latest(t, p, "a")
		end()
		pg.Start()
		storetest.Latest(t, p, "a")
		storetest.Insert(t, p, "b", 1, storetest.At(storetest.Noon.Add(time.Duration(i)*time.Minute), 1))
	}
}

func TestFullDiskOfPostgresRefusesAndLosesNothing(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t, testservices.OnSmallDisk(160))
	p := openWithin(t, pg.URL(), 0)
	all := storetest.Houses(storetest.Noon, 5*time.Second, 0, 200_000)
	acked, full := 0, false
	pg.Full()
	for batch := range slices.Chunk(all, 1000) {
		if _, err := p.Insert(t.Context(), "a", batch); err != nil {
			if full = errors.Is(err, store.ErrUnavailable); !full {
				t.Fatalf("full disk: %v", err)
			}
			break
		}
		acked += len(batch)
	}
	if !full {
		t.Fatal("the disk was never full")
	}
	pg.Free()
	recovers(t, p)
	deliver(t, p, "b", all[:acked+1000])
	storetest.ExactlyOnce(t, p, "b", all[:acked+1000])
	deliver(t, p, "a", append(all[acked:acked+1000:acked+1000], storetest.At(storetest.Noon.Add(time.Second), 1))) // which recovers sent
	storetest.ExactlyOnce(t, p, "a", append(all[:acked+1000:acked+1000], storetest.At(storetest.Noon.Add(time.Second), 1)))
}

// Backends and the whole server are killed while writers work.
func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	pg := testservices.Postgres(t)
	p := openWithin(t, pg.URL(), 0)
	ctx, stop := context.WithCancel(t.Context())
	sent := make([][]wire.Sample, 3)
	var refused atomic.Int64
	var g sync.WaitGroup
	for w := range sent {
		g.Go(func() {
			for i := 0; ctx.Err() == nil; i += 20 {
				batch := storetest.Houses(storetest.Noon, 5*time.Second, i, 20)
				refused.Add(int64(deliver(t, p, fmt.Sprint("device-", w), batch)))
				sent[w] = append(sent[w], batch...)
			}
		})
	}
	for range 60 {
		time.Sleep(20 * time.Millisecond)
		pg.Exec(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sunspool' and datname = current_database()`)
	}
	for range 3 {
		time.Sleep(100 * time.Millisecond)
		pg.Kill()
		pg.Start()
	}
	for i := range 3 {
		killSession(t, pg)
		deliver(t, p, "probe", []wire.Sample{storetest.At(storetest.Noon.Add(time.Duration(i)*time.Second), 1)})
	}
	stop()
	g.Wait()
	for w := range sent {
		storetest.ExactlyOnce(t, p, fmt.Sprint("device-", w), sent[w])
	}
	t.Logf("%d batches, %d refusals", (len(sent[0])+len(sent[1])+len(sent[2]))/20, refused.Load())
}

// killSession kills a session of the store with -9. It takes all others with it, and the server recovers from its log: one of
// the test's own is gone when this returns, and the server may not answer again yet.
func killSession(t *testing.T, pg *testservices.PostgresServer) {
	t.Helper()
	testservices.Await(t, "a session of the store is killed", func() bool { // it may just be connecting, or have ended since it was seen
		own, err := pgx.Connect(t.Context(), pg.URL())
		if err != nil {
			return false
		}
		defer own.Close(context.WithoutCancel(t.Context()))
		backend := 0
		err = own.QueryRow(t.Context(), `select pid from pg_stat_activity where application_name = 'sunspool' order by pid desc limit 1`).Scan(&backend)
		if err != nil || syscall.Kill(backend, syscall.SIGKILL) != nil {
			return false
		}
		for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
			if own.Ping(t.Context()) != nil {
				return true // the server throws out the others
			}
		}
		return false
	})
}
