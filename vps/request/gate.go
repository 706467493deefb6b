// Package request carries a request through the server: who sends it, what it may take, and its answer or its refusal.
//
//	Middleware ──> headers, access log, panics
//	    └─ WithToken ──> token ──> a slot of its token's share ──> Handler ──> answer, or errors.go: every other status
//	                                                                  └─ Ask ──> the store, within StoreTimeout
//
// Before a token is known to be good, a request costs a few lines of header and nothing else: no body is read for it, and it
// takes no slot of those that are served.
package request

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/fair"
	"sunspool/vps/problem"
)

// Gate admits requests: by their token, and by the share that a token may have of what is done at once. Set the fields
// before the server makes a handler.
type Gate struct {
	Tokens    *auth.Tokens
	Version   string           // of the program, for the metrics
	Log       *slog.Logger     // default slog.Default()
	Now       func() time.Time // default time.Now
	MaxAtOnce int              // reads served at once, and as many uploads; default 32
	Origins   []string         // whose pages may read, see CORS
	Proxies   auth.Proxies     // whose X-Forwarded-For is trusted
	OpenLAN   bool             // callers from the network at home read without a token, see auth.Proxies.Home
	Ancestors []string         // whose pages may frame ours: origins, or self

	// Called to count what happens; required.
	Answered   func(c *Request, took time.Duration)
	Refused    func(code string) // a request without a good token
	StoreAsked func(op string, err error, took time.Duration)

	Reads    *fair.Slots // of reads, until their answer is written
	Uploads  *fair.Slots
	Exports  *fair.Slots // which may take long, and are not among Reads
	Large    *fair.Slots // of reads whose answers are megabytes
	Bulky    *fair.Slots // of uploads that are more than batch.SmallBody
	Reading  *fair.Slots // of parts of long reads, while a processor is busy with them
	Decoding *fair.Slots // of large uploads, likewise; no reader stops them
	failures auth.Failures
}

// Open sets the fields that were left out, and makes the slots.
func (g *Gate) Open() {
	if g.Log == nil {
		g.Log = slog.Default()
	}
	if g.Now == nil {
		g.Now = time.Now
	}
	if g.MaxAtOnce == 0 {
		g.MaxAtOnce = 32
	}
	g.Reads = fair.New(g.MaxAtOnce, g.MaxAtOnce/4, g.MaxAtOnce)
	g.Uploads = fair.New(g.MaxAtOnce, g.MaxAtOnce/4, g.MaxAtOnce/4)
	g.Large = fair.New(maxLarge, 1, g.MaxAtOnce/4)
	g.Large.Patience = largePatience
	g.Bulky = fair.New(g.MaxAtOnce/4, g.MaxAtOnce/16, g.MaxAtOnce/4)
	g.Bulky.Patience = largePatience
	processors := max(1, runtime.GOMAXPROCS(0)/2)
	g.Reading, g.Decoding = fair.New(processors, processors, g.MaxAtOnce), fair.New(processors, processors, g.MaxAtOnce)
	g.Reading.Patience, g.Decoding.Patience = largePatience, largePatience
	g.Exports = fair.New(g.MaxAtOnce, g.MaxAtOnce/16, 1)
}

// Handler returns the answer to c, which is sent as 200, or an error, which becomes a status. One whose answer is long writes
// it to c itself; an error then ends the connection.
type Handler func(c *Request) (answer any, err error)

// Public serves h to every caller. Middleware made w a *Request.
func (g *Gate) Public(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c := w.(*Request)
		answer, err := h(c)
		switch {
		case err != nil && c.Status != 0:
			panic(http.ErrAbortHandler) // the answer had begun: only a broken connection shows that it is not whole
		case err != nil:
			g.fail(c, err)
		case c.Status == 0:
			c.answer(http.StatusOK, answer)
		}
	})
}

