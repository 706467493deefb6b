package clock

import (
	"crypto/tls"
	"net/http"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/spool"
)

// A time server may set the clock while the edge looks at it: the time from before is not taken for the time server's.
func TestClockThatIsSetBetweenTwoLooks(t *testing.T) {
	w := newWorld(t)
	w.boot(365*24*time.Hour, false)
	wall := w.clock.Host.Wall
	w.clock.Host.Wall = func() time.Time {
		defer func() { w.ahead, w.synced = 0, true }() // right after the clock was read
		return wall()
	}
	w.clock.Check()
	if w.clock.anchor.IsSet() {
		t.Errorf("a clock that was a year off was believed: %v", w.clock.anchor.At(0))
	}
	w.clock.Check()
	if got := w.clock.anchor; got.Quality != spool.Synced || got.At(w.clock.Host.Up()).Sub(w.truth).Abs() > time.Second {
		t.Errorf("%v by %v, it is %v", got.At(w.clock.Host.Up()), got.Quality, w.truth)
	}
}

func TestE10BootWithWrongClockIsDatedWhenTheClockIsSet(t *testing.T) {
	for _, ahead := range []time.Duration{-10 * time.Minute, 10 * time.Minute, -year, year, noon.Sub(time.Unix(0, 0)) * -1} {
		t.Run(ahead.String(), func(t *testing.T) {
			w := newWorld(t)
			w.polls(20)
			w.truth = w.truth.Add(20 * time.Minute)
			w.boot(ahead, false)
			w.polls(30)
			if w.spool.Undated() != 30 || w.spool.Ready() != 20 || w.clock.State() != "unsynced" {
				t.Errorf("%d held, %d ready, %s", w.spool.Undated(), w.spool.Ready(), w.clock.State())
			}
			w.restart() // they are durable
			w.polls(10)
			w.ahead, w.synced = 0, true // the step of NTP
			w.polls(10)
			w.right(70, spool.Synced, 100*time.Millisecond)
		})
	}
}

// The kernel vouched for a clock that was ahead, and sets it right.
func TestE10StepBackIsProvenAndGivesNoTimeTwice(t *testing.T) {
	for _, ahead := range []time.Duration{30 * time.Second, 10 * time.Minute, year} {
		t.Run(ahead.String(), func(t *testing.T) {
			w := newWorld(t)
			w.ahead = ahead
			w.polls(100)
			records := peek(t, w.spool, 60)
			if err := w.spool.Settle(seqs(records), nil); err != nil { // a server that takes everything
				t.Fatal(err)
			}
			w.ahead = 0
			w.polls(400)
			w.restart()
			w.polls(400)
			if w.spool.Undated() != 0 {
				t.Fatalf("%d held half an hour after the step", w.spool.Undated())
			}
			seen := map[int64]bool{}
			late, off := w.all()
			for i, r := range append(late, records...) {
				if ms := r.Sample.Time.UnixMilli(); seen[ms] {
					t.Errorf("%v was given twice", r.Sample.Time)
				} else {
					seen[ms] = true
				}
				if i < len(late) && r.Seq > 100 && off[i].Abs() > 100*time.Millisecond {
					t.Errorf("sample %d is off by %v", r.Seq, off[i])
				}
			}
			if len(seen) != 900 {
				t.Errorf("%d times of 900 samples", len(seen))
			}
		})
	}
}

func TestE11BootThatNeverSyncsIsPlacedAndMarked(t *testing.T) {
	for _, c := range []struct {
		ahead time.Duration
		off   time.Duration // of its samples, at most
	}{
		{-2 * time.Minute, 2 * time.Minute}, // its clock says a time in the gap: it is taken
		{-year, 11 * time.Minute},           // out of the gap: it ends where the next boot begins
		{year, 11 * time.Minute},
	} {
		t.Run(c.ahead.String(), func(t *testing.T) {
			w := newWorld(t)
			w.polls(20)
			w.truth = w.truth.Add(5 * time.Minute)
			w.boot(c.ahead, false)
			w.polls(20)
			w.truth = w.truth.Add(5 * time.Minute)
			w.boot(c.ahead, false)
			w.polls(20)
			w.truth = w.truth.Add(10 * time.Minute)
			w.boot(-year, false)
			w.polls(20)
			w.ahead, w.synced = 0, true
			w.polls(1)
			records, off := w.all()
			if len(records) != 81 || w.spool.Undated() != 0 || w.spool.Estimated() != 40 {
				t.Fatalf("%d samples, %d held, %d estimated", len(records), w.spool.Undated(), w.spool.Estimated())
			}
			for i, r := range records {
				estimated := i >= 20 && i < 60
				if (r.When.Quality == spool.Estimated) != estimated || off[i].Abs() > c.off+5*time.Minute || !estimated && off[i].Abs() > 100*time.Millisecond {
					t.Errorf("sample %d is off by %v, %v", r.Seq, off[i], r.When.Quality)
				}
				if i == 0 {
					continue
				}
				gap := r.Sample.Time.Sub(records[i-1].Sample.Time)
				if gap <= 0 || i%20 != 0 && (gap-5*time.Second).Abs() > time.Millisecond {
					t.Errorf("sample %d comes %v after the one before", r.Seq, gap)
				}
			}
		})
	}
}

