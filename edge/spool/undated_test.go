package spool

import (
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
	"sunspool/internal/testhost"
)

func TestDamagedHeldSampleHoldsNothingUp(t *testing.T) {
	path := filepath.Join(testhost.MemoryDir(t), "spool.db")
	s := openSpool(t, path)
	boot, _, err := s.Join("a boot", 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		sample := sampleAt(noon)
		if err := s.Append(&sample, When{Boot: boot, Since: time.Duration(i) * 5 * time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	s.exec(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			return tx.Bucket(format.UndatedBucket).Put(format.Key(2), []byte("garbage"))
		})
	})
	truth := Anchor{Taken: time.Minute, Start: noon.UnixNano(), Quality: Synced}
	if err := s.AssignTimestamps(boot, truth, time.Minute); err != nil {
		t.Fatal(err)
	}
	sample := sampleAt(truth.At(time.Minute))
	if err := s.Append(&sample, When{Boot: boot, Since: time.Minute, Quality: Synced}); err != nil {
		t.Fatal(err)
	}
	if s.Ready() != 3 || s.Undated() != 0 || s.Waiting() != 3 || s.InQuarantine() != 1 {
		t.Errorf("%d ready, %d held, %d waiting, %d in quarantine", s.Ready(), s.Undated(), s.Waiting(), s.InQuarantine())
	}
	s.Close()
	if s = openSpool(t, path); s.Waiting() != 3 {
		t.Errorf("%d waiting after a restart", s.Waiting())
	}
}
