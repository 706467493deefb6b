// Package postgres is the store for fleets: samples and rollups in a PostgreSQL that any number of processes share, also
// with TimescaleDB or Citus.
//
//	Insert ──> fairqueue of the device ──> writer ──one transaction: lock the devices, insert, compute rollups──> database
//	Periods, Latest, Each <──connections of their own───────────────────────────────────────────────────────────────┘
package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// Store keeps samples in a PostgreSQL database, version 15 or later, that any number of processes share.
//
//	samples   device, time             one row each, columns for what the Python API names, jsonb for the rest
//	rollups   device, level, start     energy.Rollup, packed: the same bytes as in package bolt
//	devices   device                   its description, how far it is pruned, and how far counted again
//	set_aside device, number           samples with impossible times, as they were sent
//
// The arithmetic is in Go, for both stores the same. Some goroutines write: each has its devices, and takes all Inserts
// of them that wait into one transaction. Processes that write to the same device wait for each other by a lock of its row
// in devices, which is also where Citus keeps all else of the device. Each statement about samples names one device in a
// parameter, so that Citus can send it as it is to the one machine that has it; deviceStatements lists them.
// Reading has connections of its own, so that slow readers never stop an edge.
//
// The database may be away at any time, also when the store is opened: calls answer ErrUnavailable within CallTime until
// it is back.
type Store struct {
	db       *database.DB
	callTime time.Duration
	queues   []chan *insertion // one for each writer
	repairs  *rollup.Repairs
	closing  <-chan struct{} // closed by Close
	running  sync.WaitGroup

	conflicts atomic.Uint64

	mu        sync.Mutex
	toRecount []string // the devices that Recount has not finished; nil before they are read
}

// Options are where the database is, and how it is used. The zero value of all but URL is a default.
type Options struct {
	URL     string // postgres://user:password@host/database?option=value
	Writers int    // transactions at once, 4
	Readers int    // connections for reading, 8
	Log     *slog.Logger

	// CallTime is how long a call may take, and a transaction of a writer, 5 s: the edge must get 503 before it gives up.
	CallTime time.Duration
}

// Conflicts returns how many samples were skipped although they differ from the stored one of the same device and time:
// two edges with one device id, or a clock that went back.
func (p *Store) Conflicts() uint64 { return p.conflicts.Load() }

func (p *Store) Insert(ctx context.Context, device string, samples []wire.Sample) (inserted int, err error) {
	if err := store.Validate(device, samples); err != nil {
		return 0, err
	}
	w, err := newInsertion(device, samples)
	if err != nil {
		return 0, err
	}
	ctx, cancel := database.Bounded(ctx, p.callTime)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	select {
	case <-p.closing:
		return 0, store.ErrClosed
	default:
	}
	hash := fnv.New32a()
	hash.Write([]byte(device))
	select {
	case p.queues[hash.Sum32()%uint32(len(p.queues))] <- w:
	case <-p.closing:
		return 0, store.ErrClosed
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	return w.committed(ctx)
}

func (p *Store) Latest(ctx context.Context, device string) (s wire.Sample, err error) {
	err = p.db.Read(ctx, "latest sample", func(ctx context.Context, db database.Querier) error {
		rows, err := db.Query(ctx, selectLatest, device)
		if err != nil {
			return err
		}
		all, err := collectSamples(rows, device)
		if err == nil && len(all) == 0 {
			return fmt.Errorf("device %q: %w", device, store.ErrNone)
		}
		if err == nil {
			s = all[0]
		}
		return err
	})
	return s, err
}

// pageRows is how many samples Each reads at once: a transaction that lasts would keep the database from vacuuming, and a
// client that reads slowly would occupy a connection.
const pageRows = 5000

func (p *Store) Each(ctx context.Context, device string, from, to time.Time, yield func(wire.Sample) bool) error {
	start, end := clamp(rollup.CeilMS(from)), int64(lastMS)+1
	if from.IsZero() {
		start = 0
	}
	if !to.IsZero() {
		end = clamp(rollup.CeilMS(to))
	}
	for {
		var page []wire.Sample
		err := p.db.Read(ctx, "samples", func(ctx context.Context, db database.Querier) error {
			rows, err := db.Query(ctx, selectPage, device, rollup.FromMS(start), rollup.FromMS(end), pageRows)
			if err != nil {
				return err
			}
			page, err = collectSamples(rows, device)
			return err
		})
		if err != nil {
			return err
		}
		for _, s := range page {
			if !yield(s) {
				return nil
			}
			start = s.Time.UnixMilli() + 1
		}
		if len(page) < pageRows {
			return nil
		}
	}
}

func (p *Store) GreatestW(ctx context.Context, device string) (watts float64, err error) {
	err = p.db.Read(ctx, "greatest power", func(ctx context.Context, db database.Querier) error {
		err := db.QueryRow(ctx, selectGreatestW, device).Scan(&watts)
		if errors.Is(err, pgx.ErrNoRows) {
			watts = 0
			return nil
		}
		return err
	})
	return watts, err
}

func (p *Store) Describe(ctx context.Context, device string, about store.About) error {
	about.Seen = about.Seen.Truncate(time.Millisecond).UTC()
	if was, err := p.About(ctx, device); err != nil || was.Equal(about) {
		return err
	}
	text, err := json.Marshal(about)
	if err != nil {
		return err
	}
	return p.db.Change(ctx, "describe device", func(ctx context.Context, db database.Querier) error {
		_, err := db.Exec(ctx, describeDevice, device, string(text), energy.PackVersion)
		return err
	})
}

func (p *Store) About(ctx context.Context, device string) (about store.About, err error) {
	err = p.db.Read(ctx, "about", func(ctx context.Context, db database.Querier) error {
		var text []byte
		err := db.QueryRow(ctx, selectAbout, device).Scan(&text)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && text == nil {
			about = store.About{}
			return nil
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &about)
	})
	return about, err
}

func (p *Store) Devices(ctx context.Context) (all []store.Device, err error) {
	err = p.db.Read(ctx, "devices", func(ctx context.Context, db database.Querier) error {
		all, _, err = readDevices(ctx, db)
		return err
	})
	return all, err
}

const noteCheck = `insert into meta (key, value) values ('check', $1) on conflict (key) do update set value = excluded.value`

func (p *Store) Check(ctx context.Context) error {
	return p.db.Change(ctx, "check", func(ctx context.Context, db database.Querier) error {
		_, err := db.Exec(ctx, noteCheck, time.Now().UTC().Format(time.RFC3339))
		return err
	})
}

// Close waits for the transactions that are being committed, refuses the rest and closes all connections.
func (p *Store) Close() error {
	p.db.Stop()
	p.running.Wait()
	p.db.Close()
	return nil
}

// clamp limits a time to what Postgres can store; no sample is outside.
func clamp(ms int64) int64 { return min(max(ms, 0), lastMS+1) }
