package vps

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"sunspool/health"
	"sunspool/systemd"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/vps/store/postgres"
	"sunspool/vps/store/redis"
)

const (
	drainTime      = 20 * time.Second // that requests in flight get at the end
	maxConnections = 512
	storeFile      = "vps.db" // in DATA_DIR

	// idleTime is how long a connection may wait for its next request: longer than the proxies keep one that they would use
	// again (nginx 60 s, Caddy 120 s), so that no request meets a connection that is being closed. When connections are
	// short, idle ones are closed first, see limiter.
	idleTime = 150 * time.Second
)

// Run serves until ctx ends, answers what is in flight, closes the store, and returns nil. An error that an operator
// must act on is a *health.Fault. The service manager, if there is one, hears that it is ready once it listens.
func Run(ctx context.Context, cfg Config, log *slog.Logger) (err error) {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if cfg.MigrateOnly {
		return migrate(ctx, cfg, log)
	}
	tokens, err := cfg.tokens()
	if err != nil {
		return err
	}
	zone, err := cfg.zone()
	if err != nil {
		return err
	}
	trusted, err := parseProxies(cfg.TrustedProxies)
	if err != nil {
		return err
	}
	systemd.Extend(cfg.patience())
	rest, err := cfg.openStore(log)
	if err != nil {
		return err
	}
	chain := health.New(time.Now, log)
	samples, others, err := cfg.cached(rest, chain)
	if err != nil {
		return errors.Join(err, rest.Close())
	}
	defer func() { err = errors.Join(err, samples.Close()) }()

	s := &Server{
		Store: samples, Tokens: tokens, Log: log, Zone: zone, Origins: cfg.CORSAllowOrigins, Proxies: trusted, Conflicts: rest.Conflicts,
		MaxSamples: cfg.MaxSamplesPerRequest, MaxBytes: cfg.MaxRequestBytes, Version: cfg.Version,
		StoreHint: cfg.storeHint(), Others: others, Chain: chain,
	}
	if cfg.DatabaseURL == "" {
		s.DataDir = cfg.DataDir
	}
	var cert *certificate
	var https *tls.Config
	if cfg.TLSCertFile != "" {
		if cert, err = newCertificate(cfg.TLSCertFile, cfg.TLSKeyFile, log); err != nil {
			return err
		}
		https = cert.config()
		s.Certificate = cert.expiry
	}

	public, err := listen("LISTEN_ADDR", cfg.ListenAddr)
	if err != nil {
		return err
	}
	defer public.Close()
	var internal net.Listener
	if cfg.InternalAddr != "" {
		if internal, err = listen("INTERNAL_ADDR", cfg.InternalAddr); err != nil {
			return err
		}
		defer internal.Close()
	}
	announce(cfg, log, public, internal)

	pulses := new(health.Pulses)
	defer systemd.Attend(ctx, pulses.Still, log)()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return Serve(ctx, public, https, s.Handler(), log) })
	if internal != nil {
		g.Go(func() error { return Serve(ctx, internal, nil, s.Internal(), log) })
	}
	if days := cfg.RawRetentionDays; days > 0 {
		g.Go(func() error { retain(ctx, samples, time.Duration(days)*24*time.Hour, log); return nil })
	}
	g.Go(func() error { recount(ctx, samples, log); return nil })
	g.Go(func() error { spareMemory(ctx); return nil })
	g.Go(func() error { reload(ctx, cfg, tokens, cert, log); return nil })
	if others != nil {
		g.Go(func() error { s.Listen(ctx); return nil })
	}
	g.Go(func() error {
		at := public.Addr().String()
		answers := func(ctx context.Context) error { return Check(ctx, at, cfg.TLSCertFile) }
		s.look(ctx, at, answers, cfg.DatabaseURL == "", pulses)
		return nil
	})
	systemd.Ready()
	err = g.Wait()
	log.Info("vps stopped")
	return err
}

// migrate brings the tables of the database up to date.
func migrate(ctx context.Context, cfg Config, log *slog.Logger) error {
	err := postgres.Migrate(ctx, string(cfg.DatabaseURL), log)
	if _, said := errors.AsType[*health.Fault](err); err == nil || said {
		return err
	}
	return &health.Fault{Code: "database_unreachable", Exit: health.ExitUnreachable, What: "the tables were not brought up to date", Err: err,
		Next: "check that the PostgreSQL of DATABASE_URL runs and can be reached, then do it again; nothing was changed by halves"}
}

