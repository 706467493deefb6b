package vps

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"sunspool/wire"
	"time"
)

// Gate lets requests in: by their token, and by the share that a token may have of what is done at once. Set the fields
// before the server of it is asked for a handler.
type Gate struct {
	Tokens    *Tokens
	Version   string           // of the program, for the metrics
	Log       *slog.Logger     // default slog.Default()
	Now       func() time.Time // default time.Now
	MaxAtOnce int              // reads served at once, and as many uploads; default 32
	Origins   []string         // whose pages may read, see CORS
	Proxies   proxies          // that may say for whom they ask

	// What is counted.
	answered   func(c *call, took time.Duration)
	refused    func(code string) // a request without a good token
	storeAsked func(op string, err error, took time.Duration)

	places   *slots // of reads, until their answer is written
	uploads  *slots
	exports  *slots // which may take long, and are not among places
	large    *slots // of reads whose answers are megabytes
	bulky    *slots // of uploads that are more than smallBody
	reading  *slots // of parts of long reads, while a processor is busy with them
	decoding *slots // of large uploads, likewise; no reader stops them
	failures failures
}

// open sets what was left out.
func (g *Gate) open() {
	if g.Log == nil {
		g.Log = slog.Default()
	}
	if g.Now == nil {
		g.Now = time.Now
	}
	if g.MaxAtOnce == 0 {
		g.MaxAtOnce = 32
	}
	g.places = newSlots(g.MaxAtOnce, g.MaxAtOnce/4, g.MaxAtOnce)
	g.uploads = newSlots(g.MaxAtOnce, g.MaxAtOnce/4, g.MaxAtOnce/4)
	g.large = newSlots(maxLarge, 1, g.MaxAtOnce/4)
	g.large.patience = largePatience
	g.bulky = newSlots(g.MaxAtOnce/4, g.MaxAtOnce/16, g.MaxAtOnce/4)
	g.bulky.patience = largePatience
	processors := max(1, runtime.GOMAXPROCS(0)/2)
	g.reading, g.decoding = newSlots(processors, processors, g.MaxAtOnce), newSlots(processors, processors, g.MaxAtOnce)
	g.reading.patience, g.decoding.patience = largePatience, largePatience
	g.exports = newSlots(g.MaxAtOnce, g.MaxAtOnce/16, 1)
}

// handler returns the answer to c, which is sent as 200, or an error for fail. One whose answer is long writes it to c
// itself; an error then ends the connection.
type handler func(c *call) (answer any, err error)

// public serves h to everybody. around made w a *call.
func (g *Gate) public(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c := w.(*call)
		answer, err := h(c)
		switch {
		case err != nil && c.status != 0:
			panic(http.ErrAbortHandler) // the answer had begun: only a broken connection says that it is not whole
		case err != nil:
			g.fail(c, err)
		case c.status == 0:
			c.answer(http.StatusOK, answer)
		}
	})
}

// withToken serves h to callers with a good token, some at once.
func (g *Gate) withToken(h handler) http.Handler {
	return g.identified(func(c *call, who caller) (any, error) { return g.inPlace(c, who, h) })
}

// identified serves h to callers with a good token.
func (g *Gate) identified(h func(c *call, who caller) (any, error)) http.Handler {
	return g.public(func(c *call) (any, error) {
		token := bearer(c.r)
		if token == "" {
			c.conn().refuse(network(c.remote))
			return nil, g.rejected(errNoToken)
		}
		who, known := g.Tokens.find(token)
		if !known {
			c.conn().refuse(network(c.remote))
			if wait := g.failures.add(c.remote, g.Now()); wait > 0 {
				tooMany := *errFailures
				return nil, g.rejected(tooMany.after(wait))
			}
			return nil, g.rejected(errBadToken)
		}
		c.byToken, c.token = true, sumOf(token)
		if g.Version != "" { // a refusal carries it too: it is this server's, not a proxy's
			c.Header().Set("Server", "sunspool/"+g.Version)
			c.Header().Set(wire.VersionHeader, g.Version)
		}
		c.conn().serve(c.token)
		return h(c, who)
	})
}

// stillAllowed reports whether c would be let in now as it was.
func (g *Gate) stillAllowed(c *call) bool {
	if !c.byToken {
		return true
	}
	who, known := g.Tokens.find(bearer(c.r))
	return known && who == c.caller
}

func (g *Gate) rejected(r *refusal) error {
	g.refused(r.Code)
	return r
}

// as serves h to everybody as if they were who.
func (g *Gate) as(who caller, h handler) http.Handler {
	return g.public(func(c *call) (any, error) {
		c.token = sumOf(network(c.remote).String()) // which is the caller here
		return g.inPlace(c, who, h)
	})
}

// inPlace calls h with a place among the reads that are served at once. The place is c's until the answer is written, or
// until c leaves it: a reader that takes its answer slowly holds its own places. One whose place is needed is told to come
// again, or, if its answer is on its way, cut off.
func (g *Gate) inPlace(c *call, who caller, h handler) (any, error) {
	c.caller = who
	if c.slot = g.places.take(c.r.Context(), c.token); c.slot == nil {
		return nil, errBusy
	}
	ctx, cancel := context.WithCancelCause(c.r.Context())
	defer cancel(nil)
	c.cancel = func() { cancel(errBusy) }
	c.slot.mayEnd(c.cancel)
	whole := c.r
	c.r = whole.WithContext(ctx)
	answer, err := h(c)
	if err == nil && c.large != nil {
		err = g.turn(c, g.reading, func() error {
			answer = asJSON(toJSON(answer))
			return nil
		})
	}
	if refused, ok := errors.AsType[*refusal](context.Cause(ctx)); ok && err != nil {
		err = refused
	}
	c.r = whole
	return answer, err
}

// withUpload serves h to callers with a good token of a device. Uploads have places of their own, so that no reader
// stops them. A token that has its share of them is refused at once: an edge sends one batch after the other.
func (g *Gate) withUpload(h handler) http.Handler {
	return g.identified(func(c *call, who caller) (any, error) {
		c.caller = who
		if who.viewer {
			return nil, errReadOnly
		}
		if g.uploads.full(c.token) {
			return nil, errUploads
		}
		if c.slot = g.uploads.take(c.r.Context(), c.token); c.slot == nil {
			return nil, errBusy
		}
		defer c.leave()
		return h(c)
	})
}

// near serves h to this host, to private networks and to proxies that ask for themselves: to an orchestrator that probes.
// To callers from the internet the path does not exist.
func (g *Gate) near(h handler) handler {
	return func(c *call) (any, error) {
		if !g.Proxies.near(c.r) {
			return nil, errNotFound
		}
		return h(c)
	}
}
