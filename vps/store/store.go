// Package store is the contract of the stores of samples on the vps.
//
//	ingest ──> Insert ──> samples by device and time ──> rollups ──> Periods ──> charts, energy
//	                              └──> Latest ──> cache ──> realtime
//
// There is one contract, Samples, and one conformance test, package storetest. Package bolt is the embedded store,
// package postgres the one for fleets, package redis a cache of several processes; package rollup is what both stores
// share. Rollups are derived: each one that a new sample falls into is computed in the transaction that stores the
// sample, or marked there as pending if it is much work; then each answer derives it until it is computed. So answers are
// never behind, however late the data.
package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"sunspool/vps/energy"
	"sunspool/wire"
)

// ErrNone is returned by Latest for a device that never sent a sample.
var ErrNone = errors.New("no sample")

// ErrUnavailable wraps every error that may pass by itself: a disk that is full, a database that is away. The request
// is then answered 503 and the edge sends again, which is safe because inserting twice is normal.
var ErrUnavailable = errors.New("store unavailable")

// ErrRefused wraps what the store refuses of data, and always will: it is not an outage, and the data of others are stored.
var ErrRefused = errors.New("refused by the store")

// ErrUnfit wraps an error that no retry cures, and that is not the data's: a database that does not have what this
// program uses, or in which the tables were changed. The request is answered 503, so edges keep their samples,
// and the *health.Fault in it is for the operator.
var ErrUnfit = errors.New("store unfit")

// Refused reports whether err is about the call's data, and not about the store.
func Refused(err error) bool {
	_, invalid := errors.AsType[*wire.Invalid](err)
	return invalid || errors.Is(err, ErrRefused)
}

// ErrPartly wraps an ErrUnavailable that may be of some devices alone: that of a cluster, one machine of which may be away.
var ErrPartly = errors.New("part of the store unavailable")

// ErrClosed is what every method returns after Close: to a client the same as a store that is away.
var ErrClosed = fmt.Errorf("%w: closed", ErrUnavailable)

// Samples keeps samples by device and time.
//
// Insert stores the samples of one device, whatever their DeviceID is. The key is (device, time in whole
// milliseconds); the first write wins and a sample whose key exists is skipped, also within one call, whatever its
// values. It returns how many rows are really new. When it returns nil they are durable: a power cut right after does
// not lose them. When it returns an error, none of them is stored, or some, or all (an unknown outcome); inserting them
// again is right in each case. A sample that wire.Validate refuses is an error that wraps *wire.Invalid, and none is
// stored. So is *TooDense, of a call with which the device would have more than MostInSpan samples in five minutes of the
// clock; repetitions of what is stored are not counted. All answers count the new rows from then on, however late they
// arrive.
//
// Insert costs by what it adds, whatever is stored around it, and the inserts of other devices do not wait until one device
// has stored all that it sent.
//
// Latest returns the sample with the newest time, or ErrNone. Callers share what its pointers and its map refer to and
// must not change it.
//
// Periods returns the periods of q that have a sample in [q.From, q.To), or are covered in part by one outside, in
// ascending order, each with the rollup of what is in it, but without counters. One that From or To cuts has its whole
// Start and End, and what is inside [From, To). Its cost depends on the length of time and on the resolution, not on the
// number of samples, unless that is Minute or the query has cuts that no rollup begins at.
//
// Each calls yield with every stored sample in [from, to) in ascending order, until yield returns false. A zero from or
// to is no limit. The samples are yield's to keep.
//
// Surrounded returns the periods of q with their counters, and what is around them: two days before and one day after, or
// further where a counter has no reading there. It does not set GreatestW.
//
// SurroundedOf returns what Surrounded and then GreatestW return of each of some devices, in place of q.Device. A database that
// is far away is asked a few times for all of them. The periods of all are in memory: callers ask for some devices at a time.
//
// GreatestW returns the greatest power that a stored sample ever showed of the unit, W, see energy.GreatestW: no counter of
// the unit can rise faster for long. It counts samples that were pruned, and none that was refused or is a repetition. It
// is 0 when it is unknown: for a device without samples, and for one of an earlier version of this program until Recount
// has been through its samples.
//
// Digests returns a Digest of each of some devices, of the days of UTC that [from, to) touches. What is read after it is of at
// least what it has seen.
//
// Describe stores what is known of a device beside its samples; an equal description costs no write. About
// returns it, the zero About when nothing is known. Devices returns every device that has a sample or was described, by
// name.
//
// Prune deletes samples older than before, some at once, and returns how many; 0 means that none is left to delete. The
// newest samples of each device stay, and all that rollups count. Samples that arrive later for five minutes that have
// lost some are only counted in the rollups, and one between the first and the last of those is taken for a repetition,
// because its key is no longer known.
//
// Recount counts the rollups again that an earlier version of this program made by other rules, from the samples that are
// still stored: those of one day of one device, newest days first. It returns how many days it did; 0 means that nothing is
// left to do. Rollups whose samples were pruned stay as they are, see energy.Rollup.Old. All other calls go on during that,
// and what is done is not done again after a restart.
//
// SetAside keeps samples of a device that are no samples of it, each once however often it comes, and returns those that are
// new. When it returns nil they are durable. More than MaxAside are refused with ErrAsideFull, all of the call then. They
// are in the answers of Aside alone, which returns those with a greater number than after, some at once, ascending;
// DeleteAside deletes those up to a number, and no number is given twice.
//
// Check proves that samples could be stored now: it makes something small durable.
//
// Every method returns early with the context's error when ctx ends; an Insert's outcome is then unknown. Methods may be
// called from many goroutines. After Close every method returns ErrClosed.
type Samples interface {
	Insert(ctx context.Context, device string, samples []wire.Sample) (inserted int, err error)
	Latest(ctx context.Context, device string) (wire.Sample, error)
	Periods(ctx context.Context, q Query) ([]energy.Period, error)
	Each(ctx context.Context, device string, from, to time.Time, yield func(wire.Sample) bool) error
	Surrounded(ctx context.Context, q Query) ([]energy.Period, energy.Around, error)
	SurroundedOf(ctx context.Context, devices []string, q Query) ([]Surroundings, error)
	GreatestW(ctx context.Context, device string) (watts float64, err error)
	Digests(ctx context.Context, devices []string, from, to time.Time) ([]Digest, error)
	Describe(ctx context.Context, device string, about About) error
	About(ctx context.Context, device string) (About, error)
	Devices(ctx context.Context) ([]Device, error)
	Prune(ctx context.Context, before time.Time) (deleted int64, err error)
	Recount(ctx context.Context) (days int, err error)
	SetAside(ctx context.Context, device string, samples []Aside) (added []Aside, err error)
	Aside(ctx context.Context, device string, after int64, limit int) ([]Aside, error)
	DeleteAside(ctx context.Context, device string, to int64) (deleted int64, err error)
	Check(ctx context.Context) error
	Close() error
}

