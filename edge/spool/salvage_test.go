package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
	"sunspool/edge/spool/salvage"
	"sunspool/internal/testhost"
)

// entriesOf lists all that is in a spool file.
func entriesOf(t *testing.T, path string) (all []string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			all = append(all, fmt.Sprintf("%s: %d", name, b.Sequence()))
			return b.ForEach(func(k, v []byte) error {
				all = append(all, fmt.Sprintf("%s %x: %x", name, k, v))
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A salvage in parts, as that of a spool with more records than memory may be used for, gives what one at once gives.
func TestSalvageInPartsIsTheSame(t *testing.T) {
	parts := 0
	for _, r := range ruins(t) {
		for seed := range 15 {
			what, b := r.damage(seed)
			dir := testhost.MemoryDir(t)
			file := bytes.NewReader(b)
			var salvaged [2][]string
			var results [2]salvage.Result
			for i, most := range []int{salvage.MostCopies, 100} {
				_, err := salvage.Examine(file, int64(len(b)))
				d, ok := errors.AsType[*salvage.Damaged](err)
				if !ok {
					break
				}
				l := d.Scan
				path := filepath.Join(dir, fmt.Sprint(most))
				if err := salvage.Into(file, int64(len(b)), l, format.Watermark{Reserved: 1 << 12, Below: r.Below}, path, most, &results[i]); err != nil {
					t.Fatalf("%s, %s: %v", r.Name, what, err)
				}
				salvaged[i] = entriesOf(t, path)
			}
			if !reflect.DeepEqual(results[0], results[1]) || !slices.Equal(salvaged[0], salvaged[1]) {
				t.Errorf("%s, %s: %+v and %+v, %d and %d entries", r.Name, what, results[0], results[1], len(salvaged[0]), len(salvaged[1]))
			}
			parts = max(parts, results[1].Salvaged/256) // the fewest: 256 numbers are in one part, however many copies they have
		}
	}
	if parts < 4 {
		t.Errorf("in %d parts at most: the test tests nothing", parts)
	}
}

// slowDisk takes a while for each read.
type slowDisk struct {
	io.ReaderAt
	takes time.Duration
}

func (d slowDisk) ReadAt(b []byte, at int64) (int, error) {
	time.Sleep(d.takes)
	return d.ReaderAt.ReadAt(b, at)
}

// A salvage asks for more time while it goes on, never for all of it, and one that is quick asks for none.
func TestSalvageAsksForTimeAsItGoesOn(t *testing.T) {
	r := build(t, "backlog", 1500, 0, 0, 0)
	bad := slices.Clone(r.File)
	clear(bad[:8192])
	for _, takes := range []time.Duration{0, 50 * time.Millisecond, 30 * time.Second} {
		dir := testhost.MemoryDir(t)
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var until time.Time
			asked := 0
			busy := func(most time.Duration) {
				asked++
				if late := time.Since(until); !until.IsZero() && late > 0 {
					t.Errorf("with %v a read: it asked %v too late", takes, late)
				}
				if most > 2*time.Minute {
					t.Errorf("with %v a read: it asked for %v", takes, most)
				}
				until = time.Now().Add(most)
			}
			disk := salvage.Watched(slowDisk{bytes.NewReader(bad), takes}, busy)
			l, err := salvage.Examine(disk, int64(len(bad)))
			if _, ok := errors.AsType[*salvage.Damaged](err); !ok {
				t.Fatal(err)
			}
			var result salvage.Result
			if err := salvage.Into(disk, int64(len(bad)), l, format.Watermark{}, filepath.Join(dir, "new"), 500, &result); err != nil || result.Salvaged != 1500 {
				t.Fatalf("%+v, %v", result, err)
			}
			took := time.Since(began)
			if least := int(took/max(takes, salvage.BusyStep)) / 2; asked < least || takes == 0 && asked > 0 {
				t.Errorf("with %v a read it takes %v and asks %d times", takes, took, asked)
			}
			if !until.IsZero() && time.Now().After(until) {
				t.Errorf("with %v a read: it ends %v after the time that it asked for", takes, time.Since(until))
			}
		})
	}
}
