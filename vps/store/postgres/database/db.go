package database

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sunspool/health"
	"sunspool/vps/store"
)

const reconnectEvery = time.Second

// DB is a database that may be away at any time, also when it is opened: it is prepared whenever there is none with our
// tables, and calls return ErrUnavailable until then.
type DB struct {
	config  *pgxpool.Config
	options Options
	stop    context.CancelFunc
	closing chan struct{} // closed by Stop
	once    sync.Once
	running sync.WaitGroup

	mu    sync.Mutex
	pools *Pools      // nil while there is no database that is ours
	away  error       // why pools is nil
	gone  chan *Pools // what pools were, for connect to close and replace
}

// Open connects to the database of config, and tries again if it is away. What an operator must act on is a
// *health.Fault.
func Open(config *pgxpool.Config, o Options) (*DB, error) {
	ctx, stop := context.WithCancel(context.Background())
	d := &DB{
		config: config, options: o, stop: stop, closing: make(chan struct{}), gone: make(chan *Pools, 1),
		away: store.Unavailable("database", errors.New("not connected yet")),
	}
	first := make(chan error)
	opening, opened := context.WithTimeout(ctx, connectTime)
	defer opened()
	d.running.Go(func() { d.connect(ctx, opening, first) })
	select {
	case err := <-first:
		if isFault(err) {
			d.Close()
			return nil, err
		}
	case <-opening.Done(): // it hangs, or a migration takes its time
	}
	return d, nil
}

// Pools returns the connections, nil while the database is away.
func (d *DB) Pools() *Pools {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pools
}

// Closing is closed by Stop.
func (d *DB) Closing() <-chan struct{} { return d.closing }

// Stop makes every call return ErrClosed from now on.
func (d *DB) Stop() { d.once.Do(func() { close(d.closing); d.stop() }) }

// Close waits for the calls that run, and closes all connections.
func (d *DB) Close() {
	d.Stop()
	d.running.Wait()
	d.mu.Lock()
	open := d.pools
	d.pools, d.away = nil, store.ErrClosed
	d.mu.Unlock()
	select {
	case gone := <-d.gone:
		gone.close()
	default:
	}
	if open != nil {
		open.close()
	}
}

// connect prepares the database whenever there is none with our tables, until ctx ends. While the database is opened it sends
// each result to first; a fault then ends it.
func (d *DB) connect(ctx, opening context.Context, first chan<- error) {
	said := ""
	for {
		err := d.connectOnce(ctx)
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
			d.options.Log.Info("database ready", "host", d.config.ConnConfig.Host, "database", d.config.ConnConfig.Database)
			select {
			case <-ctx.Done():
				return
			case gone := <-d.gone:
				d.running.Go(gone.close) // waits for the calls that still use it
			}
			continue
		}
		if text := err.Error(); text != said {
			said = text
			next := "check that the PostgreSQL of DATABASE_URL runs and can be reached; edges keep their samples until then"
			if f, ok := errors.AsType[*health.Fault](err); ok {
				next = f.Next
			}
			d.options.Log.Error("database not ready, trying again", "error", err, "next", next)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(reconnectEvery):
		}
	}
}

func (d *DB) connectOnce(ctx context.Context) error {
	open, err := openPools(ctx, d.config, d.options)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pools, d.away = open, err; err != nil && !errors.Is(err, store.ErrUnavailable) {
		d.away = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return err
}

func isFault(err error) bool {
	_, ok := errors.AsType[*health.Fault](err)
	return ok
}
