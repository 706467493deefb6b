package demo

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/simulator"
	"sunspool/edge/spool"
	"sunspool/internal/testprogram"
	"sunspool/internal/testservices"
	"sunspool/vps/api"
	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/listener"
	"sunspool/vps/request"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

var (
	crashImages = flag.Int("crash-images", 1000, "how many power cuts TestPowerCutLosesNothing tries")
	crashSeed   = flag.Uint64("crash-seed", 1, "of the first of them")
	crashTrace  = flag.String("crash-trace", "", "directory with the recording of an earlier run, instead of a new one")
)

// openSlowest is how long the spool may take to open after a power cut, on a machine that is busy with other things.
const openSlowest = 2 * time.Minute

// A power cut at any instant of the real edge's life: its first start, polls, uploads, an outage, a large backlog, a
// kill, the way out. Its file operations are recorded, and from the recording come disks as power cuts leave them. The
// real spool opens each, and every sample that was durable is in it, unless the server had it.
func TestPowerCutLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: records for a minute")
	}
	t.Parallel() // it mostly waits
	dir := *crashTrace
	if dir == "" {
		testservices.Need(t, "strace", "strace")
		dir = filepath.Join(inMemory(t), "recording")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		record(t, dir)
	}
	lives := readLives(t, dir)
	t.Run("sync", func(t *testing.T) {
		took := time.Now()
		bad := cutAll(t, lives, *crashImages, nil, 1)
		t.Logf("%d power cuts in %v, seed %d", *crashImages, time.Since(took).Round(time.Millisecond), *crashSeed)
		if len(bad) > 0 {
			keep(t, dir, bad)
		}
	})
	// The test of the test: a disk that forgets in spite of a sync is noticed.
	for name, synced := range map[string]func(int) bool{
		"without any sync":        func(int) bool { return false },
		"without every other one": func(n int) bool { return n%2 == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			bad := cutAll(t, lives, 100, synced, 1)
			if len(bad) == 0 {
				t.Fatal("100 power cuts, and nothing was lost")
			}
			t.Logf("noticed: %s", bad[0])
		})
	}
}

// life is the recording of one edge.
type life struct {
	Device string
	Root   string                    // of its spool
	Before map[string][]byte         // files that were there before
	Log    string                    // of the edge
	Runs   []string                  // traces, one a process
	Filled []wire.Sample             // in the spool before
	Stored map[int64]time.Time       // when the server had stored the sample of that time, Unix ms
	After  map[string][]byte         // files that were left
	calls  []systemCall              // of all runs; a call without name is the start of a process
	kept   map[int64]json.RawMessage // each sample that ever was durable, by its time
	since  map[int64]int             // the call after which it was
	begins int                       // calls until the first sample
}

