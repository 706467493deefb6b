package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"sunspool/health"
)

const (
	connectTime    = 5 * time.Second
	reconnectEvery = time.Second
	defaultWriters = 4
	defaultReaders = 8
)

// OpenPostgres opens the store in a database and brings its schema up to date. A database that is away is no error: the
// store goes on trying, and its calls answer ErrUnavailable meanwhile. What an operator must act on is a *health.Fault;
// met later, it is part of what the calls answer and of the log.
func OpenPostgres(o PostgresOptions) (*Postgres, error) {
	if o.CallTime == 0 {
		o.CallTime = defaultCallTime
	}
	config, err := parsePostgresURL(o.URL, o.CallTime)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Writers < 1 {
		o.Writers = defaultWriters
	}
	if o.Readers < 1 {
		o.Readers = defaultReaders
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Postgres{
		log: o.Log, stop: stop, callTime: o.CallTime, closing: make(chan struct{}), gone: make(chan *pools, 1), repairs: newRepairs(),
		away: unavailable("database", errors.New("not connected yet")),
	}
	for range o.Writers {
		queue := make(chan *insertion)
		p.queues = append(p.queues, queue)
		p.running.Go(func() { p.write(queue) })
	}
	p.running.Go(func() { p.repairs.run(p.closing, p.repair) })
	first := make(chan error)
	opening, opened := context.WithTimeout(ctx, connectTime)
	defer opened()
	p.running.Go(func() { p.connect(ctx, opening, config, o, first) })
	select {
	case err := <-first:
		if isFault(err) {
			p.Close()
			return nil, err
		}
	case <-opening.Done(): // it hangs, or a migration takes its time
	}
	return p, nil
}

// MigratePostgres brings the schema of the database at url up to date and returns. Processes that do so at once wait for
// each other.
func MigratePostgres(ctx context.Context, url string, log *slog.Logger) error {
	config, err := parsePostgresURL(url, defaultCallTime)
	if err != nil {
		return err
	}
	_, err = prepare(ctx, config, log)
	return err
}

// WrongPostgresURL returns what is wrong with url, without its password, or "".
func WrongPostgresURL(url string) string {
	_, err := parsePostgresURL(url, defaultCallTime)
	if f, ok := errors.AsType[*health.Fault](err); ok {
		return "cannot be understood: " + f.Why + "; " + f.Next
	}
	return ""
}

// parsePostgresURL accepts what libpq accepts, and the URL of the program that this one replaces.
func parsePostgresURL(text string, callTime time.Duration) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(plainURL(text))
	if err == nil && config.ConnConfig.Database == "" {
		err = errors.New("it names no database")
	}
	if err != nil {
		return nil, &health.Fault{
			Code: "database_url_invalid", What: "DATABASE_URL cannot be understood", Why: whyInvalid(plainURL(text), err), Exit: health.ExitConfig,
			Next: "write it as postgres://user:password@host:5432/database, with % codes for what is special in a URL",
		}
	}
	c := config.ConnConfig
	if c.ConnectTimeout == 0 || c.ConnectTimeout > connectTime {
		c.ConnectTimeout = connectTime
	}
	for name, value := range sessionSettings(callTime) {
		if c.RuntimeParams[name] == "" {
			c.RuntimeParams[name] = value
		}
	}
	config.MaxConnLifetime = 30 * time.Minute
	config.PingTimeout = 2 * time.Second // an idle connection is tried before it is used: it may lead nowhere
	config.MinConns = 1
	return config, nil
}

// whyInvalid returns what is wrong with a URL. If it is not even one, the place that is wrong may be the password, which
// the error quotes.
func whyInvalid(text string, err error) string {
	if other := otherDatabase(text); other != "" {
		return other
	}
	if parse, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		err = parse.Unwrap()
	}
	u, notURL := url.Parse(text)
	if err == nil || notURL != nil || u.Scheme == "" {
		return "it is not a URL"
	}
	if password, _ := u.User.Password(); password != "" && strings.Contains(err.Error(), password) {
		return "one of its parts is wrong"
	}
	return err.Error()
}

func isFault(err error) bool {
	_, ok := errors.AsType[*health.Fault](err)
	return ok
}

// connect prepares the database as often as there is none that is ours, until ctx ends. While the store is opening it
// tells first how that went; a fault then is the end of it.
func (p *Postgres) connect(ctx, opening context.Context, config *pgxpool.Config, o PostgresOptions, first chan<- error) {
	said := ""
	for {
		err := p.connectOnce(ctx, config, o)
		if ctx.Err() != nil {
			return
		}
		select {
		case first <- err:
			if isFault(err) {
				return
			}
		case <-opening.Done():
		}
		if err == nil {
			said = ""
			p.log.Info("database ready", "host", config.ConnConfig.Host, "database", config.ConnConfig.Database)
			select {
			case <-ctx.Done():
				return
			case gone := <-p.gone:
				p.running.Go(gone.close) // waits for the calls that still use it
			}
			continue
		}
		if text := err.Error(); text != said {
			said = text
			next := "check that the PostgreSQL of DATABASE_URL runs and can be reached; edges keep their samples meanwhile"
			if f, ok := errors.AsType[*health.Fault](err); ok {
				next = f.Next
			}
			p.log.Error("database not ready, trying again", "error", err, "next", next)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(reconnectEvery):
		}
	}
}

func (p *Postgres) connectOnce(ctx context.Context, config *pgxpool.Config, o PostgresOptions) error {
	open, err := openPools(ctx, config, o)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pools, p.away = open, err; err != nil && !errors.Is(err, ErrUnavailable) {
		p.away = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// prepare looks at the database and migrates it.
func prepare(ctx context.Context, pool *pgxpool.Config, log *slog.Logger) (found server, err error) {
	config := pool.ConnConfig.Copy()
	delete(config.RuntimeParams, "statement_timeout") // of a migration nobody knows how long it takes
	delete(config.RuntimeParams, "lock_timeout")
	conn, err := connectPostgres(ctx, config)
	if err == nil {
		found.pooled, err = isPooled(ctx, conn)
	}
	if found.pooled || code(err) == poolerEnds {
		if conn != nil {
			conn.Close(context.WithoutCancel(ctx))
		}
		found.pooled = true
		throughPooler(config)
		conn, err = connectPostgres(ctx, config)
	}
	if err != nil {
		return found, refusal(config, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := found.inspect(ctx, config, conn, log); err != nil {
		return found, refusal(config, err)
	}
	if err := migrateSchema(ctx, conn, log); err != nil {
		return found, refusal(config, err)
	}
	if err := found.inspectTables(ctx, config, conn, log); err != nil {
		return found, refusal(config, err)
	}
	return found, nil
}

func connectPostgres(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	ctx, cancel := bounded(ctx, defaultCallTime)
	defer cancel()
	return pgx.ConnectConfig(ctx, config)
}
