// Package clock determines when a sample was made, or that this is not known. The host's clock may be years off until a time
// server sets it, and then it steps; only the time since the start of the host never steps. So a sample stores that, and an
// anchor relates it to the time of day:
//
//	the kernel reports that a time server keeps its clock ──┐
//	our own server's Date, if the kernel does not report it ┴─> anchor ──> all samples of this boot
package clock

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sunspool/edge/spool"
	"sunspool/health"
)

// now is the only place of the package that reads the host's clock.
func now() time.Time { return time.Now() }

var started = now()

// Clock determines when a sample was made. One goroutine calls Check and Date, and only it writes anchor and doubtful; the
// other methods may be called from any.
type Clock struct {
	Host  Host
	Trust bool // use the host's clock as it is, whether it is synchronized or not
	Spool *spool.Spool
	Log   *slog.Logger

	boot         uint32        // number of this boot in the spool, 0 until it is known
	file         time.Time     // when the spool's file was last replaced before that
	contradicted spool.Anchor  // a time that the kernel reported as synchronized and our server contradicted
	since        time.Duration // when doubt began

	mu            sync.Mutex
	anchor        spool.Anchor // of this boot
	doubtful      spool.Anchor // a time that the kernel reports as synchronized although newer samples exist
	dates         serverDates
	observed      *serverTime // server time since the last Check
	lastObserved  *serverTime // the last server time
	rejected      rejectedFuture
	hostClockOnly bool // certificates are verified by the host's clock only
}

const (
	jump      = 50 * time.Millisecond // smallest difference by which an anchor is replaced: the kernel slews its clock all the time
	bracket   = 10 * time.Millisecond // longest time of reading both clocks as one instant
	patience  = 10 * time.Minute      // without a time server until our own server is asked
	prompt    = 2 * time.Second       // longest time of an answer, from its connection on, whose Date is used
	dateSlack = 2 * time.Second       // error of a Date: it has whole seconds, and may come from a proxy
	mostDrift = 2000                  // a free-running clock drifts by less than this part of the time, which is 500 ppm
	tolerance = 5 * time.Minute       // that a clock may be behind the newest sample
)

// Check compares the clocks and gives the undated samples their times if that is possible. It must be called before every
// poll. The error is that of the spool, or a *health.Fault with what is wrong or waited for.
func (c *Clock) Check() error {
	synced := c.ntpSynced() // before the clock is read: a time server sets it first, then the kernel reports it
	if err := c.Join(c.Host.Up()); err != nil {
		return err
	}
	wall, up, ok := c.readClocks()
	if !ok { // the host is busy: the next poll is soon
		return c.busy()
	}
	seen := spool.Anchor{Taken: up, Start: wall.Add(-up).UnixNano(), Quality: spool.Synced}
	heard := c.takeObserved()
	if c.Trust {
		seen.Quality = spool.Believed
		if err := c.retract(seen.At(up)); err != nil {
			return err
		}
		if err := c.Spool.AssignTimestamps(c.boot, seen, up); err != nil {
			return err
		}
		return c.disputed(seen)
	}
	next, doubt := c.choose(seen, synced, heard)
	if next.IsSet() {
		if err := c.setAnchor(next, up); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.doubtful = doubt
	c.mu.Unlock()
	if !c.dated() {
		return c.unsynced()
	}
	if err := c.retract(c.anchor.At(up)); err != nil {
		return err
	}
	if err := c.Spool.AssignTimestamps(c.boot, c.anchor, up); err != nil {
		return err
	}
	return c.disputed(c.anchor)
}

// ntpSynced reports whether the kernel reports its clock as synchronized by a time server.
func (c *Clock) ntpSynced() bool {
	if c.Trust {
		return false
	}
	synced, err := c.Host.Synced()
	return err == nil && synced
}

// choose returns the anchor that replaces the current one, if one does, and seen if it is doubtful. synced is whether the
// kernel reports seen as synchronized. No lock is needed: no other goroutine writes what it reads.
func (c *Clock) choose(seen spool.Anchor, synced bool, heard *serverTime) (next, doubt spool.Anchor) {
	now := seen.At(seen.Taken)
	switch {
	case !synced || now.Before(built()) || c.contradicted.IsSet() && seen.Near(c.contradicted, tolerance):
		return c.fromServer(heard), spool.Anchor{}
	case c.anchor.Quality == spool.Synced && seen.Near(c.anchor, jump):
		return spool.Anchor{}, spool.Anchor{}
	case !now.Before(c.Spool.Newest().Add(-tolerance)):
		return seen, spool.Anchor{}
	}
	// There are samples newer than now: either the clock was ahead then, or it is behind now although the kernel reports
	// it as synchronized. Our server decides; without it, a time that stays the same for long enough is used.
	if !c.doubtful.IsSet() || !seen.Near(c.doubtful, tolerance) {
		c.since = seen.Taken
	}
	switch {
	case heard != nil && seen.Near(heard.Anchor, tolerance), seen.Taken-c.since >= patience:
		return seen, spool.Anchor{}
	case heard != nil:
		c.contradicted = seen
		return c.fromServer(heard), spool.Anchor{}
	}
	return spool.Anchor{}, seen
}

// fromServer returns the anchor by our server's time if that is better than the current one. An anchor by a time server is kept
// for the rest of the boot, as long as the difference can be the drift of the host's clock since then.
func (c *Clock) fromServer(h *serverTime) spool.Anchor {
	switch {
	case h == nil, c.anchor.IsSet() && h.Near(c.anchor, h.slack):
		return spool.Anchor{}
	case c.anchor.Quality == spool.Synced && !h.Near(c.anchor, h.slack+(h.Taken-c.anchor.Taken)/mostDrift):
		return spool.Anchor{}
	}
	return h.Anchor
}

// setAnchor makes a the anchor of this boot.
func (c *Clock) setAnchor(a spool.Anchor, up time.Duration) error {
	before := c.anchor
	if err := c.Spool.Anchor(c.boot, a); err != nil {
		return err
	}
	c.mu.Lock()
	c.anchor = a
	c.mu.Unlock()
	log := c.Log.With("time", a.At(up), "by", a.Quality.String(), "held", c.Spool.Undated())
	if before.IsSet() {
		log.Warn("clock stepped", "step_s", time.Duration(a.Start-before.Start).Seconds())
	} else {
		log.Info("clock set")
	}
	return nil
}

// Join gets the number of this boot in the spool and the anchor of an earlier process: once, and again when the spool's file
// was replaced, because the new one has neither.
func (c *Clock) Join(up time.Duration) error {
	file := c.Spool.Opening().At
	if c.boot != 0 && file.Equal(c.file) {
		return nil
	}
	boot, a, err := c.Spool.Join(c.Host.BootID, up)
	if err != nil {
		return err
	}
	if a.Quality == spool.Believed && !c.Trust {
		a = spool.Anchor{} // CLOCK_TRUST=always was set, but is not any more
	}
	if ours := c.anchor; ours.IsSet() && !a.IsSet() {
		if err := c.Spool.Anchor(boot, ours); err != nil {
			return err
		}
		a = ours
	}
	c.mu.Lock()
	c.boot, c.anchor, c.file = boot, a, file
	c.mu.Unlock()
	return nil
}

// Date returns the time of the instant age ago, and what is known of it. Undated, it is the time by the host's clock.
func (c *Clock) Date(age time.Duration) (time.Time, spool.When) {
	since := c.Host.Up() - age
	wall, up, _ := c.readClocks()
	when := spool.When{Boot: c.boot, Since: since, BootID: c.Host.BootID}
	switch {
	case c.Trust:
		when.Quality = spool.Believed
	case c.dated():
		when.Quality = c.anchor.Quality
		return c.anchor.At(when.Since), when
	}
	return wall.Add(since - up).UTC().Truncate(time.Millisecond), when
}

// Now returns the time that a sample made now has; ok is false while that is not known. Any goroutine may call it.
func (c *Clock) Now() (t time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.Trust:
		return c.Host.Wall().UTC().Truncate(time.Millisecond), true
	case c.dated():
		return c.anchor.At(c.Host.Up()), true
	}
	return time.Time{}, false
}

