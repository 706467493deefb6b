package edge

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/pace"
	"sunspool/edge/spool"
	"sunspool/internal/testhost"
	"sunspool/wire"
)

// server is the other end as a RoundTripper. It complains about what an edge must never send, and keeps what it took.
type server struct {
	t       *testing.T
	lenient bool // answers like ours, sample by sample
	noGzip  int  // status for a compressed body, 0 to accept it
	limit   int  // samples per request, more is 413
	bad     func(wire.Sample) string
	refuse  func(n int) *http.Response // an answer in place of everything else, nil for none
	lose    func() bool                // the answer is lost after the rows are stored
	foreign func(device string) bool   // the token is not for it
	version string                     // that it tells
	took    time.Duration              // that an answer takes

	stored   map[int64]wire.Sample
	sizes    []int
	requests []time.Time
	tokens   []string
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.requests = append(s.requests, time.Now())
	s.tokens = append(s.tokens, r.Header.Get("Authorization"))
	if r.URL.Scheme != "https" || r.URL.Path != "/base/v1/ingest" || r.Method != http.MethodPost {
		s.t.Errorf("%s %s", r.Method, r.URL)
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		if s.noGzip != 0 {
			return answer(s.noGzip, `{"detail":"cannot read that"}`), nil
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		body = z
	}
	raw, _ := io.ReadAll(body)
	if len(raw) > wire.MaxBytes {
		s.t.Errorf("a request of %d bytes", len(raw))
	}
	var b wire.Batch
	if err := json.Unmarshal(raw, &b); err != nil {
		s.t.Fatalf("%v: %.200s", err, raw)
	}
	n := len(b.Samples)
	s.sizes = append(s.sizes, n)
	if s.refuse != nil {
		if a := s.refuse(n); a != nil {
			return a, nil
		}
	}
	time.Sleep(s.took)
	if s.foreign != nil && slices.ContainsFunc(b.Samples, func(x wire.Sample) bool { return s.foreign(x.DeviceID) }) {
		return answer(403, `{"detail":"Sample device ID does not match authenticated device."}`), nil
	}
	if s.limit > 0 && n > s.limit {
		return answer(413, `{"detail":"too many"}`), nil
	}
	var rejected []wire.Rejection
	var fresh, known int
	for i, sample := range b.Samples {
		if s.bad != nil {
			if code := s.bad(sample); code != "" {
				rejected = append(rejected, wire.Rejection{Index: i, Code: code, Detail: "no"})
				if !s.lenient {
					return answer(422, fmt.Sprintf(`{"detail":[{"type":%q,"loc":["samples",%d],"msg":"no"}]}`, code, i)), nil
				}
				continue
			}
		}
		if _, ok := s.stored[sample.Time.UnixMilli()]; ok {
			known++
			continue
		}
		s.stored[sample.Time.UnixMilli()] = sample
		fresh++
	}
	if s.lose != nil && s.lose() {
		return nil, io.ErrUnexpectedEOF
	}
	if !s.lenient {
		return answer(200, fmt.Sprintf(`{"inserted":%d}`, fresh)), nil
	}
	text, _ := json.Marshal(wire.Receipt{Inserted: fresh, Accepted: new(fresh), Duplicates: new(known), Rejected: rejected, BatchID: b.ID})
	a := answer(200, string(text))
	if s.version != "" {
		a.Header.Set("Server", s.version)
	}
	return a, nil
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// uploaderTo returns an uploader with an own spool.
func uploaderTo(t *testing.T, s *server) *Uploader {
	s.t, s.stored = t, map[int64]wire.Sample{}
	return &Uploader{
		Spool:  openSpool(t, filepath.Join(testhost.MemoryDir(t), "spool.db")),
		Client: &http.Client{Transport: s, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		URL:    "https://vps.example.org/base/v1/ingest", Token: &Token{value: "t0ken-0123456789abcdef"}, BatchSize: 30,
		Describe: func() *wire.Edge { return &wire.Edge{Version: "test"} },
		Backoff:  pace.Backoff{Min: time.Second, Max: 5 * time.Minute},
	}
}

// drain delivers as the edge does until nothing is left or the time is over.
func drain(t *testing.T, u *Uploader, atMost time.Duration) {
	t.Helper()
	end := time.Now().Add(atMost)
	for time.Now().Before(end) && u.Spool.Waiting() > 0 {
		more, err := u.Deliver(t.Context())
		switch {
		case err != nil:
			time.Sleep(u.Wait(err))
		case !more:
			time.Sleep(10 * time.Second)
		}
	}
}

// conserved checks that what was made is stored, waiting or in quarantine, and nothing twice.
func conserved(t *testing.T, u *Uploader, s *server, made []wire.Sample) {
	t.Helper()
	waiting := u.Spool.Waiting()
	quarantined, _, err := u.Spool.Quarantined()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.stored)+waiting+len(quarantined) < len(made) {
		t.Errorf("%d made, %d stored, %d waiting, %d in quarantine: some are lost", len(made), len(s.stored), waiting, len(quarantined))
	}
	if waiting > 0 || len(quarantined) > 0 {
		return
	}
	for _, m := range made {
		if got, ok := s.stored[m.Time.UnixMilli()]; !ok || got.PVPowerW != m.PVPowerW {
			t.Errorf("sample of %v is %+v on the server", m.Time, got)
		}
	}
}

func TestBacklogGoesInGrowingBatchesWithoutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{lenient: true}
		u := uploaderTo(t, s)
		made := fill(t, u.Spool, 2200)
		start := time.Now()
		for more := true; more; {
			var err error
			if more, err = u.Deliver(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(start) > 0 {
			t.Errorf("it took %v of waiting", time.Since(start))
		}
		if want := []int{30, 60, 120, 240, 480, 960, 310}; !slices.Equal(s.sizes, want) {
			t.Errorf("batches of %v, want %v", s.sizes, want)
		}
		conserved(t, u, s, made)
		if u.size != 30 {
			t.Errorf("without a backlog batches are of %d", u.size)
		}
	})
}

func TestLostAnswerIsSentAgainAndStoredOnce(t *testing.T) {
	for _, lenient := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			times := 0
			s := &server{lenient: lenient, lose: func() bool { times++; return times%3 != 0 }}
			u := uploaderTo(t, s)
			made := fill(t, u.Spool, 100)
			drain(t, u, time.Hour)
			conserved(t, u, s, made)
			if u.Duplicates.Load() == 0 {
				t.Error("nothing was sent twice: the test tests nothing")
			}
		})
	}
}

