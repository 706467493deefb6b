//go:build unix

package testservices

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen some time. It is far longer than any machine needs, so that a
// busy one is no failure; what has happened is not waited for any longer.
const Patience = 3 * time.Minute

// Await waits until is returns true.
func Await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > Patience {
			t.Fatalf("not after %v: %s", Patience, what)
		}
	}
}

// Stalls measures from now on, until the returned function is called, how late the machine lets a goroutine run that
// wants to: what a test finds slow may be no slower than that.
func Stalls(t testing.TB) (end func() (p99, worst time.Duration)) {
	t.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	late := []time.Duration{0}
	go func() {
		defer close(stopped)
		for {
			began := time.Now()
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				late = append(late, time.Since(began)-time.Millisecond)
			}
		}
	}()
	end = sync.OnceValues(func() (p99, worst time.Duration) {
		close(stop)
		<-stopped
		slices.Sort(late)
		return late[len(late)*99/100], late[len(late)-1]
	})
	t.Cleanup(func() { end() })
	return end
}
