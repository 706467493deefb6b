// Package vps is what is right of the wire: it stores what edges send and answers readers.
//
//	edge ── POST /v1/ingest ──> token ──> limits ──> decode ──> store.Insert ──> 200, durable
//	reader ── GET /v1/... ────> token ──> store.Latest, store.Periods ──> JSON
//	reader ── GET /v1/stream ─> token ──> what is stored from then on ──> events
//
// A handler returns its answer or an error; fail turns every error into a status. Before a token is known to be good, a
// request costs a few lines of header and nothing else: no body is read for it, and it takes no place of those that
// are served at once.
package vps

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"time"

	"sunspool/health"
	"sunspool/vps/store"
	"sunspool/vps/store/redis"
	"sunspool/wire"
)

// Server answers the API from a store. Store and Tokens are required; the rest has a default. Set the fields before
// the first call of Handler, Internal or Readers.
type Server struct {
	Store   store.Samples // closed by its owner, after the last request
	Tokens  *Tokens
	Version string           // of the program, for the metrics
	Log     *slog.Logger     // default slog.Default()
	Now     func() time.Time // default time.Now

	// StoreHint says where an operator looks when samples cannot be stored.
	StoreHint string

	// Conflicts returns how many samples the store skipped as duplicates although they differ; may be nil.
	Conflicts func() uint64

	// DataDir is where the store keeps its file, "" where it has none; Certificate returns until when the server's own
	// certificate is valid, and is nil where it has none. The metrics show both.
	DataDir     string
	Certificate func() time.Time

	MaxSamples int            // per request; default wire.MaxSamples
	MaxBytes   int64          // per request, unpacked; default wire.MaxBytes
	MaxAtOnce  int            // reads served at once, and as many uploads; default 32
	Zone       *time.Location // of every device; default the one that its edge names
	Origins    []string       // whose pages may read, see CORS
	Proxies    proxies        // that may say for whom they ask

	Others *redis.Cache  // carries new samples between processes that serve the same devices; nil for one alone
	Chain  *health.Chain // default one of its own

	once     sync.Once
	places   *slots // of reads, until their answer is written
	uploads  *slots
	exports  *slots // which may take long, and are not among places
	large    *slots // of reads whose answers are megabytes
	bulky    *slots // of uploads that are more than smallBody
	reading  *slots // of parts of long reads, while a processor is busy with them
	decoding *slots // of large uploads, likewise; no reader stops them
	failures failures
	notes    notes
	zones    zones
	metrics  *metrics
	stored   *health.Link
	live     live
	newest   newest
	judged   judged
	crowded  sync.Map // devices of which no more can be set aside; as many as have tokens

	lastWrite   lastWrite
	probing     sync.Mutex // guards those below
	probed      time.Time
	probeErr    error
	probeFailed time.Time // last
}

func (s *Server) init() {
	s.once.Do(func() {
		if s.Log == nil {
			s.Log = slog.Default()
		}
		if s.Now == nil {
			s.Now = time.Now
		}
		if s.MaxSamples == 0 {
			s.MaxSamples = wire.MaxSamples
		}
		if s.MaxBytes == 0 {
			s.MaxBytes = wire.MaxBytes
		}
		if s.MaxAtOnce == 0 {
			s.MaxAtOnce = 32
		}
		s.places = newSlots(s.MaxAtOnce, s.MaxAtOnce/4, s.MaxAtOnce)
		s.uploads = newSlots(s.MaxAtOnce, s.MaxAtOnce/4, s.MaxAtOnce/4)
		s.large = newSlots(maxLarge, 1, s.MaxAtOnce/4)
		s.large.patience = largePatience
		s.bulky = newSlots(s.MaxAtOnce/4, s.MaxAtOnce/16, s.MaxAtOnce/4)
		s.bulky.patience = largePatience
		processors := max(1, runtime.GOMAXPROCS(0)/2)
		s.reading, s.decoding = newSlots(processors, processors, s.MaxAtOnce), newSlots(processors, processors, s.MaxAtOnce)
		s.reading.patience, s.decoding.patience = largePatience, largePatience
		s.exports = newSlots(s.MaxAtOnce, s.MaxAtOnce/16, 1)
		if s.Chain == nil {
			s.Chain = health.New(s.Now, s.Log)
		}
		s.metrics = allMetrics(s)
		s.stored = s.Chain.Link("store")
	})
}

