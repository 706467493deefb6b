package spool

import (
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"sunspool/edge/spool/format"
	"sunspool/health"
	"sunspool/internal/durable"
)

// A disk may be read-only, full, failing or not mounted yet, when the edge starts or later. A restart does not help, so
// the process goes on: the inverter is polled, its samples wait in memory, and the file is opened again every 10 s:
//
//	start ──> open ──(disk error)──> closed ──every 10 s──> open
//	            └──(our own error)──> closed ──3 times, every 20 s──> Lost: the process ends
//
// A spool of a newer version, or the file of another program, ends the process at once.
type reopening struct {
	attempts    int                   // openings since the last commit
	ownFailures int                   // those of them that another process would not have had
	lastAttempt time.Time             // when the last of them was
	took        time.Duration         // duration of the last opening
	trouble     error                 // the error that made opening again necessary
	closed      atomic.Pointer[error] // trouble, while the file is not open
	lost        chan struct{}         // closed when opening again does not help
	giveUp      sync.Once
}

const (
	reopenRest        = 10 * time.Second // between two openings after an error of the disk
	ownErrorRest      = 20 * time.Second // between two openings after an error of this process: three of them restart it once a minute
	mostAttempts      = 3                // of these in a row without a commit
	longOpeningFactor = 5                // an opening is repeated after so many times its own duration at the earliest
)

// errUnmounted is the error of a spool that was open and has vanished together with its watermark: an empty mount point
// must not become a spool.
var errUnmounted = errors.New("the spool and its mark are gone: is its disk mounted?")

// closedError is the error of a spool whose file is not open.
type closedError struct {
	path string
	err  error
}

func (e *closedError) Error() string { return e.err.Error() }
func (e *closedError) Unwrap() error { return e.err }

// Start opens the spool at path for a service. If the disk does not allow that now, it returns a spool that is not open
// yet, see Spool.Available. The error is a *health.Fault that must end the process. busy may be nil, see Spool.Busy.
func Start(path string, busy func(most time.Duration)) (*Spool, error) {
	s := newSpool(path, busy)
	err := s.first()
	if err != nil && endsProcess(err) {
		close(s.quit)
		return nil, spoolFault(path, err)
	}
	return s, nil
}

// first opens the file for the first time.
func (s *Spool) first() error {
	return s.run(func() error {
		began := now()
		err := format.Catch(s.open)
		if err != nil {
			s.abandon(true)
			s.trouble, s.lastAttempt, s.took = err, began, now().Sub(began)
		}
		return err
	})
}

// endsProcess reports whether a process whose first opening failed with err must end: an operator has to change something first.
func endsProcess(err error) bool {
	return mustLeaveAlone(err) || errors.Is(err, bolterrors.ErrTimeout) || errors.Is(err, os.ErrPermission)
}

// mustLeaveAlone reports whether err is the error of a file that this program must not change.
func mustLeaveAlone(err error) bool {
	return errors.Is(err, format.ErrNewer) || errors.Is(err, format.ErrForeign) || errors.Is(err, durable.ErrNotOurs)
}

// isDiskError reports whether another process would have the same error as this one: then a restart would not help.
func isDiskError(err error) bool {
	if _, crashed := errors.AsType[*format.Panic](err); err == nil || crashed {
		return false
	}
	for _, ours := range []syscall.Errno{syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN} {
		if isErrno(err, ours) {
			return false
		}
	}
	return !errors.Is(err, bolterrors.ErrInvalidMapping)
}

// Closed returns why the file is not open, nil while it is. It may be called from any goroutine, and does not block.
func (s *Spool) Closed() error {
	if err := s.closed.Load(); err != nil {
		return *err
	}
	return nil
}

// Available opens the file again if it is not open and an attempt is due, and returns why it is not open.
func (s *Spool) Available() error {
	if s.Closed() == nil {
		return nil
	}
	return s.exec(func() error { return nil })
}