func TestPoisonOfAContractServerIsFoundAndSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		poison := map[int]bool{7: true, 500: true, 501: true}
		s := &server{bad: func(x wire.Sample) string {
			if poison[int(x.Time.Sub(noon)/(5*time.Second))] {
				return "value_error"
			}
			return ""
		}}
		u := uploaderTo(t, s)
		fill(t, u.Spool, 1000)
		start := time.Now()
		drain(t, u, 6*time.Minute)
		if len(s.stored) != 997 {
			t.Errorf("%d stored within six minutes, want the 997 good ones", len(s.stored))
		}
		if u.Spool.InQuarantine() != 0 {
			t.Error("a sample was given up at its first refusal")
		}
		for i := range 30 { // life goes on
			sample := sampleAt(noon.Add(time.Hour*2 + time.Duration(i)*time.Minute))
			if err := u.Spool.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
				t.Fatal(err)
			}
			drain(t, u, time.Minute)
		}
		if u.Spool.InQuarantine() != 3 || u.Spool.Waiting() != 0 {
			t.Errorf("%d in quarantine and %d waiting, want 3 and 0", u.Spool.InQuarantine(), u.Spool.Waiting())
		}
		_, reasons, _ := u.Spool.Quarantined()
		for _, r := range reasons {
			if r.Code != "value_error" || r.Last.Sub(r.First) < longEnough {
				t.Errorf("given up for %s after %v", r.Code, r.Last.Sub(r.First))
			}
		}
		t.Logf("%d requests in %v for 1000 samples with 3 poisons", len(s.requests), time.Since(start))
	})
}

func TestPoisonOfOurServerCostsNoExtraRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{lenient: true, bad: func(x wire.Sample) string {
			if x.Time.Equal(noon.Add(50 * time.Second)) {
				return wire.CodeNotFinite
			}
			return ""
		}}
		u := uploaderTo(t, s)
		fill(t, u.Spool, 30)
		if _, err := u.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(s.requests) != 1 || u.Spool.Waiting() != 0 || u.Spool.InQuarantine() != 1 {
			t.Errorf("%d requests, %d waiting, %d in quarantine", len(s.requests), u.Spool.Waiting(), u.Spool.InQuarantine())
		}
	})
}

func TestSampleFromTheFutureWaitsForTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fixed := time.Now().Add(20 * time.Minute)
		s := &server{lenient: true, bad: func(wire.Sample) string {
			if time.Now().Before(fixed) {
				return wire.CodeInFuture
			}
			return ""
		}}
		u := uploaderTo(t, s)
		made := fill(t, u.Spool, 10)
		drain(t, u, time.Hour)
		conserved(t, u, s, made)
		if len(s.stored) != 10 || u.Spool.InQuarantine() != 0 {
			t.Errorf("%d stored, %d in quarantine", len(s.stored), u.Spool.InQuarantine())
		}
	})
}

// Everything is refused, by the whole batch or sample by sample: that cannot be the samples. When it is over all arrive.
func TestServerThatRefusesEverythingIsNotBelieved(t *testing.T) {
	for _, lenient := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			end := time.Now().Add(6 * time.Hour)
			s := &server{lenient: lenient, bad: func(wire.Sample) string {
				if time.Now().Before(end) {
					return "missing"
				}
				return ""
			}}
			u := uploaderTo(t, s)
			made := fill(t, u.Spool, 1000)
			var last error
			for time.Now().Before(end) {
				more, err := u.Deliver(t.Context())
				switch {
				case err != nil:
					last = err
					time.Sleep(u.Wait(err))
				case !more:
					time.Sleep(10 * time.Second)
				}
			}
			if !errors.Is(last, errSchema) || u.poison.Braked.Load() != 1 {
				t.Errorf("lenient %v: the last error is %v", lenient, last)
			}
			if u.Spool.InQuarantine() > 0 || len(s.requests) > 500 {
				t.Errorf("lenient %v: %d samples were given up, %d requests", lenient, u.Spool.InQuarantine(), len(s.requests))
			}
			drain(t, u, 2*time.Hour)
			conserved(t, u, s, made)
			if len(s.stored) != 1000 || u.poison.Suspects.Load() != 0 {
				t.Errorf("lenient %v: %d stored when it was over, %d suspects", lenient, len(s.stored), u.poison.Suspects.Load())
			}
		})
	}
}

func TestTooLargeIsHalvedAndRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{lenient: true, limit: 17}
		u := uploaderTo(t, s)
		made := fill(t, u.Spool, 300)
		drain(t, u, time.Minute)
		conserved(t, u, s, made)
		over := 0
		for _, n := range s.sizes {
			if n > 17 {
				over++
			}
		}
		if over > 2 || len(s.stored) != 300 {
			t.Errorf("%d requests over the limit, %d stored: %v", over, len(s.stored), s.sizes)
		}
	})
}

func TestBatchNeverExceedsTheBytesOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{lenient: true}
		u := uploaderTo(t, s)
		values := map[string]float64{}
		for i := range 90 {
			values[fmt.Sprintf("some_register_of_the_map_%d", i)] = 1234.5
		}
		var made []wire.Sample
		for i := range 700 { // 2.5 MB
			sample := sampleAt(noon.Add(time.Duration(i) * 5 * time.Second))
			sample.Values = values
			if err := u.Spool.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
				t.Fatal(err)
			}
			made = append(made, sample)
		}
		drain(t, u, time.Minute) // the server complains about a larger request
		conserved(t, u, s, made)
		if len(s.stored) != 700 {
			t.Errorf("%d stored by batches of %v", len(s.stored), s.sizes)
		}
	})
}

func TestServerWithoutGzipGetsPlainJSON(t *testing.T) {
	for _, status := range []int{415, 400, 422} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{noGzip: status}
			u := uploaderTo(t, s)
			made := fill(t, u.Spool, 90)
			drain(t, u, time.Minute)
			conserved(t, u, s, made)
			if len(s.stored) != 90 || len(s.requests) != len(s.sizes)+1 {
				t.Errorf("status %d: %d stored by %d requests, %d of them readable", status, len(s.stored), len(s.requests), len(s.sizes))
			}
		})
	}
}

func TestRefusedTokenIsReplacedWithoutARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old-0123456789abcdef")
	synctest.Test(t, func(t *testing.T) {
		s := &server{lenient: true}
		u := uploaderTo(t, s)
		s.refuse = func(int) *http.Response {
			if s.tokens[len(s.tokens)-1] != "Bearer new-0123456789abcdef" {
				return answer(401, `{"detail":"Invalid or expired token."}`)
			}
			return nil
		}
		token, err := NewToken("", file)
		if err != nil {
			t.Fatal(err)
		}
		u.Token = token
		made := fill(t, u.Spool, 40)
		drain(t, u, 10*time.Minute)
		if n := len(s.requests); n > 11 {
			t.Errorf("%d requests in 10 min with a refused token", n)
		}
		if u.Spool.Waiting() != 40 {
			t.Errorf("%d waiting, want 40", u.Spool.Waiting())
		}
		write("new-0123456789abcdef")
		drain(t, u, 90*time.Second)
		conserved(t, u, s, made)
		if len(s.stored) != 40 {
			t.Errorf("%d stored 90 s after the token was replaced", len(s.stored))
		}
	})
}

func TestServerThatAsksForTimeGetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{lenient: true}
		u := uploaderTo(t, s)
		s.refuse = func(int) *http.Response {
			if len(s.requests) > 5 {
				return nil
			}
			a := answer(503, `{"detail":"busy"}`)
			a.Header.Set("Retry-After", "120")
			return a
		}
		made := fill(t, u.Spool, 40)
		drain(t, u, time.Hour)
		conserved(t, u, s, made)
		for i := 1; i < 6; i++ {
			if gap := s.requests[i].Sub(s.requests[i-1]); gap < 2*time.Minute {
				t.Errorf("request %d came after %v", i, gap)
			}
		}
	})
}

func TestServerAwayIsTriedLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{refuse: func(int) *http.Response { return answer(502, "") }}
		u := uploaderTo(t, s)
		fill(t, u.Spool, 40)
		drain(t, u, 24*time.Hour)
		if n := len(s.requests); n < 280 || n > 600 {
			t.Errorf("%d requests in a day of outage, want one per 2.5 to 5 min", n)
		}
		if u.Spool.Waiting() != 40 {
			t.Errorf("%d waiting, want 40", u.Spool.Waiting())
		}
	})
}

// A proxy that repeats what it was sent must not bring the token into our log, our health and our uploads.
func TestTokenDoesNotComeBackInAnError(t *testing.T) {
	for name, body := range map[string]string{"text": "you said Bearer t0ken-canary", "JSON": `{"detail":"bad header: Bearer t0ken-canary"}`} {
		for _, status := range []int{200, 302, 401, 404, 422, 502} {
			synctest.Test(t, func(t *testing.T) {
				s := &server{lenient: true, refuse: func(int) *http.Response { return answer(status, body) }}
				u := uploaderTo(t, s)
				u.Token = &Token{value: "t0ken-canary"}
				fill(t, u.Spool, 3)
				_, err := u.Deliver(t.Context())
				if said := fmt.Sprint(err, explainUpload(err)); strings.Contains(said, "canary") || err == nil && status != 422 {
					t.Errorf("%s, status %d: %s", name, status, said)
				}
			})
		}
	}
}

// A captive portal, another program, a redirect: the samples stay, and the token goes nowhere else.
func TestForeignAnswersKeepTheSamples(t *testing.T) {
	page := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/html"}}}
	redirect := &http.Response{StatusCode: 302, Header: http.Header{"Location": {"https://portal.example.net/login"}}}
	for name, foreign := range map[string]*http.Response{
		"login page": page, "redirect": redirect, "wrong program": answer(200, `{"status":"ok"}`), "not found": answer(404, `{"detail":"Not Found"}`),
		"more than was sent": answer(200, `{"inserted":999999}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{lenient: true}
				u := uploaderTo(t, s)
				s.refuse = func(int) *http.Response {
					if len(s.requests) > 20 {
						return nil
					}
					a := *foreign
					a.Body = io.NopCloser(strings.NewReader("<html>"))
					if foreign.Body != nil {
						text, _ := io.ReadAll(foreign.Body)
						foreign.Body = io.NopCloser(strings.NewReader(string(text)))
						a.Body = io.NopCloser(strings.NewReader(string(text)))
					}
					return &a
				}
				made := fill(t, u.Spool, 40)
				drain(t, u, 20*time.Minute)
				if u.Spool.Waiting() != 40 || len(s.stored) != 0 {
					t.Errorf("%d waiting, %d stored, want 40 and 0", u.Spool.Waiting(), len(s.stored))
				}
				drain(t, u, 6*time.Hour)
				conserved(t, u, s, made)
				if len(s.stored) != 40 {
					t.Errorf("%d stored once the server was there again", len(s.stored))
				}
			})
		})
	}
}
