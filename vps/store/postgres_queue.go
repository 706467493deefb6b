package store

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sunspool/vps/energy"
	"sunspool/wire"
)

// insertion is one Insert that waits for its commit.
type insertion struct {
	device string
	rows   []pgRow
	done   chan error // of capacity 1: the caller may be gone

	new int // belongs to the writer until done
}

// pgRow is a sample on its way into the database. Its sample has the time of the key, in whole milliseconds.
type pgRow struct {
	device string
	ms     int64
	sample *wire.Sample
	values *string // JSON
	owner  *insertion

	greatestW float64 // see energy.GreatestW
}

func (a *pgRow) compare(b *pgRow) int {
	return cmp.Or(strings.Compare(a.device, b.device), cmp.Compare(a.ms, b.ms))
}

// lastMS is the end of the year 9999, beyond which SQL clients do not read times; Postgres itself ends in 294276.
const lastMS = 253402300799999

// newInsertion prepares the rows, in the caller's goroutine: the writers are the bottleneck.
func newInsertion(device string, samples []wire.Sample) (*insertion, error) {
	w := &insertion{device: device, rows: make([]pgRow, len(samples)), done: make(chan error, 1)}
	samples = slices.Clone(samples)
	for i := range samples {
		s := &samples[i]
		r := pgRow{device: device, ms: s.Time.UnixMilli(), sample: s, owner: w, greatestW: energy.GreatestW(s)}
		if r.ms > lastMS {
			return nil, fmt.Errorf("sample %d of device %q: %w", i, device,
				&wire.Invalid{Field: "ts", Code: wire.CodeInFuture, Detail: "is after the year 9999"})
		}
		s.Time, s.Interval = fromMS(r.ms), time.Duration(s.IntervalS())*time.Second
		if len(s.Values) > 0 {
			text, err := json.Marshal(s.Values)
			if err != nil {
				return nil, err
			}
			r.values = new(string(text))
		}
		w.rows[i] = r
	}
	return w, nil
}

// write commits what waits in a queue, until Close.
func (p *Postgres) write(queue <-chan *insertion) {
	for {
		select {
		case <-p.closing:
			return
		case w := <-queue:
			for _, some := range p.transactions(takeAll(w, queue)) {
				p.commit(some)
			}
		}
	}
}

// takeAll returns first and the other insertions that wait, up to some size.
func takeAll(first *insertion, queue <-chan *insertion) []*insertion {
	all, rows := []*insertion{first}, len(first.rows)
	for rows < groupRows {
		select {
		case w := <-queue:
			all = append(all, w)
			rows += len(w.rows)
		default:
			return all
		}
	}
	return all
}
