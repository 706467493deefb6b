package format

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/wire"
)

// The parts of a spool that commands list.
const (
	PartWaiting    = "waiting"    // samples that can be sent
	PartUndated    = "undated"    // samples that wait until their time is known
	PartQuarantine = "quarantine" // samples that the server refused
)

// Stored is a sample of a spool, for people and programs.
type Stored struct {
	Number   uint64       `json:"number"`    // in the spool
	TimeFrom string       `json:"time_from"` // synced, server, estimated, believed, or unsynced while the time is not known
	Sample   *wire.Sample `json:"sample"`    // null if its record is damaged
	Code     string       `json:"code,omitempty"`
	Detail   string       `json:"detail,omitempty"`
	First    time.Time    `json:"first_refused,omitzero"`
	Last     time.Time    `json:"last_refused,omitzero"`
}

// Page is some of the samples of a part, in the order of their numbers, and after which number the next page begins; 0 if there
// is none.
type Page struct {
	Samples []Stored `json:"samples"`
	Next    uint64   `json:"next,omitempty"`
}

// ReadPage reads the samples of a part whose numbers are above after, without those that hidden accepts. known is false if there
// is no such part.
func ReadPage(tx *bolt.Tx, part string, after uint64, hidden func(seq uint64) bool) (page Page, known bool) {
	name, known := map[string][]byte{PartWaiting: SamplesBucket, PartUndated: UndatedBucket, PartQuarantine: QuarantineBucket}[part]
	if !known {
		return page, false
	}
	c := tx.Bucket(name).Cursor()
	page.Samples = []Stored{}
	for k, v := c.Seek(Key(after + 1)); k != nil; k, v = c.Next() {
		if len(page.Samples) == pageSamples {
			page.Next = page.Samples[pageSamples-1].Number
			break
		}
		s := Stored{Number: Seq(k)}
		if hidden(s.Number) {
			continue
		}
		if part == PartQuarantine {
			e := Entry{}
			if err := json.Unmarshal(v, &e); err != nil {
				s.Code, s.Detail = "unreadable", printable(err.Error())
			} else {
				s.Code, s.Detail, s.First, s.Last = printable(e.Code), printable(e.Detail), e.First.UTC(), e.Last.UTC()
			}
			v = e.Record
		}
		if r, err := Decode(s.Number, v); err == nil {
			s.Sample, s.TimeFrom = &r.Sample, r.When.Quality.String()
		} else if s.Code == "" {
			s.Code, s.Detail = "record_damaged", printable(err.Error())
		}
		page.Samples = append(page.Samples, s)
	}
	return page, true
}

// Info is what a spool has, in numbers.
type Info struct {
	Path        string     `json:"path"`
	Device      string     `json:"device_id,omitempty"`
	Waiting     int        `json:"waiting"`     // samples that the server does not have
	Undated     int        `json:"undated"`     // of these, those whose time is not known yet
	Quarantined int        `json:"quarantined"` // samples that it refused
	Oldest      *time.Time `json:"oldest"`      // of those that wait, and of the quarantine; null if there is none
	Newest      *time.Time `json:"newest"`
	Bytes       int64      `json:"bytes"`
}

// ReadInfo counts what is in tx, without the samples that hidden accepts.
func ReadInfo(tx *bolt.Tx, hidden func(seq uint64) bool) (i Info) {
	meta, samples := tx.Bucket(MetaBucket), tx.Bucket(SamplesBucket)
	i.Undated = tx.Bucket(UndatedBucket).Stats().KeyN
	i.Quarantined = tx.Bucket(QuarantineBucket).Stats().KeyN
	i.Waiting = int(samples.Sequence() - Number(meta, SettledKey))
	see := func(r Record) {
		i.Device = r.Sample.DeviceID
		if at := r.Sample.Time; i.Oldest == nil || at.Before(*i.Oldest) {
			i.Oldest = &at
		}
		if at := r.Sample.Time; i.Newest == nil || at.After(*i.Newest) {
			i.Newest = &at
		}
	}
	quarantine := func(k, v []byte) (Record, error) {
		var e Entry
		if err := json.Unmarshal(v, &e); err != nil {
			return Record{}, err
		}
		return DecodeFields(Seq(k), e.Record)
	}
	ends(tx.Bucket(QuarantineBucket), quarantine, visible, see)
	ends(samples, func(k, v []byte) (Record, error) { return DecodeFields(Seq(k), v) }, hidden, see)
	if i.Device == "" { // nothing waits: the notes of the edge name the device
		for k, _ := meta.Cursor().Seek(noteOfInverter); k != nil && strings.HasPrefix(string(k), string(noteOfInverter)); k = nil {
			i.Device = strings.TrimPrefix(string(k), string(noteOfInverter))
		}
	}
	i.Device = printable(i.Device)
	return i
}