// record lets edges live for half a minute and writes their lives to dir.
func record(t *testing.T, dir string) {
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: time.Now().AddDate(0, 0, -3)})
	if err != nil {
		t.Fatal(err)
	}
	w := newWitness(t)
	program := testprogram.Path(t)
	plans := []plan{
		{periods: []time.Duration{42 * time.Second}, signals: []syscall.Signal{syscall.SIGTERM}},
		{away: 30 * time.Second, periods: []time.Duration{42 * time.Second}, signals: []syscall.Signal{syscall.SIGTERM}},
		{filled: 400, periods: []time.Duration{21 * time.Second, 21 * time.Second}, signals: []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}},
		{away: 12 * time.Second, periods: []time.Duration{14 * time.Second, 10 * time.Second, 18 * time.Second}, signals: []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM}},
	}
	var wg sync.WaitGroup
	for i, p := range plans {
		l := &life{Device: fmt.Sprint("edge", i), Root: filepath.Join(dir, fmt.Sprint("edge", i))}
		l.Log = l.Root + ".log"
		_, modbus := inverter(t, simulator.Options{Home: home})
		if p.filled > 0 {
			l.Filled = history(t, home, l.Device, filepath.Join(l.Root, "spool.db"), p.filled)
		}
		l.Before = filesIn(t, l.Root)
		w.expect(l.Device, time.Now().Add(p.away))
		wg.Go(func() {
			err := l.live(w, program, modbus, p)
			for try := 1; errors.Is(err, errCutWrite) && try < 5; try++ {
				t.Logf("%s: %v: its life begins again", l.Device, err)
				if err = l.clear(); err == nil {
					w.expect(l.Device, time.Now().Add(p.away))
					err = l.live(w, program, modbus, p)
				}
			}
			if err != nil {
				t.Errorf("%s: %v", l.Device, err)
			}
		})
		defer func() {
			l.Stored, l.After = w.stored(l.Device), filesIn(t, l.Root)
			text, err := json.Marshal(l)
			if err == nil {
				err = os.WriteFile(l.Root+".json", text, 0o600)
			}
			if err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
}

// plan is how a life is to be.
type plan struct {
	filled  int
	away    time.Duration // how long the server is
	periods []time.Duration
	signals []syscall.Signal
}

// enough is how many samples must have become durable, and stored, in a life that shows something.
const enough = 5

// live runs the edge for each period, and for the last one until there is enough to see.
func (l *life) live(w *witness, program, modbus string, p plan) error {
	for n, period := range p.periods {
		trace := fmt.Sprintf("%s.%d.trace", l.Root, n)
		l.Runs = append(l.Runs, trace)
		done := func() bool { return n < len(p.periods)-1 || w.count(l.Device) >= enough }
		if err := run(w, program, trace, l, modbus, period, done, p.signals[n]); err != nil {
			return err
		}
	}
	return nil
}

// clear makes everything as it was before the life.
func (l *life) clear() error {
	err := errors.Join(os.RemoveAll(l.Root), os.Remove(l.Log), os.MkdirAll(l.Root, 0o700))
	for _, trace := range l.Runs {
		err = errors.Join(err, os.Remove(trace))
	}
	for name, b := range l.Before {
		err = errors.Join(err, os.WriteFile(filepath.Join(l.Root, name), b, 0o600))
	}
	l.Runs = nil
	return err
}

// run runs the edge under strace for a while, and longer until done. The trace can be read when it returns.
func run(w *witness, program, trace string, l *life, modbus string, period time.Duration, done func() bool, end syscall.Signal) error {
	log, err := os.OpenFile(l.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := underStrace(trace, program, "edge")
	host, port, _ := net.SplitHostPort(modbus)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "SUNGROW_HOST=" + host, "SUNGROW_PORT=" + port, "DEVICE_ID=" + l.Device, "VPS_BASE_URL=" + w.url,
		"VPS_DEVICE_TOKEN=" + w.token(l.Device), "VPS_CA_FILE=" + w.secret.caFile, "UPLOAD_INTERVAL_S=1", "MAX_BACKOFF_S=2",
		"SPOOL_PATH=" + filepath.Join(l.Root, "spool.db"), "LOG_LEVEL=debug", "CLOCK_TRUST=always",
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	time.Sleep(period)
	for over := time.Now(); !done() && time.Since(over) < patience; {
		time.Sleep(20 * time.Millisecond)
	}
	cmd.Process.Signal(end)
	err = cmd.Wait()
	if end == syscall.SIGTERM && err != nil {
		return fmt.Errorf("told to stop it says %w", err)
	}
	if err := awaitTrace(trace, cmd.Process.Pid); err != nil {
		return err
	}
	_, err = readTrace(trace)
	return err
}

// history fills a spool with the last n samples up to a day ago.
func history(t *testing.T, home *simulator.Home, device, path string, n int) (all []wire.Sample) {
	t.Helper()
	kept, err := spool.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	end := time.Now().UTC().Truncate(time.Second).AddDate(0, 0, -1)
	for plant := range home.History(end.Add(-time.Duration(n)*5*time.Second), end, 5*time.Second) {
		sample := plant.Sample(device)
		if err := kept.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
			t.Fatal(err)
		}
		all = append(all, sample)
	}
	return all
}

func filesIn(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	d, err := newDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for name, f := range d.durable {
		files[name] = f.durable
	}
	return files
}

// witness is a real server that remembers when it had stored what.
type witness struct {
	secret *secrets
	url    string
	api    http.Handler

	mu    sync.Mutex
	from  map[string]time.Time           // when it is there for a device
	since map[string]map[int64]time.Time // by device and time of sample
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	dir := t.TempDir()
	w := &witness{from: make(map[string]time.Time), since: make(map[string]map[int64]time.Time)}
	var err error
	if w.secret, err = newSecrets(dir); err != nil {
		t.Fatal(err)
	}
	disk, err := bolt.Open(filepath.Join(dir, "vps.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disk.Close() })
	var list []string
	for i := range 10 {
		list = append(list, fmt.Sprintf("%s:edge%d", w.token(fmt.Sprint("edge", i)), i))
	}
	tokens, err := auth.ParseTokens(strings.Join(list, ","), "")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	// Few samples a request, so that a backlog takes many.
	server := &api.Server{Gate: request.Gate{Tokens: tokens, Log: slog.New(slog.DiscardHandler)}, Devices: deviceinfo.Devices{Store: disk}, MaxSamples: 8}
	w.api, w.url = server.Handler(), "https://"+l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		listener.Serve(ctx, l, w.secret.tls, w, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

func (w *witness) token(device string) string { return "t0ken-of-the-inverter-" + device }

func (w *witness) expect(device string, from time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.from[device], w.since[device] = from, make(map[int64]time.Time)
}

func (w *witness) count(device string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.since[device])
}

func (w *witness) stored(device string) map[int64]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.since[device]
}

// ServeHTTP answers as the real server does, and notes what was stored before anybody can know of it.
func (w *witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var b wire.Batch
	if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		json.NewDecoder(z).Decode(&b)
	} else {
		json.Unmarshal(body, &b)
	}
	var device string
	if len(b.Samples) > 0 {
		device = b.Samples[0].DeviceID
	}
	w.mu.Lock()
	away := time.Now().Before(w.from[device])
	w.mu.Unlock()
	if away {
		out.WriteHeader(http.StatusBadGateway)
		return
	}
	answer := &recorder{header: make(http.Header), status: http.StatusOK}
	in := r.Clone(r.Context())
	in.Body = io.NopCloser(bytes.NewReader(body))
	w.api.ServeHTTP(answer, in)
	var receipt wire.Receipt
	if answer.status == http.StatusOK && json.Unmarshal(answer.body.Bytes(), &receipt) == nil && len(receipt.Rejected) == 0 {
		w.mu.Lock()
		for _, s := range b.Samples {
			if _, known := w.since[device][s.Time.UnixMilli()]; !known {
				w.since[device][s.Time.UnixMilli()] = time.Now()
			}
		}
		w.mu.Unlock()
	}
	maps.Copy(out.Header(), answer.header)
	out.WriteHeader(answer.status)
	out.Write(answer.body.Bytes())
}

// readLives reads what record wrote, and checks that the model of the disk leads to the files that were really left.
func readLives(t *testing.T, dir string) (lives []*life) {
	t.Helper()
	records, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, path := range records {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		l := &life{kept: make(map[int64]json.RawMessage), since: make(map[int64]int)}
		if err := json.Unmarshal(text, l); err != nil {
			t.Fatal(err)
		}
		for _, s := range l.Filled {
			l.kept[s.Time.UnixMilli()], l.since[s.Time.UnixMilli()] = canonical(s), 0
		}
		for _, trace := range l.Runs {
			calls, err := readTrace(filepath.Join(dir, filepath.Base(trace)))
			if err != nil {
				t.Fatal(err)
			}
			l.calls = append(append(l.calls, systemCall{}), calls...)
		}
		for i, c := range l.calls {
			if c.name == "write" && c.fd(0) == 2 {
				l.noteLog(i, c.text(1))
			}
		}
		d := l.disk(nil)
		for _, c := range l.calls {
			if err := d.apply(c); err != nil {
				t.Fatalf("%s: %v", l.Device, err)
			}
		}
		for name, f := range d.now {
			if after, ok := l.After[name]; !ok || !bytes.Equal(after, d.contents(f)) {
				t.Fatalf("%s: the model of the disk has another %s than the edge left: %d and %d bytes", l.Device, name, len(d.contents(f)), len(after))
			}
		}
		t.Logf("%s: %d runs, %d calls, %d samples durable, %d stored, %d syncs", l.Device, len(l.Runs), len(l.calls), len(l.kept), len(l.Stored), d.syncs)
		if len(l.kept) < enough || len(l.Stored) < enough {
			t.Fatalf("%s: the recording is too poor to show anything", l.Device)
		}
		lives = append(lives, l)
	}
	if len(lives) == 0 {
		t.Fatalf("no recording in %s", dir)
	}
	return lives
}

// noteLog takes from a line of the log that a sample is durable.
func (l *life) noteLog(call int, text []byte) {
	var line struct {
		Msg    string
		Sample wire.Sample
	}
	if json.Unmarshal(text, &line) != nil || line.Msg != "spooled" {
		return
	}
	if len(l.Filled) == 0 && l.begins == 0 {
		l.begins = call
	}
	ms := line.Sample.Time.UnixMilli()
	l.kept[ms], l.since[ms] = canonical(line.Sample), call
}

func canonical(s wire.Sample) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		return json.RawMessage(err.Error())
	}
	return b
}

