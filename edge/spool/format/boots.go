package format

import (
	"encoding/json"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Anchor ties the time since a boot to the time of day.
type Anchor struct {
	Taken   time.Duration `json:"taken"` // since the boot
	Start   int64         `json:"start"` // of the boot, Unix ns
	Quality Quality       `json:"quality"`
}

func (a Anchor) IsSet() bool { return a.Quality != Undated }

// At returns the time of day at an instant of the boot.
func (a Anchor) At(since time.Duration) time.Time {
	return time.Unix(0, a.Start).Add(since).UTC().Truncate(time.Millisecond)
}

// Near reports whether a and b differ by no more than slack.
func (a Anchor) Near(b Anchor, slack time.Duration) bool {
	return time.Duration(a.Start-b.Start).Abs() <= slack
}

// Boot is one run of the host, and what is known of its clock.
type Boot struct {
	ID     string `json:"id"`
	First  Anchor `json:"first"`
	Latest Anchor `json:"latest"`
}

const KeptBoots = 100

func SetAnchor(boots *bolt.Bucket, n uint32, a Anchor) error {
	b := DecodeBoot(boots.Get(Key(uint64(n))))
	if !b.First.IsSet() {
		b.First = a
	}
	b.Latest = a
	return PutBoot(boots, n, b)
}

func DecodeBoot(v []byte) (b Boot) {
	if json.Unmarshal(v, &b) != nil {
		return Boot{} // damaged: its samples are placed as those of a boot without an anchor
	}
	return b
}

func PutBoot(boots *bolt.Bucket, n uint32, b Boot) error {
	v, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return boots.Put(Key(uint64(n)), v)
}
