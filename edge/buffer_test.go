package edge

import (
	"encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/spool"
	"sunspool/wire"
)

// testRing is a ring on s, with the samples that became durable and those that were lost, by reason.
func testRing(t *testing.T, s *spool.Spool) (r *buffer, durable *[]wire.Sample, lost map[string]int) {
	durable, lost = new([]wire.Sample), make(map[string]int)
	r = &buffer{
		Spool: s, Log: slog.New(slog.DiscardHandler), wake: make(chan struct{}, 1),
		Durable: func(s wire.Sample) { *durable = append(*durable, s) },
		Lost:    func(why string) { lost[why]++ },
	}
	return r, durable, lost
}

// stop makes s refuse every sample, as a spool that is full; go on makes it take them again.
func stop(s *spool.Spool) { s.SetLimit(1) }
func goOn(s *spool.Spool) { s.SetLimit(64 << 20) }

func TestSamplesWaitInMemoryAndFollowInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
		defer s.Close()
		r, durable, lost := testRing(t, s)
		done, told := make(chan struct{}), 0
		defer close(done)
		go r.run(done, func(error) { told++ })
		n := 0
		poll := func(k int) (err error) {
			for range k {
				err = r.add(sampleAt(noon.Add(time.Duration(n)*5*time.Second)), spool.When{Quality: spool.Undated, Boot: 2, Since: time.Duration(n)})
				n++
				time.Sleep(5 * time.Second)
				synctest.Wait()
			}
			return err
		}
		if err := poll(3); err != nil || len(*durable) != 3 {
			t.Fatalf("%d durable, %v", len(*durable), err)
		}
		stop(s)
		if err := poll(100); asFault(err) == nil || asFault(err).Code != "spool_full" {
			t.Errorf("the ring says %v", err)
		}
		if r.Len() != 100 || len(*durable) != 3 {
			t.Errorf("%d in memory, %d durable; want 100 and 3", r.Len(), len(*durable))
		}
		if told < 40 || told > 60 { // 500 s, each 10 s, the first attempts were those of the polls
			t.Errorf("%d attempts in 500 s, want one per 10 s", told)
		}
		goOn(s)
		time.Sleep(bufferRetry + time.Second) // no poll comes: the inverter is away
		synctest.Wait()
		if r.Len() != 0 || len(*durable) != n {
			t.Fatalf("%d in memory, %d of %d durable", r.Len(), len(*durable), n)
		}
		for i, rec := range peek(t, s, n) {
			if rec.Seq != uint64(i+1) || rec.When != (spool.When{Quality: spool.Undated, Boot: 2, Since: time.Duration(i)}) {
				t.Fatalf("record %d is %d, %+v", i, rec.Seq, rec.When)
			}
		}
		if len(lost) > 0 {
			t.Errorf("lost %v", lost)
		}
	})
}

func TestRingThatOverflowsCountsWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
		defer s.Close()
		r, durable, lost := testRing(t, s)
		stop(s)
		const over = 37
		for i := range bufferSize + over {
			r.add(sampleAt(noon.Add(time.Duration(i)*5*time.Second)), spool.When{Quality: spool.Synced})
			time.Sleep(5 * time.Second)
		}
		if lost["spool_full"] != over || r.Len() != bufferSize {
			t.Errorf("lost %v, %d in memory; want %d lost and %d", lost, r.Len(), over, bufferSize)
		}
		goOn(s)
		if err := r.flush(); err != nil {
			t.Fatal(err)
		}
		if len(*durable) != bufferSize || !(*durable)[0].Time.Equal(noon.Add(over*5*time.Second)) {
			t.Errorf("%d durable from %v on", len(*durable), (*durable)[0].Time)
		}
	})
}

func TestRingLostAtTheEndIsCounted(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
	r, _, lost := testRing(t, s)
	stop(s)
	for i := range 5 {
		r.add(sampleAt(noon.Add(time.Duration(i)*5*time.Second)), spool.When{Quality: spool.Synced})
	}
	if err := r.flush(); err == nil || lost["spool_full"] != 5 {
		t.Errorf("%v, lost %v", err, lost)
	}
}

// With an interval a power cut loses at most that much, and there is one commit per interval.
func TestGroupCommitLosesAtMostItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
		defer s.Close()
		r, durable, _ := testRing(t, s)
		r.Every = time.Minute
		done := make(chan struct{})
		defer close(done)
		go r.run(done, func(err error) {
			if err != nil {
				t.Error(err)
			}
		})
		before := commitsOf(t, s)
		for i := range 125 { // 10 min and a bit
			made := noon.Add(time.Duration(i) * 5 * time.Second)
			if err := r.add(sampleAt(made), spool.When{Quality: spool.Synced}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if n := len(*durable); n < i+1-int(r.Every/(5*time.Second)) {
				t.Fatalf("%d of %d samples are durable", n, i+1)
			}
		}
		if r.Len() == 0 {
			t.Error("nothing is in memory: the test tests nothing")
		}
		if err := r.flush(); err != nil || len(*durable) != 125 || s.Waiting() != 125 {
			t.Errorf("at the end %d durable, %d waiting, %v", len(*durable), s.Waiting(), err)
		}
		if n := commitsOf(t, s) - before; n > 11 {
			t.Errorf("%d commits for 11 intervals", n)
		}
	})
}

func TestPressureRisesAtOnceAndFallsWithoutFlutter(t *testing.T) {
	var p hysteresis
	p.levelOf(0)
	for _, c := range []struct {
		share float64
		code  string
	}{
		{0.5, ""}, {0.699, ""}, {0.70, "spool_70"}, {0.695, "spool_70"}, {0.689, ""}, {0.86, "spool_85"}, {0.849, "spool_85"},
		{0.83, "spool_70"}, {0.955, "spool_95"}, {0.98, "spool_full"}, {0.975, "spool_full"}, {0.96, "spool_95"}, {0.1, ""},
	} {
		if got := p.levelOf(c.share); got.code != c.code {
			t.Errorf("at %.3f it is %q, want %q", c.share, got.code, c.code)
		}
	}
}

// commitsOf is how many transactions the file of a spool has seen: the newer of its two first pages has the number.
func commitsOf(t *testing.T, s *spool.Spool) (n uint64) {
	t.Helper()
	b, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []int{0, 4096} {
		n = max(n, binary.NativeEndian.Uint64(b[page+16+48:]))
	}
	return n
}
