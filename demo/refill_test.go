package demo

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/internal/race"
	"sunspool/vps/store"
)

// backUp copies the store while the server runs, as `sunspool vps backup` does.
func (b *bed) backUp() string {
	b.t.Helper()
	path := filepath.Join(b.dir, "backup")
	f, err := os.Create(path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	if err := b.disk.Copy(b.t.Context(), func(int64) io.Writer { return f }); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// restore puts a backup in the place of the store, and starts the server again.
func (b *bed) restore(backup string) {
	b.t.Helper()
	text, err := os.ReadFile(backup)
	if err == nil {
		err = os.WriteFile(filepath.Join(b.dir, "vps.db"), text, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.startServer()
}

// rows is how many samples the store has.
func (b *bed) rows() (n int64) {
	b.t.Helper()
	all, err := b.disk.Periods(b.t.Context(), store.Query{Device: "roof", Resolution: store.Day})
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range all {
		n += all[i].Rows
	}
	return n
}

// missing is how many of the samples that were made the store does not have.
func (b *bed) missing() int64 {
	b.t.Helper()
	synctest.Wait() // none is being made now
	return int64(len(b.made)) - b.rows()
}

// A server is restored from a backup that is hours old: minutes later it has what it lost, each sample once.
func TestRestoredServerIsFilledAgain(t *testing.T) {
	race.Skip(t, "the next test has the same parts, in less time")
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.keepDays = 7
		b.begin()
		time.Sleep(20*time.Minute + 3*time.Second) // between uploads: what comes during a copy is in it or not
		synctest.Wait()
		had := b.rows()
		backup := b.backUp()
		time.Sleep(7 * time.Hour)
		b.stopServer()
		time.Sleep(7 * time.Minute) // a backlog, which goes first
		b.restore(backup)
		if n := b.rows(); n != had {
			t.Errorf("%d samples after the restore, the backup has %d", n, had)
		}
		time.Sleep(5 * time.Minute)
		if n := b.missing(); n > 5 {
			t.Errorf("5 min after the restore %d samples are missing", n)
		}
		if n := b.edge.Uploader.Refilled.Load(); n < 5000 || n > 5100 {
			t.Errorf("%d samples were sent again, want those of seven hours", n)
		}
		requests := b.edge.Uploader.Requests.Load()
		time.Sleep(2 * time.Hour)
		if n := b.edge.Uploader.Requests.Load() - requests; n > 2*360+10 {
			t.Errorf("%d requests in 2 h: it sends again and again", n)
		}
		b.stopEdge()
		b.check()
		b.stopServer()
	})
}

// The edge is stopped, and then killed, while it sends again: the next comparison finds the rest.
func TestEdgeThatEndsDuringARefill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.keepDays = 7
		b.begin()
		time.Sleep(time.Minute)
		backup := b.backUp()
		time.Sleep(6 * time.Hour)
		b.stopServer()
		b.restore(backup)
		for _, end := range []func(){b.stopEdge, b.crashEdge} {
			for range 400 {
				if time.Sleep(time.Second); b.edge.Uploader.Refilled.Load() > 0 {
					break
				}
			}
			if n := b.missing(); n < 1000 {
				t.Errorf("only %d samples are missing: the test tests nothing", n)
			}
			end()
			b.startEdge()
		}
		time.Sleep(10 * time.Minute)
		b.stopEdge()
		b.check()
		b.stopServer()
	})
}
