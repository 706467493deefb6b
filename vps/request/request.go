package request

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/compress"
	"sunspool/vps/fair"
	"sunspool/vps/listener"
)

// Request is one request on its way through the server, and what is known of it so far.
type Request struct {
	http.ResponseWriter
	HTTP       *http.Request
	Began      time.Time
	Remote     string    // address of the client
	StoreSince time.Time // when the store was asked first
	Caller     auth.Caller
	byToken    bool          // the caller was identified by a token
	cookie     string        // or by that of a session
	Session    *auth.Session // nil without one
	Token      auth.TokenSum
	Slot       *fair.Slot // of Gate.Reads or Uploads, until it is released
	Large      *fair.Slot // of Gate.Large, if it has one
	Bulky      *fair.Slot // of Gate.Bulky, if it has one
	Turns      bool       // its steps are taken in turns although it has no slot of Large: see Gate.Step
	Cancel     func()     // ends what is computed for it
	Unread     bool       // it has a body that was not read to its end
	Status     int        // 0 until answered
	Code       string
	BytesIn    int64 // bytes of body read
	BytesOut   int   // bytes of body written
}

// Unwrap lets http.ResponseController reach the connection.
func (c *Request) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *Request) WriteHeader(status int) {
	c.Status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *Request) Write(p []byte) (int, error) {
	if c.Status == 0 {
		c.Status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(p)
	c.BytesOut += n
	return n, err
}

// RawJSON is an answer that is JSON already.
type RawJSON []byte

// encoded is an answer as it is sent.
type encoded struct {
	body   []byte
	gzip   bool
	varies bool // who asks with another Accept-Encoding may get it otherwise
}

// encode makes JSON of v, compressed if that is worth it and c's caller asks for it.
func (c *Request) encode(v any) (e encoded) {
	raw, done := v.(RawJSON)
	if !done {
		raw = ToJSON(v)
	}
	e.body, e.varies = raw, safe(c.HTTP.Method) && len(raw) >= compress.Worth
	if e.varies && c.HTTP.Method == http.MethodGet && compress.Accepted(c.HTTP) {
		if packed := compress.Gzip(raw, compress.Fast); packed != nil {
			e.body, e.gzip = packed, true
		}
	}
	return e
}

// answer writes v as the whole answer.
func (c *Request) answer(status int, v any) {
	e, done := v.(encoded)
	if !done {
		e = c.encode(v)
	}
	h := c.Header()
	h.Set("Content-Type", "application/json")
	if e.varies {
		h.Add("Vary", "Accept-Encoding")
	}
	if e.gzip {
		h.Set("Content-Encoding", "gzip")
	}
	if c.HTTP.Method == http.MethodHead && e.varies && compress.Accepted(c.HTTP) {
		e.body = nil // what GET would send may be compressed: its length is not known
	} else {
		h.Set("Content-Length", strconv.Itoa(len(e.body)))
	}
	if c.Unread { // net/http reads the rest of it before it answers
		c.ReadWithin(UnreadLimit)
		c.conn().SetIdle()
	}
	c.Slot.SetCancel(c.CutOff)
	c.Large.SetCancel(c.CutOff)
	c.WriteHeader(status)
	c.Write(e.body)
}

// UnreadLimit is for how long a body is read that no handler reads.
const UnreadLimit = time.Second

const smallBodyLimit = 5 * time.Second // for a body of ReadSmall, more than a slow line needs

// ReadSmall reads a body of at most so many bytes. Its sender may be anybody.
func (c *Request) ReadSmall(most int64) ([]byte, error) {
	c.ReadWithin(smallBodyLimit)
	body, err := io.ReadAll(http.MaxBytesReader(nil, c.HTTP.Body, most))
	c.BytesIn = int64(len(body))
	if _, long := err.(*http.MaxBytesError); long {
		return nil, ErrTooLarge
	}
	if err != nil {
		return nil, ErrBadBody
	}
	c.Unread = false
	return body, nil
}

// ReadWithin limits the time for the body.
func (c *Request) ReadWithin(limit time.Duration) {
	_ = http.NewResponseController(c).SetReadDeadline(time.Now().Add(limit))
}

// CutOff ends the answer to a reader that does not read it.
func (c *Request) CutOff() {
	_ = http.NewResponseController(c).SetWriteDeadline(time.Now())
}

// Release releases the slots that c still has.
func (c *Request) Release() {
	c.Slot.Release()
	c.Large.Release()
	c.Bulky.Release()
	c.Slot, c.Large, c.Bulky = nil, nil, nil
}

// ToJSON returns v as JSON. Values of ours always can be.
func ToJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a number that is not finite got past the store's doors: a fault of this program
	}
	return b
}

