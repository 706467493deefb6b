package edge

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"sunspool/wire"
)

// hearing is a Date of our own server, whose certificate was verified.
type hearing struct {
	anchor
	slack time.Duration // that it may be off
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
	return err != nil || c.doubt.set() || c.Host.Up() >= patience
}

// Hear takes the Date of an answer to a request that was made when the host had been up for asked. Only a server whose
// certificate was verified is believed.
func (c *Clock) Hear(r *http.Response, asked time.Duration) {
	up := c.Host.Up()
	date, err := http.ParseTime(r.Header.Get("Date"))
	cached := r.Header.Get("Age") != ""
	if err != nil || cached || r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || up-asked > longest || date.Before(built()) {
		return
	}
	took := up - asked
	middle := date.Add(500*time.Millisecond - (asked + took/2)) // its fraction is cut off
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = &hearing{anchor{Taken: up, Start: middle.UnixNano(), Quality: ByServer}, dateSlack + took/2}
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
		return c.anchor.at(up)
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

// ask asks the server for nothing but its Date, for when there is nothing else to ask: while the time is not known
// there may be no sample that can be uploaded. It needs no token.
func (u *Uploader) ask(ctx context.Context) error {
	url := strings.TrimSuffix(u.URL, wire.IngestPath) + wire.HealthPath
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", u.Agent)
	_, _, err = u.do(req)
	return err
}

// do makes a request and reads its answer, as far as one may be long, and lets the clock hear it. The error is
// *interrupted if the request was on its way.
func (u *Uploader) do(req *http.Request) (resp *http.Response, answer []byte, err error) {
	var asked time.Duration
	if u.Clock != nil {
		asked = u.Clock.Host.Up()
	}
	var c connection
	resp, err = u.Client.Do(req.WithContext(c.trace(req.Context())))
	if err != nil {
		if u.Clock != nil {
			u.Clock.Refused(err)
		}
		return nil, nil, c.fail(err)
	}
	defer resp.Body.Close()
	if u.Clock != nil {
		u.Clock.Hear(resp, asked)
	}
	if answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1)); err != nil {
		c.close()
		return nil, nil, fmt.Errorf("answer of the server: %w", err) // it had read the request
	}
	return resp, answer, nil
}

// verifyBy makes client verify certificates by the time that c knows.
func verifyBy(client *http.Client, c *Clock) {
	client.Transport.(*HTTPTransport).Time = c.Certificates
}