// disk is the disk at the beginning of the life.
func (l *life) disk(synced func(int) bool) *disk {
	d := &disk{root: l.Root, synced: synced, durable: make(map[string]*file), now: make(map[string]*file), fds: make(map[int]*file)}
	for name, b := range l.Before {
		d.durable[name] = &file{durable: slices.Clone(b)} // which syncs will write to
		d.now[name] = d.durable[name]
	}
	return d
}

// powerCut is one image to be made.
type powerCut struct {
	number int
	call   int // before which the power goes
}

// cutAll makes n power cuts and returns what was found wrong, at most so many as a person reads.
func cutAll(t *testing.T, lives []*life, n int, synced func(int) bool, most int) (bad []string) {
	t.Helper()
	plan := make(map[*life][]powerCut)
	for i := range n {
		l := lives[i%len(lives)]
		rng := rand.New(rand.NewPCG(*crashSeed+uint64(i), 5))
		at := 1 + rng.IntN(len(l.calls))
		if l.begins > 0 && i/len(lives)%3 == 0 { // the first start is short, and the most dangerous
			at = 1 + rng.IntN(l.begins)
		}
		plan[l] = append(plan[l], powerCut{i, at})
	}
	dir := filepath.Join(inMemory(t), "images")
	opener := newOpener(t)
	for _, l := range lives {
		cuts := plan[l]
		slices.SortFunc(cuts, func(a, b powerCut) int { return a.call - b.call })
		d, done := l.disk(synced), 0
		for _, cut := range cuts {
			for ; done < cut.call; done++ {
				if l.calls[done].name == "" {
					d.restart()
					continue
				}
				if err := d.apply(l.calls[done]); err != nil {
					t.Fatal(err)
				}
			}
			os.RemoveAll(dir)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := d.cut(rand.New(rand.NewPCG(*crashSeed+uint64(cut.number), 6)), dir); err != nil {
				t.Fatal(err)
			}
			if wrong := l.check(opener, dir, cut.call); wrong != "" {
				bad = append(bad, fmt.Sprintf("image %d of %s, before call %d: %s", cut.number, l.Device, cut.call, wrong))
				if len(bad) >= most {
					return bad
				}
			}
		}
	}
	return bad
}

