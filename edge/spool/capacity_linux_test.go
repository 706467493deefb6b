package spool

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/spool/files"
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
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: it fills two disks of 64 MB")
	}
	t.Parallel() // it mostly waits for the disk
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
			if !isErrno(err, syscall.ENOSPC) || errors.Is(err, ErrFull) {
				t.Fatalf("after %d samples: %v, want no space on the disk", taken, err)
			}
			if taken < 20_000 {
				t.Errorf("only %d samples after the disk was filled", taken)
			}
			if f := WriteFault(err); f.Code != "disk_full" {
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

// A filesystem that cannot preallocate: when the disk is full acks take the reserve, and it comes back. Without it the acks of
// a whole batch cannot be committed: the samples would be sent again and again, and nothing would leave the spool.
func TestWithoutPreallocationTheReserveMakesRoomForAcks(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: it fills a disk of 64 MB")
	}
	t.Parallel() // it mostly waits for the disk
	d := testhost.Ext3(t, 64)
	s := openSpool(t, filepath.Join(d.Dir, "spool.db"))
	reserve := files.ReservePath(s.path)
	if info, err := os.Stat(reserve); err != nil || info.Size() != files.ReserveBytes {
		t.Fatalf("no reserve: %v", err)
	}
	at := 0
	for range 7 {
		appendGroup(t, s, at, 500)
		at += 500
	}
	release := d.Fill(t)
	_, err := appendUntil(t, s, &at)
	if !isErrno(err, syscall.ENOSPC) {
		t.Fatalf("want no space, got %v", err)
	}
	for err = nil; err == nil; at++ { // one by one, as they are read, until no page is free
		err = s.Append(new(sampleAt(noon.Add(time.Duration(at)*5*time.Second))), When{Quality: Synced})
	}
	at-- // the last one was not taken
	if _, err := os.Stat(reserve); err != nil {
		t.Error("samples took the reserve: it is for acks")
	}

	hidden := filepath.Join(d.Dir, "hidden")
	if err := os.Rename(reserve, hidden); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(seqs(peek(t, s, 1000)), nil); !isErrno(err, syscall.ENOSPC) {
		t.Errorf("without a reserve: %v, want no space: is it needed?", err)
	}
	if err := os.Rename(hidden, reserve); err != nil {
		t.Fatal(err)
	}
	drainAll(t, s, at)
	if _, err := os.Stat(reserve); err == nil {
		t.Error("all is acknowledged, and nothing needed the reserve")
	}
	release()
	s.exec(func() error { s.space.nextReserve = time.Time{}; return nil }) // an hour later
	appendGroup(t, s, 0, 1)
	if _, err := os.Stat(reserve); err != nil {
		t.Error("the reserve does not come back")
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
	start := time.Now() // before the disk's thaw is ordered: it comes no sooner than freeze from now
	thaw := time.AfterFunc(*freeze, func() { exec.Command("fsfreeze", "--unfreeze", d.Dir).Run() })
	defer thaw.Stop()
	appendGroup(t, s, 10, 1)
	if took := time.Since(start); took < *freeze {
		t.Errorf("durable after %v on a disk that was frozen for %v", took, *freeze)
	}
	drainAll(t, s, 11)
}
