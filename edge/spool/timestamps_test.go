package spool

import (
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
	"sunspool/internal/testhost"
)

func TestTimesInTheRingComeBackAsTheyWere(t *testing.T) {
	path := filepath.Join(testhost.MemoryDir(t), "spool.db")
	s := openSpool(t, path)
	var want []int64
	fill(t, s, 3000)
	for _, r := range peek(t, s, 3000) {
		want = append(want, r.Sample.Time.UnixMilli())
		if err := s.Settle([]uint64{r.Seq}, nil); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = openSpool(t, path)
	got := map[int64]bool{}
	s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error { return format.EachUsed(tx, func(ms int64) { got[ms] = true }) })
	})
	for _, ms := range want {
		if !got[ms] {
			t.Errorf("%v is forgotten", time.UnixMilli(ms))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d times are known of %d", len(got), len(want))
	}
}

func TestRingIsBounded(t *testing.T) {
	s := openSpool(t, filepath.Join(testhost.MemoryDir(t), "spool.db"))
	times := make([]int64, 1000)
	err := s.exec(func() error {
		for i := range 100 {
			for j := range times {
				times[j] = noon.Add(time.Duration(1000*i+j) * 5010 * time.Millisecond).UnixMilli()
			}
			if err := s.db.Update(func(tx *bolt.Tx) error { return format.AddUsed(tx, times) }); err != nil {
				return err
			}
		}
		return s.db.View(func(tx *bolt.Tx) error {
			n := 0
			oldest := noon.Add(1000 * 100 * 5010 * time.Millisecond).UnixMilli()
			err := format.EachUsed(tx, func(ms int64) { n, oldest = n+1, min(oldest, ms) })
			reach := time.Duration(times[999]-oldest) * time.Millisecond
			if n > 50_000 || reach < 48*time.Hour {
				t.Errorf("%d times, over %v", n, reach)
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}
