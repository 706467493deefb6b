// Package store is where samples rest on the vps.
//
//	ingest ──> Insert ──> samples by device and time ──> rollups ──> Series ──> charts
//	                              └──> Latest ──> Cached ──> realtime
//
// There is one contract and one conformance test (store_test.go); Bolt is the embedded store. Rollups are derived: each
// one that a new sample falls into is computed anew in the transaction that stores the sample, so they are never
// behind, and late data needs no repair.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sunspool/wire"
)

// ErrNone is returned by Latest for a device that never sent a sample.
var ErrNone = errors.New("no sample")

// ErrUnavailable wraps every error that may pass by itself: a disk that is full, a database that is away. The request
// is then answered 503 and the edge sends again, which is safe because inserting twice is normal.
var ErrUnavailable = errors.New("store unavailable")

// ErrClosed is what every method returns after Close: to a client the same as a store that is away.
var ErrClosed = fmt.Errorf("%w: closed", ErrUnavailable)

// Samples keeps samples by device and time.
//
// Insert stores the samples of one device, whatever their DeviceID says. The key is (device, time in whole
// milliseconds); the first write wins and a sample whose key exists is skipped, also within one call, whatever its
// values. It returns how many rows are really new. When it returns nil they are durable: a power cut right after does
// not lose them. When it returns an error, none of them is stored, or all are (an unknown outcome); inserting them
// again is right in both cases. A sample that wire.Validate refuses is an error that wraps *wire.Invalid, and none is
// stored. All answers of Latest and Series count the new rows from then on, however late they arrive.
//
// Latest returns the sample with the newest time, or ErrNone. Callers share what its pointers and its map refer to and
// must not change it.
//
// Series returns the buckets of q in ascending order, computed from every stored sample in [q.From, q.To): averages
// weighted by sample count over the samples that have the value, the count summed. Buckets without a sample are left
// out; one that From or To cuts has its whole period's start and the samples inside [From, To). Its cost depends on
// the length of time that it spans, not on the number of samples in it.
//
// SetZone remembers the IANA time zone in which a device lives, unchecked; the same again costs no write. Zone returns
// it, "" when unknown.
//
// Every method returns early with the context's error when ctx ends; an Insert's outcome is then unknown. Methods may be
// called from many goroutines. After Close every method returns ErrClosed.
type Samples interface {
	Insert(ctx context.Context, device string, samples []wire.Sample) (inserted int, err error)
	Latest(ctx context.Context, device string) (wire.Sample, error)
	Series(ctx context.Context, q Query) ([]wire.Bucket, error)
	SetZone(ctx context.Context, device, zone string) error
	Zone(ctx context.Context, device string) (string, error)
	Close() error
}

// Resolution is the length of a series' buckets. Hours and longer are cut in a query's zone.
type Resolution string

const (
	Quarter Resolution = "15m"
	Hour    Resolution = "1h"
	Day     Resolution = "1d"
	Month   Resolution = "1M"
)

// Query asks for buckets of one device.
type Query struct {
	Device     string
	From, To   time.Time // [From, To); a zero From means since the first sample, a zero To until the last, included
	Resolution Resolution
	Zone       *time.Location // nil is UTC
}

// validate keeps out what would poison every later answer about a device: a number that is not finite, a time that no
// honest clock shows, a count that cannot be a weight. How far ahead a clock may be is the server's affair.
func validate(device string, samples []wire.Sample) error {
	for i, s := range samples {
		s.DeviceID = device
		if err := s.Validate(s.Time); err != nil {
			return fmt.Errorf("sample %d of device %q: %w", i, device, err)
		}
	}
	return nil
}
