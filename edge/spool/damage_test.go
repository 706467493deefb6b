package spool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
	"sunspool/internal/testhost"
)

// contents is what a spool holds.
type contents struct {
	waiting, quarantine map[uint64][]byte
	twice               []uint64
	sequence            uint64
}

func read(t *testing.T, s *Spool) contents {
	t.Helper()
	c := contents{waiting: make(map[uint64][]byte), quarantine: make(map[uint64][]byte)}
	err := s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			c.sequence = tx.Bucket(format.SamplesBucket).Sequence()
			for _, name := range [][]byte{format.SamplesBucket, format.UndatedBucket, format.QuarantineBucket} {
				err := tx.Bucket(name).ForEach(func(k, v []byte) error {
					seq := format.Seq(k)
					if c.waiting[seq] != nil {
						c.twice = append(c.twice, seq)
					}
					if bytes.Equal(name, format.QuarantineBucket) {
						c.quarantine[seq] = bytes.Clone(v)
					} else {
						c.waiting[seq] = bytes.Clone(v)
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		t.Errorf("what was opened cannot be read: %v", err)
	}
	return c
}

// survive opens the damaged file and says what is wrong with what came out.
func (r *ruin) survive(t *testing.T, what string, b []byte) (salvaged bool) {
	t.Helper()
	dir := testhost.MemoryDir(t)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "spool.db")
	os.Chmod(dir, 0o700)
	if os.WriteFile(path, b, 0o600) != nil || os.WriteFile(path+".exists", r.Mark, 0o600) != nil {
		t.Fatal("no place to test in")
	}
	began := now()
	s, err := Open(path)
	if err != nil {
		t.Errorf("it does not open: %v", err)
		return false
	}
	defer s.Close()
	if took := now().Sub(began); took > 5*time.Minute { // one that is not proportional to the file would take hours
		t.Errorf("opening took %v", took)
	}
	c, o := read(t, s), s.Opening()
	boots, newest := uint64(0), uint32(0)
	s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error { boots = tx.Bucket(format.BootsBucket).Sequence(); return nil })
	})
	for seq, record := range c.waiting {
		if r, err := format.Decode(seq, record); err == nil {
			newest = max(newest, r.When.Boot)
		}
	}
	if o.Aside != "" && boots < uint64(newest) {
		t.Errorf("the next boot gets number %d, which samples of another have", boots+1)
	}
	if len(c.twice) > 0 {
		t.Errorf("%v are there twice", c.twice)
	}
	lost := 0
	for seq := range r.whole(b) {
		if c.waiting[seq] == nil && c.quarantine[seq] == nil {
			lost++
		}
	}
	// A page of old that was the root then and is now brings back an old commit, whole. It is no other than what a power
	// cut leaves, when the pages of a commit are on the disk and its meta is not.
	rolledBack := o.Damage == "" && c.sequence < uint64(len(r.Records)) && strings.Contains(what, "old")
	if lost > 0 && !rolledBack {
		t.Errorf("%d whole records were lost; damage %q", lost, o.Damage)
	}
	for seq, record := range c.waiting {
		switch {
		case !slices.ContainsFunc(r.Records[seq], func(form []byte) bool { return bytes.Equal(form, record) }):
			t.Errorf("record %d was never written", seq)
		case r.Waiting[seq] == nil && seq < r.Below && !bytes.Contains(r.Old, record):
			t.Errorf("record %d is back, though the mark says that it left", seq)
		case r.Quarantine[seq] != nil && bytes.Contains(b, r.Quarantine[seq]) && !bytes.Contains(r.Old, record):
			t.Errorf("record %d is back from a quarantine that is whole", seq)
		}
	}
	for seq := range c.quarantine {
		if r.Quarantine[seq] == nil {
			t.Errorf("%d was never in quarantine", seq)
		}
	}
	if s.Waiting() != len(c.waiting) || s.InQuarantine() != len(c.quarantine) {
		t.Errorf("%d and %d are counted, %d and %d are there", s.Waiting(), s.InQuarantine(), len(c.waiting), len(c.quarantine))
	}
	if o.Aside != "" {
		if kept, err := os.ReadFile(o.Aside); err != nil || !bytes.Equal(kept, b) {
			t.Errorf("the damaged file was not kept as it was: %v", err)
		}
	}
	if len(b) > 0 && o.Vanished {
		t.Error("a damaged file is said to have vanished")
	}

	// And it is a spool like any other, for every use and for the next start.
	sample := sampleAt(noon.AddDate(1, 0, 0))
	if err := s.Append(&sample, When{Quality: Synced}); err != nil {
		t.Errorf("append: %v", err)
	}
	var highest, number uint64
	for seq := range c.waiting {
		highest = max(highest, seq)
	}
	for seq := range c.quarantine {
		highest = max(highest, seq)
	}
	s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error { number = tx.Bucket(format.SamplesBucket).Sequence(); return nil })
	})
	if number <= highest || !rolledBack && number <= uint64(len(r.Records)) {
		t.Errorf("the number after %d is %d", highest, number)
	}
	if err := s.Settle(seqs(peek(t, s, 1<<20)), nil); err != nil {
		t.Errorf("settle: %v", err)
	}
	s.Close()
	again, err := Open(path)
	if err != nil {
		t.Errorf("the next start: %v", err)
		return true
	}
	if o := again.Opening(); !o.At.IsZero() {
		t.Errorf("the next start finds it %+v", o)
	}
	again.Close()
	return o.Aside != ""
}

