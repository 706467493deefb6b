// Package systemd connects the services with the manager that runs them: the units that packages ship, what a service
// reports to the manager (ready, its status, the watchdog), and the installation of a service from an archive, where the
// manager may also be another one.
//
//	systemd ──> starts `sunspool edge` ──> Ready, Status, Watch ──> systemd
//
// Without a manager that listens, a report costs nothing and does nothing.
package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/coreos/go-systemd/v22/journal"
)

// Ready reports that the service has begun its work.
func Ready() { send(daemon.SdNotifyReady) }

// Stopping reports that the service is about to end by itself.
func Stopping() { send(daemon.SdNotifyStopping) }

// Status reports how the service is, in one line, which `systemctl status` shows.
func Status(line string) {
	line, _, _ = strings.Cut(line, "\n")
	send("STATUS=" + line)
}

// Extend asks for so much more time to start or to stop: something is being done that is known to take long.
func Extend(d time.Duration) { send(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds())) }

// Notify feeds the manager's watchdog, see Watch, until end is called, and sends STOPPING=1 when ctx ends. The watchdog is
// fed in between, too.
func Notify(ctx context.Context, stalled func() (loop string, since time.Duration), log *slog.Logger) (end func()) {
	watch, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { Watch(watch, stalled, log) })
	working := context.AfterFunc(ctx, Stopping)
	return func() {
		working()
		unwatch()
		watching.Wait()
	}
}

// Watch feeds the manager's watchdog until ctx ends, but only while stalled names no loop. When it does, that is logged and
// nothing else is done: the manager ends the process, which prints where it stood, and starts it again.
func Watch(ctx context.Context, stalled func() (loop string, since time.Duration), log *slog.Logger) {
	timeout, err := daemon.SdWatchdogEnabled(false)
	if err != nil || timeout == 0 {
		return // there is no watchdog
	}
	tick := time.NewTicker(timeout / 3)
	defer tick.Stop()
	was := ""
	for {
		loop, since := stalled()
		if loop == "" {
			send(daemon.SdNotifyWatchdog)
		}
		if loop != was {
			was = loop
			if loop != "" {
				log.Error("a loop is stalled, the watchdog of the service manager is not fed", "loop", loop, "since_s", since.Seconds())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ToJournal reports whether standard error goes to the journal, where each line is an entry of its own.
func ToJournal() bool {
	is, err := journal.StderrIsJournalStream()
	return is && err == nil
}

// send sends the manager one message. An error is ignored: that a message is missing is for the manager to notice.
func send(state string) { daemon.SdNotify(false, state) }
