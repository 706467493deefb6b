package edge

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sunspool/edge/spool"
	"sunspool/wire"
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

// askTime asks the server for its Date while the clock needs it: a second time at once, because one Date alone sets
// nothing. The next attempt is the next delivery's.
func (u *Uploader) askTime(ctx context.Context) error {
	for tries := 0; tries < 2 && u.Clock.Wanted(); tries++ {
		if err := u.ask(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ask asks the server for nothing but its Date, for when there is nothing else to ask: while the time is not known
// there may be no sample that can be uploaded. It needs no token. Each request has an address of its own, so that no
// cache has an answer to it.
func (u *Uploader) ask(ctx context.Context) error {
	url := strings.TrimSuffix(u.URL, wire.IngestPath) + wire.HealthPath + "?" + rand.Text()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", u.Agent)
	req.Header.Set("Cache-Control", "no-cache")
	_, _, err = u.do(req)
	return err
}

// do makes a request and reads its answer, as far as one may be long, and lets the clock hear it. The error is
// *interrupted if the request was on its way.
func (u *Uploader) do(req *http.Request) (resp *http.Response, answer []byte, err error) {
	ctx, asked := req.Context(), func() time.Duration { return 0 }
	if u.Clock != nil {
		ctx, asked = u.Clock.traceStart(ctx)
	}
	var c connection
	resp, err = u.Client.Do(req.WithContext(c.trace(ctx)))
	if err != nil {
		if u.Clock != nil {
			u.Clock.Refused(err)
		}
		return nil, nil, c.fail(err)
	}
	defer resp.Body.Close()
	if u.Clock != nil {
		u.Clock.Hear(resp, asked())
	}
	if answer, err = readAnswer(resp); err != nil {
		c.close()
		return nil, nil, fmt.Errorf("answer of the server: %w", err) // it had read the request
	}
	return resp, answer, nil
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

// verifyBy makes client verify certificates by the time that c knows.
func verifyBy(client *http.Client, c *Clock) {
	if t, ok := client.Transport.(*HTTPTransport); ok {
		t.Time = c.Certificates
	}
}
