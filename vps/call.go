package vps

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// call is one request on its way through the server, and what is known of it so far.
type call struct {
	http.ResponseWriter
	r       *http.Request
	began   time.Time
	remote  string    // address of the client
	asked   time.Time // when the store was asked first
	caller  caller
	byToken bool // who the caller is was said by a token
	token   tokenSum
	slot    *slot  // of Server.places or uploads, until it left it
	large   *slot  // of Server.large, if it has one
	bulky   *slot  // of Server.bulky, if it has one
	cancel  func() // ends what is computed for it
	unread  bool   // it has a body that was not read to its end
	status  int    // 0 until answered
	code    string
	in      int64 // bytes of body read
	out     int   // bytes of body written
}

// Unwrap lets http.ResponseController reach the connection.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *call) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *call) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(p)
	c.out += n
	return n, err
}

// asJSON is an answer that is JSON already.
type asJSON []byte

// answer writes v as the whole answer.
func (c *call) answer(status int, v any) {
	body, done := v.(asJSON)
	if !done {
		body = toJSON(v)
	}
	h := c.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if c.unread { // net/http reads the rest of it before it answers
		c.readUntil(unreadLimit)
		c.conn().rest()
	}
	c.slot.mayEnd(c.cutOff)
	c.large.mayEnd(c.cutOff)
	c.WriteHeader(status)
	c.Write(body)
}

const unreadLimit = time.Second // for a body that is not wanted

// readUntil limits the time for the body.
func (c *call) readUntil(limit time.Duration) {
	_ = http.NewResponseController(c).SetReadDeadline(time.Now().Add(limit))
}

// cutOff ends the answer of a reader that does not take it.
func (c *call) cutOff() {
	_ = http.NewResponseController(c).SetWriteDeadline(time.Now())
}

// leave gives the place back, if c still has it.
func (c *call) leave() {
	c.slot.leave()
	c.large.leave()
	c.bulky.leave()
	c.slot, c.large, c.bulky = nil, nil, nil
}

func toJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a number that is not finite got past the store's doors: a fault of this program
	}
	return b
}

// around does for every request what does not depend on its route: headers, JSON for what has no route, the access log,
// the metrics, and the end of a panic.
func (g *Gate) around(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{ResponseWriter: w, r: r, began: g.Now(), remote: g.Proxies.client(r), unread: r.ContentLength != 0}
		defer c.leave()
		defer g.record(c)
		defer g.recovered(c)
		c.conn().request(network(c.remote))
		if c.unread {
			c.readUntil(unreadLimit)
		}
		g.secure(c)
		if g.preflight(c) {
			return
		}
		if err := routed(c, mux); err != nil {
			g.fail(c, err)
			return
		}
		mux.ServeHTTP(c, r)
	})
}

// routed refuses what mux has no route for, which it would otherwise answer in plain text or by a redirect.
func routed(c *call, mux *http.ServeMux) error {
	h, pattern := mux.Handler(c.r)
	if pattern == "" {
		missed := missed{}
		h.ServeHTTP(&missed, c.r)
		if missed.status == http.StatusMethodNotAllowed {
			c.Header().Set("Allow", missed.Header().Get("Allow"))
			return errMethod
		}
		return errNotFound
	}
	if path.Clean(c.r.URL.Path) != c.r.URL.Path {
		return errNotFound // mux would redirect to the clean form
	}
	return nil
}

// missed takes the mux's own answer to a request without a route, and keeps only what it means.
type missed struct {
	header http.Header
	status int
}

func (m *missed) Header() http.Header {
	if m.header == nil {
		m.header = http.Header{}
	}
	return m.header
}
func (m *missed) WriteHeader(status int)      { m.status = status }
func (m *missed) Write(p []byte) (int, error) { return len(p), nil }

// secure sets the headers that every answer has.
func (g *Gate) secure(c *call) {
	h := c.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if len(g.Origins) == 0 {
		return
	}
	h.Add("Vary", "Origin")
	origin := c.r.Header.Get("Origin")
	if slices.Contains(g.Origins, origin) && (c.r.Method == http.MethodGet || c.r.Method == http.MethodOptions) {
		h.Set("Access-Control-Allow-Origin", origin)
	}
}

// preflight answers a browser that asks whether a page of an allowed origin may GET with a token. Everything else of
// another origin is refused by saying nothing.
func (g *Gate) preflight(c *call) bool {
	h := c.Header()
	if c.r.Method != http.MethodOptions || h.Get("Access-Control-Allow-Origin") == "" ||
		c.r.Header.Get("Access-Control-Request-Method") != http.MethodGet {
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
func (g *Gate) recovered(c *call) {
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
	g.Log.Error("request panicked", "route", route(c.r), "error", capped(what), "at", panicFrames())
	if c.status != 0 {
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
func (g *Gate) record(c *call) {
	took := g.Now().Sub(c.began)
	g.answered(c, took)
	level := slog.LevelDebug // edges send and readers ask every few seconds: metrics count them
	if c.status >= http.StatusBadRequest {
		level = slog.LevelInfo
	}
	g.Log.Log(context.WithoutCancel(c.r.Context()), level, "request",
		"method", capped(c.r.Method), "route", route(c.r), "status", c.status,
		"duration_ms", float64(took.Microseconds())/1000, "bytes_in", c.in, "bytes_out", c.out,
		"device", c.caller.device, "remote", capped(c.remote))
}

// route is the pattern that a request matched, "none" without one.
func route(r *http.Request) string {
	if _, path, ok := strings.Cut(r.Pattern, " "); ok {
		return path
	}
	return "none"
}

// capped bounds what comes from outside before it is logged. slog's JSON escapes the rest.
func capped(s string) string { return s[:min(len(s), 200)] }

// conn is the connection on which c came.
func (c *call) conn() *conn {
	return requestConn(c.r.Context())
}
