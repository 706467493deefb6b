// Package resident keeps the memory small that a service has for months: what its start needed is given back.
package resident

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	settled = time.Minute      // after the start: the first samples are delivered
	again   = 10 * time.Minute // what a backlog or an outage needed is given back as well; it costs some 5 ms

	// Go lets the heap grow to 4 MiB before it is collected, this to 2. Some 1.6 are in use, so that a collection, of a
	// millisecond, is due every half a minute.
	gcPercent = 50

	// Each processor that Go may use has caches of its own, and is woken when there may be work for it. A service with two
	// loops, of which both mostly wait, is no faster with four.
	processors = 2
)

// Keep returns memory to the system a minute after the start, and every ten minutes, until end is called. GOGC and GOMAXPROCS, which
// are the operator's, come first.
func Keep(ctx context.Context) (end func()) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(min(processors, runtime.GOMAXPROCS(0)))
	}
	ctx, cancel := context.WithCancel(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() {
		for timer := time.NewTimer(settled); ; timer.Reset(again) {
			select {
			case <-timer.C:
				Release()
			case <-ctx.Done():
				timer.Stop()
				return
			}
		}
	})
	return func() {
		cancel()
		keeping.Wait()
	}
}

// Release returns what is free on the heap, and the pages of the program: those that are still used are mapped again from
// the page cache, 16 at a time.
func Release() {
	debug.FreeOSMemory()
	releaseProgram()
}