// resting is where samples rest, in front of which there may be a cache.
type resting interface {
	store.Samples
	Conflicts() uint64
}

func (c *Config) storeHint() string {
	if c.DatabaseURL != "" {
		return "check that the PostgreSQL of DATABASE_URL runs, can be reached and written to, and has space; edges keep their samples meanwhile"
	}
	return "check the disk that holds DATA_DIR: space, read-only, errors; edges keep their samples meanwhile"
}

// openStore opens the database of the settings, else the file in DATA_DIR.
func (c *Config) openStore(log *slog.Logger) (resting, error) {
	if c.DatabaseURL != "" {
		return postgres.Open(postgres.Options{URL: string(c.DatabaseURL), Log: log})
	}
	return bolt.Open(filepath.Join(c.DataDir, storeFile))
}

// cached puts the cache of the settings in front of samples. others is nil where that is in this process.
func (c *Config) cached(samples store.Samples, chain *health.Chain) (front store.Samples, others *redis.Cache, err error) {
	chain.Link("store") // what comes first in the chain is named first
	switch ttl := c.cacheTTL(); {
	case c.RedisURL != "":
		others, err = redis.New(samples, string(c.RedisURL), ttl, chain.Link("redis"))
		return others, others, err
	case ttl > 0:
		return store.NewCached(samples, ttl), nil, nil
	}
	return samples, nil, nil
}

func announce(cfg Config, log *slog.Logger, public, internal net.Listener) {
	scheme := "http"
	if cfg.TLSCertFile != "" {
		scheme = "https"
	}
	facts := []any{"version", cfg.Version, "listen", public.Addr().String(), "scheme", scheme}
	if cfg.DatabaseURL != "" {
		facts = append(facts, "store", "postgres")
	} else {
		facts = append(facts, "store", "file", "data_dir", cfg.DataDir)
	}
	var internalAddr net.Addr
	if internal != nil {
		internalAddr = internal.Addr()
		facts = append(facts, "internal", internalAddr.String())
	}
	log.Info("vps started", facts...)
	if ip, ok := public.Addr().(*net.TCPAddr); ok && !ip.IP.IsLoopback() && scheme == "http" {
		log.Warn("the API is served without TLS beyond this host: put a proxy with TLS in front, or set TLS_CERT_FILE",
			"listen", public.Addr().String())
	}
	if cfg.Listening != nil {
		cfg.Listening(public.Addr(), internalAddr)
	}
}

// reload reads the tokens and the certificate again whenever it is asked. What cannot be read leaves what was before.
func reload(ctx context.Context, cfg Config, tokens *Tokens, cert *certificate, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-cfg.Reload:
		}
		if err := cfg.readTokens(tokens); err != nil {
			log.Error("tokens not reloaded, the old ones stay", "error", cause(err))
		} else {
			log.Info("tokens reloaded")
		}
		if cert != nil {
			cert.reload()
		}
	}
}

func listen(setting, addr string) (net.Listener, error) {
	l, err := listenConfig.Listen(context.Background(), "tcp", addr)
	if err == nil {
		return l, nil
	}
	fault := &health.Fault{Code: "listen", What: fmt.Sprintf("cannot listen on %s (%s)", addr, setting), Err: err}
	if errors.Is(err, syscall.EADDRINUSE) {
		_, port, _ := net.SplitHostPort(addr)
		fault.Code, fault.Exit, fault.Why = "port_in_use", health.ExitBusy, "another process listens there"
		fault.Next = fmt.Sprintf("stop it (`ss -ltnp 'sport = :%s'` names it), or set %s to another port", port, setting)
	}
	return nil, fault
}

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
		ReadTimeout:       bodyLimit,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       idleTime,
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

// A request is not cut off when the server is told to stop; one that would go on for ever asks stopping.
type stoppingKey struct{}

func withStopping(ctx context.Context, stopping <-chan struct{}) context.Context {
	return context.WithValue(ctx, stoppingKey{}, stopping)
}

// stopping returns a channel that is closed when the server of a request is told to stop; nil when it cannot be.
func stopping(request context.Context) <-chan struct{} {
	stopping, _ := request.Value(stoppingKey{}).(<-chan struct{})
	return stopping
}