func TestE12NoTwoSamplesHaveTheSameMillisecond(t *testing.T) {
	w := newWorld(t)
	for range 50 { // as fast as it goes
		w.poll()
		w.truth = w.truth.Add(-time.Second)
	}
	w.truth = w.truth.Add(time.Second)
	w.polls(10)
	seen := map[int64]bool{}
	records, _ := w.all()
	for i, r := range records {
		seen[r.Sample.Time.UnixMilli()] = true
		if i > 0 && !r.Sample.Time.After(records[i-1].Sample.Time) {
			t.Errorf("sample %d is not after the one before", r.Seq)
		}
	}
	if len(seen) != 60 {
		t.Errorf("%d times of 60 samples", len(seen))
	}
}

func TestE13DaysOfTheClockChangeAndALeapSecondAreUTC(t *testing.T) {
	brussels, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		t.Fatal(err)
	}
	for _, day := range []time.Time{
		time.Date(2026, 3, 29, 0, 55, 0, 0, time.UTC), time.Date(2026, 10, 25, 0, 55, 0, 0, time.UTC), // an hour is missing, or twice
		time.Date(2026, 12, 31, 23, 55, 0, 0, time.UTC), // and a leap second
	} {
		w := newWorld(t)
		w.truth = day
		w.boot(0, true)
		wall := w.clock.Host.Wall
		w.clock.Host.Wall = func() time.Time { return wall().In(brussels) }
		w.polls(60)
		if day.Month() == time.December {
			w.ahead = -time.Second // 23:59:60 was 23:59:59 once more
		}
		w.polls(60)
		records, _ := w.all()
		for i, r := range records[1:] {
			gap := r.Sample.Time.Sub(records[i].Sample.Time)
			if gap != 5*time.Second && (w.ahead == 0 || gap != 4*time.Second) || r.Sample.Time.Location() != time.UTC {
				t.Errorf("%v is followed by %v", records[i].Sample.Time, r.Sample.Time)
			}
		}
		if want := day.Add(119*5*time.Second + w.ahead); !records[119].Sample.Time.Equal(want) {
			t.Errorf("the last is of %v, want %v", records[119].Sample.Time, want)
		}
	}
}

func TestSlewIsIgnoredAndAFreeClockGoesOn(t *testing.T) {
	w := newWorld(t)
	for i := range 100 {
		w.ahead = time.Duration(i%3) * 20 * time.Millisecond
		w.polls(1)
	}
	if a := w.clock.anchor; a.Taken != 3*time.Second {
		t.Errorf("the anchor was replaced after %v", a.Taken)
	}
	w.synced, w.ahead = false, -time.Hour // NTP is gone, and somebody sets the clock
	w.polls(100)
	w.restart()
	w.polls(100)
	w.right(300, spool.Synced, 100*time.Millisecond)
}

func TestServerDatesAHostThatNoTimeServerReaches(t *testing.T) {
	for name, mute := range map[string]error{"unsynced": nil, "forbidden": syscall.EPERM, "unknown": syscall.ENOSYS} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.boot(-year, false)
			w.mute = mute
			w.polls(3)
			if w.clock.Wanted() != (mute != nil) {
				t.Errorf("after 15 s, the server is wanted: %v", w.clock.Wanted())
			}
			w.polls(120)
			if !w.clock.Wanted() {
				t.Error("after 10 min the server is not wanted")
			}
			w.hear(0, 300*time.Millisecond)
			w.polls(1)
			if w.clock.State() != "server" || w.clock.Wanted() {
				t.Errorf("the clock is %s", w.clock.State())
			}
			w.right(124, spool.ByServer, 1150*time.Millisecond)
			w.hear(-time.Second, time.Second) // no better
			before := w.clock.anchor
			w.polls(1)
			if w.clock.anchor != before {
				t.Error("an anchor was replaced by one that is no better")
			}
		})
	}
}

