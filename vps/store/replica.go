package store

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"sunspool/wire"
)

// A store is copied row by row, not by Insert: the rollups of samples that were pruned could not be computed again, and a
// target that has the same rows gives the same answers. Whole days of UTC of a device are copied at once, each with the samples
// and the rollups that begin in it, so a day that is the same at both sides need not be copied again.

// ErrForeign is why a day is not stored in a Replica: it has samples there that the source does not have, or others.
var ErrForeign = fmt.Errorf("%w: it has other samples there", ErrRefused)

// State is all of a device that is neither a sample nor a rollup.
type State struct {
	Device      string
	About       About
	GreatestW   float64   // see Samples.GreatestW; 0 for none
	Pruned      time.Time // samples before it may be gone; zero for none
	Counted     int       // version of the rules by which all rollups are counted
	Counting    int       // version for which they are being counted, 0 for none
	CountedFrom time.Time // from when on they are; zero without Counting
	Aside       int64     // the last number of a sample that was set aside, also of one that was deleted
}

// Equal reports whether both are the same.
func (s State) Equal(o State) bool {
	return s.About.Equal(o.About) && s.Device == o.Device && s.GreatestW == o.GreatestW && s.Pruned.Equal(o.Pruned) && s.Counted == o.Counted &&
		s.Counting == o.Counting && s.CountedFrom.Equal(o.CountedFrom) && s.Aside == o.Aside
}

// RollupRow is a packed rollup, of a level of package rollup.
type RollupRow struct {
	Level  int
	Start  int64 // ms
	Packed []byte
}

// DayRows is what a store has of a day of UTC of a device. Times are in ms since 1970.
type DayRows struct {
	Start       int64
	Known       int64 // samples that the rollup of the day counts
	Samples     int64 // that are stored
	First, Last int64 // of them; 0 without any
	Rollups     Sum
	Values      Sum // of the samples; zero unless it was asked for
}

// Same reports whether a day is likely to be the same at both sides: whatever is added to it changes its rollups.
func (d DayRows) Same(o DayRows) bool {
	return d.Start == o.Start && d.Samples == o.Samples && d.First == o.First && d.Last == o.Last && d.Rollups == o.Rollups
}

// Sum is a checksum over rows in any order.
type Sum struct {
	Rows int64
	XOR  [sha256.Size]byte // of those of the rows, which all have different keys
}

// Add adds a row.
func (s *Sum) Add(level int, at int64, row []byte) {
	b := append(make([]byte, 0, 2048), byte(level))
	one := sha256.Sum256(append(binary.BigEndian.AppendUint64(b, uint64(at)), row...))
	s.Rows++
	subtle.XORBytes(s.XOR[:], s.XOR[:], one[:])
}

// AddSample adds a sample, whose packed form it makes in buffer.
func (s *Sum) AddSample(sample wire.Sample, buffer []byte) []byte {
	at := sample.Time.UnixMilli()
	sample.DeviceID, sample.Time = "", time.UnixMilli(0)
	buffer = sample.AppendPacked(buffer[:0])
	s.Add(0, at, buffer)
	return buffer
}

// Join adds the rows of another.
func (s *Sum) Join(o Sum) {
	s.Rows += o.Rows
	subtle.XORBytes(s.XOR[:], s.XOR[:], o.XOR[:])
}

// String is short enough to be compared by eye.
func (s Sum) String() string { return hex.EncodeToString(s.XOR[:8]) }

// Rows is a store that is read as a whole, by one goroutine. What is damaged in it is left out, as in all answers of a store,
// and a rollup that is damaged is computed.
//
// States returns every device, by name, and Days what there is of one by day, ascending; Values is set if values is true.
// EachRow calls yield with the samples of a time, some at once and ascending, and then once with the rollups that begin in it, of
// all levels. They are yield's to keep.
//
// Damaged returns how many rows were left out so far.
type Rows interface {
	States(ctx context.Context) ([]State, error)
	Days(ctx context.Context, device string, values bool) ([]DayRows, error)
	EachRow(ctx context.Context, device string, day int64, yield func([]wire.Sample, []RollupRow) error) error
	Aside(ctx context.Context, device string, after int64, limit int) ([]Aside, error)
	Tokens(ctx context.Context) ([]Token, error)
	Sites(ctx context.Context) ([]Site, error)
	Damaged() uint64
	Close() error
}

// Replica is a store that receives the rows of another. What it returned nil for is durable.
//
// PutDay stores a day of a device, of which next returns the samples, some at once and ascending, and then the rollups; those are
// the last. All of it is stored, or nothing; or, if a day has very many samples, a beginning of them that is counted as it is, and
// that the next PutDay goes on from. Of samples that are there the first write stays; if the day then
// has others than those of next, none of it is stored, and the error is ErrForeign. What is there from before kept, ms, is deleted:
// it was pruned at the source.
//
// PutState stores the state of a device, and deletes what was set aside; PutAside then adds to that. PutTokens and PutSites
// replace all.
type Replica interface {
	Rows
	PutDay(ctx context.Context, device string, day, kept int64, next func() ([]wire.Sample, []RollupRow, error)) error
	PutState(ctx context.Context, s State) error
	PutAside(ctx context.Context, device string, some []Aside) error
	PutTokens(ctx context.Context, all []Token) error
	PutSites(ctx context.Context, all []Site) error
}

// CopiedAtOnce is how many samples EachRow gives at once.
const CopiedAtOnce = 1000

// Days collects what Rows.Days returns.
type Days struct {
	days   map[int64]*DayRows
	last   *DayRows
	buffer []byte
}

// NewDays returns an empty collection.
func NewDays() *Days { return &Days{days: map[int64]*DayRows{}} }

func (d *Days) at(start int64) *DayRows {
	if d.last == nil || d.last.Start != start {
		if d.last = d.days[start]; d.last == nil {
			d.last = &DayRows{Start: start}
			d.days[start] = d.last
		}
	}
	return d.last
}

// AddRollup adds a rollup of the day that begins then. If it is that of the day, known is how many samples it counts.
func (d *Days) AddRollup(day int64, row RollupRow, whole bool, known int64) {
	of := d.at(day)
	of.Rollups.Add(row.Level, row.Start, row.Packed)
	if whole {
		of.Known = known
	}
}

// AddSamples adds how many samples a day has, the first and the last.
func (d *Days) AddSamples(day, n, first, last int64) {
	of := d.at(day)
	of.Samples, of.First, of.Last = n, first, last
}

// AddSample adds a sample, or only its time if s is nil.
func (d *Days) AddSample(day, at int64, s *wire.Sample) {
	of := d.at(day)
	if of.Samples++; of.Samples == 1 {
		of.First = at
	}
	of.First, of.Last = min(of.First, at), max(of.Last, at)
	if s != nil {
		d.buffer = of.Values.AddSample(*s, d.buffer)
	}
}

// Sorted returns the days, ascending.
func (d *Days) Sorted() []DayRows {
	all := make([]DayRows, 0, len(d.days))
	for _, start := range slices.Sorted(maps.Keys(d.days)) {
		all = append(all, *d.days[start])
	}
	return all
}
