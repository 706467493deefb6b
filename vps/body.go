package vps

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// receive reads the body of c and what it holds.
func (s *Server) receive(c *call, d *decoder) (b batch, err error) {
	c.readUntil(bodyLimit)
	c.slot.mayEnd(func() { c.readUntil(0) }) // a slow body, for another caller's
	if err := s.readBody(c, &d.body); err != nil {
		if c.slot.wasEnded() || c.bulky.wasEnded() {
			return b, errBusy
		}
		return b, err
	}
	c.slot.mayEnd(nil)
	c.bulky.mayEnd(nil)
	decode := func() error {
		b, err = d.decode(c.caller.device, s.Now(), s.MaxSamples)
		return err
	}
	if c.bulky != nil {
		err = s.turn(c, s.decoding, decode)
	} else {
		err = decode()
	}
	return b, err
}

// readBody reads the request's body into to, never more than the limit: of what comes over the wire, and of what it
// unpacks to.
func (s *Server) readBody(c *call, to *bytes.Buffer) error {
	to.Reset()
	switch length := c.r.Header.Get("Content-Length"); {
	case strings.Trim(length, "0123456789") != "":
		return errBadLength
	case c.r.ContentLength > s.MaxBytes:
		return errTooLarge
	}
	var body io.Reader = http.MaxBytesReader(c.ResponseWriter, c.r.Body, s.MaxBytes)
	counted := &counter{Reader: body}
	defer func() { c.in = counted.n }()
	body = counted

	switch strings.ToLower(c.r.Header.Get("Content-Encoding")) {
	case "", "identity":
	case "gzip", "x-gzip":
		z := inflaters.Get().(*gzip.Reader)
		defer inflaters.Put(z)
		if err := z.Reset(body); err != nil {
			return bodyError(err)
		}
		body = z
	default:
		return errEncoding
	}
	_, err := to.ReadFrom(io.LimitReader(body, min(s.MaxBytes, smallBody)+1))
	if err == nil && to.Len() > smallBody && int64(to.Len()) <= s.MaxBytes {
		if err := s.admitBulky(c); err != nil {
			return err
		}
		enlarge(to, int(s.MaxBytes)+2*bytes.MinRead)
		_, err = to.ReadFrom(io.LimitReader(body, s.MaxBytes+1-int64(to.Len())))
	}
	switch {
	case err != nil:
		return bodyError(err)
	case int64(to.Len()) > s.MaxBytes:
		return errTooLarge
	}
	c.unread = false
	return nil
}

// admitBulky waits until c may go on with a body that is more than smallBody.
func (s *Server) admitBulky(c *call) error {
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	slow := func() { c.readUntil(0) }
	c.slot.mayEnd(cancel)
	if c.bulky = s.bulky.take(ctx, c.token); c.bulky == nil {
		return errBusy
	}
	c.readUntil(bodyLimit)
	c.slot.mayEnd(slow)
	c.bulky.mayEnd(slow)
	return nil
}

var inflaters = sync.Pool{New: func() any { return new(gzip.Reader) }}

func bodyError(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return errTooLarge
	}
	return errBadBody
}

// counter counts the bytes that went through it.
type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}
