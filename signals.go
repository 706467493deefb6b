package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"sunspool/health"
)

// hurry is what a second signal does; nil ends the process.
var hurry atomic.Pointer[func()]

// atSecondSignal makes every signal after the first call f in place of ending the process: what is in memory only must
// reach the disk first, and what has reached it ends with status 0 by itself.
func atSecondSignal(f func()) { hurry.Store(&f) }

// interruptible ends the context at the first SIGINT or SIGTERM, and the process at the second, see atSecondSignal. A
// terminal that goes away is no reason to end without tidying up: a write to it returns an error, without a signal.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Ignore(syscall.SIGPIPE)
	go func() {
		<-signals
		cancel()
		for range signals {
			f := hurry.Load()
			if f == nil {
				os.Exit(health.ExitInterrupted)
			}
			(*f)()
		}
	}()
	return ctx, cancel
}
