//go:build unix

package postgres

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
	"sunspool/vps/store/storetest"
)

func TestPostgresOfVersionOneIsCountedAnew(t *testing.T) {
	pg := testservices.SharedPostgres(t)
	var mu sync.Mutex
	urls := map[string]string{}
	url := func(dir string) string {
		mu.Lock()
		defer mu.Unlock()
		if urls[dir] == "" {
			urls[dir] = pg.NewDatabase(t)
		}
		return urls[dir]
	}
	storetest.Recount(t, storetest.Recounted{
		Open: func(t *testing.T, dir string) store.Samples { return openPostgres(t, url(dir)) },
		AsV1: func(t *testing.T, s store.Samples, dir string, rollups map[storetest.KeyV1][]byte, lost time.Time) {
			s.Close()
			postgresAsV1(t, url(dir), rollups, lost)
		},
		Halfway: func(t *testing.T, s store.Samples, insert func()) {
			p := s.(*Store)
			device, end, err := p.uncounted(t.Context())
			if err != nil || device == "" {
				t.Fatal(device, err)
			}
			c, err := countDay(t.Context(), p.db.Pools(), device, end)
			if err != nil {
				t.Fatal(err)
			}
			insert()
			if err := database.Transact(t.Context(), p.db.Pools().Write, p.db.Pools().Settings, func(ctx context.Context, db database.Querier) error {
				return putCount(ctx, db, device, c)
			}); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func postgresAsV1(t *testing.T, url string, rollups map[storetest.KeyV1][]byte, lost time.Time) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	b := &pgx.Batch{}
	b.Queue(`alter table samples drop column poll_s`)
	b.Queue(`alter table devices drop column greatest_w, drop column counted, drop column counting, drop column counted_from, drop column aside`)
	b.Queue(`drop table set_aside, tokens, sites`)
	b.Queue(`update ` + versionTable + ` set version = 2`)
	b.Queue(`delete from samples where device_id = 'a' and ts = $1`, lost)
	var old packedRollups
	for k, packed := range rollups {
		old.levels, old.starts, old.packed = append(old.levels, int16(k.Level)), append(old.starts, rollup.FromMS(k.Start)), append(old.packed, packed)
	}
	b.Queue(upsertRollups, old.args("a")...)
	if err := db.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
}
