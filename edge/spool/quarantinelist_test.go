package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sunspool/edge/spool/format"
	"sunspool/edge/spool/inspect"
	"testing"
	"time"
	"unicode"

	bolt "go.etcd.io/bbolt"
)

const aPage = 200 // samples

// A page of the quarantine has what a server sent, printable and short, and what a disk has damaged.
func TestDamagedEntriesOfTheQuarantineAreListed(t *testing.T) {
	for _, n := range []int{2, aPage - 2, aPage - 1, 3*aPage + 7} {
		path := filepath.Join(t.TempDir(), "spool.db")
		s := openSpool(t, path)
		fill(t, s, n+10)
		var refused []Rejection
		for i := range n {
			detail := fmt.Sprintf("sample %d is refused", i)
			if i == 1 {
				detail = "\x1b[2J\u202e\u0085 \x00\xff" + strings.Repeat("ä\n", 500)
			}
			refused = append(refused, Rejection{Seq: uint64(i + 1), Code: "value_error", Detail: detail, First: noon.Add(time.Hour), Last: noon.Add(2 * time.Hour)})
		}
		if err := s.Settle(nil, refused); err != nil {
			t.Fatal(err)
		}
		err := s.exec(func() error {
			return s.db.Update(func(tx *bolt.Tx) error {
				b := tx.Bucket(format.QuarantineBucket)
				damaged, err := json.Marshal(format.Entry{Rejection: Rejection{Code: "record_damaged", Detail: "checksum"}, Record: []byte("garbage")})
				return errors.Join(err, b.Put(format.Key(1<<30), damaged), b.Put(format.Key(1<<30+1), []byte("{")))
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		quarantineIsWhole(t, n, s.QuarantinePage)
		s.Close()
		quarantineIsWhole(t, n, func(after uint64) (QuarantinePage, error) { return inspect.Quarantine(path, after) })
	}
}

// quarantineIsWhole fails unless the pages have n samples, in order, and two damaged entries behind them.
func quarantineIsWhole(t *testing.T, n int, page func(after uint64) (QuarantinePage, error)) {
	t.Helper()
	var all []QuarantinedSample
	for next := uint64(0); ; {
		p, err := page(next)
		if err != nil || len(p.Samples) > aPage {
			t.Fatalf("%d samples at once, %v", len(p.Samples), err)
		}
		all = append(all, p.Samples...)
		if next = p.Next; next == 0 {
			break
		}
	}
	if len(all) != n+2 {
		t.Fatalf("%d samples are listed, want %d", len(all), n+2)
	}
	for i, q := range all[:n] {
		if q.Number != uint64(i+1) || q.Time == nil || q.Device == "" || q.Code != "value_error" || !q.First.Equal(noon.Add(time.Hour)) || !q.Last.Equal(noon.Add(2*time.Hour)) {
			t.Fatalf("sample %d is listed as %+v", i, q)
		}
	}
	if d := all[1].Detail; len(d) > 200 || !strings.HasPrefix(d, `\x1b[2J\u202e`) || strings.ContainsFunc(d, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("what a server sent is not printable, or not short: %q", d)
	}
	if d := all[n]; d.Code != "record_damaged" || d.Time != nil || d.Detail != "checksum" {
		t.Errorf("a damaged record is listed as %+v", d)
	}
	if d := all[n+1]; d.Code != "unreadable" || d.Detail == "" {
		t.Errorf("an entry that cannot be read is listed as %+v", d)
	}
}