// Each batch is a process of its own, so that a death is seen and does not hide the others.
func TestDamagedSpoolGivesBackEveryWholeRecord(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: it damages 100 files")
	}
	n, _ := strconv.Atoi(os.Getenv("DAMAGED_FILES"))
	if n == 0 {
		n = 100
	}
	const batch = 100
	began, total := time.Now(), make(map[string]int)
	for from := 0; from < n; from += batch {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDamageBatch$", "-test.v")
		cmd.Env = append(os.Environ(), fmt.Sprintf("DAMAGE_BATCH=%d %d", from, min(from+batch, n)))
		out, err := cmd.CombinedOutput()
		if err != nil {
			lines := strings.Split(string(out), "\n")
			t.Errorf("seeds from %d: %v\n%s", from, err, strings.Join(lines[max(0, len(lines)-60):], "\n"))
			continue
		}
		_, text, ok := strings.Cut(string(out), "counts: ")
		text, _, _ = strings.Cut(text, "\n")
		var counts map[string]int
		if !ok || json.Unmarshal([]byte(text), &counts) != nil {
			t.Fatalf("seeds from %d ended without a count:\n%s", from, out)
		}
		for k, v := range counts {
			total[k] += v
		}
	}
	t.Logf("%d damaged files in %v, by kind and those set aside: %v", n, time.Since(began).Round(time.Second), total)
	if total["files"] != n || total["set aside"] < n/2 {
		t.Errorf("%d files were tested and %d set aside, of %d", total["files"], total["set aside"], n)
	}
}

// TestDamageBatch is the child of the test above.
func TestDamageBatch(t *testing.T) {
	var from, to int
	if _, err := fmt.Sscan(os.Getenv("DAMAGE_BATCH"), &from, &to); err != nil {
		t.Skip("run by TestDamagedSpoolGivesBackEveryWholeRecord")
	}
	all := ruins(t)
	counts := make(map[string]int)
	for seed := from; seed < to; seed++ {
		r := all[seed/18%len(all)]
		what, b := r.damage(seed)
		ok := t.Run(fmt.Sprintf("%d %s, %s", seed, r.Name, what), func(t *testing.T) {
			if r.survive(t, what, b) {
				counts["set aside"]++
			}
		})
		if counts["files"]++; ok {
			counts[what]++
		}
	}
	text, _ := json.Marshal(counts)
	fmt.Printf("counts: %s\n", text)
}