func TestNowIsTheTimeThatASampleMadeNowHas(t *testing.T) {
	w := newWorld(t)
	check := func(what string, dated bool) {
		t.Helper()
		w.poll()
		want, when := w.clock.Date(0)
		now, ok := w.clock.Now()
		if ok != dated || ok != (when.Quality != spool.Undated) || ok && !now.Equal(want) || !ok && !now.IsZero() {
			t.Errorf("%s: now is %v, %v; a sample is of %v, %v", what, now, ok, want, when.Quality)
		}
	}
	check("by a time server", true)
	w.boot(-year, false)
	check("not set", false)
	w.clock.Trust = true
	check("believed", true)
	w.boot(-year, false)
	w.polls(125)
	w.hear(0, 300*time.Millisecond)
	check("by our server", true)
	w.boot(-time.Hour, true)
	check("doubted", false)
}

func TestDateOfAnUnverifiedServerIsNotBelieved(t *testing.T) {
	for name, change := range map[string]func(*http.Response){
		"no TLS":           func(r *http.Response) { r.TLS = nil },
		"not verified":     func(r *http.Response) { r.TLS = &tls.ConnectionState{} },
		"from a cache":     func(r *http.Response) { r.Header.Set("Age", "3600") },
		"no date":          func(r *http.Response) { r.Header.Del("Date") },
		"not a date":       func(r *http.Response) { r.Header.Set("Date", "soon") },
		"before the build": func(r *http.Response) { r.Header.Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT") },
	} {
		w := newWorld(t)
		w.boot(-year, false)
		for range 3 {
			a := verified(w.truth)
			change(a)
			w.clock.Observe(a, w.clock.Host.Up())
		}
		w.polls(1)
		if w.spool.Undated() != 1 {
			t.Errorf("%s: the sample is dated", name)
		}
	}
}

// A kernel that vouches for a clock behind the newest sample is believed when the server agrees, else after 10 min.
func TestClockBehindItsSamplesIsDoubted(t *testing.T) {
	lie := func(t *testing.T) *world {
		w := newWorld(t)
		w.polls(10)
		w.boot(-time.Hour, true)
		w.polls(10)
		if w.spool.Undated() != 10 || !w.clock.Wanted() || !hasCode(w.clock.Check(), "clock_unsynced") {
			t.Fatalf("%d held", w.spool.Undated())
		}
		return w
	}
	t.Run("the server disagrees", func(t *testing.T) {
		w := lie(t)
		w.hear(0, time.Second)
		w.polls(300)
		if w.clock.State() != "server" || w.spool.Undated() != 0 {
			t.Errorf("the clock is %s, %d held", w.clock.State(), w.spool.Undated())
		}
		w.ahead = 0
		w.polls(10)
		if w.clock.State() != "synced" {
			t.Errorf("the clock, set right, is %s", w.clock.State())
		}
	})
	t.Run("the server agrees", func(t *testing.T) {
		w := lie(t)
		w.hear(-time.Hour, time.Second)
		w.polls(1)
		if w.clock.State() != "synced" || w.spool.Undated() != 0 {
			t.Errorf("the clock is %s, %d held", w.clock.State(), w.spool.Undated())
		}
	})
	t.Run("nobody is there", func(t *testing.T) {
		w := lie(t)
		w.polls(121)
		if w.clock.State() != "synced" || w.spool.Undated() != 0 {
			t.Errorf("the clock is %s, %d held", w.clock.State(), w.spool.Undated())
		}
	})
}

func TestBelievedClockIsNotAsked(t *testing.T) {
	w := newWorld(t)
	w.boot(3*time.Second, false)
	w.clock.Trust = true
	w.clock.Host.Synced = func() (bool, error) { t.Error("the kernel was asked"); return false, nil }
	w.polls(5)
	if w.clock.State() != "believed" || w.clock.Wanted() {
		t.Errorf("the clock is %s", w.clock.State())
	}
	w.right(5, spool.Believed, 3*time.Second)
}

func TestThisHostsClocksRun(t *testing.T) {
	h := ThisHost()
	a, b := h.Up(), h.Up()
	if a <= 0 || b < a || h.BootID == "" {
		t.Errorf("up for %v, then %v, boot %q", a, b, h.BootID)
	}
	if ok, err := h.Synced(); err != nil {
		t.Logf("the kernel does not say whether its clock is set: %v", err)
	} else {
		t.Logf("synced: %v", ok)
	}
	t.Setenv("SUNSPOOL_BOOT_ID", "as the manager says")
	if id := bootID(); id != "as the manager says" {
		t.Errorf("boot %q", id)
	}
}
