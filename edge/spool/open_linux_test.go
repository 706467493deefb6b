package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"sunspool/edge/spool/format"
	"sunspool/health"
	"sunspool/internal/testhost"
)

func faultCode(err error) string {
	f, _ := errors.AsType[*health.Fault](err)
	if f == nil {
		return ""
	}
	return f.Code
}

// A damaged spool raises an alarm, the damaged file is kept, and samples are stored again.
func TestDamagedSpoolIsAnAlarmAndPollingGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "spool.db")
	s := openSpool(t, path)
	want := fill(t, s, 200)
	s.Close()
	bad, _ := os.ReadFile(path)
	meta := bad[16:] // of the newest commit: its root, and its number
	if other := bad[4096+16:]; binary.NativeEndian.Uint64(other[48:]) > binary.NativeEndian.Uint64(meta[48:]) {
		meta = other
	}
	clear(bad[binary.NativeEndian.Uint64(meta[16:])*4096:][:4096])
	os.WriteFile(path, bad, 0o600)

	s = openSpool(t, path)
	o := s.Opening()
	if kept, _ := os.ReadFile(o.Aside); !bytes.Equal(kept, bad) || o.Salvaged != len(want) || o.Unreadable != 0 {
		t.Errorf("salvaged %d, unreadable %d, kept as %q", o.Salvaged, o.Unreadable, o.Aside)
	}
	if got := peek(t, s, 1000); len(got) != len(want) || !got[199].Sample.Time.Equal(want[199].Time) {
		t.Errorf("%d samples are back, want %d", len(got), len(want))
	}
	if faultCode(s.Alarm(nil)) != "spool_salvaged" {
		t.Errorf("the alarm is %v", s.Alarm(nil))
	}
	if err := errors.New("worse"); s.Alarm(err) != err {
		t.Error("the alarm hides a present error")
	}
	fill(t, s, 1)
}

// A spool file that somebody removed or emptied raises an alarm, and its numbers are not used again.
func TestVanishedSpoolIsAnAlarmAndNumbersGoOn(t *testing.T) {
	for name, harm := range map[string]func(path string){
		"missing": func(path string) { os.Remove(path) },
		"empty":   func(path string) { os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "spool.db")
			s := openSpool(t, path)
			if fill(t, s, 30); !s.Opening().At.IsZero() || s.Alarm(nil) != nil {
				t.Errorf("a first start is alarming: %v", s.Alarm(nil))
			}
			s.Close()
			harm(path)
			s = openSpool(t, path)
			if faultCode(s.Alarm(nil)) != "spool_vanished" || s.Waiting() != 0 {
				t.Errorf("the alarm is %v, %d waiting", s.Alarm(nil), s.Waiting())
			}
			fill(t, s, 1)
			if got := peek(t, s, 10); len(got) != 1 || got[0].Seq <= 30 || s.Waiting() != 1 {
				t.Errorf("the next number is %v, want one above 30", seqs(got))
			}
			s.Close()
			if s = openSpool(t, path); s.Alarm(nil) != nil {
				t.Errorf("the start after that is alarming too: %v", s.Alarm(nil))
			}
		})
	}
}

func TestMarkIsAlwaysAheadOfTheNumbers(t *testing.T) {
	path := filepath.Join(testhost.MemoryDir(t), "spool.db")
	s := openSpool(t, path)
	for range 30 {
		for range 100 {
			sample := sampleAt(noon)
			if err := s.Append(&sample, When{Quality: Synced}); err != nil {
				t.Fatal(err)
			}
		}
		got := peek(t, s, 90)
		if err := s.Settle(seqs(got), nil); err != nil {
			t.Fatal(err)
		}
		first, last := peek(t, s, 1)[0].Seq, peek(t, s, 1<<20)
		if m, err := format.ReadWatermark(path); err != nil || m.Reserved < last[len(last)-1].Seq || m.Below > first {
			t.Fatalf("the mark says %+v, %v; %d to %d wait", m, err, first, last[len(last)-1].Seq)
		}
	}
	if m, _ := format.ReadWatermark(path); m.Below < 1000 {
		t.Errorf("the mark says that all below %d left, of 2700", m.Below)
	}
}

func TestDatabaseOfAnotherProgramIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("devices")); return err })
	db.Close()
	before, _ := os.ReadFile(path)
	if _, err := Open(path); faultCode(err) != "spool_foreign" {
		t.Errorf("opening it says %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file changed")
	}
}

// A spool of a newer version is not ours to judge, damaged or not.
func TestNewerSpoolIsNotSetAsideEvenIfDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool.db")
	s := openSpool(t, path)
	fill(t, s, 3)
	s.exec(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			tx.Bucket(format.SamplesBucket).Put(format.Key(2), []byte("a form of record that we do not know"))
			return format.PutNumber(tx.Bucket(format.MetaBucket), format.SchemaKey, format.Schema+1)
		})
	})
	s.Close()
	if _, err := Open(path); faultCode(err) != "spool_newer" {
		t.Errorf("opening it says %v", err)
	}
	if left, _ := filepath.Glob(path + ".damaged*"); left != nil {
		t.Errorf("it was set aside: %v", left)
	}
}

// The files are private whatever the umask is, and become private if they were not.
func TestSpoolIsPrivateWhateverTheUmaskIsAndWas(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "state")
	path := filepath.Join(dir, "spool.db")
	check := func() {
		t.Helper()
		for name, want := range map[string]os.FileMode{"": 0o700, "spool.db": 0o600, "spool.db.exists": 0o600} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
				t.Errorf("%q has mode %v, %v, want %v", name, info.Mode().Perm(), err, want)
			}
		}
	}
	s := openSpool(t, path)
	fill(t, s, 1)
	check()
	s.Close()
	os.Chmod(dir, 0o777)
	os.Chmod(path, 0o666)
	os.Chmod(path+".exists", 0o644)
	s = openSpool(t, path)
	check()
	if w := s.Opening().Warnings; len(w) < 2 {
		t.Errorf("the warnings are %q", w)
	}
	s.Close()

	os.WriteFile(filepath.Join(dir, "photo.jpg"), nil, 0o644) // shared with somebody: not ours to close
	os.Chmod(dir, 0o777)
	s = openSpool(t, path)
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o777 || !strings.Contains(strings.Join(s.Opening().Warnings, ""), "can be changed") {
		t.Errorf("a shared directory became %v, warnings %q", info.Mode().Perm(), s.Opening().Warnings)
	}
}

