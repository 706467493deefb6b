package edge

import (
	"encoding/json"
	"time"

	bolt "go.etcd.io/bbolt"
)

// anchor ties the time since a boot to the time of day.
type anchor struct {
	Taken   time.Duration `json:"taken"` // since the boot
	Start   int64         `json:"start"` // of the boot, Unix ns
	Quality Quality       `json:"quality"`
}

func (a anchor) set() bool { return a.Quality != Undated }

// at is the time of day at an instant of the boot.
func (a anchor) at(since time.Duration) time.Time {
	return time.Unix(0, a.Start).Add(since).UTC().Truncate(time.Millisecond)
}

// near reports whether a and b differ by no more than slack.
func (a anchor) near(b anchor, slack time.Duration) bool {
	return time.Duration(a.Start-b.Start).Abs() <= slack
}

// boot is what the spool knows of one run of the host.
type boot struct {
	ID     string `json:"id"`
	First  anchor `json:"first"`
	Latest anchor `json:"latest"`
}

const keptBoots = 100

func setAnchor(boots *bolt.Bucket, n uint32, a anchor) error {
	b := decodeBoot(boots.Get(seqKey(uint64(n))))
	if !b.First.set() {
		b.First = a
	}
	b.Latest = a
	return putBoot(boots, n, b)
}

func decodeBoot(v []byte) (b boot) {
	if json.Unmarshal(v, &b) != nil {
		return boot{} // damaged: its samples are placed as those of a boot without an anchor
	}
	return b
}

func putBoot(boots *bolt.Bucket, n uint32, b boot) error {
	v, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return boots.Put(seqKey(uint64(n)), v)
}
