package spool

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"sunspool/edge/spool/format"
	"sunspool/health"
	"sunspool/internal/testhost"
)

// What needs somebody to change something ends the process at once, and changes nothing.
func TestSpoolThatIsNotOursEndsTheProcess(t *testing.T) {
	newer := func(t *testing.T, path string) {
		s := openSpool(t, path)
		s.exec(func() error {
			return s.db.Update(func(tx *bolt.Tx) error {
				return format.PutNumber(tx.Bucket(format.MetaBucket), format.SchemaKey, format.Schema+1)
			})
		})
		s.Close()
	}
	for code, c := range map[string]struct {
		exit int
		make func(t *testing.T, path string)
	}{
		"spool_newer":    {health.ExitConfig, newer},
		"spool_not_ours": {health.ExitConfig, func(t *testing.T, path string) { os.Symlink("/etc/passwd", path) }},
		"spool_foreign": {health.ExitConfig, func(t *testing.T, path string) {
			db, err := bolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("x")); return err })
			db.Close()
		}},
		"spool_locked": {health.ExitBusy, func(t *testing.T, path string) { openSpool(t, path) }},
	} {
		path := filepath.Join(t.TempDir(), "spool.db")
		c.make(t, path)
		s, err := Start(path, nil)
		if f, _ := errors.AsType[*health.Fault](err); s != nil || f == nil || f.Code != code || f.Exit != c.exit {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// A disk that is mounted later may hold a spool of a newer version: that ends the process then.
func TestNewerSpoolThatAppearsLaterEndsTheProcess(t *testing.T) {
	d := testhost.Ext4(t, 64)
	path := filepath.Join(d.Dir, "spool.db")
	s := openSpool(t, path)
	s.exec(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			return format.PutNumber(tx.Bucket(format.MetaBucket), format.SchemaKey, format.Schema+1)
		})
	})
	s.Close()
	testhost.Must(t, "mount", "-o", "remount,ro", d.Dir)
	s, err := Start(path, nil)
	if err != nil || s.Closed() == nil {
		t.Fatalf("%v, closed %v", err, s.Closed())
	}
	t.Cleanup(func() { s.Close() })
	testhost.Must(t, "mount", "-o", "remount,rw", d.Dir)
	s.Hurry()
	s.Available()
	if f, _ := errors.AsType[*health.Fault](s.Failure()); f == nil || f.Code != "spool_newer" || f.Exit != health.ExitConfig {
		t.Errorf("it ends with %v", s.Failure())
	}
}

func TestDirectoryOfAnotherUserIsAConfigurationErrorThatNamesBoth(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOTHING IS SHOWN: root is needed to be somebody else")
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	for parent := dir; parent != "/"; parent = filepath.Dir(parent) {
		if info, err := os.Stat(parent); err != nil || info.Mode().Perm()&0o001 == 0 {
			t.Skipf("SKIPPED, NOTHING IS SHOWN: %s is closed to others", parent)
		}
	}
	done := make(chan error, 1)
	go func() {
		done <- testhost.AsUser(12345, func() error { // the spool is opened on another goroutine: only its error is made here
			path := filepath.Join(dir, "not", "there", "spool.db")
			return spoolFault(path, os.MkdirAll(filepath.Dir(path), 0o700))
		})
	}()
	f, _ := errors.AsType[*health.Fault](<-done)
	if f == nil || f.Exit != health.ExitConfig || !endsProcess(f) {
		t.Fatalf("%+v", f)
	}
	if want := "; " + dir + " belongs to user 0, this is user 12345"; f.Why[len(f.Why)-len(want):] != want {
		t.Errorf("the reason is %q", f.Why)
	}
}

