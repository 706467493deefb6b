package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"sunspool/vps/batch"
	"sunspool/vps/listener"
	"sunspool/vps/request"
)

// receive reads the body of c and what it holds.
func (s *Server) receive(c *request.Request, d *batch.Decoder) (b batch.Batch, err error) {
	c.ReadWithin(listener.BodyLimit)
	c.Slot.SetCancel(func() { c.ReadWithin(0) }) // a slow body, for another caller's
	if err := s.readBody(c, &d.Body); err != nil {
		if c.Slot.Cancelled() || c.Bulky.Cancelled() {
			return b, request.ErrBusy
		}
		return b, err
	}
	c.Slot.SetCancel(nil)
	c.Bulky.SetCancel(nil)
	decode := func() error {
		b, err = d.Decode(c.Caller.Devices(), s.Now(), s.MaxSamples)
		return err
	}
	if c.Bulky != nil {
		err = s.Turn(c, s.Decoding, decode)
	} else {
		err = decode()
	}
	if err == nil {
		err = s.StillMay(c)
	}
	return b, err
}

// readBody reads the request's body into to, never more than the limit: of what comes over the wire, and of what it
// unpacks to.
func (s *Server) readBody(c *request.Request, to *bytes.Buffer) error {
	to.Reset()
	switch length := c.HTTP.Header.Get("Content-Length"); {
	case strings.Trim(length, "0123456789") != "":
		return request.ErrBadLength
	case c.HTTP.ContentLength > s.MaxBytes:
		return request.ErrTooLarge
	}
	var body io.Reader = http.MaxBytesReader(c.ResponseWriter, c.HTTP.Body, s.MaxBytes)
	counted := &counter{Reader: body}
	defer func() { c.BytesIn = counted.n }()
	body = counted

	switch strings.ToLower(c.HTTP.Header.Get("Content-Encoding")) {
	case "", "identity":
	case "gzip", "x-gzip":
		z := inflaters.Get().(*gzip.Reader)
		defer inflaters.Put(z)
		if err := z.Reset(body); err != nil {
			return bodyError(err)
		}
		body = z
	default:
		return request.ErrEncoding
	}
	_, err := to.ReadFrom(io.LimitReader(body, min(s.MaxBytes, batch.SmallBody)+1))
	if err == nil && to.Len() > batch.SmallBody && int64(to.Len()) <= s.MaxBytes {
		if err := s.admitBulky(c); err != nil {
			return err
		}
		batch.Enlarge(to, int(s.MaxBytes)+2*bytes.MinRead)
		_, err = to.ReadFrom(io.LimitReader(body, s.MaxBytes+1-int64(to.Len())))
	}
	switch {
	case err != nil:
		return bodyError(err)
	case int64(to.Len()) > s.MaxBytes:
		return request.ErrTooLarge
	}
	c.Unread = false
	return nil
}

// admitBulky waits until c may go on with a body that is more than smallBody.
func (s *Server) admitBulky(c *request.Request) error {
	ctx, cancel := context.WithCancel(c.HTTP.Context())
	defer cancel()
	slow := func() { c.ReadWithin(0) }
	c.Slot.SetCancel(cancel)
	if c.Bulky = s.Bulky.Take(ctx, c.Token); c.Bulky == nil {
		return request.ErrBusy
	}
	c.ReadWithin(listener.BodyLimit)
	c.Slot.SetCancel(slow)
	c.Bulky.SetCancel(slow)
	return nil
}

var inflaters = sync.Pool{New: func() any { return new(gzip.Reader) }}

func bodyError(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return request.ErrTooLarge
	}
	return request.ErrBadBody
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