// Hurry makes the next use of a spool that is not open try to open it at once: before the process ends there is no later
// attempt.
func (s *Spool) Hurry() {
	s.run(func() error { s.lastAttempt = time.Time{}; return nil })
}

// publishState stores whether the file is open, for Closed. The goroutine that owns the file calls it.
func (s *Spool) publishState() {
	switch {
	case s.db != nil:
		s.closed.Store(nil)
	case s.trouble != nil:
		s.closed.Store(new(error(&closedError{s.path, s.trouble})))
	}
}

// runVerified runs f, which may write. If the error leaves it unknown what is on the disk, it opens the file again: bbolt
// shows a commit whose last sync failed as if it had succeeded, and the kernel drops pages that it could not write. If
// done then reports that the file has what f was to write, f succeeded. done may be nil.
func (s *Spool) runVerified(f func() error, done func(*bolt.Tx) bool) error {
	if s.db == nil {
		if err := s.tryReopen(); err != nil {
			return &closedError{s.path, err}
		}
	}
	err := format.Catch(f)
	if !needsReopen(err) {
		if s.db == nil { // it could not be opened again
			return &closedError{s.path, err}
		}
		s.updateWatermark()
		return err
	}
	_, crashed := errors.AsType[*format.Panic](err)
	s.abandon(crashed)
	s.trouble = err
	if s.tryReopen() == nil && done != nil {
		format.Catch(func() error {
			return s.db.View(func(tx *bolt.Tx) error {
				if done(tx) {
					err = nil
				}
				return nil
			})
		})
	}
	return err
}

// needsReopen reports whether the file must be opened again after err.
func needsReopen(err error) bool {
	if err == nil || errors.Is(err, bolterrors.ErrMaxSizeReached) || durable.NothingWritten(err) {
		return false
	}
	if _, crashed := errors.AsType[*format.Panic](err); crashed {
		return true
	}
	text := err.Error() // bbolt returns these as text only
	return durable.FromSystem(err) || errors.Is(err, bolterrors.ErrInvalidMapping) || strings.Contains(text, "mmap allocate error") ||
		strings.Contains(text, "file resize error") || strings.Contains(text, "file sync error")
}

// tryReopen opens the file again after an error, at most once per interval, and stops trying when that cannot help.
func (s *Spool) tryReopen() error {
	rest := ownErrorRest
	if isDiskError(s.trouble) {
		rest = max(reopenRest, longOpeningFactor*s.took)
	}
	if !s.lastAttempt.IsZero() && now().Sub(s.lastAttempt) < rest {
		return s.trouble
	}
	if s.ownFailures >= mostAttempts || mustLeaveAlone(s.trouble) {
		s.giveUp.Do(func() { close(s.lost) })
		return s.trouble
	}
	s.attempts++
	if !isDiskError(s.trouble) {
		s.ownFailures++
	}
	s.lastAttempt = now()
	err := format.Catch(s.open)
	s.took = now().Sub(s.lastAttempt)
	if err != nil {
		s.abandon(true)
		s.trouble = err
	}
	if mustLeaveAlone(err) {
		s.giveUp.Do(func() { close(s.lost) })
	}
	return err
}

// Lost is closed when the file cannot be used any more and opening it again cannot help: the process must end. Failure
// returns the reason.
func (s *Spool) Lost() <-chan struct{} { return s.lost }

// Failure returns the *health.Fault of a spool that is Lost, else nil.
func (s *Spool) Failure() error {
	select {
	case <-s.lost:
		if mustLeaveAlone(s.trouble) {
			return spoolFault(s.path, s.trouble)
		}
		return &health.Fault{
			Code: "spool_failing", What: "the spool " + s.path + " cannot be written", Why: s.trouble.Error(), Err: s.trouble,
			Next: "check the disk (`dmesg`): what was written is kept",
		}
	default:
		return nil
	}
}