func visible(uint64) bool { return false }

// ends calls f with the first and the last record of a bucket that can be read and that hidden does not accept: their numbers grow
// with their times.
func ends(b *bolt.Bucket, decode func(k, v []byte) (Record, error), hidden func(seq uint64) bool, f func(Record)) {
	c := b.Cursor()
	for _, way := range []struct{ begin, next func() (k, v []byte) }{{c.First, c.Next}, {c.Last, c.Prev}} {
		for k, v := way.begin(); k != nil; k, v = way.next() {
			if r, err := decode(k, v); err == nil && !hidden(r.Seq) {
				f(r)
				break
			}
		}
	}
}

var noteOfInverter = []byte("inverter/")

// Choice says which samples of the quarantine are meant: those that match all that is set. The zero value is all of them.
type Choice struct {
	Numbers []uint64  `json:"numbers,omitempty"` // ascending
	Codes   []string  `json:"codes,omitempty"`
	From    time.Time `json:"from,omitzero"` // of the samples
	To      time.Time `json:"to,omitzero"`   // exclusive
}

// Has reports whether an entry with that number, code and time of its sample is meant. Where the time is not known, at is zero.
func (c Choice) Has(number uint64, code string, at time.Time) bool {
	_, named := slices.BinarySearch(c.Numbers, number)
	return (len(c.Numbers) == 0 || named) && (len(c.Codes) == 0 || slices.Contains(c.Codes, code)) && c.Covers(at)
}

// Covers reports whether a sample of that time is meant.
func (c Choice) Covers(at time.Time) bool {
	return (c.From.IsZero() || !at.Before(c.From)) && (c.To.IsZero() || !at.IsZero() && at.Before(c.To))
}

// Requeue moves what match accepts from the quarantine back to the samples that can be sent, and returns how many that were. A
// damaged record stays.
func Requeue(tx *bolt.Tx, match func(Rejection, time.Time) bool) (int, error) {
	meta, samples, quarantine := tx.Bucket(MetaBucket), tx.Bucket(SamplesBucket), tx.Bucket(QuarantineBucket)
	back := make(map[uint64][]byte)
	err := quarantine.ForEach(func(k, v []byte) error {
		var e Entry
		if json.Unmarshal(v, &e) != nil {
			return nil
		}
		e.Seq = Seq(k)
		if r, err := DecodeFields(e.Seq, e.Record); err == nil && match(e.Rejection, r.Sample.Time) {
			if _, err := Decode(e.Seq, e.Record); err == nil {
				back[e.Seq] = e.Record
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for seq, record := range back {
		if err := samples.Put(Key(seq), record); err != nil {
			return 0, err
		}
		if err := quarantine.Delete(Key(seq)); err != nil {
			return 0, err
		}
	}
	return len(back), PutNumber(meta, SettledKey, Number(meta, SettledKey)-uint64(len(back)))
}

// Drop deletes what match accepts from the quarantine and returns how many that were. Their timestamps stay used: they may have
// been exported, and be on the server.
func Drop(tx *bolt.Tx, match func(Rejection, time.Time) bool) (int, error) {
	quarantine := tx.Bucket(QuarantineBucket)
	var gone []uint64
	var times []int64
	err := quarantine.ForEach(func(k, v []byte) error {
		var e Entry
		var at time.Time
		unreadable := json.Unmarshal(v, &e) != nil
		e.Seq = Seq(k)
		if unreadable {
			e.Code = "unreadable"
		}
		r, err := DecodeFields(e.Seq, e.Record)
		if err == nil {
			at = r.Sample.Time
		}
		if !match(e.Rejection, at) {
			return nil
		}
		if gone = append(gone, e.Seq); err == nil && r.When.Quality != Undated {
			times = append(times, at.UnixMilli())
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, seq := range gone {
		if err := quarantine.Delete(Key(seq)); err != nil {
			return 0, err
		}
	}
	return len(gone), AddUsed(tx, times)
}
