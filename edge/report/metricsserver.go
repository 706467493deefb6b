package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"sunspool/edge/pace"
	"sunspool/health"
	"sunspool/internal/metrics"
	"sunspool/internal/portholder"
	"sunspool/wire"
)

const (
	metricsConnections = 8           // at once, so that callers cost a small machine little
	metricsRetry       = time.Minute // while METRICS_ADDR cannot be listened on
)

// MetricsHandler serves the metrics of the reports of a process.
func MetricsHandler(reports ...*Report) http.Handler {
	return metrics.AtMost(metricsConnections, edgeMetrics(reports...))
}

// MetricsListener serves /metrics of the edges at Addr. An address that cannot be listened on is logged once and tried
// again every minute: it may be that of a network that comes later. Nothing else of the edge waits for it.
type MetricsListener struct {
	Addr    string
	Reports []*Report
	Log     *slog.Logger

	wait  func(ctx context.Context) // before it is tried again; for tests
	ready func()                    // called when it listens; for tests
}

// Run serves until ctx ends.
func (m *MetricsListener) Run(ctx context.Context) {
	mux := http.NewServeMux()
	mux.Handle("GET "+wire.MetricsPath, MetricsHandler(m.Reports...))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(m.Log.Handler(), slog.LevelDebug)}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	for logged := ""; ctx.Err() == nil; {
		err := m.serve(ctx, server)
		if ctx.Err() == nil && err.Error() != logged {
			fault := listenFault(m.Addr, err)
			m.Log.Warn("no metrics", "error", fault.Error(), "code", fault.Code, "next", fault.Next)
			logged = err.Error()
		}
		if m.wait == nil {
			pace.Sleep(ctx, metricsRetry)
		} else {
			m.wait(ctx)
		}
	}
}

func (m *MetricsListener) serve(ctx context.Context, server *http.Server) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", m.Addr)
	if err != nil {
		return err
	}
	m.Log.Info("metrics", "listen", listener.Addr().String())
	if m.ready != nil {
		m.ready()
	}
	return server.Serve(limitListener(listener, metricsConnections))
}

// listenFault returns the fault of an address that cannot be listened on.
func listenFault(addr string, err error) *health.Fault {
	f := &health.Fault{Code: "listen", What: "cannot listen on " + addr + " (METRICS_ADDR)", Err: err,
		Next: "nothing, if the address is one of a network that comes later: it is tried every minute; else correct METRICS_ADDR"}
	if errors.Is(err, syscall.EADDRINUSE) {
		_, port, _ := net.SplitHostPort(addr)
		holder, _ := portholder.Of("", addr)
		f.Code, f.Why = "port_in_use", holder+" listens there"
		f.Next = "stop it, or set METRICS_ADDR to another port; it is tried every minute"
		if holder == portholder.Unknown {
			f.Next = fmt.Sprintf("stop it (`sudo ss -ltnp 'sport = :%s'` names it), or set METRICS_ADDR to another port; it is tried every minute", port)
		}
	}
	return f
}

// limitListener returns l with at most so many connections open at once: further callers wait.
func limitListener(l net.Listener, most int) net.Listener {
	return &limited{l, make(chan struct{}, most)}
}

type limited struct {
	net.Listener
	open chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.open <- struct{}{}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.open
		return nil, err
	}
	return &limitedConn{Conn: conn, open: l.open}, nil
}

type limitedConn struct {
	net.Conn
	open chan struct{}
	once sync.Once
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.open })
	return err
}