func TestCutAtEverySector(t *testing.T) {
	r := build(t, "small", 60, 30, 6, 5)
	step := 512
	if os.Getenv("DAMAGED_FILES") == "" {
		step *= 7
	}
	for n := 0; n < len(r.File); n += step {
		t.Run(strconv.Itoa(n), func(t *testing.T) { r.survive(t, "cut", r.File[:n]) })
	}
}

// A power cut at any of the steps by which a damaged file is replaced leaves one of the two.
func TestPowerCutDuringSalvageLosesNothing(t *testing.T) {
	r := build(t, "backlog", 100, 0, 0, 0)
	bad := slices.Clone(r.File)
	clear(bad[:4096])
	salvaged := func(t *testing.T, path string) []byte {
		other := filepath.Join(testhost.MemoryDir(t), "spool.db")
		os.WriteFile(other, bad, 0o600)
		openSpool(t, other).Close()
		b, _ := os.ReadFile(other)
		return b
	}
	for name, leave := range map[string]func(t *testing.T, path string){
		"half of the new one is written": func(t *testing.T, path string) {
			os.WriteFile(path, bad, 0o600)
			os.WriteFile(path+".new", salvaged(t, path)[:9000], 0o600)
		},
		"it has its name of its own": func(t *testing.T, path string) {
			os.WriteFile(path, bad, 0o600)
			os.WriteFile(path+".salvaged", salvaged(t, path), 0o600)
		},
		"the damaged one is set aside": func(t *testing.T, path string) {
			os.WriteFile(path+".damaged-1", bad, 0o600)
			os.WriteFile(path+".salvaged", salvaged(t, path), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(testhost.MemoryDir(t), "spool.db")
			leave(t, path)
			s := openSpool(t, path)
			if got := peek(t, s, 1000); len(got) != 100 {
				t.Errorf("%d samples are there, want 100", len(got))
			}
			if left, _ := filepath.Glob(path + ".[ns]*"); left != nil {
				t.Errorf("%v is left over", left)
			}
			if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) != 1 {
				t.Errorf("set aside is %v, want one file", aside)
			}
		})
	}
}

func TestSalvageOfALargeSpoolTakesLessThanAStart(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: it writes a large file")
	}
	t.Parallel() // it mostly waits for the disk
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	large := int64(25 << 20)
	if os.Getenv("DAMAGED_FILES") != "" { // make test-damage
		large = 100 << 20
	}
	n := 0
	for s.Bytes() < large {
		err := s.exec(func() error {
			return s.db.Update(func(tx *bolt.Tx) error {
				samples := tx.Bucket(format.SamplesBucket)
				for range 20_000 {
					seq, err := samples.NextSequence()
					if err != nil {
						return err
					}
					r := Record{Seq: seq, Sample: sampleAt(noon.Add(time.Duration(seq) * 5 * time.Second)), When: When{Quality: Synced}}
					if err := samples.Put(format.Key(seq), append(r.Encode(), nil...)); err != nil {
						return err
					}
					n++
				}
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	start := func() (*Spool, time.Duration) {
		began := time.Now()
		s := openSpool(t, path)
		return s, time.Since(began)
	}
	s, healthy := start()
	size := s.Bytes()
	s.Close()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt(make([]byte, 8192), 0) // both metas: nothing says where anything is
	f.Close()
	s, took := start()
	if o := s.Opening(); o.Salvaged != n || s.Waiting() != n {
		t.Errorf("%d salvaged, %d waiting, want %d", o.Salvaged, s.Waiting(), n)
	}
	t.Logf("%d samples in %d MB: a start takes %v when it is whole, %v with salvage", n, size>>20, healthy.Round(time.Millisecond), took.Round(time.Millisecond))
	if took > 5*time.Minute {
		t.Errorf("a start with salvage took %v", took)
	}
}