// dated reports whether the samples of this boot can have a time. The caller is the goroutine of Check, or holds the lock.
func (c *Clock) dated() bool { return c.anchor.IsSet() && !c.doubtful.IsSet() }

// readClocks reads both clocks at one instant. ok is false if that took too long.
func (c *Clock) readClocks() (wall time.Time, up time.Duration, ok bool) {
	for range 3 {
		before := c.Host.Up()
		wall = c.Host.Wall()
		after := c.Host.Up()
		if up = before + (after-before)/2; after-before <= bracket {
			return wall, up, true
		}
	}
	return wall, up, false
}

// State returns the source of the time of a sample made now: synced, server, believed or unsynced.
func (c *Clock) State() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.Trust:
		return spool.Believed.String()
	case c.dated():
		return c.anchor.Quality.String()
	}
	return spool.Undated.String()
}

// unsynced returns the fault of a time that is not known: what the samples wait for.
func (c *Clock) unsynced() error {
	f := &health.Fault{
		Code: "clock_unsynced", What: "the time is not known: samples are kept until it is",
		Why:  "no time server has set this host's clock; our own server is asked when none does for 10 min",
		Next: "timedatectl   # is NTP on, and is its server reached? CLOCK_TRUST=always believes this clock as it is",
	}
	if c.doubtful.IsSet() {
		f.Why = fmt.Sprintf("this host's clock says %s, but there are samples of %s; it is believed after 10 min, or when our server agrees",
			c.doubtful.At(c.doubtful.Taken).Format(time.RFC3339), c.Spool.Newest().UTC().Format(time.RFC3339))
	}
	c.mu.Lock()
	slow := c.dates.slow
	c.mu.Unlock()
	if slow > 0 {
		f.Why += fmt.Sprintf("; its last answer took %.1f s, longer than the %v after which its time is not used", slow.Seconds(), prompt)
	}
	return f
}

// busy returns the fault of a time that is not known because the host is too busy, nil if it is known.
func (c *Clock) busy() error {
	if c.Trust || c.dated() {
		return nil
	}
	return &health.Fault{
		Code: "clock_unsynced", What: "the time is not known: samples are kept until it is",
		Why:  "this host is so busy that its clocks could not be read at one instant",
		Next: "nothing, if it passes: they are read again with each poll",
	}
}
