// Package listener accepts connections and serves HTTP on them. It bounds how many may be open in all and for each client, and
// how long each part of a request may take, reads a certificate again when it changes, and drains requests in flight at the end.
//
//	Listen ──> limiter.Accept ──> TLS ──> http.Server ──> handler ──> ConnOf(request): sets the owner of the connection
//
// The limiter matters where callers reach the server without a proxy: a proxy multiplexes its clients on few connections, 100
// idle ones of clients on fewer than 5 (TestCaddyKeepsIdleConnectionsToItself). Without a proxy an idle connection costs 20 KB, so they
// need a bound, and a bound alone, as of netutil.LimitListener, lets one client that opens all of them delay every new caller
// by the timeouts of http.Server: 150 s again and again, where the limiter takes 2 to 85 ms
// (TestHostileConnectionsLockOutNewCallersUnlessEvicted). net/http does not close an idle connection because others wait.
package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"sunspool/health"
	"sunspool/internal/portholder"
)

const (
	maxConnections = 512
	BodyLimit      = 15 * time.Second // for the body of a request
	drainTime      = 20 * time.Second // for requests in flight at the end

	// IdleTime is how long a connection may wait for its next request: longer than proxies keep one that they would use
	// again (nginx 60 s, Caddy 120 s), so that no request arrives on a connection that is being closed. When all connections
	// are in use, idle ones are closed first, see limiter.
	IdleTime = 150 * time.Second
)

// Serve serves h on l, within the limits that keep slow and many callers from doing harm, until ctx ends; then it
// answers the requests in flight, for at most 20 s, and returns nil. https is nil for plain http. Serve closes l.
func Serve(ctx context.Context, l net.Listener, https *tls.Config, h http.Handler, log *slog.Logger) error {
	return serve(ctx, newLimiter(l, maxConnections, log), https, h, log)
}

// serve is Serve without its bound on connections.
func serve(ctx context.Context, l net.Listener, https *tls.Config, h http.Handler, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       BodyLimit,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       IdleTime,
		MaxHeaderBytes:    8 << 10,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return withStopping(context.WithoutCancel(ctx), ctx.Done()) },
		ConnContext:       withConn,
		ConnState:         changed,
	}
	srv.Protocols.SetHTTP1(true)
	if https != nil {
		l = tls.NewListener(l, https)
	}

	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		err := srv.Shutdown(limit)
		if err != nil {
			err = errors.Join(fmt.Errorf("requests in flight were cut off after %v: %w", drainTime, err), srv.Close())
		}
		drained <- err
	})
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		if stop() {
			return fmt.Errorf("serve on %s: %w", l.Addr(), err)
		}
	}
	return <-drained
}

// A request is not cut off when the server shuts down; one that would last indefinitely watches Stopping.
type stoppingKey struct{}

func withStopping(ctx context.Context, stopping <-chan struct{}) context.Context {
	return context.WithValue(ctx, stoppingKey{}, stopping)
}

// Stopping returns a channel that is closed when the server of a request shuts down; nil if the request has no such server.
func Stopping(request context.Context) <-chan struct{} {
	stopping, _ := request.Value(stoppingKey{}).(<-chan struct{})
	return stopping
}

// Listen opens a listener at addr. The error is a *health.Fault that names the setting, which addr comes from.
func Listen(setting, addr string) (net.Listener, error) {
	l, err := listenConfig.Listen(context.Background(), "tcp", addr)
	if err == nil {
		return l, nil
	}
	what := fmt.Sprintf("cannot listen on %s (%s)", addr, setting)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return nil, &health.Fault{Code: "listen", What: what, Err: err}
	}
	_, port, _ := net.SplitHostPort(addr)
	holder, _ := portholder.Of("", addr)
	fault := &health.Fault{Code: "port_in_use", Exit: health.ExitBusy, What: what, Why: holder + " listens there", Err: err,
		Next: fmt.Sprintf("stop it, or set %s to another port", setting)}
	if holder == portholder.Unknown {
		fault.Next = fmt.Sprintf("stop it (`sudo ss -ltnp 'sport = :%s'` names it), or set %s to another port", port, setting)
	}
	return nil, fault
}
