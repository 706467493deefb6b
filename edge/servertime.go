package edge

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

// hearing is a Date of our own server, whose certificate was verified.
type hearing struct {
	spool.Anchor
	slack time.Duration // that it may be off
}

// serverDates takes the time from the answers of our server. One Date alone sets nothing: a cache may have kept it, or one
// of several servers behind a name may be wrong. So the time is the one that two answers in a row agree on.
type serverDates struct {
	previous *hearing      // of the last prompt answer
	slow     time.Duration // that the last answer took, if that was too long to take its Date; else 0
}

// add takes a Date and returns it if the one before agrees with it, else nil.
func (d *serverDates) add(h *hearing) *hearing {
	before := d.previous
	d.previous = h
	if before == nil || !h.Near(before.Anchor, h.slack+before.slack) {
		return nil
	}
	return h
}

// Wanted reports whether our server is to be asked for the time: at once when the kernel cannot say whether its clock
// is right, else when no time server did for long.
func (c *Clock) Wanted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Trust || c.heard != nil || c.dated() {
		return false
	}
	_, err := c.Host.Synced()
	return err != nil || c.doubt.IsSet() || c.Host.Up() >= patience
}

// Hear takes the Date of an answer to a request that got its connection when the host had been up for asked. Only a
// server whose certificate was verified counts, and only a prompt answer: a server that is slow may have written its Date
// at any instant since the request. The status does not matter: a refusal has the same time as a receipt.
func (c *Clock) Hear(r *http.Response, asked time.Duration) {
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
	middle := date.Add(500*time.Millisecond - (asked + took/2)) // its fraction is cut off
	h := c.dates.add(&hearing{spool.Anchor{Taken: up, Start: middle.UnixNano(), Quality: spool.ByServer}, dateSlack + took/2})
	if h != nil {
		c.heard = h
	}
}

// cached reports whether a cache has kept an answer for some time. An Age of 0 is none: Varnish and some networks of
// caches put it on every answer that they pass on.
func cached(h http.Header) bool {
	return slices.ContainsFunc(h.Values("Age"), func(age string) bool { return strings.TrimSpace(age) != "0" })
}

// Certificates returns the time by which certificates are verified. While the host's clock is not set it may be in
// 1970, where no certificate is valid yet: then it is at least the newest that we know it to be. That is never later
// than the truth unless an earlier clock was ahead, which Refused finds out.
func (c *Clock) Certificates() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, up, _ := c.look()
	switch {
	case c.Trust:
		return wall
	case c.dated():
		return c.anchor.At(up)
	case c.bound:
		return wall
	}
	for _, known := range []time.Time{built(), c.Spool.Newest()} {
		if known.After(wall) {
			wall = known
		}
	}
	return wall
}

// Refused takes note that a certificate was not valid at the time that Certificates gave: the next one is verified by
// the other time that we have.
func (c *Clock) Refused(err error) {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bound = !c.bound
	}
}

// traceStart returns a context for a request, and how long the host had been up when that request got its connection: to
// resolve a name and to connect may take longer than an answer, and the server writes its Date after it.
func (c *Clock) traceStart(ctx context.Context) (context.Context, func() time.Duration) {
	var up atomic.Int64
	start := func() { up.Store(int64(c.Host.Up())) }
	start() // a transport that has no connections, as in tests
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { start() }}
	return httptrace.WithClientTrace(ctx, trace), func() time.Duration { return time.Duration(up.Load()) }
}
