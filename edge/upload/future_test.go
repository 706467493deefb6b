package upload

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/clock"
	"sunspool/edge/spool"
	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/race"
)

// believer is an edge whose operator told it to believe a clock, in a test's time.
type believer struct {
	t     *testing.T
	s     *uploadtest.Server
	u     *Uploader
	ahead time.Duration // of its clock
	boot  int
	up    time.Time // when it started
	last  time.Time // poll
	made  map[float64]time.Time
	boots map[float64]int
	errs  int // failures of uploads

	broken *spool.Spool // in place of the clock's while the disk fails; nil while it does not
	memory []spool.Pending
}

func newBeliever(t *testing.T, lenient bool) *believer {
	b := &believer{t: t, s: &uploadtest.Server{Lenient: lenient}, made: make(map[float64]time.Time), boots: make(map[float64]int), last: time.Now()}
	b.u = uploaderTo(t, b.s)
	b.u.Fresh = 10 * time.Second
	b.s.RefuseFuture()
	b.reboot()
	return b
}

func (b *believer) reboot() {
	b.boot++
	b.up = time.Now().Add(-time.Minute)
	b.restart()
}

// restart is a new process.
func (b *believer) restart() {
	b.u.Clock = &clock.Clock{Trust: true, Spool: b.u.Spool, Log: slog.New(slog.DiscardHandler), Host: clock.Host{
		Wall: func() time.Time { return time.Now().Add(b.ahead) }, Up: func() time.Duration { return time.Since(b.up) },
		Synced: func() (bool, error) { return true, nil }, BootID: fmt.Sprint("boot ", b.boot),
	}}
	b.u.refusals = refusals{}
	b.u.Backoff.Reset()
}

func (b *believer) poll() {
	b.t.Helper()
	b.u.Clock.Check()
	x := sampleAt(noon)
	x.PVPowerW = float64(len(b.made))
	b.made[x.PVPowerW], b.boots[x.PVPowerW] = time.Now(), b.boot
	var when spool.When
	x.Time, when = b.u.Clock.Date(0)
	if b.memory = append(b.memory, spool.Pending{Sample: x, When: when}); b.broken != nil {
		return
	}
	if err := b.u.Spool.AppendAll(b.memory); err != nil {
		b.t.Fatal(err)
	}
	b.memory = nil
}

// disk makes the disk fail, or work again: until then samples are in memory, and the clock finds no spool.
func (b *believer) disk(works bool) {
	b.t.Helper()
	if b.broken = nil; works {
		b.u.Clock.Spool = b.u.Spool
		return
	}
	b.broken = openSpool(b.t, filepath.Join(b.t.TempDir(), "broken.db"))
	b.broken.Close()
	b.u.Clock.Spool = b.broken
}

// live polls every five seconds and delivers as an edge does, or not.
func (b *believer) live(d time.Duration, deliver bool) {
	b.t.Helper()
	var next time.Time
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		for ; time.Since(b.last) >= 5*time.Second; b.last = b.last.Add(5 * time.Second) {
			b.poll()
		}
		for more := deliver && !time.Now().Before(next); more; {
			var err error
			next = time.Now().Add(10 * time.Second)
			if more, err = b.u.Deliver(b.t.Context()); err != nil {
				b.errs++
				more, next = false, time.Now().Add(b.u.Wait(err))
			}
		}
	}
}

// check holds what arrived against what was made: each sample once, at its time.
func (b *believer) check(waiting int, off time.Duration) {
	b.t.Helper()
	if n := b.u.Spool.Waiting(); n > waiting || len(b.s.Stored)+n != len(b.made) || b.u.Spool.InQuarantine() > 0 {
		b.t.Errorf("%d made, %d stored, %d waiting, %d in quarantine", len(b.made), len(b.s.Stored), n, b.u.Spool.InQuarantine())
	}
	seen, worst := make(map[float64]bool), time.Duration(0)
	for _, x := range b.s.Stored {
		if seen[x.PVPowerW] {
			b.t.Errorf("sample %v is stored twice", x.PVPowerW)
		}
		seen[x.PVPowerW] = true
		worst = max(worst, x.Time.Sub(b.made[x.PVPowerW]).Abs())
	}
	if worst > off {
		b.t.Errorf("a sample is off by %v", worst)
	}
}

// A clock that the operator had us believe was ahead, and somebody sets it: the samples that it made get their times
// when it is right, and none waits for the future.
func TestBelievedClockThatWasAheadIsMended(t *testing.T) {
	race.Skip(t, "hours of one uploader; TestBelievedClockThatStaysAheadLosesNothing is of the same goroutines")
	for _, ahead := range []time.Duration{9 * time.Minute, 11 * time.Minute, 20 * time.Minute, 30 * time.Minute, 24 * time.Hour, 365 * 24 * time.Hour} {
		for name, c := range map[string]struct {
			between func(*believer)
			lenient bool
			off     time.Duration
		}{
			"at once":                   {func(b *believer) {}, true, 2 * time.Second},
			"delivering while ahead":    {func(b *believer) { b.live(5*time.Minute, true) }, true, 2 * time.Second},
			"a new process":             {func(b *believer) { b.live(time.Minute, true); b.restart() }, true, 2 * time.Second},
			"new processes while ahead": {func(b *believer) { b.restart(); b.live(5*time.Minute, true); b.restart(); b.live(time.Minute, false) }, true, 2 * time.Second},
			"a disk that fails":         {func(b *believer) { b.restart(); b.disk(false); b.live(5*time.Minute, false); b.disk(true) }, true, 2 * time.Second},
			"a new boot":                {func(b *believer) { b.reboot() }, true, 20 * time.Minute},
			"delivering, then new boot": {func(b *believer) { b.live(5*time.Minute, true); b.reboot() }, true, 20 * time.Minute},
			"a server of the contract":  {func(b *believer) {}, false, 2 * time.Second},
		} {
			t.Run(fmt.Sprint(name, ", ", ahead), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBeliever(t, c.lenient)
					b.live(10*time.Minute, true) // the clock is right
					b.ahead = ahead
					b.live(10*time.Minute, false)
					c.between(b)
					b.ahead = 0
					b.live(time.Hour, true)
					off := c.off
					if ahead <= 20*time.Minute { // the server took some before the clock was set: they stay
						off = max(off, ahead+time.Second)
					}
					b.check(10, off)
				})
			})
		}
	}
}

// While the clock is ahead every sample waits and none is given up; when the future comes all of them arrive.
func TestBelievedClockThatStaysAheadLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeliever(t, true)
		b.ahead = 2 * time.Hour
		b.live(8*time.Hour, true)
		if n := len(b.s.Requests); n > 8*100 {
			t.Errorf("%d requests in 8 h", n)
		}
		waiting := b.u.Spool.Waiting()
		if most := 4 * 720; waiting > most || b.u.Spool.Undated() > 0 {
			t.Errorf("%d samples wait, %d held", waiting, b.u.Spool.Undated())
		}
		b.check(waiting, 2*time.Hour+time.Minute)
	})
}

// What was delivered is not changed: a server that takes samples of the future keeps them as they are.
func TestDeliveredSamplesAreNotDatedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeliever(t, true)
		b.s.Bad = nil
		b.ahead = time.Hour
		b.live(10*time.Minute, true)
		b.s.RefuseFuture()
		b.live(time.Minute, true)
		b.ahead = 0
		b.live(time.Hour, true)
		b.check(10, time.Hour+time.Second)
	})
}
