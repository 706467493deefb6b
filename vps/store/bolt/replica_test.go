package bolt

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

// A copy that is killed in the middle of a day with very many samples leaves a beginning of that day: a server of that file
// answers with what is there, as if it had been sent, and a copy that is started again completes it.
func TestHalfADayThatWasCopiedIsCountedAsItIs(t *testing.T) {
	day := time.Date(2025, 3, 24, 0, 0, 0, 0, time.UTC)
	const step = 2 * time.Second
	all := storetest.Houses(day.Add(time.Minute), step, 0, int((24*time.Hour-2*time.Minute)/step))
	whole := opened(t, t.TempDir())
	storetest.Fill(t, whole, "a", all)
	if err := whole.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), FileName)
	put := func(most int) error {
		t.Helper()
		from, err := OpenRows(whole.path)
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		to, err := OpenReplica(path)
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		var pieces []func() ([]wire.Sample, []store.RollupRow, error)
		if err := from.EachRow(t.Context(), "a", day.UnixMilli(), func(samples []wire.Sample, rollups []store.RollupRow) error {
			pieces = append(pieces, func() ([]wire.Sample, []store.RollupRow, error) {
				if most -= len(samples); most < 0 {
					return nil, nil, context.Canceled
				}
				return samples, rollups, nil
			})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return to.PutDay(t.Context(), "a", day.UnixMilli(), 0, func() ([]wire.Sample, []store.RollupRow, error) {
			next := pieces[0]
			pieces = pieces[1:]
			return next()
		})
	}
	check := func(n int) {
		t.Helper()
		got, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		storetest.IsRecount(t, got, "a", all[:n])
	}
	for _, most := range []int{2*putAtOnce + 1500, 2*putAtOnce + 1500} { // the second one begins where samples are
		if err := put(most); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if content, err := Verify(t.Context(), path); err != nil || content.DamagedRows > 0 {
			t.Errorf("%+v, %v", content, err)
		}
		check(2 * putAtOnce)
	}
	if err := put(len(all)); err != nil {
		t.Fatal(err)
	}
	check(len(all))
}
