package edge

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/report"
	"sunspool/edge/spool"
	"sunspool/edge/transport"
	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
	"sunspool/wire"
)

// middlebox is something between the edge and the server: it answers by itself where stop says so, by the length of the body
// on the wire and whether it is compressed.
type middlebox struct {
	server *uploadtest.Server
	stop   func(size int, compressed bool) *http.Response
	passed int  // requests
	plain  bool // the body of the last one was not compressed
}

func (f *middlebox) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	if f.stop != nil {
		if a := f.stop(len(body), r.Header.Get("Content-Encoding") != ""); a != nil {
			return a, nil
		}
	}
	f.passed++
	f.plain = r.Header.Get("Content-Encoding") == ""
	r.Body = io.NopCloser(bytes.NewReader(body))
	return f.server.RoundTrip(r)
}

func page(status int, title string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/html"}, "Server": {"front"}},
		Body: io.NopCloser(strings.NewReader("<html><head><title>" + title + "</title></head></html>"))}
}

// bedOf is an edge behind a front, with samples that differ in size.
func bedOf(t *testing.T, lenient bool) (*Edge, *middlebox) {
	f := &middlebox{server: &uploadtest.Server{T: t, Lenient: lenient, Stored: map[int64]wire.Sample{}}}
	e, _, _ := edgeTo(t, f)
	return e, f
}

// live adds samples and delivers as the edge does, for so long.
func (f *middlebox) live(t *testing.T, e *Edge, span time.Duration) {
	t.Helper()
	next := time.Now()
	for end := time.Now().Add(span); time.Now().Before(end); {
		for ; !next.After(time.Now()); next = next.Add(5 * time.Second) {
			x := sampleAt(next)
			for i := range int(next.Unix()/5) % 7 { // some are larger than others
				x.Values[strings.Repeat("register_", 1+i)] = float64(next.Unix()%100000) / float64(7+i)
			}
			if err := e.Spool.Append(&x, spool.When{Quality: spool.Synced}); err != nil {
				t.Fatal(err)
			}
		}
		more, err := e.deliverOnce(t.Context())
		wait := e.Every
		switch {
		case err != nil:
			wait = e.Uploader.Wait(err)
		case more:
			wait = 0
		}
		time.Sleep(wait)
	}
}

// arrived checks that everything is on the server and nothing in quarantine, and that the edge knows that all is well.
func (f *middlebox) arrived(t *testing.T, e *Edge) {
	t.Helper()
	if e.Spool.Waiting() > 2 || e.Spool.InQuarantine() > 0 || len(f.server.Stored) == 0 {
		t.Errorf("%d stored, %d waiting, %d in quarantine", len(f.server.Stored), e.Spool.Waiting(), e.Spool.InQuarantine())
	}
	if s := e.Report.State(); s.Status != report.StateOK {
		t.Errorf("the state is %s: %s", s.Status, s.Sentence)
	}
}

// What is between does not let compressed bodies pass, whatever it answers to them, from the start or from some time on.
func TestCompressedBodiesThatDoNotPassAreSentPlain(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of uploads")
	}
	for _, status := range []int{200, 302, 400, 401, 403, 405, 406, 415, 418, 422, 500, 501, 503} {
		for _, before := range []time.Duration{0, 10 * time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				e, f := bedOf(t, true)
				f.live(t, e, before)
				f.stop = func(_ int, compressed bool) *http.Response {
					if compressed {
						return page(status, "Blocked")
					}
					return nil
				}
				f.live(t, e, 2*time.Minute)
				f.arrived(t, e)
				f.stop = nil
				f.live(t, e, 2*time.Hour)
				f.arrived(t, e)
				if f.plain {
					t.Errorf("status %d: it goes plain two hours later", status)
				}
				if t.Failed() {
					t.Fatalf("status %d after %v", status, before)
				}
			})
		}
	}
}

// A middlebox cuts the connection of what it cannot read.
func TestCompressedBodiesThatAreCutOffAreSentPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f := bedOf(t, true)
		f.live(t, e, time.Minute)
		e.Uploader.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("Content-Encoding") != "" {
				return nil, &transport.Interrupted{Err: errors.New("connection reset by peer")}
			}
			return f.RoundTrip(r)
		})
		f.live(t, e, 5*time.Minute)
		f.arrived(t, e)
	})
}

// A proxy begins to drop Content-Encoding: the server then says that it cannot read the body, and that is no reason to
// search for a bad sample.
func TestDroppedContentEncodingIsFoundOut(t *testing.T) {
	for _, status := range []int{400, 422} {
		synctest.Test(t, func(t *testing.T) {
			e, f := bedOf(t, true)
			f.live(t, e, 10*time.Minute)
			f.stop = func(_ int, compressed bool) *http.Response {
				if compressed {
					return uploadtest.Answer(status, `{"detail":"Request body could not be read.","code":"bad_body"}`)
				}
				return nil
			}
			f.live(t, e, time.Minute)
			f.arrived(t, e)
			if e.Uploader.SuspectSamples() > 0 || slices.ContainsFunc(e.Uploader.Faults(), func(f *health.Fault) bool { return f.Code == "samples_refused" }) {
				t.Error("good samples are suspected")
			}
		})
	}
}

