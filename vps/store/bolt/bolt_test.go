package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/health"
	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

func open(t testing.TB, dir string) *Store {
	t.Helper()
	b, err := Open(filepath.Join(dir, "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// opened is open for a test that leaves the closing to the end.
func opened(t testing.TB, dir string) *Store {
	t.Helper()
	b := open(t, dir)
	t.Cleanup(func() { b.Close() })
	return b
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fault(t *testing.T, err error) *health.Fault {
	t.Helper()
	f, ok := errors.AsType[*health.Fault](err)
	if !ok {
		t.Fatalf("%v (%T) is no fault", err, err)
	}
	if f.Next == "" || f.What == "" {
		t.Errorf("%v does not say what to do", err)
	}
	return f
}

// What a kill leaves is the file as it is. Each acknowledged sample must be in a copy made after its Insert returned,
// and every copy, made at any moment, must open.
func TestKilledProcessLosesNothing(t *testing.T) {
	dir := t.TempDir()
	b := opened(t, dir)
	images := make(chan [2][]byte, 1) // the file and how many samples were acknowledged before it was read
	go func() {
		defer close(images)
		for i := range 200 {
			if _, err := b.Insert(t.Context(), "a", []wire.Sample{storetest.At(storetest.Noon.Add(time.Duration(i)*time.Minute), float64(i))}); err != nil {
				t.Error(err)
				return
			}
			if i%10 == 0 {
				file, err := os.ReadFile(b.path)
				if err != nil {
					t.Error(err)
					return
				}
				images <- [2][]byte{file, binary.AppendUvarint(nil, uint64(i+1))}
			}
		}
	}()
	for image := range images { // opened while the original goes on
		acked, _ := binary.Uvarint(image[1])
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "store.db"), image[0], 0o600); err != nil {
			t.Fatal(err)
		}
		killed := open(t, dir)
		n := 0
		for _, bucket := range storetest.Series(t, killed, store.Query{Device: "a", Resolution: store.Day}) {
			n += bucket.SampleCount
		}
		if n != int(acked) {
			t.Errorf("%d samples, %d were acknowledged", n, acked)
		}
		storetest.Insert(t, killed, "a", 1, storetest.At(storetest.Noon.Add(-time.Hour), 1))
		killed.Close()
	}
}

func TestFullDiskIsUnavailableAndPasses(t *testing.T) {
	b := opened(t, t.TempDir())
	storetest.Insert(t, b, "a", 1, storetest.At(storetest.Noon, 1))
	db := b.db
	db.MaxSize = 1
	many := storetest.Random(rand.New(rand.NewPCG(3, 3)), storetest.Noon.Add(time.Hour), 24*time.Hour, 5000)
	if n, err := b.Insert(t.Context(), "a", many); !errors.Is(err, store.ErrUnavailable) || n != 0 {
		t.Fatalf("inserted %d, %v", n, err)
	}
	if got := storetest.Latest(t, b, "a"); got.PVPowerW != 1 || b.db != db {
		t.Errorf("while full, latest is %+v; reopened: %t", got, b.db != db)
	}
	db.MaxSize = 0
	storetest.Insert(t, b, "a", 5000, many...)
}

// Closing bbolt's handle behind the store's back stands for any commit that fails: the handle is replaced.
func TestFailedCommitReopensTheFile(t *testing.T) {
	b := opened(t, t.TempDir())
	storetest.Insert(t, b, "a", 1, storetest.At(storetest.Noon, 1))
	b.db.Close()
	if _, err := b.Insert(t.Context(), "a", []wire.Sample{storetest.At(storetest.Noon, 1)}); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("insert: %v", err)
	}
	storetest.Insert(t, b, "a", 0, storetest.At(storetest.Noon, 1))
	storetest.Insert(t, b, "a", 1, storetest.At(storetest.Noon.Add(time.Minute), 2))
	if got := storetest.Latest(t, b, "a"); got.PVPowerW != 2 {
		t.Errorf("latest %+v", got)
	}
}

func TestStoreComesBackWhenItsFileDoes(t *testing.T) {
	b := opened(t, t.TempDir())
	storetest.Insert(t, b, "a", 1, storetest.At(storetest.Noon, 1))
	away := b.path + ".away"
	if err := os.Rename(b.path, away); err != nil {
		t.Fatal(err)
	}
	b.db.Close()
	for range 2 {
		if _, err := b.Insert(t.Context(), "a", []wire.Sample{storetest.At(storetest.Noon, 1)}); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("insert: %v", err)
		}
		if _, err := b.Latest(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("latest: %v", err)
		}
	}
	if _, err := os.Stat(b.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty file took the place: %v", err)
	}
	if err := os.Rename(away, b.path); err != nil {
		t.Fatal(err)
	}
	storetest.Insert(t, b, "a", 1, storetest.At(storetest.Noon.Add(time.Minute), 2))
	storetest.Insert(t, b, "a", 0, storetest.At(storetest.Noon, 1))
}

