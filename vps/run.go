// Package vps is what is right of the wire: it stores what edges send and answers readers. It reads the settings, opens the
// store and runs the server of package api; the rest is in the packages below.
//
//	listener ──> api ──> request (auth, fair) ──> batch ──────────> store
//	                                          └─> history, deviceinfo, live
package vps

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"sunspool/health"
	"sunspool/systemd"
	"sunspool/vps/api"
	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/importer"
	"sunspool/vps/listener"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/vps/store/postgres"
	"sunspool/vps/store/redis"
	"sunspool/vps/tariff"
)

const storeFile = bolt.FileName // in DATA_DIR

// Run serves until ctx ends, answers what is in flight, closes the store, and returns nil. An error that an operator
// must act on is a *health.Fault. The service manager, if there is one, is notified once it listens.
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
	prices, err := cfg.tariff()
	if err != nil {
		return err
	}
	trusted, err := auth.ParseProxies(cfg.TrustedProxies)
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

	tokens.ExpectStored()
	issuer := &auth.Issuer{Store: rest, Tokens: tokens, Log: log}
	if err := issuer.Read(ctx); err != nil && cfg.DatabaseURL == "" {
		log.Warn("tokens of the store cannot be read yet", "error", err.Error())
	}

	s := &api.Server{
		Gate: request.Gate{Tokens: tokens, Version: cfg.Version, Log: log, Origins: cfg.CORSAllowOrigins, Proxies: trusted,
			OpenLAN: cfg.WebAuth == "open-lan", Ancestors: cfg.FrameAncestors},
		Devices:    deviceinfo.Devices{Store: samples, Zone: zone, Sites: rest},
		MaxSamples: cfg.MaxSamplesPerRequest, MaxBytes: cfg.MaxRequestBytes, Conflicts: rest.Conflicts,
		StoreHint: cfg.storeHint(), Others: others, Chain: chain, Tariff: prices, Issuer: issuer,
	}
	if file, ok := rest.(store.File); ok {
		s.File, s.DataDir = file, cfg.DataDir
	}
	self, err := cfg.selfSigned(log)
	if err != nil {
		return err
	}
	var cert *listener.Certificate
	var https *tls.Config
	if cfg.TLSCertFile != "" {
		if cert, err = listener.NewCertificate(cfg.TLSCertFile, cfg.TLSKeyFile, log); err != nil {
			return err
		}
		https = cert.Config()
		s.Certificate = cert.Expiry
	}

	// First: packing the page takes seconds on a slow machine, and who is accepted before would wait that long for an answer.
	handler, operator := s.Handler(), s.Machine()
	public, err := listener.Listen("LISTEN_ADDR", cfg.ListenAddr)
	if err != nil {
		return err
	}
	defer public.Close()
	s.Pin, s.HomeURL = homeOf(self, public.Addr())
	var internal net.Listener
	if cfg.InternalAddr != "" {
		if internal, err = listener.Listen("INTERNAL_ADDR", cfg.InternalAddr); err != nil {
			return err
		}
		defer internal.Close()
	}
	machine := cfg.listenMachine(log)
	announce(cfg, log, public, internal)

	pulses := new(health.Pulses)
	defer systemd.Notify(ctx, pulses.Stalled, log)()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return listener.Serve(ctx, public, https, handler, log) })
	if internal != nil {
		g.Go(func() error { return listener.Serve(ctx, internal, nil, s.Internal(), log) })
	}
	if machine != nil {
		g.Go(func() error { return listener.Serve(ctx, machine, nil, operator, log) })
	}
	g.Go(func() error { issuer.Run(ctx); return nil })
	if self != nil {
		g.Go(func() error { self.Run(ctx); return nil })
	}
	if days := cfg.RawRetentionDays; days > 0 {
		g.Go(func() error { retain(ctx, samples, time.Duration(days)*24*time.Hour, log); return nil })
	}
	g.Go(func() error { recount(ctx, samples, log); return nil })
	g.Go(func() error { spareMemory(ctx); return nil })
	g.Go(func() error { reload(ctx, cfg, tokens, cert, prices, chain, log); return nil })
	if others != nil {
		g.Go(func() error { s.Listen(ctx); return nil })
	}
	g.Go(func() error {
		at := public.Addr().String()
		answers := func(ctx context.Context) error { return Check(ctx, at, cfg.TLSCertFile) }
		s.SelfCheck(ctx, at, answers, cfg.DatabaseURL == "", pulses)
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

// Import copies the samples of the Python server's database into the store of cfg, and then compares.
func Import(ctx context.Context, cfg Config, im importer.Config, out io.Writer) error {
	open := func() (store.Samples, error) { return cfg.openStore(slog.New(slog.DiscardHandler)) }
	return importer.Run(ctx, open, im, out)
}

// backend is where samples rest, in front of which there may be a cache.
type backend interface {
	store.Samples
	store.Tokens
	store.Sites
	Conflicts() uint64
}

func (c *Config) storeHint() string {
	if c.DatabaseURL != "" {
		return "check that the PostgreSQL of DATABASE_URL runs, can be reached and written to, and has space; edges keep their samples until then"
	}
	return "check the disk that holds DATA_DIR: space, read-only, errors; edges keep their samples until then"
}

// openStore opens the database of the settings, else the file in DATA_DIR.
func (c *Config) openStore(log *slog.Logger) (backend, error) {
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
		log.Warn("the API is served without TLS beyond this host: put a proxy with TLS in front, or set TLS_SELF or TLS_CERT_FILE",
			"listen", public.Addr().String())
	}
	if cfg.Listening != nil {
		cfg.Listening(public.Addr(), internalAddr)
	}
}

const tariffCheck = 10 * time.Second // between two checks whether TARIFF_FILE has changed

// reload reads the tokens, the certificate and the tariff again whenever it is asked, and the tariff also when its file has
// changed. What cannot be read leaves what was before.
func reload(ctx context.Context, cfg Config, tokens *auth.Tokens, cert *listener.Certificate, prices *tariff.File, chain *health.Chain, log *slog.Logger) {
	var now <-chan time.Time
	if prices != nil {
		chain.Link("tariff").Report(nil)
		ticker := time.NewTicker(tariffCheck)
		defer ticker.Stop()
		now = ticker.C
	}
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-now:
		case <-cfg.Reload:
			asked = true
		}
		if prices != nil {
			reloadTariff(prices, asked, chain.Link("tariff"), log)
		}
		if !asked {
			continue
		}
		if err := cfg.readTokens(tokens); err != nil {
			log.Error("tokens not reloaded, the old ones stay", "error", cause(err))
		} else {
			log.Info("tokens reloaded")
		}
		if cert != nil {
			cert.Reload()
		}
	}
}

// reloadTariff reads the tariff if its file has changed, or always.
func reloadTariff(prices *tariff.File, always bool, link *health.Link, log *slog.Logger) {
	read, err := prices.Refresh(always)
	if !read {
		return
	}
	if err != nil {
		log.Error("tariff not reloaded, the old one stays", "error", cause(err))
	} else {
		log.Info("tariff reloaded")
	}
	link.Report(err)
}

// patience is how long the store may take to open: a file of an older version is rewritten then.
func (c *Config) patience() time.Duration {
	info, err := os.Stat(filepath.Join(c.DataDir, storeFile))
	if c.DatabaseURL != "" || err != nil {
		return health.EstimateDuration(0)
	}
	return health.EstimateDuration(info.Size())
}