// Something between refuses large bodies, by a status that does not say so: smaller ones follow.
func TestLargeBodiesThatDoNotPassAreSentInParts(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of uploads")
	}
	for _, status := range []int{400, 403, 406, 413, 422, 502} {
		for _, alsoCompressed := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				e, f := bedOf(t, true)
				fill(t, e.Spool, 3000)
				f.stop = func(size int, compressed bool) *http.Response {
					if size > 4000 || compressed && alsoCompressed {
						return page(status, "Request blocked")
					}
					return nil
				}
				f.live(t, e, 2*time.Hour)
				f.arrived(t, e)
				if t.Failed() {
					t.Fatalf("status %d, compressed refused %v", status, alsoCompressed)
				}
			})
		}
	}
}

// A proxy's limit lies below a single sample, or among them: nothing is given up on its word, what passes is delivered,
// health says so from the first, and soon after the limit is lifted all is well.
func TestLimitBelowASampleGivesNothingUp(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of uploads")
	}
	for _, limit := range []int{100, 270, 370} {
		for _, before := range []time.Duration{0, 10 * time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				e, f := bedOf(t, true)
				f.live(t, e, before)
				stored := len(f.server.Stored)
				refused, smallest := 0, 1<<20
				f.stop = func(size int, _ bool) *http.Response {
					smallest = min(smallest, size)
					if size > limit {
						refused++
						return page(413, "413 Request Entity Too Large")
					}
					return nil
				}
				f.live(t, e, time.Minute)
				if s := e.Report.State(); limit < 300 && (s.Status != report.StateBlocked || s.Reasons[0] != "body_limit" || !strings.Contains(s.Next, "client_max_body_size")) {
					t.Errorf("within a minute the state is %s, %v: %s", s.Status, s.Reasons, s.Sentence)
				}
				f.live(t, e, 3*time.Hour)
				passed := len(f.server.Stored) - stored
				t.Logf("limit %d, bodies of at least %d bytes: %d stored, %d waiting, %d refused", limit, smallest, passed, e.Spool.Waiting(), refused)
				if e.Spool.InQuarantine() > 0 || limit < smallest && passed > 0 || limit > smallest && passed < 500 || refused > 3000 || passed == 0 && refused > 300 {
					t.Errorf("%d stored, %d waiting, %d in quarantine, %d requests refused", passed, e.Spool.Waiting(), e.Spool.InQuarantine(), refused)
				}
				if s := e.Report.State(); limit < 300 && (s.Status != report.StateBlocked || s.Reasons[0] != "body_limit") {
					t.Errorf("three hours later the state is %s, %v: %s", s.Status, s.Reasons, s.Sentence)
				}
				if limit > 300 { // a sample alone passes, without the words about the edge
					f.arrived(t, e)
				}
				f.stop = nil
				f.live(t, e, 15*time.Minute)
				f.arrived(t, e)
				if t.Failed() {
					t.Fatalf("limit %d after %v", limit, before)
				}
			})
		}
	}
}

// Samples that are far too large come in long runs, small ones between: each small one passes within minutes, also if two of them
// passed together before, and the large ones follow soon after the limit is lifted.
func TestSmallSamplesPassBetweenRunsOfLargeOnes(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of uploads")
	}
	synctest.Test(t, func(t *testing.T) {
		e, f := bedOf(t, true)
		large := func(i int) bool { return i%45 >= 5 } // forty in a row
		small := 0
		for i := range 450 {
			x := sampleAt(time.Now().Add(time.Duration(i-450) * 5 * time.Second))
			if large(i) {
				for n := range 60 { // hashes do not compress
					x.Values[fmt.Sprintf("%x", sha256.Sum256([]byte{byte(i), byte(n)}))] = float64(n)
				}
			} else {
				small++
			}
			if err := e.Spool.Append(&x, spool.When{Quality: spool.Synced}); err != nil {
				t.Fatal(err)
			}
		}
		refused := 0
		f.stop = func(size int, _ bool) *http.Response {
			if size > 1000 {
				refused++
				return page(413, "413 Request Entity Too Large")
			}
			return nil
		}
		deliver := func(span time.Duration) {
			for end := time.Now().Add(span); time.Now().Before(end); {
				if more, err := e.deliverOnce(t.Context()); err != nil {
					time.Sleep(e.Uploader.Wait(err))
				} else if !more {
					time.Sleep(e.Every)
				}
			}
		}
		deliver(24 * time.Hour)
		if len(f.server.Stored) != small || refused > 1500 {
			t.Errorf("%d of %d small samples are stored, %d requests refused", len(f.server.Stored), small, refused)
		}
		f.stop = nil
		deliver(15 * time.Minute)
		f.arrived(t, e)
	})
}

