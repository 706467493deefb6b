package edge

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/pace"
	"sunspool/internal/race"
	"sunspool/internal/testhost"
)

// An edge that is killed every few seconds, often before its first poll, polls on, and never too soon. Without the touches
// in the spool it would make 29 polls.
func TestKilledEdgeKeepsThePace(t *testing.T) {
	race.Skip(t, "lives of one edge, one after the other; the others of this package have its goroutines")
	dir := testhost.MemoryDir(t)
	file := filepath.Join(dir, "spool.db.last-poll")
	synctest.Test(t, func(t *testing.T) {
		b := newPairBed(t, dir)
		rng := rand.New(rand.NewPCG(1, 2))
		begun, polls := time.Now(), int64(0)
		for range 100 {
			b.start()
			synctest.Wait()
			polling, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2*time.Second + time.Duration(rng.Int64N(int64(8*time.Second))))
			b.crash()
			for _, e := range b.edges {
				polls += e.Report.Now().Polls
			}
			if err := os.WriteFile(file, polling, 0o600); err != nil { // a process that is killed leaves that
				t.Fatal(err)
			}
		}
		b.Polite()
		if most := int64(time.Since(begun) / pace.RestTime); polls < most/4 {
			t.Errorf("%d polls of %d that were possible", polls, most)
		} else {
			t.Logf("%d polls of %d that were possible", polls, most)
		}
	})
}