func TestConflictsAreCounted(t *testing.T) {
	b := opened(t, t.TempDir())
	one := storetest.At(storetest.Noon, 1)
	one.Values = map[string]float64{"battery_voltage": 464.2}
	storetest.Insert(t, b, "a", 1, one)
	storetest.Insert(t, b, "a", 0, one, one)
	if n := b.Conflicts(); n != 0 {
		t.Errorf("%d conflicts among repetitions", n)
	}
	other := storetest.At(storetest.Noon, 1)
	other.Values = map[string]float64{"battery_voltage": 464.3}
	storetest.Insert(t, b, "a", 0, other, storetest.At(storetest.Noon, 2), one)
	storetest.Insert(t, b, "b", 1, storetest.At(storetest.Noon, 3))
	if n := b.Conflicts(); n != 2 {
		t.Errorf("%d conflicts, want 2", n)
	}
}

// A flipped bit in a row: the row counts as absent until it is sent again, and a rollup is never missed.
func TestDamagedRowIsSkippedAndReplaced(t *testing.T) {
	b := opened(t, t.TempDir())
	var all []wire.Sample
	for i := range 200 {
		all = append(all, storetest.At(storetest.Noon.Truncate(24*time.Hour).Add(time.Duration(i)*15*time.Minute), float64(i)))
	}
	storetest.Insert(t, b, "a", 200, all...)
	q := store.Query{Device: "a", Resolution: store.Month}
	want := storetest.Dump(storetest.Series(t, b, q))
	spoil := func(level, row int) {
		t.Helper()
		if err := b.db.Update(func(tx *bbolt.Tx) error {
			d, _ := b.device(tx, "a")
			c := d.levels[level].Cursor()
			k, v := c.First()
			for range row {
				k, v = c.Next()
			}
			v = append([]byte(nil), v...)
			v[len(v)/2] ^= 4
			return d.levels[level].Put(append([]byte(nil), k...), v)
		}); err != nil {
			t.Fatal(err)
		}
	}
	spoil(rollup.DayLevel, 0)
	spoil(rollup.FourHourLevel, 0)
	spoil(rollup.HourLevel, 0)
	spoil(rollup.BaseLevel, 1)
	if got := storetest.Dump(storetest.Series(t, b, q)); got != want {
		t.Errorf("with damaged rollups:\n%s, want\n%s", got, want)
	}
	if b.Damaged() < 4 {
		t.Errorf("%d damaged rows were met, there are 4", b.Damaged())
	}
	spoil(rollup.SamplesLevel, 199)
	if got := storetest.Latest(t, b, "a"); got.PVPowerW != 198 {
		t.Errorf("latest %+v", got)
	}
	storetest.Insert(t, b, "a", 1, all[198], all[199])
	if got := storetest.Latest(t, b, "a"); got.PVPowerW != 199 {
		t.Errorf("latest %+v", got)
	}
	if got := storetest.Dump(storetest.Series(t, b, q)); got != want || b.Conflicts() != 0 {
		t.Errorf("%d conflicts, healed:\n%s, want\n%s", b.Conflicts(), got, want)
	}
}