// A container restarts behind Traefik: its 404 is no alarm for some minutes, and is one from the start.
func TestNotFoundAfterAGoodAnswerIsARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f := bedOf(t, true)
		gone := func(int, bool) *http.Response {
			a := uploadtest.Answer(404, "404 page not found\n")
			a.Header.Set("Content-Type", "text/plain; charset=utf-8")
			return a
		}
		f.stop = gone
		f.live(t, e, time.Minute)
		if s := e.Report.State(); s.Status != report.StateBlocked || s.Reasons[0] != "endpoint_identity" {
			t.Errorf("from the start: %s, %v", s.Status, s.Reasons)
		}
		f.stop = nil
		f.live(t, e, 10*time.Minute)
		f.stop = gone
		f.live(t, e, 2*time.Minute)
		if s := e.Report.State(); s.Status != report.StateDegraded || s.Reasons[0] != "vps_unreachable" || !strings.Contains(s.Sentence, "404 page not found") {
			t.Errorf("during a restart: %s, %v: %s", s.Status, s.Reasons, s.Sentence)
		}
		f.live(t, e, 15*time.Minute)
		if s := e.Report.State(); s.Status != report.StateBlocked || s.Reasons[0] != "endpoint_identity" {
			t.Errorf("after a quarter of an hour: %s, %v", s.Status, s.Reasons)
		}
		f.stop = nil
		f.live(t, e, 6*time.Minute)
		f.arrived(t, e)
	})
}

// A gateway refuses: the token is not in question, few requests are made, and all arrives soon after it stops.
func TestGatewaysRefusalIsNotTheTokens(t *testing.T) {
	for _, status := range []int{401, 403} {
		synctest.Test(t, func(t *testing.T) {
			e, f := bedOf(t, true)
			f.live(t, e, 10*time.Minute)
			requests := 0
			f.stop = func(int, bool) *http.Response { requests++; return page(status, "Just a moment...") }
			f.live(t, e, time.Hour)
			s := e.Report.State()
			if s.Status != report.StateBlocked || s.Reasons[0] != "endpoint_identity" || !strings.Contains(s.Sentence, "Just a moment...") {
				t.Errorf("the state is %s, %v: %s", s.Status, s.Reasons, s.Sentence)
			}
			if requests > 40 {
				t.Errorf("%d requests in an hour", requests)
			}
			f.stop = nil
			f.live(t, e, 6*time.Minute)
			f.arrived(t, e)
		})
	}
}

// A proxy compresses answers although nothing asks for it.
func TestCompressedAnswersAreRead(t *testing.T) {
	pack := map[string]func(w io.Writer) io.WriteCloser{
		"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"x-gzip":  func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		"Deflate": func(w io.Writer) io.WriteCloser { z, _ := flate.NewWriter(w, 5); return z }, // raw, as some have it
	}
	for encoding, writer := range pack {
		synctest.Test(t, func(t *testing.T) {
			e, f := bedOf(t, true)
			e.Uploader.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
				a, err := f.RoundTrip(r)
				if err != nil {
					return nil, err
				}
				text, _ := io.ReadAll(a.Body)
				var b bytes.Buffer
				w := writer(&b)
				w.Write(text)
				w.Close()
				a.Body = io.NopCloser(&b)
				a.Header.Set("Content-Encoding", encoding)
				return a, nil
			})
			f.live(t, e, time.Minute)
			f.arrived(t, e)
		})
	}
}

// A server that is restarted every 20 s behind a proxy is away for two of them: that says nothing about the size of a
// batch, and a backlog drains in large ones.
func TestRestartsBehindAProxyKeepBatchesLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of uploads")
	}
	for name, fail := range map[string]func() (*http.Response, error){
		"502": func() (*http.Response, error) { return page(502, "502 Bad Gateway"), nil },
		"503": func() (*http.Response, error) { return page(503, "503 Service Unavailable"), nil },
		"cut": func() (*http.Response, error) { return nil, &transport.Interrupted{Err: io.ErrUnexpectedEOF} },
	} {
		synctest.Test(t, func(t *testing.T) {
			e, f := bedOf(t, true)
			f.server.Took = time.Second
			e.Uploader.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
				if time.Now().Unix()%20 < 2 {
					return fail()
				}
				return f.RoundTrip(r)
			})
			fill(t, e.Spool, 20_000)
			f.live(t, e, 15*time.Minute)
			f.arrived(t, e)
			if f.passed > 130 {
				t.Errorf("%s: %d requests for 20,000 samples in a quarter of an hour", name, f.passed)
			}
			t.Logf("%s: %d requests", name, f.passed)
		})
	}
}