// Handler serves the API to edges and readers that have a token.
func (s *Server) Handler() http.Handler {
	s.init()
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.public(s.root))
	mux.Handle("GET "+wire.OpenAPIPath, s.public(s.openAPI))
	mux.Handle("GET "+wire.HealthPath, s.public(s.near(s.health)))
	mux.Handle("GET "+wire.ReadyPath, s.public(s.near(s.ready)))
	mux.Handle("POST "+wire.IngestPath, s.withUpload(s.ingest))
	mux.Handle("GET "+wire.RealtimePath, s.withToken(s.realtime))
	mux.Handle("GET "+wire.SeriesPath, s.withToken(s.series))
	mux.Handle("GET "+wire.StreamPath, s.withToken(s.stream))
	mux.Handle("GET "+wire.EnergyPath, s.withToken(s.energy))
	mux.Handle("GET "+wire.DevicesPath, s.withToken(s.devices))
	mux.Handle("GET "+wire.CapacityPath+"{month}", s.withToken(s.capacity))
	mux.Handle("GET "+wire.ContinuityPath, s.withToken(s.continuity))
	mux.Handle("GET "+wire.ExportPath, s.withToken(s.export))
	return s.around(mux)
}

// Internal serves what only the operator's own machines may see.
func (s *Server) Internal() http.Handler {
	s.init()
	mux := http.NewServeMux()
	mux.Handle("GET "+wire.DeviceMetricsPath, s.deviceMetrics())
	mux.Handle("GET "+wire.HealthPath, s.public(s.health))
	mux.Handle("GET "+wire.ReadyPath, s.public(s.ready))
	mux.Handle("GET "+wire.MetricsPath, s.metrics.handler())
	mux.Handle("GET "+wire.AsidePath, s.public(s.listAside))
	mux.Handle("DELETE "+wire.AsidePath, s.public(s.deleteAside))
	return s.around(mux)
}

// Readers serves the reading half of the API for one device to anybody, without a token. It has no route that writes
// and knows no other device: a demo listens with it on the loopback.
func (s *Server) Readers(device string) http.Handler {
	s.init()
	anybody := func(h handler) http.Handler { return s.as(caller{device: device, viewer: true}, h) }
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.public(s.root))
	mux.Handle("GET "+wire.OpenAPIPath, s.public(s.openAPI))
	mux.Handle("GET "+wire.HealthPath, s.public(s.health))
	mux.Handle("GET "+wire.RealtimePath, anybody(s.realtime))
	mux.Handle("GET "+wire.SeriesPath, anybody(s.series))
	mux.Handle("GET "+wire.StreamPath, anybody(s.stream))
	mux.Handle("GET "+wire.EnergyPath, anybody(s.energy))
	mux.Handle("GET "+wire.DevicesPath, anybody(s.devices))
	mux.Handle("GET "+wire.CapacityPath+"{month}", anybody(s.capacity))
	mux.Handle("GET "+wire.ContinuityPath, anybody(s.continuity))
	mux.Handle("GET "+wire.ExportPath, anybody(s.export))
	return s.around(mux)
}

// handler returns the answer to c, which is sent as 200, or an error for fail. One whose answer is long writes it to c
// itself; an error then ends the connection.
type handler func(c *call) (answer any, err error)

// public serves h to everybody. around made w a *call.
func (s *Server) public(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c := w.(*call)
		answer, err := h(c)
		switch {
		case err != nil && c.status != 0:
			panic(http.ErrAbortHandler) // the answer had begun: only a broken connection says that it is not whole
		case err != nil:
			s.fail(c, err)
		case c.status == 0:
			c.answer(http.StatusOK, answer)
		}
	})
}

// withToken serves h to callers with a good token, some at once.
func (s *Server) withToken(h handler) http.Handler {
	return s.identified(func(c *call, who caller) (any, error) { return s.inPlace(c, who, h) })
}

// identified serves h to callers with a good token.
func (s *Server) identified(h func(c *call, who caller) (any, error)) http.Handler {
	return s.public(func(c *call) (any, error) {
		token := bearer(c.r)
		if token == "" {
			c.conn().refuse(network(c.remote))
			return nil, s.rejected(errNoToken)
		}
		who, known := s.Tokens.find(token)
		if !known {
			c.conn().refuse(network(c.remote))
			if wait := s.failures.add(c.remote, s.Now()); wait > 0 {
				tooMany := *errFailures
				return nil, s.rejected(tooMany.after(wait))
			}
			return nil, s.rejected(errBadToken)
		}
		c.byToken, c.token = true, sha256.Sum256([]byte(token))
		if s.Version != "" { // a refusal carries it too: it is this server's, not a proxy's
			c.Header().Set("Server", "sunspool/"+s.Version)
			c.Header().Set(wire.VersionHeader, s.Version)
		}
		c.conn().serve(c.token)
		return h(c, who)
	})
}