// Page serves h to every caller. It is no part of the API: browsers alone ask for it.
func (g *Gate) Page(h Handler) http.Handler { return g.Public(h) }

// WithToken serves h to callers with a good token or session, some at once.
func (g *Gate) WithToken(h Handler) http.Handler {
	return g.Public(func(c *Request) (any, error) {
		who, err := g.Identify(c)
		if err != nil {
			return nil, g.rejected(c, err)
		}
		return g.WithSlot(c, who, h)
	})
}

// WithAdmin serves h to callers with a good token of an admin, or a session of one, whatever the method: crossOrigin has refused
// what a page of another site made the browser send.
func (g *Gate) WithAdmin(h Handler) http.Handler {
	return g.Public(func(c *Request) (any, error) {
		who, err := g.identify(c, true)
		if err != nil {
			return nil, g.rejected(c, err)
		}
		if !who.Admin {
			return nil, errNotAdmin
		}
		return g.WithSlot(c, who, h)
	})
}

// rejected counts a refusal of Identify or bearer, unless it is one of a wrong token, which unknown has counted.
func (g *Gate) rejected(c *Request, err error) error {
	if r, ok := errors.AsType[*problem.Refusal](err); ok && auth.Bearer(c.HTTP) == "" {
		g.Refused(r.Code)
	}
	return err
}

// As serves h to every caller as if it were who.
func (g *Gate) As(who auth.Caller, h Handler) http.Handler {
	return g.Public(func(c *Request) (any, error) {
		c.Token = auth.SumOf(auth.NetworkOf(c.Remote).String()) // which is the caller here
		return g.WithSlot(c, who, h)
	})
}

// WithSlot calls h with a slot of Reads. c has it until the answer is written, or until c releases it: a reader that takes
// its answer slowly occupies its own slots. If the slot is needed for another token, the caller is asked to retry, or cut off
// if its answer is being written.
func (g *Gate) WithSlot(c *Request, who auth.Caller, h Handler) (any, error) {
	c.Caller = who
	if c.Slot = g.Reads.Take(c.HTTP.Context(), c.Token); c.Slot == nil {
		return nil, ErrBusy
	}
	ctx, cancel := context.WithCancelCause(c.HTTP.Context())
	defer cancel(nil)
	c.Cancel = func() { cancel(ErrBusy) }
	c.Slot.SetCancel(c.Cancel)
	whole := c.HTTP
	c.HTTP = whole.WithContext(ctx)
	answer, err := h(c)
	if err == nil && c.Large != nil {
		err = g.Turn(c, g.Reading, func() error {
			answer = c.encode(answer)
			return nil
		})
	}
	if refused, ok := errors.AsType[*problem.Refusal](context.Cause(ctx)); ok && err != nil {
		err = refused
	}
	c.HTTP = whole
	return answer, err
}

// WithUpload serves h to callers with a good token of a device. Uploads have slots of their own, so that no reader
// blocks them. A token that has its share of them is refused at once: an edge sends one batch after the other.
func (g *Gate) WithUpload(h Handler) http.Handler {
	return g.Public(func(c *Request) (any, error) {
		who, err := g.bearer(c)
		if err != nil {
			return nil, g.rejected(c, err)
		}
		c.Caller = who
		if who.Viewer {
			return nil, errReadOnly
		}
		if g.Uploads.Full(c.Token) {
			return nil, errUploads
		}
		if c.Slot = g.Uploads.Take(c.HTTP.Context(), c.Token); c.Slot == nil {
			return nil, ErrBusy
		}
		defer c.Release()
		return h(c)
	})
}

// Near serves h to this host, to private networks and to proxies that ask for themselves: to an orchestrator that probes.
// To callers from the internet the path does not exist.
func (g *Gate) Near(h Handler) Handler {
	return func(c *Request) (any, error) {
		if !g.Proxies.Near(c.HTTP) {
			return nil, errNotFound
		}
		return h(c)
	}
}
