package bolt

import (
	"context"
	"encoding/binary"
	"math"

	"go.etcd.io/bbolt"
)

var greatestKey = []byte("greatest_w")

func (b *Store) GreatestW(ctx context.Context, device string) (watts float64, err error) {
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		if d, ok := b.device(tx, device); ok && d.counted() > 0 {
			watts = d.greatestW()
		}
		return nil
	})
	return watts, err
}

// greatestW returns the greatest power of the device's samples so far.
func (d device) greatestW() float64 {
	payload, ok := unseal(greatestKey, d.root.Get(greatestKey))
	if !ok || len(payload) != 8 {
		return 0
	}
	return math.Float64frombits(binary.BigEndian.Uint64(payload))
}

// raiseGreatest stores watts if the greatest power of the device was less so far.
func (d device) raiseGreatest(watts float64) error {
	if watts <= d.greatestW() {
		return nil
	}
	return d.root.Put(greatestKey, seal(greatestKey, binary.BigEndian.AppendUint64(nil, math.Float64bits(watts))))
}
