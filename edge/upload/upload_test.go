package upload

import (
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

	"sunspool/edge/inverter"
	"sunspool/edge/pace"
	"sunspool/edge/spool"
	"sunspool/edge/token"
	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/testhost"
	"sunspool/wire"
)

// uploaderTo returns an uploader with an own spool.
func uploaderTo(t *testing.T, s *uploadtest.Server) *Uploader {
	s.T, s.Stored = t, map[int64]wire.Sample{}
	return &Uploader{
		Spool:  openSpool(t, filepath.Join(testhost.MemoryDir(t), "spool.db")),
		Client: &http.Client{Transport: s, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		URL:    "https://vps.example.org/base/v1/ingest", Token: &token.Source{Value: "t0ken-0123456789abcdef"}, BatchSize: 30,
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
func conserved(t *testing.T, u *Uploader, s *uploadtest.Server, made []wire.Sample) {
	t.Helper()
	waiting := u.Spool.Waiting()
	quarantined, _, err := u.Spool.Quarantined()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Stored)+waiting+len(quarantined) < len(made) {
		t.Errorf("%d made, %d stored, %d waiting, %d in quarantine: some are lost", len(made), len(s.Stored), waiting, len(quarantined))
	}
	if waiting > 0 || len(quarantined) > 0 {
		return
	}
	for _, m := range made {
		if got, ok := s.Stored[m.Time.UnixMilli()]; !ok || got.PVPowerW != m.PVPowerW {
			t.Errorf("sample of %v is %+v on the server", m.Time, got)
		}
	}
}

func TestBacklogGoesInGrowingBatchesWithoutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true}
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
		if want := []int{30, 60, 120, 240, 480, 960, 310}; !slices.Equal(s.Sizes, want) {
			t.Errorf("batches of %v, want %v", s.Sizes, want)
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
			s := &uploadtest.Server{Lenient: lenient, Lose: func() bool { times++; return times%3 != 0 }}
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
		s := &uploadtest.Server{Bad: func(x wire.Sample) string {
			if poison[int(x.Time.Sub(noon)/(5*time.Second))] {
				return "value_error"
			}
			return ""
		}}
		u := uploaderTo(t, s)
		fill(t, u.Spool, 1000)
		start := time.Now()
		drain(t, u, 6*time.Minute)
		if len(s.Stored) != 997 {
			t.Errorf("%d stored within six minutes, want the 997 good ones", len(s.Stored))
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
			if r.Code != "value_error" || r.Last.Sub(r.First) < refusalSpan {
				t.Errorf("given up for %s after %v", r.Code, r.Last.Sub(r.First))
			}
		}
		t.Logf("%d requests in %v for 1000 samples with 3 poisons", len(s.Requests), time.Since(start))
	})
}

func TestPoisonOfOurServerCostsNoExtraRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true, Bad: func(x wire.Sample) string {
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
		if len(s.Requests) != 1 || u.Spool.Waiting() != 0 || u.Spool.InQuarantine() != 1 {
			t.Errorf("%d requests, %d waiting, %d in quarantine", len(s.Requests), u.Spool.Waiting(), u.Spool.InQuarantine())
		}
	})
}

func TestSampleFromTheFutureWaitsForTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fixed := time.Now().Add(20 * time.Minute)
		s := &uploadtest.Server{Lenient: true, Bad: func(wire.Sample) string {
			if time.Now().Before(fixed) {
				return wire.CodeInFuture
			}
			return ""
		}}
		u := uploaderTo(t, s)
		made := fill(t, u.Spool, 10)
		drain(t, u, time.Hour)
		conserved(t, u, s, made)
		if len(s.Stored) != 10 || u.Spool.InQuarantine() != 0 {
			t.Errorf("%d stored, %d in quarantine", len(s.Stored), u.Spool.InQuarantine())
		}
	})
}

// Everything is refused, by the whole batch or sample by sample: that cannot be the samples. When it is over all arrive.
func TestServerThatRefusesEverythingIsNotBelieved(t *testing.T) {
	for _, lenient := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			end := time.Now().Add(6 * time.Hour)
			s := &uploadtest.Server{Lenient: lenient, Bad: func(wire.Sample) string {
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
			if !errors.Is(last, errSchemaMismatch) || u.refusals.BreakerOpen.Load() != 1 {
				t.Errorf("lenient %v: the last error is %v", lenient, last)
			}
			if u.Spool.InQuarantine() > 0 || len(s.Requests) > 500 {
				t.Errorf("lenient %v: %d samples were given up, %d requests", lenient, u.Spool.InQuarantine(), len(s.Requests))
			}
			drain(t, u, 2*time.Hour)
			conserved(t, u, s, made)
			if len(s.Stored) != 1000 || u.refusals.Suspects.Load() != 0 {
				t.Errorf("lenient %v: %d stored when it was over, %d suspects", lenient, len(s.Stored), u.refusals.Suspects.Load())
			}
		})
	}
}

func TestTooLargeIsHalvedAndRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true, Limit: 17}
		u := uploaderTo(t, s)
		made := fill(t, u.Spool, 300)
		drain(t, u, time.Minute)
		conserved(t, u, s, made)
		over := 0
		for _, n := range s.Sizes {
			if n > 17 {
				over++
			}
		}
		if over > 2 || len(s.Stored) != 300 {
			t.Errorf("%d requests over the limit, %d stored: %v", over, len(s.Stored), s.Sizes)
		}
	})
}

func TestBatchNeverExceedsTheBytesOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true}
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
		if len(s.Stored) != 700 {
			t.Errorf("%d stored by batches of %v", len(s.Stored), s.Sizes)
		}
	})
}

func TestServerWithoutGzipGetsPlainJSON(t *testing.T) {
	for _, status := range []int{415, 400, 422} {
		synctest.Test(t, func(t *testing.T) {
			s := &uploadtest.Server{NoGzip: status}
			u := uploaderTo(t, s)
			made := fill(t, u.Spool, 90)
			drain(t, u, time.Minute)
			conserved(t, u, s, made)
			if len(s.Stored) != 90 || len(s.Requests) != len(s.Sizes)+1 {
				t.Errorf("status %d: %d stored by %d requests, %d of them readable", status, len(s.Stored), len(s.Requests), len(s.Sizes))
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
		s := &uploadtest.Server{Lenient: true}
		u := uploaderTo(t, s)
		s.Refuse = func(int) *http.Response {
			if s.Tokens[len(s.Tokens)-1] != "Bearer new-0123456789abcdef" {
				return uploadtest.Answer(401, `{"detail":"Invalid or expired token."}`)
			}
			return nil
		}
		token, err := token.New("", file, inverter.Place{})
		if err != nil {
			t.Fatal(err)
		}
		u.Token = token
		made := fill(t, u.Spool, 40)
		drain(t, u, 10*time.Minute)
		if n := len(s.Requests); n > 11 {
			t.Errorf("%d requests in 10 min with a refused token", n)
		}
		if u.Spool.Waiting() != 40 {
			t.Errorf("%d waiting, want 40", u.Spool.Waiting())
		}
		write("new-0123456789abcdef")
		drain(t, u, 90*time.Second)
		conserved(t, u, s, made)
		if len(s.Stored) != 40 {
			t.Errorf("%d stored 90 s after the token was replaced", len(s.Stored))
		}
	})
}

func TestServerThatAsksForTimeGetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true}
		u := uploaderTo(t, s)
		s.Refuse = func(int) *http.Response {
			if len(s.Requests) > 5 {
				return nil
			}
			a := uploadtest.Answer(503, `{"detail":"busy"}`)
			a.Header.Set("Retry-After", "120")
			return a
		}
		made := fill(t, u.Spool, 40)
		drain(t, u, time.Hour)
		conserved(t, u, s, made)
		for i := 1; i < 6; i++ {
			if gap := s.Requests[i].Sub(s.Requests[i-1]); gap < 2*time.Minute {
				t.Errorf("request %d came after %v", i, gap)
			}
		}
	})
}

func TestServerAwayIsTriedLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Refuse: func(int) *http.Response { return uploadtest.Answer(502, "") }}
		u := uploaderTo(t, s)
		fill(t, u.Spool, 40)
		drain(t, u, 24*time.Hour)
		if n := len(s.Requests); n < 280 || n > 600 {
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
				s := &uploadtest.Server{Lenient: true, Refuse: func(int) *http.Response { return uploadtest.Answer(status, body) }}
				u := uploaderTo(t, s)
				u.Token = &token.Source{Value: "t0ken-canary"}
				fill(t, u.Spool, 3)
				_, err := u.Deliver(t.Context())
				if said := fmt.Sprint(err, Explain(err)); strings.Contains(said, "canary") || err == nil && status != 422 {
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
		"login page": page, "redirect": redirect, "wrong program": uploadtest.Answer(200, `{"status":"ok"}`), "not found": uploadtest.Answer(404, `{"detail":"Not Found"}`),
		"more than was sent": uploadtest.Answer(200, `{"inserted":999999}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &uploadtest.Server{Lenient: true}
				u := uploaderTo(t, s)
				s.Refuse = func(int) *http.Response {
					if len(s.Requests) > 20 {
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
				if u.Spool.Waiting() != 40 || len(s.Stored) != 0 {
					t.Errorf("%d waiting, %d stored, want 40 and 0", u.Spool.Waiting(), len(s.Stored))
				}
				drain(t, u, 6*time.Hour)
				conserved(t, u, s, made)
				if len(s.Stored) != 40 {
					t.Errorf("%d stored once the server was there again", len(s.Stored))
				}
			})
		})
	}
}