// A disk whose writes fail does not restart the process; what comes back is taken.
func TestDiskThatFailsForeverDoesNotEndTheProcess(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openSpool(t, filepath.Join(dir, "spool.db"))
		for range 2000 {
			s.exec(func() error { return syscall.EIO })
			time.Sleep(5 * time.Second)
		}
		if s.Failure() != nil {
			t.Errorf("it gave up: %v", s.Failure())
		}
		if s.attempts < 900 || s.attempts > 1001 {
			t.Errorf("opened %d times in 10,000 s, want once in 10 s", s.attempts)
		}
		time.Sleep(reopenRest)
		if err := s.Append(new(sampleAt(noon)), When{Quality: Synced}); err != nil {
			t.Error(err)
		}
		s.Close()
	})
}

// An opening that takes long, as that of a large spool on a slow card, is not made all the time.
func TestLongOpeningsAreFarApart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openSpool(t, filepath.Join(dir, "spool.db"))
		s.exec(func() error { return syscall.EIO })
		s.run(func() error { s.took = time.Minute; return nil })
		s.exec(func() error { return syscall.EIO })
		began := now()
		for s.Available() != nil {
			time.Sleep(5 * time.Second)
		}
		if waited := now().Sub(began); waited < 4*time.Minute {
			t.Errorf("opened again after %v", waited)
		}
		s.Close()
	})
}

// A spool that was open and has vanished with all that is beside it was on a disk that is not mounted any more.
func TestEmptyMountPointDoesNotBecomeASpool(t *testing.T) {
	testhost.Need(t, "mount", "umount")
	d := testhost.Ext4(t, 64)
	s := openSpool(t, filepath.Join(d.Dir, "spool.db"))
	fill(t, s, 10)
	exec.Command("umount", "--lazy", d.Dir).Run() // the stick was pulled
	for range 3 {
		s.Hurry()
		s.exec(func() error { return syscall.EIO })
	}
	if left, _ := filepath.Glob(filepath.Join(d.Dir, "*.db")); left != nil {
		t.Errorf("the mount point has %v", left)
	}
	if f := WriteFault(s.Closed()); f.Code != "spool_unusable" || s.Failure() != nil {
		t.Errorf("it is called %s: %v; %v", f.Code, f, s.Failure())
	}
	testhost.Must(t, "mount", "-o", "noatime", "/dev/"+d.Loop, d.Dir)
	s.Hurry()
	if err := s.Append(new(sampleAt(noon.Add(time.Hour))), When{Quality: Synced}); err != nil || s.Waiting() != 11 {
		t.Errorf("%d samples wait, %v", s.Waiting(), err)
	}
}

func TestDiskErrorsHaveNames(t *testing.T) {
	for errno, code := range map[syscall.Errno]string{
		syscall.EIO: "disk_error", syscall.EBADMSG: "disk_error", syscall.EUCLEAN: "disk_error", syscall.EROFS: "disk_readonly",
		syscall.ENOSPC: "disk_full", syscall.EDQUOT: "disk_full", syscall.ENODEV: "spool_unusable", syscall.ESTALE: "spool_unusable",
	} {
		if f := WriteFault(&closedError{"/x/spool.db", errno}); f.Code != code || f.Next == "" || f.Exit != 0 {
			t.Errorf("%v is %s: %v", errno, f.Code, f)
		}
		if endsProcess(errno) || !isDiskError(errno) {
			t.Errorf("%v ends the process", errno)
		}
	}
}

func TestOurOwnErrorsEndTheProcess(t *testing.T) {
	for name, bug := range map[string]func() error{
		"mapping": func() error { return bolterrors.ErrInvalidMapping },
		"memory":  func() error { return syscall.ENOMEM },
		"panic":   func() error { panic("a page makes no sense") },
	} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			s := openSpool(t, filepath.Join(dir, "spool.db"))
			began := now()
			for s.Failure() == nil {
				if now().Sub(began) > 10*time.Minute {
					t.Fatalf("%s: it never gave up", name)
				}
				s.exec(bug)
				time.Sleep(5 * time.Second)
			}
			if took := now().Sub(began); took < time.Minute {
				t.Errorf("%s: it gave up after %v: a restart more often than once a minute", name, took)
			}
			if faultCode(s.Failure()) != "spool_failing" {
				t.Errorf("%s: the reason is %v", name, s.Failure())
			}
			<-s.Lost()
			s.Close()
		})
	}
}
