package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// PutDay is that of store.Replica.
func (r *Replica) PutDay(ctx context.Context, device string, day, kept int64, next func() ([]wire.Sample, []store.RollupRow, error)) error {
	p := dayPut{r: r, device: device, from: rollup.FromMS(day), to: rollup.FromMS(day + rollup.Spans[rollup.DayLevel])}
	return r.conn.Change(ctx, "store a day", func(ctx context.Context, db database.Querier) error {
		if err := p.begin(ctx, db, kept); err != nil {
			return err
		}
		for {
			some, rollups, err := next()
			if err != nil {
				return err
			}
			if len(some) == 0 {
				return p.finish(ctx, db, rollups)
			}
			if err := p.insert(ctx, db, some); err != nil {
				return err
			}
		}
	})
}

// dayPut is a PutDay at work, in its transaction.
type dayPut struct {
	r        *Replica
	device   string
	from, to time.Time

	before bool // there were samples of the day
	sent   store.Sum
	buffer []byte
}

func (p *dayPut) begin(ctx context.Context, db database.Querier, kept int64) error {
	if _, err := db.Exec(ctx, addDevice, p.device, energy.PackVersion); err != nil {
		return err
	}
	if err := lock(ctx, db, p.device); err != nil {
		return err
	}
	if kept > p.from.UnixMilli() {
		if _, err := db.Exec(ctx, deleteInDay, p.device, p.from, rollup.FromMS(min(kept, p.to.UnixMilli()))); err != nil {
			return err
		}
	}
	return db.QueryRow(ctx, existsInDay, p.device, p.from, p.to).Scan(&p.before)
}

func (p *dayPut) insert(ctx context.Context, db database.Querier, some []wire.Sample) error {
	w, err := newInsertion(p.device, some)
	if err != nil {
		return err
	}
	sql := insertNew
	if p.before || p.r.conn.Distributed {
		sql = insertAll
	}
	tag, err := db.Exec(ctx, sql, rowArgs(w.rows)...)
	if err != nil {
		return err
	}
	if !p.before {
		if n := tag.RowsAffected(); n != int64(len(some)) {
			return fmt.Errorf("%d of %d samples of device %q were stored", n, len(some), p.device)
		}
		return nil
	}
	for i := range some {
		p.buffer = p.sent.AddSample(some[i], p.buffer)
	}
	return nil
}

// finish stores the rollups, if the day has the samples that were sent and no others.
func (p *dayPut) finish(ctx context.Context, db database.Querier, rollups []store.RollupRow) error {
	if p.before {
		var stored store.Sum
		if err := p.r.eachSample(ctx, p.device, func(s *wire.Sample) error {
			p.buffer = stored.AddSample(*s, p.buffer)
			return nil
		}, selectDaySamples, p.from, p.to); err != nil {
			return err
		}
		if stored != p.sent {
			return store.ErrForeign
		}
	}
	if _, err := db.Exec(ctx, deleteDayRollups, p.device, p.from, p.to); err != nil {
		return err
	}
	for some := range slices.Chunk(rollups, store.CopiedAtOnce) {
		var rows packedRollups
		for _, row := range some {
			rows.levels, rows.starts = append(rows.levels, int16(row.Level)), append(rows.starts, rollup.FromMS(row.Start))
			rows.packed = append(rows.packed, row.Packed)
		}
		tag, err := db.Exec(ctx, upsertRollups, rows.args(p.device)...)
		if err == nil {
			err = rows.stored(p.device, tag)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// PutState is that of store.Replica.
func (r *Replica) PutState(ctx context.Context, s store.State) error {
	var about *string
	if !s.About.IsZero() {
		text, err := json.Marshal(s.About)
		if err != nil {
			return err
		}
		about = new(string(text))
	}
	return r.conn.Change(ctx, "store the state of a device", func(ctx context.Context, db database.Querier) error {
		if _, err := db.Exec(ctx, putState, s.Device, about, s.GreatestW, orNull(s.Pruned), int16(s.Counted), int16(s.Counting), orNull(s.CountedFrom), s.Aside); err != nil {
			return err
		}
		_, err := db.Exec(ctx, deleteDeviceAside, s.Device)
		return err
	})
}

// PutAside is that of store.Replica.
func (r *Replica) PutAside(ctx context.Context, device string, some []store.Aside) error {
	return r.conn.Change(ctx, "set aside", func(ctx context.Context, db database.Querier) error {
		keys := make([]store.AsideKey, len(some))
		for i := range some {
			keys[i] = store.KeyOfAside(some[i].JSON)
		}
		return putAside(ctx, db, device, some, keys)
	})
}

// PutTokens is that of store.Replica.
func (r *Replica) PutTokens(ctx context.Context, all []store.Token) error {
	return r.conn.Change(ctx, "store tokens", func(ctx context.Context, db database.Querier) error {
		b := &pgx.Batch{}
		b.Queue(raiseTokensVersion)
		b.Queue(`delete from tokens`)
		for i := range all {
			b.Queue(insertToken, tokenArgs(&all[i])...)
		}
		return sent(ctx, db, b)
	})
}

// PutSites is that of store.Replica.
func (r *Replica) PutSites(ctx context.Context, all []store.Site) error {
	return r.conn.Change(ctx, "store sites", func(ctx context.Context, db database.Querier) error {
		b := &pgx.Batch{}
		b.Queue(`delete from sites`)
		for _, s := range all {
			b.Queue(upsertSite, s.Name, s.Devices, store.MaxSites)
		}
		return sent(ctx, db, b)
	})
}
