package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/tern/v2/migrate"

	"sunspool/health"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

const (
	schemaTable    = "sunspool_schema" // its one row is the number of the last migration
	oldestPostgres = 150000            // as server_version_num
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
		log: o.Log, stop: stop, callTime: o.CallTime, closing: make(chan struct{}), gone: make(chan *pools, 1),
		away: unavailable("database", errors.New("not connected yet")),
	}
	for range o.Writers {
		queue := make(chan *insertion)
		p.queues = append(p.queues, queue)
		p.running.Go(func() { p.write(queue) })
	}
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
	for name, value := range map[string]string{
		"application_name": "sunspool", "jit": "off",
		"statement_timeout": milliseconds(2 * callTime), "lock_timeout": milliseconds(callTime), "idle_in_transaction_session_timeout": "30000",
	} {
		if c.RuntimeParams[name] == "" {
			c.RuntimeParams[name] = value
		}
	}
	config.MaxConnLifetime = 30 * time.Minute
	config.PingTimeout = 2 * time.Second // an idle connection is tried before it is used: it may lead nowhere
	config.MinConns = 1
	return config, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

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

// pools are the connections. A connection that was given up stays counted until the database has let go of it; hence
// twice as many as work at once.
type pools struct{ write, read *pgxpool.Pool }

func (p *pools) forWriting() *pgxpool.Pool { return p.write }
func (p *pools) forReading() *pgxpool.Pool { return p.read }

func (p *pools) close() {
	p.write.Close()
	p.read.Close()
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

func openPools(ctx context.Context, config *pgxpool.Config, o PostgresOptions) (*pools, error) {
	server, err := prepare(ctx, config, o.Log)
	if err != nil {
		return nil, err
	}
	write, read := config.Copy(), config.Copy()
	if server.forgetful {
		write.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.Exec(ctx, `set synchronous_commit = on`)
			return err
		}
	}
	if server.pooled {
		throughPooler(write.ConnConfig)
		throughPooler(read.ConnConfig)
	}
	write.MaxConns, read.MaxConns = int32(2*o.Writers+2), int32(2*o.Readers)
	p := &pools{}
	if p.write, err = pgxpool.NewWithConfig(ctx, write); err != nil {
		return nil, unavailable("connect to the database", err)
	}
	if p.read, err = pgxpool.NewWithConfig(ctx, read); err != nil {
		p.write.Close()
		return nil, unavailable("connect to the database", err)
	}
	return p, nil
}

// throughPooler changes what a pooler between us and the server, such as PgBouncer, does not bear: settings that it does
// not know, and statements that are prepared on a connection, because each transaction may get another one. Every call
// has its own limit anyway; the server's are for what a call left behind.
func throughPooler(c *pgx.ConnConfig) {
	for _, name := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		delete(c.RuntimeParams, name)
	}
	if c.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		c.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
}

// server is what prepare found.
type server struct {
	pooled    bool // by a pooler in between
	forgetful bool // synchronous_commit is off: it would answer before a commit is durable
}

// prepare looks at the database and migrates it.
func prepare(ctx context.Context, pool *pgxpool.Config, log *slog.Logger) (found server, err error) {
	config := pool.ConnConfig.Copy()
	delete(config.RuntimeParams, "statement_timeout") // of a migration nobody knows how long it takes
	delete(config.RuntimeParams, "lock_timeout")
	conn, err := connectPostgres(ctx, config)
	if code(err) == unsupportedParameter {
		found.pooled = true
		throughPooler(config)
		conn, err = connectPostgres(ctx, config)
	}
	if err != nil {
		return found, refusal(config, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if found.forgetful, err = inspect(ctx, conn, log); err != nil {
		return found, refusal(config, err)
	}
	if err := migrateSchema(ctx, conn, log); err != nil {
		return found, refusal(config, err)
	}
	return found, nil
}

func connectPostgres(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	ctx, cancel := bounded(ctx, defaultCallTime)
	defer cancel()
	return pgx.ConnectConfig(ctx, config)
}

// inspect refuses a server that is too old, and finds out how durable a commit is. fsync=off is only said loudly: it
// belongs to the whole server, whose owner may know that it is for trials. synchronous_commit is ours to switch on.
func inspect(ctx context.Context, conn *pgx.Conn, log *slog.Logger) (forgetful bool, err error) {
	ctx, cancel := bounded(ctx, defaultCallTime)
	defer cancel()
	var version int
	var name, fsync, commit string
	if err := conn.QueryRow(ctx, `select current_setting('server_version_num')::int, current_setting('server_version'),
		current_setting('fsync'), current_setting('synchronous_commit')`).Scan(&version, &name, &fsync, &commit); err != nil {
		return false, err
	}
	if version < oldestPostgres {
		return false, &health.Fault{
			Code: "database_too_old", What: "PostgreSQL " + name + " is too old", Exit: health.ExitConfig,
			Why: "sunspool needs version 15 or later", Next: "upgrade the server, or let DATABASE_URL name another",
		}
	}
	if fsync == "off" {
		log.Warn("the database runs with fsync=off: a power cut can lose or destroy everything in it; set fsync=on")
	}
	return commit == "off", nil
}

// migrateSchema brings the schema up to date, under an advisory lock of the whole database. Where it is, nothing is
// locked, so that a pooler between us and the server does no harm.
func migrateSchema(ctx context.Context, conn *pgx.Conn, log *slog.Logger) error {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		return err
	}
	names, err := migrate.FindMigrations(files)
	if err != nil {
		return err
	}
	limited, cancel := bounded(ctx, defaultCallTime)
	defer cancel()
	has, known := 0, len(names)
	err = conn.QueryRow(limited, `select version from `+schemaTable).Scan(&has)
	if err != nil && code(err) != undefinedTable {
		return err
	}
	if has > known {
		return &health.Fault{
			Code: "store_newer", What: "the database was set up by a newer sunspool", Exit: health.ExitConfig,
			Why:  fmt.Sprintf("its schema is %d, this program knows %d", has, known),
			Next: "install that version again, or restore the backup from before the upgrade",
		}
	}
	if has == known {
		return nil
	}
	m, err := migrate.NewMigrator(ctx, conn, schemaTable)
	if err != nil {
		return err
	}
	if err := m.LoadMigrations(files); err != nil {
		return err
	}
	m.OnStart = func(number int32, name, _, _ string) { log.Info("migrating the database", "to", number, "name", name) }
	return m.Migrate(ctx)
}
