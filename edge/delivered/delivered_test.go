package delivered

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/spool/spooltest"
	"sunspool/wire"
)

var noon = spooltest.Noon.Truncate(6 * time.Hour)

func sampleAt(at time.Time) *wire.Sample {
	s := spooltest.SampleAt(at)
	return &s
}

// copiesIn returns the copies of a device beside a spool in dir, and what they log.
func copiesIn(dir string) (*Copies, *bytes.Buffer) {
	log := new(bytes.Buffer)
	return &Copies{Dir: DirOf(filepath.Join(dir, "spool.db")), Device: sampleAt(noon).DeviceID, Keep: 7 * 24 * time.Hour,
		Room: func() int64 { return 1 << 30 }, Log: slog.New(slog.NewTextHandler(log, nil))}, log
}

// keep adds n samples, 10 s apart, and writes them.
func keep(c *Copies, from time.Time, n int) {
	for i := range n {
		c.Add(sampleAt(from.Add(time.Duration(i) * 10 * time.Second)))
	}
	c.Flush()
}

// total is how many samples the hours have.
func total(hours [][2]int64) (n int) {
	for _, pair := range hours {
		n += int(pair[1])
	}
	return n
}

// filesOf are the files of the copies, by name.
func filesOf(t *testing.T, c *Copies) (paths []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(c.Dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestCopiesComeBackAsTheyWere(t *testing.T) {
	dir := t.TempDir()
	c, _ := copiesIn(dir)
	for day := range 9 {
		keep(c, noon.AddDate(0, 0, day), 700)
	}
	c.Tidy(false)
	again, _ := copiesIn(dir)
	again.newest = c.newest
	for _, c := range []*Copies{c, again} {
		hours := c.Hours()
		if total(hours) != 8*700 || len(hours) != 8*2 || c.Samples.Load() != 8*700 || c.Since.Load() != noon.AddDate(0, 0, 1).UnixMilli() {
			t.Errorf("%d samples in %d hours, shown are %d since %v: want those of the last seven days, by files", total(hours), len(hours), c.Samples.Load(), time.UnixMilli(c.Since.Load()).UTC())
		}
		for _, pair := range hours {
			all := c.SamplesOf(pair[0])
			if len(all) != int(pair[1]) {
				t.Fatalf("%d samples of %d", len(all), pair[1])
			}
			for i, s := range all {
				if want := sampleAt(time.UnixMilli(pair[0]).Add(time.Duration(i) * 10 * time.Second)); !s.Equal(want) {
					t.Fatalf("%+v, want %+v", s, want)
				}
			}
		}
	}
	if info, err := os.Stat(c.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Error(info.Mode(), err)
	}
	for _, path := range filesOf(t, c) {
		if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
	Remove(c.Dir)
	if _, err := os.Stat(c.Dir); !os.IsNotExist(err) {
		t.Errorf("left: %v", filesOf(t, c))
	}
}

// What a power cut, a bad card or a person does to a file costs the samples of the frames that it is in, and nothing else.
func TestDamagedFramesAreSkipped(t *testing.T) {
	c, _ := copiesIn(t.TempDir())
	for i := range 20 {
		keep(c, noon.Add(time.Duration(i)*100*time.Second), 10)
	}
	path := filesOf(t, c)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	least := 200
	for i := range 1000 {
		text := bytes.Clone(whole)
		switch at := rng.IntN(len(text)); i % 4 {
		case 0:
			text = text[:at]
		case 1:
			text[at] ^= 1 << rng.IntN(8)
		case 2:
			text = append(text[:at], text[min(at+rng.IntN(100), len(text)):]...)
		case 3:
			text = append(text[:at:at], append([]byte(magic+strings.Repeat("\xff", rng.IntN(20))), text[at:]...)...)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		damaged := &Copies{Dir: c.Dir, Device: c.Device, Keep: c.Keep, Room: c.Room, Log: c.Log, newest: c.newest}
		found := 0
		for _, pair := range damaged.Hours() {
			all := damaged.SamplesOf(pair[0])
			found += len(all)
			for i := range all {
				if !all[i].Equal(sampleAt(all[i].Time)) {
					t.Fatalf("%+v is no sample that was kept", all[i])
				}
			}
		}
		if i%4 != 0 {
			least = min(least, found)
		}
	}
	if least < 170 {
		t.Errorf("one damage costs %d of 200 samples", 200-least)
	}
}

func FuzzFrames(f *testing.F) {
	p := &pending{device: "roof", start: noon.UnixMilli(), hours: map[int64]int{}}
	p.add(sampleAt(noon))
	f.Add(p.frame())
	f.Add([]byte(magic + magic))
	f.Fuzz(func(t *testing.T, text []byte) {
		frames(text, func(f frame) { f.each(func(*wire.Sample) {}) })
	})
}

// Copies use what the spool and others leave. The oldest go first, and what does not fit is no error.
func TestCopiesGiveWay(t *testing.T) {
	c, log := copiesIn(t.TempDir())
	for day := range 4 {
		keep(c, noon.AddDate(0, 0, day), 300)
	}
	size := c.total() / 4
	room := 2*size + size/2
	c.Room = func() int64 { return room }
	c.Tidy(false)
	if hours := c.Hours(); total(hours) != 600 || hours[0][0] != noon.AddDate(0, 0, 2).UnixMilli() {
		t.Errorf("%d samples are left: %v", total(hours), hours)
	}
	keep(c, noon.AddDate(0, 0, 4), 300)
	if hours := c.Hours(); total(hours) != 600 || c.total() > room || hours[0][0] != noon.AddDate(0, 0, 3).UnixMilli() {
		t.Errorf("%d samples are left in %d of %d bytes: %v", total(hours), c.total(), room, hours)
	}
	room = -5
	c.Tidy(false)
	keep(c, noon.AddDate(0, 0, 5), 300)
	if len(c.Hours()) != 0 || len(filesOf(t, c)) != 0 || c.Errors.Load() != 0 || log.Len() != 0 {
		t.Errorf("%v, %v, %d errors, %s", c.Hours(), filesOf(t, c), c.Errors.Load(), log)
	}
}

// A folder that cannot be written is reported once, costs a bounded memory, and is used again when it can.
func TestDirectoryThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	c, log := copiesIn(dir)
	if err := os.WriteFile(c.Dir, nil, 0o600); err != nil { // as good as read-only, for root too
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		for i := range 30_000 {
			c.Add(sampleAt(noon.Add(time.Duration(i) * time.Second)))
			if i%100 == 0 {
				c.Tidy(false)
				time.Sleep(10 * time.Second)
			}
		}
		held := 0
		for _, p := range c.pending {
			held += len(p.packed)
		}
		if held > mostBytes+10_000 || c.Errors.Load() == 0 || strings.Count(log.String(), "level=WARN") != 1 {
			t.Errorf("%d bytes are held, %d errors, log:\n%s", held, c.Errors.Load(), log)
		}
		if err := os.Remove(c.Dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(retryAfter)
		c.Tidy(false)
		if len(c.pending) > 1 || total(c.Hours()) == 0 || !strings.Contains(log.String(), "kept again") {
			t.Errorf("%d wait, %v, log:\n%s", len(c.pending), c.Hours(), log)
		}
	})
}

// A file is of the time of its samples: what the host's clock shows deletes nothing.
func TestClockThatJumpsDeletesNothing(t *testing.T) {
	c, _ := copiesIn(t.TempDir())
	keep(c, noon, 100)
	keep(c, noon.AddDate(0, 0, -3), 100) // a backlog
	c.Tidy(false)
	if n := total(c.Hours()); n != 200 {
		t.Errorf("%d of 200 are kept", n)
	}
	keep(c, noon.AddDate(90, 0, 0), 1) // that a server took all the same
	again, _ := copiesIn(filepath.Dir(c.Dir))
	keep(again, noon.Add(time.Hour), 10)
	again.Tidy(false)
	if n := total(again.Hours()); n != 210 {
		t.Errorf("%d of 210 are shown, beside one of the far future: %v", n, again.Hours())
	}
	c.Add(sampleAt(time.Unix(0, 0)))
	c.Add(sampleAt(time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)))
	c.Flush()
}

// Copies of an earlier name of the device are not shown under the new one, and go when they are old.
func TestCopiesOfAnEarlierName(t *testing.T) {
	dir := t.TempDir()
	old, _ := copiesIn(dir)
	keep(old, noon, 100)
	c, _ := copiesIn(dir)
	c.Device = "other"
	s := sampleAt(noon.Add(time.Second))
	s.DeviceID = "other"
	c.Add(s)
	hours := c.Hours()
	if total(hours) != 1 || len(c.SamplesOf(noon.UnixMilli())) != 1 {
		t.Errorf("%v", hours)
	}
	c.newest = noon.AddDate(0, 0, 8).UnixMilli()
	if c.Tidy(false); len(filesOf(t, c)) != 0 {
		t.Errorf("left: %v", filesOf(t, c))
	}
}

// A crash before the spool had deleted what the server has leaves copies twice. What the server has proved to have counts; an
// hour that brings it nothing, time and again, is left alone.
func TestHourThatWasSentAgain(t *testing.T) {
	c, _ := copiesIn(t.TempDir())
	keep(c, noon, 100)
	keep(c, noon, 100)
	if n := total(c.Hours()); n != 200 {
		t.Errorf("%d", n)
	}
	at := noon.UnixMilli()
	all := c.SamplesOf(at)
	c.Sent(at, len(all), 10)
	if n := total(c.Hours()); n != 100 || len(all) != 100 {
		t.Errorf("%d of %d", n, len(all))
	}
	c.Sent(at, 100, 0)
	if n := total(c.Hours()); n != 100 {
		t.Errorf("%d after one time for nothing", n)
	}
	if c.Sent(at, 100, 0); len(c.Hours()) != 0 {
		t.Error("shown after two times for nothing")
	}
}

// What is no file of copies is left alone.
func TestForeignFilesAreLeftAlone(t *testing.T) {
	c, _ := copiesIn(t.TempDir())
	keep(c, noon, 10)
	for _, name := range []string{"notes.txt", "20260601T05.frames", "20260601T00.frames.bak", "99999999T00.frames"} {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(magic), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(c.Dir, "20260601T00.frames"), 0o700); err != nil {
		t.Fatal(err)
	}
	again, _ := copiesIn(filepath.Dir(c.Dir))
	again.newest = noon.AddDate(1, 0, 0).UnixMilli()
	again.Tidy(false)
	Remove(c.Dir)
	if left := filesOf(t, c); len(left) != 5 && len(left) != 4 {
		t.Errorf("left: %v", left)
	}
}

// While the server does not answer, copies are written soon: it may have lost what is in them.
func TestCopiesAreWrittenSoonWhileTheServerIsAway(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			hurry bool
			after time.Duration
		}{{false, frameAge}, {true, hurryAge}} {
			copies, _ := copiesIn(dir)
			copies.Add(sampleAt(noon))
			time.Sleep(c.after - time.Second)
			if copies.Tidy(c.hurry); len(copies.pending) != 1 {
				t.Errorf("written before %v", c.after)
			}
			time.Sleep(time.Second)
			if copies.Tidy(c.hurry); len(copies.pending) != 0 {
				t.Errorf("not written after %v", c.after)
			}
		}
	})
}