// stillAllowed reports whether c would be let in now as it was.
func (s *Server) stillAllowed(c *call) bool {
	if !c.byToken {
		return true
	}
	who, known := s.Tokens.find(bearer(c.r))
	return known && who == c.caller
}

func (s *Server) rejected(r *refusal) error {
	s.metrics.authFailures.WithLabelValues(r.Code).Inc()
	return r
}

// as serves h to everybody as if they were who.
func (s *Server) as(who caller, h handler) http.Handler {
	return s.public(func(c *call) (any, error) {
		c.token = sha256.Sum256([]byte(network(c.remote).String())) // which is the caller here
		return s.inPlace(c, who, h)
	})
}

// inPlace calls h with a place among the reads that are served at once. The place is c's until the answer is written, or
// until c leaves it: a reader that takes its answer slowly holds its own places. One whose place is needed is told to come
// again, or, if its answer is on its way, cut off.
func (s *Server) inPlace(c *call, who caller, h handler) (any, error) {
	c.caller = who
	if c.slot = s.places.take(c.r.Context(), c.token); c.slot == nil {
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
		err = s.turn(c, s.reading, func() error {
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

func (s *Server) health(*call) (any, error) { return statusOK, nil }

func (s *Server) ready(c *call) (any, error) {
	if err := s.writable(c.r.Context()); err != nil {
		return nil, err
	}
	return statusOK, nil
}

// A row on its way is some kilobytes, and an answer may have thousands: they are computed some at once, and few answers of
// many rows at a time.
const (
	rowsAtOnce = 300
	maxLarge   = 4

	largePatience = 10 * time.Second // what waits takes nothing but a place, and leaves that to who needs it
)

// weigh waits until an answer of so many rows may be computed. Until it is written no more than maxLarge others are.
func (s *Server) weigh(c *call, rows int) error {
	if rows <= rowsAtOnce || c.large != nil {
		return nil
	}
	if c.large = s.wait(c, s.large); c.large == nil {
		return cmp.Or(context.Cause(c.r.Context()), error(errBusy))
	}
	c.large.mayEnd(c.cancel)
	return nil
}

// turn calls f, which takes a processor for long, when it is the turn of c's token. That is few at a time: what is short would
// otherwise wait for all that is long, a slice of time for each.
func (s *Server) turn(c *call, of *slots, f func() error) error {
	turn := s.wait(c, of)
	if turn == nil {
		return cmp.Or(context.Cause(c.r.Context()), error(errBusy))
	}
	defer turn.leave()
	return f()
}

// step calls f, which computes some of the rows of an answer: in turns, if the answer is one of many rows.
func (s *Server) step(c *call, f func() error) error {
	if c.large == nil {
		return f()
	}
	return s.turn(c, s.reading, f)
}

// wait takes one of the slots. The time that this takes is not the store's.
func (s *Server) wait(c *call, of *slots) *slot {
	began := s.Now()
	defer func() {
		if !c.asked.IsZero() {
			c.asked = c.asked.Add(s.Now().Sub(began))
		}
	}()
	return of.take(c.r.Context(), c.token)
}

var statusOK = map[string]string{"status": "ok"}

var errStoreSlow = fmt.Errorf("%w: no answer within %v", store.ErrUnavailable, storeTimeout)

// ask calls the store on behalf of c and measures it. It waits as long as c does, but all that is asked for one request
// has storeTimeout together: a store that hangs is a 503 soon, not one after each question.
func ask[T any](s *Server, c *call, op string, f func(context.Context) (T, error)) (v T, err error) {
	began := s.Now()
	if c.asked.IsZero() {
		c.asked = began
	}
	ctx, cancel := context.WithTimeoutCause(c.r.Context(), storeTimeout-began.Sub(c.asked), errStoreSlow)
	defer cancel()
	v, err = f(ctx)
	s.metrics.store(op, err, s.Now().Sub(began))
	return v, err
}