// A link in the place of any file of the spool is refused or replaced, never followed.
func TestLinksAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	plant := func(name string) string {
		path := filepath.Join(dir, name)
		os.WriteFile(victim, []byte("precious"), 0o644)
		os.Remove(path)
		if err := os.Symlink(victim, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	unharmed := func(what string) {
		t.Helper()
		info, err := os.Stat(victim)
		if b, _ := os.ReadFile(victim); err != nil || string(b) != "precious" || info.Mode().Perm() != 0o644 {
			t.Fatalf("the link in the place of %s was followed: %q, %v", what, b, err)
		}
	}
	path := plant("spool.db")
	_, err := Open(path)
	if f, _ := errors.AsType[*health.Fault](err); f == nil || f.Code != "spool_not_ours" || f.Exit != health.ExitConfig {
		t.Errorf("a link in the place of the spool is %v", err)
	}
	unharmed("the spool")
	os.Remove(path)

	plant("spool.db.new")
	plant("spool.db.exists")
	plant("spool.db.exists.new")
	s := openSpool(t, path)
	fill(t, s, 3)
	s.Close()
	unharmed("spool.db.new and the mark")

	plant("spool.db.new")
	os.WriteFile(path, []byte("not a spool"), 0o600)
	s = openSpool(t, path)
	unharmed("the salvaged spool")
	s.Close()

	os.Remove(path)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil {
		t.Error("a directory opens as a spool")
	}
}

// breakDisk makes every write to the spool go to a file that takes none, so that bbolt's own commit fails.
func breakDisk(t *testing.T, s *Spool, with string, flag int) {
	t.Helper()
	bad, err := os.OpenFile(with, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer bad.Close()
	err = s.run(func() error { return syscall.Dup3(int(bad.Fd()), int(s.file.Fd()), 0) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestCommitErrorReopensAndLosesNothing(t *testing.T) {
	for name, with := range map[string]string{"writes fail": "", "syncs fail and the writes are lost": "/dev/null"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "spool.db")
			s := openSpool(t, path)
			fill(t, s, 10)
			if with == "" {
				breakDisk(t, s, path, os.O_RDONLY)
			} else {
				breakDisk(t, s, with, os.O_RDWR)
			}
			sample := sampleAt(noon.Add(time.Hour))
			if err := s.Append(&sample, When{Quality: Synced}); err == nil {
				t.Fatal("a sample that is not on the disk was taken")
			}
			if s.Waiting() != 10 || len(peek(t, s, 100)) != 10 {
				t.Errorf("%d waiting, want the 10 before", s.Waiting())
			}
			if err := s.Append(&sample, When{Quality: Synced}); err != nil {
				t.Errorf("the file was not opened again: %v", err)
			}
			if got := peek(t, s, 100); len(got) != 11 || got[10].Seq != 11 {
				t.Errorf("%v are waiting", seqs(got))
			}
		})
	}
}

// The kernel may show, and the disk may hold, a commit whose sync failed: then the sample is there, once.
func TestCommitThatFailedButIsThereCountsAsDone(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
	fill(t, s, 3)
	r := Record{Seq: 4, Sample: sampleAt(noon.Add(time.Hour)), When: When{Quality: Synced}}
	write := func() error {
		err := s.db.Update(func(tx *bolt.Tx) error {
			if _, err := tx.Bucket(format.SamplesBucket).NextSequence(); err != nil {
				return err
			}
			return tx.Bucket(format.SamplesBucket).Put(format.Key(4), r.Encode())
		})
		return errors.Join(err, syscall.EIO)
	}
	there := func(tx *bolt.Tx) bool { return tx.Bucket(format.SamplesBucket).Get(format.Key(4)) != nil }
	if err := s.execVerified(there, write); err != nil {
		t.Errorf("it is there, and yet: %v", err)
	}
	if s.Waiting() != 4 {
		t.Errorf("%d waiting, want 4", s.Waiting())
	}
}

func TestFullDiskDoesNotReopen(t *testing.T) {
	s := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
	db := s.db
	for range 10 {
		if err := s.exec(func() error { return syscall.ENOSPC }); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("the error became %v", err)
		}
	}
	if s.db != db || s.Failure() != nil {
		t.Error("a full disk made it open the file again")
	}
}

func TestInvalidMappingAndPanicsReopen(t *testing.T) {
	for name, harm := range map[string]func() error{
		"mapping": func() error { return bolterrors.ErrInvalidMapping },
		"panic":   func() error { panic("a page makes no sense") },
		"fault":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "spool.db")
			s := openSpool(t, path)
			want := fill(t, s, 300)
			db := s.db
			if harm == nil { // the file is cut below the mapping, so that a read of it faults
				info, _ := os.Stat(path)
				os.Truncate(path, info.Size()/2)
				harm = func() error {
					return s.db.View(func(tx *bolt.Tx) error {
						return tx.Bucket(format.SamplesBucket).ForEach(func(_, v []byte) error { _ = bytes.Clone(v); return nil })
					})
				}
			}
			err := s.exec(harm)
			if s.db == db || s.db == nil {
				t.Fatalf("it was not opened again after %v", err)
			}
			o := s.Opening()
			if n := len(peek(t, s, 1000)); n != len(want) && o.Aside == "" || n == 0 {
				t.Errorf("%d samples after it, %+v", n, o)
			}
			fill(t, s, 1)
		})
	}
}