// While one transaction waits for the disk, all that arrive wait for the same next one.
func TestWaitingInsertsShareOneCommit(t *testing.T) {
	for _, c := range []struct{ writes, rows, want int }{{50, 20, 50}, {100, 20, 52}, {100, 300, 4}, {100, 1000, 1}, {1, 1000, 1}} {
		synctest.Test(t, func(t *testing.T) {
			b := &Store{writes: make(chan *write), closing: make(chan struct{})}
			ctx, cancel := context.WithCancel(t.Context())
			for range c.writes {
				go b.do(ctx, &write{rows: make([]row, c.rows)})
			}
			synctest.Wait()
			if got := b.group(<-b.writes); len(got) != c.want {
				t.Errorf("%d writes of %d rows: %d in the group, want %d", c.writes, c.rows, len(got), c.want)
			}
			cancel() // and nobody waits for ever for a writer that is not there
		})
	}

	b := opened(t, t.TempDir())
	group := make([]*write, 50)
	for i := range group {
		group[i] = newWrite(fmt.Sprint("device ", i%7))
		group[i].pack([]wire.Sample{storetest.At(storetest.Noon, 1), storetest.At(storetest.Noon.Add(time.Duration(i)*time.Second), 1)})
	}
	commits := func() (id int) {
		_ = b.db.View(func(tx *bbolt.Tx) error { id = tx.ID(); return nil })
		return id
	}
	before, inserted := commits(), 0
	b.commit(group)
	for _, w := range group {
		if err := <-w.done; err != nil {
			t.Error(err)
		}
		inserted += w.new
	}
	if n := commits() - before; n != 1 || inserted != 7+49 {
		t.Errorf("%d commits, %d inserted, want 1 and %d", n, inserted, 7+49)
	}
	b.commit(group)
	if n := commits() - before; n != 1 {
		t.Errorf("repetitions alone cost %d commits", n-1)
	}
}

// One commit carries the inserts of many devices; a damaged page of one must not refuse the others for ever.
func TestDamageOfOneDeviceDoesNotStopTheOthers(t *testing.T) {
	b := opened(t, t.TempDir())
	all := storetest.Random(rand.New(rand.NewPCG(4, 4)), storetest.Noon, 24*time.Hour, 2000)
	storetest.Insert(t, b, "sick", 2000, all...)
	storetest.Insert(t, b, "well", 2000, all...)

	w := newWrite("sick")
	w.pack(all[:1])
	if err := b.db.View(func(tx *bbolt.Tx) error { // where is that row in the file?
		d, _ := b.device(tx, "sick")
		c := d.levels[0].Cursor()
		k, _ := c.Seek(key(w.rows[0].ms))
		at := bytes.Index(read(t, b.path), append(append([]byte(nil), k...), w.rows[0].value...))
		file, err := os.OpenFile(b.path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = file.WriteAt(make([]byte, 4096), int64(at/4096*4096))
		return err
	}); err != nil {
		t.Fatal(err)
	}

	healthy := newWrite("well")
	healthy.pack([]wire.Sample{storetest.At(storetest.Noon.Add(-time.Hour), 1)})
	b.commit([]*write{w, healthy})
	if err := <-w.done; !isDamage(err) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the sick device: %v", err)
	}
	if err := <-healthy.done; err != nil || healthy.new != 1 {
		t.Errorf("the healthy device: %d new, %v", healthy.new, err)
	}
	storetest.Insert(t, b, "well", 1, storetest.At(storetest.Noon.Add(-2*time.Hour), 1))
	if _, err := b.Periods(t.Context(), store.Query{Device: "sick", From: storetest.Noon.Add(time.Second), Resolution: store.Quarter}); err != nil && !isDamage(err) {
		t.Errorf("series of the sick device: %v", err)
	}
}

// A scan of a long stretch of rows ends with its context, which is looked at inside the transaction.
func TestLongScanEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	p, why := pause{ctx: ctx}, errors.New("enough")
	rows := 0
	for ; !p.over() && rows < 100*pauseEvery; rows++ {
		if rows == 10*pauseEvery {
			cancel(why)
		}
	}
	if rows > 11*pauseEvery {
		t.Errorf("it goes on for %d rows", rows-10*pauseEvery)
	}

	b := open(t, t.TempDir())
	defer b.Close()
	var all []wire.Sample
	for i := range 3 * pauseEvery {
		all = append(all, storetest.At(storetest.Noon.Add(time.Duration(i)*time.Hour), 1))
	}
	storetest.Insert(t, b, "a", len(all), all...)
	ended, end := context.WithCancelCause(t.Context())
	err := b.view(t.Context(), func(tx *bbolt.Tx) error {
		end(why) // when the scan has begun
		d, _ := b.device(tx, "a")
		_, err := d.gather(ended, store.Query{Device: "a", Resolution: store.Hour, Zone: time.UTC}, false)
		return err
	})
	if !errors.Is(err, why) {
		t.Errorf("a scan whose context ended: %v", err)
	}
}
