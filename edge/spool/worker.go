package spool

import (
	"os"
	"runtime/debug"
	"sunspool/edge/spool/format"
	"time"

	bolt "go.etcd.io/bbolt"
)

// exec runs f on the goroutine that owns the file and returns its error. A panic of f is returned as an error, too: an
// unreadable or corrupt page must not end the process.
func (s *Spool) exec(f func() error) error { return s.execVerified(nil, f) }

// execVerified is exec for an f that writes. If f fails in a way that leaves its result unknown, done reports whether the
// file has what f was to write.
func (s *Spool) execVerified(done func(*bolt.Tx) bool, f func() error) error {
	return s.run(func() error { return s.runVerified(f, done) })
}

// run runs f on the goroutine that owns the file.
func (s *Spool) run(f func() error) error {
	result := make(chan error, 1)
	op := func() {
		defer s.releasePages()
		err := format.Catch(f)
		s.publishState()
		if err != nil {
			result <- &Error{s.path, err}
			return
		}
		result <- nil
	}
	select {
	case s.ops <- op:
		return <-result
	case <-s.quit:
		return &Error{s.path, os.ErrClosed}
	}
}

// Error is an error of the spool itself, not of its caller.
type Error struct {
	path string
	err  error
}

func (e *Error) Error() string { return "spool " + e.path + ": " + e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// loop runs the operations one after the other until the spool is closed.
func (s *Spool) loop() {
	debug.SetPanicOnFault(true) // a truncated file faults when its mapping is read
	for {
		select {
		case op := <-s.ops:
			op()
		case <-s.quit:
			return
		}
	}
}

// now is the only place of the package that reads the host's clock. It measures durations, and the time at which the server
// refused a sample: the time of a sample never comes from it.
func now() time.Time { return time.Now() }
