//go:build unix

package vps_test

import (
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sunspool/internal/testprogram"
	"sunspool/internal/testservices"
)

// TestRestartsUnderLoadLoseNothing ends the program by SIGTERM and starts it again, 25 times, while edges send to it. At
// some of them the database makes requests wait, so that many are in flight: each of those must be answered.
func TestRestartsUnderLoadLoseNothing(t *testing.T) {
	t.Parallel()
	restarts := 25
	if testing.Short() {
		restarts = 10
	}
	s := &site{redis: testservices.Redis(t), pg: testservices.Postgres(t)}
	var episodes []*episode
	for i := range restarts {
		e := &episode{fault: faultNamed("vps restarted")}
		if i%5 == 0 {
			e.fault = fault{"vps restarted while requests wait", onPostgres | onVPS, restartWhileWaiting}
		}
		episodes = append(episodes, e)
	}
	q := play(t, s, 1, episodes, twoServers(t, s, testprogram.Path(t)))
	if verdict := q.judge(); len(verdict) > 0 {
		t.Error(first(verdict))
	}
	var sum summary
	sum.add(q)
	waiting := 0
	for _, told := range s.told {
		for _, a := range q.attempts {
			if a.vps == 1 && a.stored() && a.began.Before(told.Add(-inFlight)) && a.ended.After(told) {
				waiting++
			}
		}
	}
	if waiting == 0 {
		t.Error("no request was in flight at any of the restarts: nothing is shown about them")
	}
	t.Logf("%d restarts, %d inserts in flight at them stored and answered\n%s", restarts, waiting, sum.String())
	if t.Failed() {
		t.Log(s.program.Log())
	}
}

func restartWhileWaiting(s *site, _ time.Duration) {
	var lock sync.WaitGroup
	lock.Go(func() { lockTables(s, 500*time.Millisecond) })
	time.Sleep(250 * time.Millisecond)
	s.stopProgram()
	lock.Wait()
	s.program.Start()
}

// TestBackupUnderLoadLosesNothing restores a backup that was made while edges were sending into a fresh database. Edges
// that send all they ever had again, as from a backup of their own, complete it.
func TestBackupUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	s := &site{redis: testservices.Redis(t), pg: testservices.Postgres(t, testservices.NoFsync)}
	dump := filepath.Join(t.TempDir(), "dump")
	backup := &episode{fault: fault{name: "backup", play: func(s *site, d time.Duration) {
		time.Sleep(d)
		command(t, s.pg.Program("pg_dump"), "--format=custom", "--file="+dump, s.url)
		time.Sleep(d)
	}}, lasts: time.Second}
	q := play(t, s, 1, []*episode{backup}, func(q *sequence) []string { return []string{runVPS(t, s, q.log)} })
	if verdict := q.judge(); len(verdict) > 0 {
		t.Error(first(verdict))
	}

	s.url = s.pg.NewDatabase(t)
	command(t, s.pg.Program("pg_restore"), "--exit-on-error", "--dbname="+s.url, dump)
	q.load.bases = []string{runVPS(t, s, q.log)}
	q.load.wrong = nil
	total, again := 0, 0
	for _, h := range q.houses {
		all := h.done
		h.done = nil
		for _, b := range all {
			b.acked, b.inserted, b.unsure = false, 0, true // the backup may have it
			h.deliver(b, 0)
			total += len(b.samples)
			again += len(b.samples) - b.inserted
		}
	}
	q.judgeStore()
	for _, wrong := range q.wrong {
		t.Error(wrong)
	}
	if again == 0 || again == total {
		t.Errorf("%d of %d samples were in the backup: it was not made in between", again, total)
	}
	t.Logf("%d samples, %d of them in the backup", total, again)
	if t.Failed() {
		t.Log(q.log.tail())
	}
}

func command(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", argv, err, out)
	}
}
