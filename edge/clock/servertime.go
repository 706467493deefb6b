package clock

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sunspool/edge/spool"
)

// serverTime is a Date of our own server, whose certificate was verified.
type serverTime struct {
	spool.Anchor
	slack time.Duration // by which it may be wrong
}

// serverDates derives the time from the answers of our server. A single Date is not used: a cache may have kept it, or one of
// several servers behind a name may be wrong. The time is the one on which two answers in a row agree.
type serverDates struct {
	previous *serverTime   // of the last prompt answer
	slow     time.Duration // duration of the last answer if that was too long to use its Date, else 0
}

// add returns h if the previous Date agrees with it, else nil.
func (d *serverDates) add(h *serverTime) *serverTime {
	before := d.previous
	d.previous = h
	if before == nil || !h.Near(before.Anchor, h.slack+before.slack) {
		return nil
	}
	return h
}

// Wanted reports whether our server should be asked for the time: at once if the kernel does not report whether its clock is
// synchronized, else after a long time without a time server.
func (c *Clock) Wanted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Trust || c.observed != nil || c.dated() {
		return false
	}
	_, err := c.Host.Synced()
	return err != nil || c.doubtful.IsSet() || c.Host.Up() >= patience
}

// Observe takes the Date of an answer to a request that got its connection when the host had been up for asked. It is used only
// if the server's certificate was verified and the answer came promptly: a slow server may have written its Date at any
// instant since the request. The status does not matter: a refusal has the same time as a receipt.
func (c *Clock) Observe(r *http.Response, asked time.Duration) {
	up := c.Host.Up()
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil || cached(r.Header) || r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || date.Before(built()) {
		return
	}
	took := up - asked
	c.mu.Lock()
	defer c.mu.Unlock()
	if took > prompt {
		c.dates.slow = took
		return
	}
	c.dates.slow = 0
	middle := date.Add(500*time.Millisecond - (asked + took/2)) // a Date has no fraction of a second
	h := c.dates.add(&serverTime{spool.Anchor{Taken: up, Start: middle.UnixNano(), Quality: spool.ByServer}, dateSlack + took/2})
	if h != nil {
		c.observed = h
	}
}

// cached reports whether a cache has kept an answer for some time. An Age of 0 does not count: Varnish and some content delivery
// networks add it to every answer.
func cached(h http.Header) bool {
	return slices.ContainsFunc(h.Values("Age"), func(age string) bool { return strings.TrimSpace(age) != "0" })
}

// Certificates returns the time by which certificates are verified. A host's clock that is not set may be in 1970, when no
// certificate is valid yet: then the time is at least that of the build and of the newest sample. It is never later than the
// true time unless an earlier clock was ahead, which Refused corrects.
func (c *Clock) Certificates() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, up, _ := c.readClocks()
	switch {
	case c.Trust:
		return wall
	case c.dated():
		return c.anchor.At(up)
	case c.hostClockOnly:
		return wall
	}
	for _, known := range []time.Time{built(), c.Spool.Newest()} {
		if known.After(wall) {
			wall = known
		}
	}
	return wall
}

// Refused records that a certificate was not valid at the time that Certificates returned: the next one is verified by the
// other time that is known.
func (c *Clock) Refused(err error) {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.hostClockOnly = !c.hostClockOnly
	}
}

// TraceStart returns a context for a request, and a function for the uptime of the host when that request got its connection:
// to resolve a name and to connect may take longer than the answer, and the server writes its Date after that.
func (c *Clock) TraceStart(ctx context.Context) (context.Context, func() time.Duration) {
	var up atomic.Int64
	start := func() { up.Store(int64(c.Host.Up())) }
	start() // for a transport without connections, as in tests
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { start() }}
	return httptrace.WithClientTrace(ctx, trace), func() time.Duration { return time.Duration(up.Load()) }
}