// Surroundings are the periods of a device, and what is around them.
type Surroundings struct {
	Periods []energy.Period
	energy.Around
}

// Device is one line of Devices.
type Device struct {
	ID string
	About
	First, Last time.Time // of its samples; zero when it has none
}

// Resolution is the length of the periods that a query asks for. Hours and longer are cut in the query's zone.
type Resolution string

const (
	Minute      Resolution = "1m"
	FiveMinutes Resolution = "5m"
	Quarter     Resolution = "15m"
	Hour        Resolution = "1h"
	Day         Resolution = "1d"
	Month       Resolution = "1M"
	Year        Resolution = "1y"
)

// Query asks for the periods of one device.
type Query struct {
	Device     string
	From, To   time.Time // [From, To); a zero From means since the first sample, a zero To until the last, included
	Resolution Resolution
	Zone       *time.Location // nil is UTC
	Cuts       []time.Time    // further borders of periods, ascending, such as where a price changes
}

// Period returns the period of q in which t lies.
func (q Query) Period(t time.Time) (start, end time.Time) {
	start, end = q.Resolution.Period(t, q.Zone)
	i := sort.Search(len(q.Cuts), func(i int) bool { return q.Cuts[i].After(t) })
	if i > 0 && q.Cuts[i-1].After(start) {
		start = q.Cuts[i-1]
	}
	if i < len(q.Cuts) && q.Cuts[i].Before(end) {
		end = q.Cuts[i]
	}
	return start, end
}

// Valid returns q with its zone and with cuts of whole milliseconds, as the keys of samples are, or why it cannot be answered.
func (q Query) Valid() (Query, error) {
	if q.Zone == nil {
		q.Zone = time.UTC
	}
	q.Cuts = slices.Clone(q.Cuts)
	for i, cut := range q.Cuts {
		q.Cuts[i] = cut.Truncate(time.Millisecond)
	}
	return q, q.Resolution.validate()
}

// Validate rejects what would spoil every later answer about a device: a number that is not finite, a time that no working
// clock shows, a count that cannot be a weight. How far ahead a clock may be is decided by the server.
func Validate(device string, samples []wire.Sample) error {
	for i, s := range samples {
		s.DeviceID = device
		if err := s.Validate(s.Time); err != nil {
			return fmt.Errorf("sample %d of device %q: %w", i, device, err)
		}
	}
	return nil
}

// Unavailable returns err as one that may pass by itself.
func Unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
}

// CodeNotStorable is the code of a *wire.Invalid sample that only this store refuses, such as one with a register whose
// name has a zero byte.
const CodeNotStorable = "not_storable"