// check opens an image of a power cut before a call and says what is wrong with it.
func (l *life) check(o *opener, dir string, call int) string {
	path := filepath.Join(dir, "spool.db")
	before, err := os.Stat(path)
	there := err == nil
	begun := time.Now()
	got, err := o.open(path)
	switch took := time.Since(begun); {
	case err != nil:
		return err.Error()
	case took > openSlowest:
		return fmt.Sprintf("opening took %v", took)
	}
	if after, err := os.Stat(path); there && (err != nil || !os.SameFile(before, after)) {
		return "the spool was taken for damaged and replaced"
	}
	found := make(map[int64]bool)
	strangers := 0
	for _, s := range got.Samples {
		ms := s.Time.UnixMilli()
		want, known := l.kept[ms]
		if !known {
			strangers++ // durable, and killed before the log said so
		} else if have := canonical(s); !bytes.Equal(have, want) {
			return fmt.Sprintf("the sample of %v is %s, want %s", s.Time, have, want)
		}
		if found[ms] {
			return fmt.Sprintf("the sample of %v is there twice", s.Time)
		}
		found[ms] = true
	}
	if strangers > len(l.Runs) {
		return fmt.Sprintf("%d samples that nobody made", strangers)
	}
	now := time.Time{}
	for i := min(call, len(l.calls)-1); i >= 0 && now.IsZero(); i-- {
		now = l.calls[i].at
	}
	lost := 0
	for ms, since := range l.since {
		stored, had := l.Stored[ms]
		if since < call && !found[ms] && (!had || stored.After(now)) {
			lost++
		}
	}
	if lost > 0 {
		return fmt.Sprintf("%d samples are lost, %d are there", lost, len(found))
	}
	return ""
}

