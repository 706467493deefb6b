package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/health"
	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// Content is what a file has.
type Content struct {
	Bytes   int64
	Schema  int
	Devices []Holding
	Tokens  int

	DamagedRows int    // which the store skips, or computes again
	Damaged     string // the first of them
}

// Holding is what a file has of a device.
type Holding struct {
	Device         string
	Samples, Aside int
	First, Last    time.Time // of the samples; zero without one
}

// Verify reads the whole file at path, and changes nothing. The error is a *health.Fault for a file that is not whole, or not
// one of a store of this version or an earlier one.
func Verify(ctx context.Context, path string) (c Content, err error) {
	err = reading(path, func(tx *bbolt.Tx) error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := checkPages(tx, file); err != nil {
			return damage(path, err.Error())
		}
		for wrong := range tx.Check() { // all of them: the check waits until they are taken
			if err == nil {
				err = damage(path, wrong.Error())
			}
		}
		if err != nil {
			return err
		}
		c.Bytes = tx.Size()
		if c.Schema, err = strconv.Atoi(string(tx.Bucket(metaBucket).Get(schemaKey))); err != nil {
			return damage(path, err.Error())
		}
		v := verification{ctx: ctx, Content: &c}
		return v.all(tx)
	})
	return c, err
}

// reading calls read with a transaction of the file at path, which no process may have open to write. The file stays as it is.
func reading(path string, read func(*bbolt.Tx) error) (err error) {
	defer recoverDamage(path, &err)()
	o := options()
	o.ReadOnly = true
	db, err := openWith(path, o)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(read)
}

type verification struct {
	ctx context.Context
	*Content
}

func (v *verification) all(tx *bbolt.Tx) error {
	err := tx.Bucket(devicesBucket).ForEachBucket(func(name []byte) error {
		if string(name) == readyBucket {
			return nil
		}
		return v.device(string(name), tx.Bucket(devicesBucket).Bucket(name))
	})
	if err != nil {
		return err
	}
	isJSON := func(_, payload []byte) bool { return json.Valid(payload) }
	if v.Tokens, err = v.rows("", "tokens", tx.Bucket(tokensBucket), isJSON); err != nil {
		return err
	}
	_, err = v.rows("", "sites", tx.Bucket(sitesBucket), isJSON)
	return err
}

func (v *verification) device(name string, root *bbolt.Bucket) error {
	h, err := Holding{Device: name}, error(nil)
	var s wire.Sample
	whole, pruned, kept := v.DamagedRows, device{root: root}.pruned(), int64(0)
	unpacks := func(k, payload []byte) bool {
		if len(k) != 8 || s.Unpack(payload) != nil {
			return false
		}
		if ms(k) >= pruned {
			kept++
		}
		if h.Last = rollup.FromMS(ms(k)); h.First.IsZero() {
			h.First = h.Last
		}
		return true
	}
	if h.Samples, err = v.rows(name, "samples", root.Bucket(levelBuckets[rollup.SamplesLevel]), unpacks); err != nil {
		return err
	}
	isAside := func(_, payload []byte) bool { return len(payload) >= 9 && len(payload) >= 9+int(payload[8]) }
	if h.Aside, err = v.rows(name, "aside", root.Bucket(asideBucket), isAside); err != nil {
		return err
	}
	v.Devices = append(v.Devices, h)
	if v.Schema == 1 { // its sums are never read, and what a device is had no checksum
		return nil
	}
	if _, err := v.rows(name, "what is known of it", root, func(k, payload []byte) bool { return !bytes.Equal(k, aboutKey) || json.Valid(payload) }); err != nil {
		return err
	}
	counted, err := v.sums(name, root, pruned)
	if err == nil && v.DamagedRows == whole && slices.ContainsFunc(counted[1:], func(n int64) bool { return n != counted[1] }) {
		v.damaged(name, "a sum, or its sums")
	}
	if err == nil && v.DamagedRows == whole && counted[0] != kept {
		v.damaged(name, "a sample, or its sum")
	}
	return err
}

// sums checks the rollups of a device. It returns how many samples they count by level, all the same: what is lost without a
// trace is found by that. The first is that of samples that are not pruned.
func (v *verification) sums(name string, root *bbolt.Bucket, pruned int64) (counted [rollup.Levels]int64, err error) {
	var r energy.Rollup
	for level := rollup.BaseLevel; level < rollup.Levels && err == nil; level++ {
		_, err = v.rows(name, string(levelBuckets[level]), root.Bucket(levelBuckets[level]), func(k, payload []byte) bool {
			p, pending := energy.ReadPending(payload)
			if len(k) != 8 || !pending && !r.Read(payload) {
				return false
			}
			if !pending {
				p = r.Pending()
			}
			if counted[level] += p.Rows; level == rollup.BaseLevel && ms(k) >= pruned {
				counted[0] += p.Rows
			}
			return true
		})
	}
	return counted, err
}

// rows counts the rows of a bucket, if there is one, and those that are damaged: of a wrong checksum, or not right.
func (v *verification) rows(device, kind string, b *bbolt.Bucket, right func(k, payload []byte) bool) (whole int, err error) {
	if b == nil {
		return 0, nil
	}
	p := pause{ctx: v.ctx}
	c := b.Cursor()
	for k, value := c.First(); k != nil; k, value = c.Next() {
		if p.over() {
			return whole, context.Cause(v.ctx)
		}
		if value == nil { // a bucket inside of it
			continue
		}
		if payload, ok := unseal(k, value); ok && right(k, payload) {
			whole++
			continue
		}
		v.damaged(device, fmt.Sprintf("one of %s with the key %x", kind, k))
	}
	return whole, nil
}

// damaged counts a row, of a device or of none.
func (v *verification) damaged(device, row string) {
	if v.DamagedRows++; v.DamagedRows > 1 {
		return
	}
	if v.Damaged = row; device != "" {
		v.Damaged += " of device " + device
	}
}

// ErrOf is what a command reports of a file with damaged rows, nil if there are none.
func (c *Content) ErrOf(path string) error {
	if c.DamagedRows == 0 {
		return nil
	}
	return &health.Fault{Code: "store_rows_damaged", What: fmt.Sprintf("%d rows of %s are damaged", c.DamagedRows, path), Err: store.ErrUnavailable, Why: "the first is " + c.Damaged,
		Next: "take another copy, or an older one; a server skips such rows, and computes sums again"}
}
