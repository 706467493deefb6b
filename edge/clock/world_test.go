package clock

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"sunspool/edge/spool"
	"sunspool/internal/testhost"
	"sunspool/wire"
)

// world is a machine whose true time the test knows.
type world struct {
	t      *testing.T
	truth  time.Time
	booted time.Time     // true time
	ahead  time.Duration // of the wall clock
	synced bool
	mute   error // the kernel does not say
	id     string
	boots  int

	path  string
	clock *Clock
	spool *spool.Spool
	made  map[float64]made // by pv_power_w
}

// made is what is true of a sample.
type made struct {
	at   time.Time
	boot int
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, truth: noon, path: filepath.Join(testhost.MemoryDir(t), "spool.db"), made: map[float64]made{}}
	w.spool = openSpool(t, w.path)
	w.boot(0, true)
	return w
}

// boot starts the machine anew, with a wall clock that is wrong by ahead.
func (w *world) boot(ahead time.Duration, synced bool) {
	w.boots++
	w.booted, w.ahead, w.synced, w.mute, w.id = w.truth.Add(-3*time.Second), ahead, synced, nil, fmt.Sprint("boot ", w.boots)
	w.restart()
}

// restart is a new process in the same boot.
func (w *world) restart() {
	w.t.Helper()
	w.spool.Close()
	var err error
	if w.spool, err = spool.Open(w.path); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.spool.Close() })
	w.clock = &Clock{Spool: w.spool, Log: slog.New(slog.DiscardHandler), Host: Host{
		Wall: func() time.Time { return w.truth.Add(w.ahead) }, Up: func() time.Duration { return w.truth.Sub(w.booted) },
		Synced: func() (bool, error) { return w.synced, w.mute }, BootID: w.id,
	}}
}

// poll makes a sample as the edge does, a second after its reading.
func (w *world) poll() wire.Sample {
	w.t.Helper()
	w.clock.Check()
	return w.sample()
}

func (w *world) sample() wire.Sample {
	w.t.Helper()
	s := sampleAt(noon)
	s.PVPowerW = float64(len(w.made))
	w.made[s.PVPowerW] = made{w.truth, w.boots}
	w.truth = w.truth.Add(time.Second)
	var when spool.When
	s.Time, when = w.clock.Date(time.Second)
	if err := w.spool.Append(&s, when); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// polls makes n samples, five seconds apart.
func (w *world) polls(n int) {
	w.t.Helper()
	for range n {
		w.poll()
		w.truth = w.truth.Add(4 * time.Second)
	}
}

// hear is two answers of our server, whose clock is off by so much and which took so long for each.
func (w *world) hear(off, took time.Duration) {
	w.answer(off, took)
	w.answer(off, took)
}

// answer is one of them.
func (w *world) answer(off, took time.Duration) {
	asked := w.clock.Host.Up()
	w.truth = w.truth.Add(took)
	w.clock.Observe(verified(w.truth.Add(off)), asked)
}

func verified(date time.Time) *http.Response {
	a := &http.Response{StatusCode: http.StatusOK, Header: make(http.Header), Body: http.NoBody}
	a.Header.Set("Date", date.UTC().Format(http.TimeFormat))
	a.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{}}}
	return a
}

// all is the spool's samples, with how far each is from the truth.
func (w *world) all() (records []spool.Record, off []time.Duration) {
	w.t.Helper()
	records = peek(w.t, w.spool, 1<<20)
	for _, r := range records {
		off = append(off, r.Sample.Time.Sub(w.made[r.Sample.PVPowerW].at))
	}
	return records, off
}

// right fails unless all n samples are in the spool, dated right to 100 ms, in order.
func (w *world) right(n int, quality spool.Quality, slack time.Duration) {
	w.t.Helper()
	records, off := w.all()
	if len(records) != n || w.spool.Undated() != 0 || w.spool.Waiting() != n {
		w.t.Fatalf("%d of %d samples can be uploaded, %d are held", len(records), n, w.spool.Undated())
	}
	for i, r := range records {
		if off[i].Abs() > slack || r.When.Quality != quality {
			w.t.Errorf("sample %d is off by %v, %v", r.Seq, off[i], r.When.Quality)
		}
		if i > 0 && !r.Sample.Time.After(records[i-1].Sample.Time) {
			w.t.Errorf("sample %d is of %v, the one before it of %v", r.Seq, r.Sample.Time, records[i-1].Sample.Time)
		}
	}
}

const year = 365 * 24 * time.Hour
