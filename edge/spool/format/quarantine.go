package format

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"

	bolt "go.etcd.io/bbolt"
)

// Rejection is a sample that the server refuses, and the server's reason.
type Rejection struct {
	Seq         uint64    `json:"-"`
	Code        string    `json:"code"`
	Detail      string    `json:"detail"`
	First, Last time.Time // of its rejections
}

// Entry keeps the record byte for byte: a later server may accept it.
type Entry struct {
	Rejection
	Record []byte `json:"record"`
}

// PutAside moves a record to the quarantine as it is.
func PutAside(tx *bolt.Tx, p Rejection, record []byte) error {
	entry, err := json.Marshal(Entry{p, record})
	if err != nil {
		return err
	}
	return tx.Bucket(QuarantineBucket).Put(Key(p.Seq), entry)
}

// Of a page of the quarantine.
const (
	pageSamples   = 200 // samples, so that a page takes little memory and little time
	longestDetail = 200 // bytes of an explanation
)

// QuarantinedSample is a sample that the server refused, for people and programs.
type QuarantinedSample struct {
	Spool  string     `json:"spool,omitempty"`
	Number uint64     `json:"number"` // in the spool
	Time   *time.Time `json:"ts"`     // of the sample; null if its record is damaged
	Device string     `json:"device_id,omitempty"`
	Code   string     `json:"code"`             // of the refusal
	Detail string     `json:"detail,omitempty"` // the server's explanation, printable and short
	First  time.Time  `json:"first_refused,omitzero"`
	Last   time.Time  `json:"last_refused,omitzero"`
}

// QuarantinePage is the status socket's response to /quarantine?after=NUMBER: some of the samples, in the order of their
// numbers, and after which number the next page begins; 0 if there is none.
type QuarantinePage struct {
	Spool   string              `json:"spool"`
	Count   int                 `json:"count"` // in the whole quarantine
	Samples []QuarantinedSample `json:"samples"`
	Next    uint64              `json:"next,omitempty"`
}

// ReadQuarantine reads one page. An entry that cannot be read is listed with the reason.
func ReadQuarantine(quarantine *bolt.Bucket, after uint64) (page QuarantinePage) {
	c := quarantine.Cursor()
	page.Samples = []QuarantinedSample{}
	for k, v := c.Seek(Key(after + 1)); k != nil; k, v = c.Next() {
		if len(page.Samples) == pageSamples {
			page.Next = page.Samples[pageSamples-1].Number
			return page
		}
		q, e := QuarantinedSample{Number: Seq(k)}, Entry{}
		if err := json.Unmarshal(v, &e); err != nil {
			q.Code, q.Detail = "unreadable", printable(err.Error())
		} else {
			q.Code, q.Detail, q.First, q.Last = printable(e.Code), printable(e.Detail), e.First.UTC(), e.Last.UTC()
			if r, err := DecodeFields(q.Number, e.Record); err == nil {
				q.Time, q.Device = &r.Sample.Time, printable(r.Sample.DeviceID)
			}
		}
		page.Samples = append(page.Samples, q)
	}
	return page
}

// printable returns the beginning of a text that came from a server, or from a disk: what a terminal would not print as
// it is becomes an escape.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		s := string(r)
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			s = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
		}
		if b.Len()+len(s) > longestDetail {
			break
		}
		b.WriteString(s)
	}
	return b.String()
}
