// Package uploadtest has the other end of uploads for tests: a server of the API that complains about what an edge must
// never send, servers with certificates of their own, and a network that forgets connections. Only tests import it.
package uploadtest

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/edge/spool"
	"sunspool/wire"
)

// Server is the other end as a RoundTripper. It complains about what an edge must never send, and keeps what it took.
type Server struct {
	T       *testing.T
	Lenient bool // answers like ours, sample by sample
	NoGzip  int  // status for a compressed body, 0 to accept it
	Limit   int  // samples per request, more is 413
	Bad     func(wire.Sample) string
	Refuse  func(n int) *http.Response      // an answer in place of everything else, nil for none
	Lose    func() bool                     // the answer is lost after the rows are stored
	Foreign func(device string) bool        // the token is not for it
	Version string                          // that it tells
	Took    time.Duration                   // that an answer takes
	Amend   func(wire.Batch, *wire.Receipt) // changes a receipt with verdicts; may be nil

	Stored   map[int64]wire.Sample
	Sizes    []int
	Requests []time.Time
	Tokens   []string
}

func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.Requests = append(s.Requests, time.Now())
	s.Tokens = append(s.Tokens, r.Header.Get("Authorization"))
	if r.URL.Scheme != "https" || r.URL.Path != "/base/v1/ingest" || r.Method != http.MethodPost {
		s.T.Errorf("%s %s", r.Method, r.URL)
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		if s.NoGzip != 0 {
			return Answer(s.NoGzip, `{"detail":"cannot read that"}`), nil
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			s.T.Fatal(err)
		}
		body = z
	}
	raw, _ := io.ReadAll(body)
	if len(raw) > wire.MaxBytes {
		s.T.Errorf("a request of %d bytes", len(raw))
	}
	var b wire.Batch
	if err := json.Unmarshal(raw, &b); err != nil {
		s.T.Fatalf("%v: %.200s", err, raw)
	}
	n := len(b.Samples)
	s.Sizes = append(s.Sizes, n)
	if s.Refuse != nil {
		if a := s.Refuse(n); a != nil {
			return a, nil
		}
	}
	time.Sleep(s.Took)
	if s.Foreign != nil && slices.ContainsFunc(b.Samples, func(x wire.Sample) bool { return s.Foreign(x.DeviceID) }) {
		return Answer(403, `{"detail":"Sample device ID does not match authenticated device."}`), nil
	}
	if s.Limit > 0 && n > s.Limit {
		return Answer(413, `{"detail":"too many"}`), nil
	}
	var rejected []wire.Rejection
	var fresh, known int
	for i, sample := range b.Samples {
		if s.Bad != nil {
			if code := s.Bad(sample); code != "" {
				rejected = append(rejected, wire.Rejection{Index: i, Code: code, Detail: "no"})
				if !s.Lenient {
					return Answer(422, fmt.Sprintf(`{"detail":[{"type":%q,"loc":["samples",%d],"msg":"no"}]}`, code, i)), nil
				}
				continue
			}
		}
		if _, ok := s.Stored[sample.Time.UnixMilli()]; ok {
			known++
			continue
		}
		s.Stored[sample.Time.UnixMilli()] = sample
		fresh++
	}
	if s.Lose != nil && s.Lose() {
		return nil, io.ErrUnexpectedEOF
	}
	if !s.Lenient {
		return Answer(200, fmt.Sprintf(`{"inserted":%d}`, fresh)), nil
	}
	receipt := wire.Receipt{Inserted: fresh, Accepted: new(fresh), Duplicates: new(known), Rejected: rejected, BatchID: b.ID}
	if s.Amend != nil {
		s.Amend(b, &receipt)
	}
	text, _ := json.Marshal(receipt)
	a := Answer(200, string(text))
	if s.Version != "" {
		a.Header.Set("Server", s.Version)
	}
	return a, nil
}

func Answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// RefuseFuture makes s refuse samples as our server does.
func (s *Server) RefuseFuture() {
	s.Bad = func(x wire.Sample) string {
		if x.Time.After(time.Now().Add(spool.MaxAhead)) {
			return wire.CodeInFuture
		}
		return ""
	}
}

type Tripper func(*http.Request) (*http.Response, error)

func (f Tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