// opened is what the spool of an image holds.
type opened struct {
	Error       string
	Waiting     int
	Quarantined int
	Samples     []wire.Sample
}

// opener is a process that opens spools, because a bad one may end it.
type opener struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

const openerVariable = "SUNSPOOL_TEST_OPENS_SPOOLS"

func newOpener(t *testing.T) *opener {
	t.Helper()
	o := &opener{t: t}
	t.Cleanup(o.stop)
	return o
}

func (o *opener) start() error {
	o.cmd = exec.Command(os.Args[0])
	o.cmd.Env = append(os.Environ(), openerVariable+"=1")
	var err error
	if o.in, err = o.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	o.out = bufio.NewReader(out)
	return o.cmd.Start()
}

func (o *opener) stop() {
	if o.cmd != nil {
		o.in.Close()
		o.cmd.Process.Kill()
		o.cmd.Wait()
		o.cmd = nil
	}
}

func (o *opener) open(path string) (opened, error) {
	if o.cmd == nil {
		if err := o.start(); err != nil {
			return opened{}, err
		}
	}
	watchdog := time.AfterFunc(2*openSlowest, func() { o.cmd.Process.Kill() })
	defer watchdog.Stop()
	fmt.Fprintln(o.in, path)
	line, err := o.out.ReadBytes('\n')
	var got opened
	if err != nil {
		o.stop()
		return got, fmt.Errorf("the process that opened it died: %w", err)
	}
	if err := json.Unmarshal(line, &got); err != nil {
		return got, err
	}
	switch {
	case got.Error != "":
		return got, fmt.Errorf("it does not open: %s", got.Error)
	case got.Waiting != len(got.Samples):
		return got, fmt.Errorf("%d samples, but the spool says %d", len(got.Samples), got.Waiting)
	case got.Quarantined > 0:
		return got, fmt.Errorf("%d samples in quarantine", got.Quarantined)
	}
	return got, nil
}

// openSpools is the opener's own side: a path a line, and what is in it.
func openSpools() {
	lines, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		out.Encode(openOne(lines.Text()))
	}
}

func openOne(path string) (o opened) {
	spool, err := spool.Open(path)
	if err != nil {
		return opened{Error: err.Error()}
	}
	defer spool.Close()
	records, err := spool.Peek(1<<30, nil)
	if err != nil {
		return opened{Error: err.Error()}
	}
	for _, r := range records {
		o.Samples = append(o.Samples, r.Sample)
	}
	o.Waiting, o.Quarantined = spool.Waiting(), spool.InQuarantine()
	return o
}

// inMemory is a directory of the test that costs no disk, where there is one.
func inMemory(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "sunspool-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// keep saves a recording for another look.
func keep(t *testing.T, dir string, bad []string) {
	t.Helper()
	saved, err := os.MkdirTemp("", "sunspool-crash-")
	if err == nil {
		err = os.CopyFS(filepath.Join(saved, "recording"), os.DirFS(dir))
	}
	for _, b := range bad {
		t.Error(b)
	}
	t.Logf("again with: go test ./demo -run PowerCut -v -crash-trace %s/recording -crash-seed %d -crash-images %d (%v)", saved, *crashSeed, *crashImages, err)
}
