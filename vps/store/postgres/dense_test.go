//go:build unix

package postgres

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sunspool/internal/testservices"
	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
	"sunspool/vps/store/storetest"
)

func TestProcessesMayNotFillFiveMinutesTogether(t *testing.T) {
	url := testservices.SharedPostgres(t).URL()
	storetest.ManyMayNotFillFiveMinutesTogether(t, openPostgres(t, url), openPostgres(t, url), openPostgres(t, url))
}

func TestPendingRollupsInPostgres(t *testing.T) {
	pg := testservices.SharedPostgres(t)
	p := openPostgres(t, pg.URL())
	db, err := pgxpool.New(t.Context(), pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	storetest.Pending(t, p, func() {
		t.Helper()
		tx, err := db.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(context.WithoutCancel(t.Context()))
		// The store computes in the background what is asked for, in another order: like it, lock the devices first.
		if _, err := tx.Exec(t.Context(), `select from devices order by device_id for update`); err != nil {
			t.Fatal(err)
		}
		var args struct {
			devices []string
			levels  []int16
			starts  []time.Time
			packed  [][]byte
		}
		rows, err := tx.Query(t.Context(), `select device_id, level, start, packed from rollups`)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var device string
			var level int16
			var start time.Time
			var packed []byte
			if err := rows.Scan(&device, &level, &start, &packed); err != nil {
				t.Fatal(err)
			}
			p, _, ok := rollup.Known(packed)
			if !ok {
				t.Fatal("a rollup cannot be read")
			}
			args.devices, args.levels = append(args.devices, device), append(args.levels, level)
			args.starts, args.packed = append(args.starts, start), append(args.packed, p.Append(nil))
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `update rollups r set packed = new.packed
			from unnest($1::text[], $2::smallint[], $3::timestamptz[], $4::bytea[]) as new (device_id, level, start, packed)
			where (r.device_id, r.level, r.start) = (new.device_id, new.level, new.start)`,
			args.devices, args.levels, args.starts, args.packed); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}, func() int {
		n, err := strconv.Atoi(pg.Query(`select count(*) from rollups where get_byte(packed, 0) = ` + strconv.Itoa(energy.PendingVersion)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	})
}

// One transaction carries inserts that are too dense and others: these are stored, and what of them has the key of a
// sample that is refused is new.
func TestDenseInsertDoesNotHoldUpTheOthers(t *testing.T) {
	t.Run("one transaction", func(t *testing.T) {
		denseDoesNotHoldUpOthers(t, openPostgres(t, testservices.SharedPostgres(t).URL()), 1)
	})
	t.Run("one of each device", func(t *testing.T) {
		url := testservices.SharedPostgres(t).URL()
		asCitus(t, url, 0, "on")
		denseDoesNotHoldUpOthers(t, openPostgres(t, url), 2)
	})
}

func denseDoesNotHoldUpOthers(t *testing.T, p *Store, transactions int) {
	t.Helper()
	storetest.Fill(t, p, "a", storetest.Tenths(0, store.MostInSpan-1))
	dense := insertionOf(t, "a", storetest.TenthPlus(1, 1), storetest.TenthPlus(2, 1))
	next := insertionOf(t, "a", storetest.TenthPlus(2, 1), storetest.TenthPlus(-10, 0))
	last := insertionOf(t, "a", storetest.TenthPlus(3, 1), storetest.TenthPlus(2, 1))
	other := insertionOf(t, "b", storetest.TenthPlus(1, 1))
	all := []*insertion{dense, next, last, other}
	cut := p.transactions(slices.Clone(all))
	if len(cut) != transactions {
		t.Errorf("%d transactions, want %d", len(cut), transactions)
	}
	for _, some := range cut {
		p.commit(some)
	}
	for i, w := range all {
		err := <-w.done
		if refused := i == 0 || i == 2; (err != nil) != refused || !refused && w.new != len(w.rows) {
			t.Errorf("insertion %d: %d new, %v", i, w.new, err)
		}
	}
	storetest.IsRecount(t, p, "a", append(storetest.Tenths(0, store.MostInSpan-1), storetest.TenthPlus(2, 1), storetest.TenthPlus(-10, 0)))
}

// What is pending of a device that has lost its row stays as it is: nothing would hold it against an insert.
func TestPendingRollupOfADeviceWithoutRowIsNotComputed(t *testing.T) {
	url := testservices.SharedPostgres(t).URL()
	p := openPostgres(t, url)
	storetest.Insert(t, p, "a", 1, storetest.At(storetest.Noon, 1))
	run(t, url, `delete from devices`)
	if err := p.repair("a", []int64{rollup.StartOf(rollup.BaseLevel, storetest.Noon.UnixMilli())}); !errors.Is(err, errNoDevice) {
		t.Error(err)
	}
}

// Callers that are gone while others' transactions last have nothing stored: they will send again.
func TestInsertOfACallerThatLeftIsNotStored(t *testing.T) {
	p := openPostgres(t, testservices.SharedPostgres(t).URL())
	left, stays := insertionOf(t, "a", storetest.At(storetest.Noon, 1)), insertionOf(t, "b", storetest.At(storetest.Noon, 1))
	left.abandoned.Store(true)
	p.commit([]*insertion{left, stays})
	if err := <-stays.done; err != nil || stays.new != 1 || left.new != 0 {
		t.Errorf("%d new of one that left, %d of one that stays, %v", left.new, stays.new, err)
	}
}
