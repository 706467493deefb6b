// Package systemd is how the services live with the manager that runs them: the units that packages ship, what a
// service tells the manager (ready, how it is, alive), and the installation of a service from an archive, where the
// manager may also be another one.
//
//	systemd ──> starts `sunspool edge` ──> Ready, Status, Watch ──> systemd
//
// Without a manager that listens, telling it costs nothing and does nothing.
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

// Ready says that the service has begun its work.
func Ready() { tell(daemon.SdNotifyReady) }

// Stopping says that the service is about to end by itself.
func Stopping() { tell(daemon.SdNotifyStopping) }

// Status is what `systemctl status` shows: how the service is, in one line.
func Status(line string) {
	line, _, _ = strings.Cut(line, "\n")
	tell("STATUS=" + line)
}

// Extend asks for so much more time to start or to stop: something is being done that is known to take long.
func Extend(d time.Duration) { tell(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds())) }

// Attend keeps the manager informed while a service works: it watches, see Watch, until end is called, and says that the
// service is stopping when ctx ends. The watchdog is served in between, too.
func Attend(ctx context.Context, still func() (loop string, since time.Duration), log *slog.Logger) (end func()) {
	watch, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { Watch(watch, still, log) })
	working := context.AfterFunc(ctx, Stopping)
	return func() {
		working()
		unwatch()
		watching.Wait()
	}
}

// Watch keeps the manager's watchdog quiet until ctx ends, but only while still names no loop. When it does, the log
// says so and nothing else is done: the manager ends the process, which prints where it stood, and starts it again.
func Watch(ctx context.Context, still func() (loop string, since time.Duration), log *slog.Logger) {
	patience, err := daemon.SdWatchdogEnabled(false)
	if err != nil || patience == 0 {
		return // there is no watchdog
	}
	tick := time.NewTicker(patience / 3)
	defer tick.Stop()
	was := ""
	for {
		loop, since := still()
		if loop == "" {
			tell(daemon.SdNotifyWatchdog)
		}
		if loop != was {
			was = loop
			if loop != "" {
				log.Error("a loop stands still, the service manager is not told that we live", "loop", loop, "since_s", since.Seconds())
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

// tell sends the manager one message. That it does not arrive is for the manager to notice.
func tell(state string) { daemon.SdNotify(false, state) }
