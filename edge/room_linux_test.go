package edge

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"sunspool/internal/testhost"
)

var freeze = flag.Duration("freeze", 2*time.Second, "how long TestFrozenDiskLosesNothing freezes the disk")

// appendUntil appends groups of 500 until an error and returns how many samples were taken.
func appendUntil(t *testing.T, s *Spool, at *int) (taken int, err error) {
	t.Helper()
	for {
		group := make([]Pending, 500)
		for i := range group {
			group[i] = Pending{sampleAt(noon.Add(time.Duration(*at+i) * 5 * time.Second)), When{Quality: Synced}}
		}
		if err := s.AppendAll(group); err != nil {
			return taken, err
		}
		*at += len(group)
		taken += len(group)
	}
}

// drainAll settles all that waits, as the uploader does, and fails unless it is the samples 0..n in order.
func drainAll(t *testing.T, s *Spool, n int) {
	t.Helper()
	next := 0
	for s.Waiting() > 0 {
		records := peek(t, s, 1000)
		for _, r := range records {
			if want := noon.Add(time.Duration(next) * 5 * time.Second); !r.Sample.Time.Equal(want) {
				t.Fatalf("sample %d is of %v, want %v", next, r.Sample.Time, want)
			}
			next++
		}
		if err := s.Settle(seqs(records), nil); err != nil {
			t.Fatalf("settle after %d samples: %v", next, err)
		}
	}
	if next != n {
		t.Errorf("%d samples came out, %d went in", next, n)
	}
}

// Others fill the disk: the spool goes on in what it has claimed, then says so, and always drains.
func TestDiskFilledByOthersStopsNothing(t *testing.T) {
	for name, make := range map[string]func() testhost.Disk{
		"ext4":  func() testhost.Disk { return testhost.Ext4(t, 64) },
		"tmpfs": func() testhost.Disk { return testhost.Tmpfs(t, 64) },
	} {
		t.Run(name, func(t *testing.T) {
			d := make()
			s := openSpool(t, filepath.Join(d.Dir, "spool", "spool.db"))
			at := 0
			release := d.Fill(t)
			taken, err := appendUntil(t, s, &at)
			if !isErrno(err, syscall.ENOSPC) || errors.Is(err, ErrSpoolFull) {
				t.Fatalf("after %d samples: %v, want no space on the disk", taken, err)
			}
			if taken < 20_000 {
				t.Errorf("only %d samples after the disk was filled", taken)
			}
			if f := unwritable(err); f.Code != "disk_full" {
				t.Errorf("it is called %s", f.Code)
			}
			drainAll(t, s, at)
			if err := s.Append(new(sampleAt(noon)), When{Quality: Synced}); err != nil {
				t.Errorf("drained, but still: %v", err)
			}
			release()
		})
	}
}

// A filesystem that cannot claim blocks: the ballast goes when acks need its room, and comes back.
func TestWithoutFallocateBallastMakesRoomForAcks(t *testing.T) {
	d := testhost.Ext4(t, 96)
	s := openSpool(t, filepath.Join(d.Dir, "spool.db"))
	s.do(func() error {
		s.room.allocate = func(*os.File, int64) error { return errors.ErrUnsupported }
		s.settleIn()
		return nil
	})
	if info, err := os.Stat(s.ballastPath()); err != nil || info.Size() != ballastSize {
		t.Fatalf("no ballast: %v", err)
	}
	at := 0
	appendGroup(t, s, 0, 1000)
	at = 1000
	release := d.Fill(t)
	_, err := appendUntil(t, s, &at)
	if !isErrno(err, syscall.ENOSPC) {
		t.Fatalf("want no space, got %v", err)
	}
	if _, err := os.Stat(s.ballastPath()); err != nil {
		t.Error("samples took the ballast: it is for acks")
	}
	drainAll(t, s, at)
	release()
	s.do(func() error { s.room.ballast = time.Time{}; return nil }) // an hour later
	appendGroup(t, s, 0, 1)
	if _, err := os.Stat(s.ballastPath()); err != nil {
		t.Error("the ballast does not come back")
	}
}

// The kernel makes a broken disk read-only. The samples wait in memory, and when the disk is back they are on it, in
// order, each once.
func TestReadOnlyDiskAndBackLosesNothing(t *testing.T) {
	testhost.Need(t, "e2fsck")
	d := testhost.Ext4(t, 64, "errors=remount-ro")
	s := openSpool(t, filepath.Join(d.Dir, "spool.db"))
	r, durable, _ := testRing(t, s)
	n := 0
	add := func(k int) (err error) {
		for range k {
			err = r.add(sampleAt(noon.Add(time.Duration(n)*5*time.Second)), When{Quality: Synced, Boot: 3, Since: time.Duration(n)})
			n++
		}
		return err
	}
	if err := add(10); err != nil {
		t.Fatal(err)
	}
	trigger := "/sys/fs/ext4/" + d.Loop + "/trigger_fs_error"
	if err := os.WriteFile(trigger, []byte("test"), 0); err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: %v", err)
	}
	err := add(1)
	for range 5 { // the first write after the error may still be taken
		if err == nil {
			err = add(1)
		}
	}
	if f := asFault(err); f == nil || f.Code != "disk_readonly" && f.Code != "disk_error" {
		t.Fatalf("a disk that is read-only gives %v", err)
	}
	add(20)
	held := r.Len()
	if held < 20 {
		t.Errorf("%d samples in memory, want 20 or more", held)
	}
	r.due = time.Time{} // ten seconds later: still read-only
	if r.flushDue() == nil {
		t.Fatal("written to a disk that is read-only")
	}
	testhost.Must(t, "umount", "--lazy", d.Dir)
	if out, err := exec.Command("mount", "-o", "noatime", "/dev/"+d.Loop, d.Dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: cannot mount it again: %s", out)
	}
	testhost.Must(t, "mount", "-o", "remount,rw", d.Dir)
	r.due = time.Time{} // ten seconds later
	s.hurry()
	if err := r.flushDue(); err != nil {
		t.Fatalf("the disk is back, but: %v", err)
	}
	if len(*durable) != n || r.Len() != 0 {
		t.Errorf("%d of %d samples are durable, %d in memory", len(*durable), n, r.Len())
	}
	records := peek(t, s, n+10)
	for i, rec := range records {
		if want := noon.Add(time.Duration(i) * 5 * time.Second); rec.Sample.Time.Sub(want).Abs() > 2*time.Millisecond || rec.When.Since != time.Duration(i) {
			t.Fatalf("record %d is of %v, %v; want %v", i, rec.Sample.Time, rec.When.Since, want)
		}
	}
	if len(records) != n || s.Waiting() != n || !slices.IsSorted(seqs(records)) {
		t.Errorf("%d records of %d samples, %d waiting", len(records), n, s.Waiting())
	}
}

// A disk that does not answer for a while is waited for.
func TestFrozenDiskLosesNothing(t *testing.T) {
	testhost.Need(t, "fsfreeze")
	d := testhost.Ext4(t, 64)
	s := openSpool(t, filepath.Join(d.Dir, "spool.db"))
	appendGroup(t, s, 0, 10)
	if out, err := exec.Command("fsfreeze", "--freeze", d.Dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: %s", out)
	}
	thaw := time.AfterFunc(*freeze, func() { exec.Command("fsfreeze", "--unfreeze", d.Dir).Run() })
	defer thaw.Stop()
	start := time.Now()
	appendGroup(t, s, 10, 1)
	if took := time.Since(start); took < *freeze*9/10 {
		t.Errorf("durable after %v on a disk that was frozen for %v", took, *freeze)
	}
	drainAll(t, s, 11)
}