// Middleware does for every request what does not depend on its route: headers, JSON for what has no route, the access log,
// the metrics, and the end of a panic.
func (g *Gate) Middleware(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &Request{ResponseWriter: w, HTTP: r, Began: g.Now(), Remote: g.Proxies.Client(r), Unread: r.ContentLength != 0}
		defer c.Release()
		defer g.record(c)
		defer g.recovered(c)
		c.conn().Begin(auth.NetworkOf(c.Remote))
		if c.Unread {
			c.ReadWithin(UnreadLimit)
		}
		g.secure(c)
		if g.preflight(c) {
			return
		}
		err := routed(c, mux)
		if err == nil {
			err = crossOrigin(r)
		}
		if err != nil {
			g.fail(c, err)
			return
		}
		mux.ServeHTTP(c, r)
	})
}

// routed refuses what mux has no route for, which it would otherwise answer in plain text or by a redirect.
func routed(c *Request, mux *http.ServeMux) error {
	h, pattern := mux.Handler(c.HTTP)
	if pattern == "" {
		missed := discardWriter{}
		h.ServeHTTP(&missed, c.HTTP)
		if missed.status == http.StatusMethodNotAllowed {
			c.Header().Set("Allow", missed.Header().Get("Allow"))
			return errMethod
		}
		return errNotFound
	}
	if path.Clean(c.HTTP.URL.Path) != c.HTTP.URL.Path {
		return errNotFound // mux would redirect to the clean form
	}
	return nil
}

// discardWriter takes the mux's own answer to a request without a route, and keeps only what it means.
type discardWriter struct {
	header http.Header
	status int
}

func (m *discardWriter) Header() http.Header {
	if m.header == nil {
		m.header = http.Header{}
	}
	return m.header
}
func (m *discardWriter) WriteHeader(status int)      { m.status = status }
func (m *discardWriter) Write(p []byte) (int, error) { return len(p), nil }

// secure sets the headers that every answer has.
func (g *Gate) secure(c *Request) {
	h := c.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if len(g.Origins) == 0 {
		return
	}
	h.Add("Vary", "Origin")
	origin := c.HTTP.Header.Get("Origin")
	if slices.Contains(g.Origins, origin) && (c.HTTP.Method == http.MethodGet || c.HTTP.Method == http.MethodOptions) {
		h.Set("Access-Control-Allow-Origin", origin)
	}
}

// preflight answers a browser that asks whether a page of an allowed origin may GET with a token. Any other request of
// another origin gets no such header.
func (g *Gate) preflight(c *Request) bool {
	h := c.Header()
	if c.HTTP.Method != http.MethodOptions || h.Get("Access-Control-Allow-Origin") == "" ||
		c.HTTP.Header.Get("Access-Control-Request-Method") != http.MethodGet {
		return false
	}
	h.Set("Access-Control-Allow-Methods", http.MethodGet)
	h.Set("Access-Control-Allow-Headers", "Authorization, Last-Event-ID") // the second is what a stream goes on with
	h.Set("Access-Control-Max-Age", "600")
	c.WriteHeader(http.StatusNoContent)
	return true
}

// recovered ends a panic: the caller gets a 500, or a closed connection if its answer had begun. The log has where it
// happened; of the panic's own text only the runtime's, because another could quote a request.
func (g *Gate) recovered(c *Request) {
	p := recover()
	switch p {
	case nil:
		return
	case http.ErrAbortHandler:
		panic(p)
	}
	what := "panic of this program"
	if e, ok := p.(runtime.Error); ok {
		what = e.Error()
	}
	g.Log.Error("request panicked", "route", Route(c.HTTP), "error", Capped(what), "at", panicFrames())
	if c.Status != 0 {
		panic(http.ErrAbortHandler)
	}
	g.fail(c, errInternal)
}

// panicFrames names the functions that were on the stack, without their arguments.
func panicFrames() []string {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	var at []string
	for {
		f, more := frames.Next()
		at = append(at, f.Function+":"+strconv.Itoa(f.Line))
		if !more {
			return at
		}
	}
}

// record writes the access log's line and the metrics of c. A raw path, a query, a header or a body is in neither.
func (g *Gate) record(c *Request) {
	took := g.Now().Sub(c.Began)
	g.Answered(c, took)
	level := slog.LevelDebug // edges send and readers ask every few seconds: metrics count them
	if c.Status >= http.StatusBadRequest {
		level = slog.LevelInfo
	}
	g.Log.Log(context.WithoutCancel(c.HTTP.Context()), level, "request",
		"method", Capped(c.HTTP.Method), "route", Route(c.HTTP), "status", c.Status,
		"duration_ms", float64(took.Microseconds())/1000, "bytes_in", c.BytesIn, "bytes_out", c.BytesOut,
		"device", c.Caller.Device, "remote", Capped(c.Remote))
}

// Route is the pattern that a request matched, "none" without one.
func Route(r *http.Request) string {
	if _, path, ok := strings.Cut(r.Pattern, " "); ok {
		return path
	}
	return "none"
}

// Capped bounds what comes from outside before it is logged. slog's JSON escapes the rest.
func Capped(s string) string { return s[:min(len(s), 200)] }

// conn is the connection on which c came.
func (c *Request) conn() *listener.Conn {
	return listener.ConnOf(c.HTTP.Context())
}
