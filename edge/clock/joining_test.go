package clock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sunspool/edge/spool"
)

// busy makes the next calls that read the time since the boot slow: the two clocks cannot be read at one instant.
func (w *world) busy(calls int) {
	up := w.clock.Host.Up
	w.clock.Host.Up = func() time.Duration {
		if calls > 0 {
			calls--
			w.truth = w.truth.Add(20 * time.Millisecond)
		}
		return up()
	}
}

// whileTheDiskFails runs f with a spool that takes nothing.
func (w *world) whileTheDiskFails(f func()) {
	w.t.Helper()
	broken := openSpool(w.t, filepath.Join(w.t.TempDir(), "other.db"))
	broken.Close()
	spool := w.clock.Spool
	w.clock.Spool = broken
	f()
	w.clock.Spool = spool
}

// inMemory makes n samples that no disk takes.
func (w *world) inMemory(n int) (group []spool.Pending) {
	w.t.Helper()
	w.whileTheDiskFails(func() {
		for range n {
			w.clock.Check()
			s := sampleAt(noon)
			s.PVPowerW = float64(len(w.made))
			w.made[s.PVPowerW] = made{w.truth, w.boots}
			var when spool.When
			s.Time, when = w.clock.Date(0)
			group = append(group, spool.Pending{Sample: s, When: when})
			w.truth = w.truth.Add(5 * time.Second)
		}
	})
	return group
}

// However the first looks of a process at its clock fail, its samples belong to the boot in which they were made.
func TestSamplesOfTheFirstPollsBelongToTheirBoot(t *testing.T) {
	const month = 30 * 24 * time.Hour
	for name, first := range map[string]func(w *world){
		"busy host":         func(w *world) { w.busy(6); w.polls(5) },
		"busy for long":     func(w *world) { w.busy(60); w.polls(20) },
		"busy, not synced":  func(w *world) { w.busy(30); w.synced = false; w.polls(10) },
		"disk fails":        func(w *world) { w.store(w.inMemory(10)) },
		"disk fails, busy":  func(w *world) { w.busy(40); w.store(w.inMemory(10)) },
		"and the clock too": func(w *world) { w.ahead, w.synced = -year, false; w.store(w.inMemory(10)); w.polls(3) },
		"stored much later": func(w *world) {
			group := w.inMemory(10)
			w.truth = w.truth.Add(30 * time.Minute)
			w.clock.Check()
			w.store(group)
		},
	} {
		for _, anchored := range []bool{true, false} { // by an earlier process of the boot
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				w.polls(3)
				w.truth = w.truth.Add(time.Hour)
				w.boot(0, anchored)
				if anchored {
					w.polls(3)
				}
				w.truth = w.truth.Add(month)
				w.synced = true
				w.restart()
				first(w)
				w.ahead, w.synced = 0, true
				w.polls(3)
				records, off := w.all()
				if len(records) != len(w.made) || w.spool.Undated() != 0 || w.spool.Estimated() != 0 {
					t.Errorf("%d of %d samples have a time, %d are held, %d estimated", len(records), len(w.made), w.spool.Undated(), w.spool.Estimated())
				}
				for i, r := range records {
					if off[i].Abs() > 200*time.Millisecond || r.When.Boot == 0 {
						t.Errorf("sample %d of boot %d is off by %v, %v", r.Seq, r.When.Boot, off[i], r.When.Quality)
					}
				}
			})
		}
	}
}

func (w *world) store(group []spool.Pending) {
	w.t.Helper()
	if err := w.spool.AppendAll(group); err != nil {
		w.t.Fatal(err)
	}
}

// A crash between the disk's recovery and the next look at the clock leaves samples of a boot that is over.
func TestSamplesFromMemoryOfAnEarlierBootStayInIt(t *testing.T) {
	w := newWorld(t)
	w.polls(3)
	w.truth = w.truth.Add(time.Hour)
	w.boot(-year, false)
	w.store(w.inMemory(10))
	w.truth = w.truth.Add(10 * time.Minute)
	w.boot(0, true)
	w.store(w.inMemory(10))
	w.polls(3)
	records, off := w.all()
	if len(records) != 26 || w.spool.Undated() != 0 || w.spool.Estimated() != 10 {
		t.Fatalf("%d samples have a time, %d are held, %d estimated", len(records), w.spool.Undated(), w.spool.Estimated())
	}
	for i := range records {
		limit := 200 * time.Millisecond
		if i >= 3 && i < 13 { // placed just before the boot after it
			limit = 11 * time.Minute
		}
		if off[i].Abs() > limit {
			t.Errorf("sample %d is off by %v, %v", i, off[i], records[i].When.Quality)
		}
	}
}

// A host that cannot read its clocks at one instant is named while its samples wait for it.
func TestBusyHostIsNamedWhileItsSamplesWait(t *testing.T) {
	w := newWorld(t)
	w.boot(0, true)
	w.busy(1000)
	err := w.clock.Check()
	if w.sample(); !hasCode(err, "clock_unsynced") || w.spool.Undated() != 1 {
		t.Errorf("%v, %d held", err, w.spool.Undated())
	}
	w.busy(0)
	w.restart()
	w.polls(1)
	w.busy(1000)
	if err := w.clock.Check(); err != nil {
		t.Errorf("a busy moment is an alarm although the time is known: %v", err)
	}
}

// vanish lets somebody remove the file below a running edge: the next use of the spool makes another one.
func (w *world) vanish() {
	w.t.Helper()
	if err := errors.Join(os.Truncate(w.path, 0), os.Remove(w.path)); err != nil {
		w.t.Fatal(err)
	}
	w.spool.Peek(1, nil) // what was mapped is gone
	if !w.spool.Opening().Vanished || w.spool.Waiting() > 0 {
		w.t.Fatal("there is no other spool: the test tests nothing")
	}
	clear(w.made)
}

// A spool that is replaced while the edge runs has no boots: the present one gets a number in it, what is in
// memory gets the same, and its anchor is kept for the next process.
func TestBootIsKnownToASpoolThatWasReplaced(t *testing.T) {
	for name, synced := range map[string]bool{"dated": true, "not dated yet": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for range 3 {
				w.truth = w.truth.Add(time.Hour)
				w.boot(0, true)
				w.polls(3)
			}
			w.truth = w.truth.Add(time.Hour)
			w.boot(0, synced)
			w.polls(3)
			w.vanish()
			group := w.inMemory(3) // before the clock looks
			for i := range group {
				group[i].When.Boot, group[i].When.BootID = 5, w.id
			}
			w.store(group)
			w.polls(3)
			w.restart()
			w.polls(3)
			w.synced = true
			w.polls(3)
			w.synced = false // the time server is gone
			w.restart()
			w.polls(3)
			for range 6 { // other boots get the number that this one had
				w.truth = w.truth.Add(time.Hour)
				w.boot(0, true)
				w.polls(1)
			}
			records, off := w.all()
			if len(records) != len(w.made) || w.spool.Undated() != 0 || w.spool.Estimated() != 0 {
				t.Errorf("%d of %d samples have a time, %d are held, %d estimated", len(records), len(w.made), w.spool.Undated(), w.spool.Estimated())
			}
			for i, r := range records {
				if want := uint32(1 + max(0, i-14)); off[i].Abs() > 200*time.Millisecond || r.When.Boot != want {
					t.Errorf("sample %d of boot %d is off by %v, %v, want boot %d", i, r.When.Boot, off[i], r.When.Quality, want)
				}
			}
		})
	}
}
