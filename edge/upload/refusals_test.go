package upload

import (
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/spool"
	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/race"
	"sunspool/wire"
)

// place is a sample's place in what fill makes.
func place(x wire.Sample) int { return int(x.Time.Sub(noon) / (5 * time.Second)) }

// E19: three poisons among ten thousand. The others arrive, the search is bounded in all and in every minute, and what
// is new is never more than an interval old.
func TestPoisonsAmongThousandsAreFoundAtABoundedPrice(t *testing.T) {
	race.Skip(t, "one uploader alone")
	synctest.Test(t, func(t *testing.T) {
		bad := []int{1234, 4321, 4322}
		s := &uploadtest.Server{Bad: func(x wire.Sample) string {
			if slices.Contains(bad, place(x)) {
				return "value_error"
			}
			return ""
		}}
		u := uploaderTo(t, s)
		u.Fresh = 10 * time.Second
		fill(t, u.Spool, 10_000)
		var trialled []time.Time
		fresh := 0 // requests of the newest samples
		later := 0 // samples that were made meanwhile
		for end := time.Now().Add(2 * time.Hour); time.Now().Before(end) && u.Spool.InQuarantine() < 3; {
			trial, freshAt := u.refusals.trial, u.freshAt
			more, err := u.Deliver(t.Context())
			if u.refusals.trial != trial {
				trialled = append(trialled, time.Now())
			}
			if u.freshAt != freshAt {
				fresh++
			}
			if err != nil {
				t.Error(err)
			}
			if !more { // life goes on
				sample := sampleAt(noon.Add(time.Duration(10_000+later) * 5 * time.Second))
				if err := u.Spool.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
					t.Fatal(err)
				}
				later++
				time.Sleep(10 * time.Second)
			}
		}
		drain(t, u, time.Minute)
		if len(s.Stored) != 9_997+later || u.Spool.InQuarantine() != 3 || u.Spool.Waiting() != 0 {
			t.Errorf("%d stored, %d in quarantine, %d waiting", len(s.Stored), u.Spool.InQuarantine(), u.Spool.Waiting())
		}
		if extra := len(s.Requests) - ideal(10_000) - fresh - later; extra > 60 {
			t.Errorf("%d requests more than without poison", extra)
		}
		for i := trialsPerMinute; i < len(trialled); i++ {
			if took := trialled[i].Sub(trialled[i-trialsPerMinute]); took < time.Minute {
				t.Errorf("%d trials within %v", trialsPerMinute+1, took)
			}
		}
		_, reasons, err := u.Spool.Quarantined()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range reasons {
			if r.Code != "value_error" || r.Last.Sub(r.First) < refusalSpan || len(r.Detail) > maxQuote {
				t.Errorf("given up as %+v", r)
			}
		}
	})
}

// ideal is how many requests n samples take in batches that double.
func ideal(n int) (requests int) {
	for size := 30; n > 0; size = min(2*size, wire.MaxSamples) {
		n -= size
		requests++
	}
	return requests
}

// A refusal of somebody whom we do not know is no reason to look for a poison.
func TestStrangersRefusalIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Refuse: func(int) *http.Response { return uploadtest.Answer(422, `{"detail":[{"type":"missing"}]}`) }}
		u := uploaderTo(t, s)
		fill(t, u.Spool, 100)
		u.plain.tried = time.Now() // so that there is one request
		if _, err := u.Deliver(t.Context()); !isSuspect(err) || len(u.refusals.bisection) > 0 {
			t.Errorf("the first refusal gives %v and a search of %d", err, len(u.refusals.bisection))
		}
		if _, err := u.Deliver(t.Context()); err != nil || len(u.refusals.bisection) == 0 {
			t.Errorf("the second of the same server gives %v and a search of %d", err, len(u.refusals.bisection))
		}
		u.refusals.bisection = nil
		time.Sleep(2 * serverKnownFor)
		if _, err := u.Deliver(t.Context()); !isSuspect(err) || len(u.refusals.bisection) > 0 {
			t.Errorf("two hours later it gives %v and a search of %d", err, len(u.refusals.bisection))
		}
	})
}

func isSuspect(err error) bool { _, ok := err.(*refusal); return ok }

// The device got another name while samples of the old one waited: they wait for the operator, ours go on.
func TestRenamedDeviceHoldsOnlyItsOldSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true}
		u := uploaderTo(t, s)
		back := false // the token is for the old name again
		var old []wire.Sample
		for i := range 300 {
			sample := sampleAt(noon.Add(time.Duration(i) * 5 * time.Second))
			sample.DeviceID = "before"
			if err := u.Spool.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
				t.Fatal(err)
			}
			old = append(old, sample)
		}
		s.Foreign = func(device string) bool { return (device == "before") != back }
		for i := range 20 {
			sample := sampleAt(noon.Add(time.Hour + time.Duration(i)*5*time.Second))
			if err := u.Spool.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
				t.Fatal(err)
			}
		}
		drain(t, u, 15*time.Minute)
		if len(s.Stored) != 20 || u.Spool.Waiting() != len(old) || u.Spool.InQuarantine() != 0 {
			t.Errorf("%d stored, %d waiting, %d in quarantine, want 20, 300, 0", len(s.Stored), u.Spool.Waiting(), u.Spool.InQuarantine())
		}
		if held := u.deviceChange.Waiting.Load(); held == nil || *held != "before" {
			t.Errorf("the held device is %v", held)
		}
		if len(s.Requests) > 60 {
			t.Errorf("%d requests in 15 min", len(s.Requests))
		}
		back = true
		drain(t, u, 2*time.Hour)
		if len(s.Stored) != 320 || u.deviceChange.Waiting.Load() != nil {
			t.Errorf("%d stored two hours after the name was put back, held %v", len(s.Stored), u.deviceChange.Waiting.Load())
		}
	})
}

// A token that is refused for everything is no reason to split anything.
func TestForbiddenTokenIsNoPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := true
		s := &uploadtest.Server{Lenient: true, Foreign: func(string) bool { return wrong }}
		u := uploaderTo(t, s)
		made := fill(t, u.Spool, 100)
		drain(t, u, time.Hour)
		if len(s.Requests) > 61 || u.Spool.Waiting() != 100 || u.refusals.Suspects.Load() != 0 {
			t.Errorf("%d requests in an hour, %d waiting, %d suspects", len(s.Requests), u.Spool.Waiting(), u.refusals.Suspects.Load())
		}
		wrong = false
		drain(t, u, 90*time.Second)
		conserved(t, u, s, made)
		if len(s.Stored) != 100 {
			t.Errorf("%d stored 90 s after the token was good again", len(s.Stored))
		}
	})
}

// Whatever a server answers, and in whatever order, it is never asked without end at one instant.
func TestNoAnswerMakesTheEdgeSpin(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of uploads")
	}
	detail := `{"detail":"no"}`
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 0))
			s := &uploadtest.Server{Lenient: seed%2 == 0}
			s.Bad = func(x wire.Sample) string {
				if dice.IntN(20) == 0 {
					return "value_error"
				}
				return ""
			}
			mood := 0
			s.Refuse = func(int) *http.Response {
				if dice.IntN(200) == 0 {
					mood = dice.IntN(10)
				}
				status := []int{0, 0, 0, 422, 403, 413, 401, 400, 422, 403}[mood]
				if status == 0 {
					return nil
				}
				return uploadtest.Answer(status, detail)
			}
			u := uploaderTo(t, s)
			u.Fresh = 10 * time.Second
			u.Spool.QuarantineCap = 1000
			bad := sampleAt(noon.Add(-time.Hour))
			bad.PVPowerW = math.Inf(1)
			if err := u.Spool.Append(&bad, spool.When{Quality: spool.Synced}); err != nil {
				t.Fatal(err)
			}
			fill(t, u.Spool, 200)
			for end := time.Now().Add(3 * time.Hour); time.Now().Before(end); {
				before := len(s.Requests)
				for more, err := true, error(nil); more; {
					if more, err = u.Deliver(t.Context()); err != nil {
						time.Sleep(u.Wait(err))
					}
					if len(s.Requests)-before > 300 {
						t.Fatalf("seed %d: more than 300 requests at one instant", seed) // 200 samples go one by one at worst
					}
				}
				time.Sleep(10 * time.Second)
			}
		})
	}
}

// E14: weeks drain, and a reader sees the present all the while.
func TestNewestSampleOvertakesABacklog(t *testing.T) {
	race.Skip(t, "one uploader alone")
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true, Took: 2 * time.Second}
		u := uploaderTo(t, s)
		u.Fresh = 10 * time.Second
		fill(t, u.Spool, 40_000)
		next := noon.Add(40_000 * 5 * time.Second)
		polled := time.Now()
		for worst := time.Duration(0); u.Spool.Waiting() > 0; {
			for ; time.Since(polled) >= 0; polled = polled.Add(5 * time.Second) {
				sample := sampleAt(next)
				if err := u.Spool.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
					t.Fatal(err)
				}
				next = next.Add(5 * time.Second)
			}
			more, err := u.Deliver(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			age := time.Duration(0)
			for at := next.Add(-5 * time.Second); age < time.Minute; age += 5 * time.Second {
				if _, ok := s.Stored[at.Add(-age).UnixMilli()]; ok {
					break
				}
			}
			if worst = max(worst, age); worst > u.Fresh+5*time.Second {
				t.Fatalf("the newest sample on the server was %v old", worst)
			}
			if !more {
				time.Sleep(10 * time.Second)
			}
		}
		if len(s.Stored) < 40_000 {
			t.Errorf("%d stored", len(s.Stored))
		}
	})
}

func TestQuarantineIsTriedAgainOnceByANewVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		understands := false
		s := &uploadtest.Server{Lenient: true, Bad: func(x wire.Sample) string {
			if !understands && place(x)%10 == 3 {
				return "unknown_field"
			}
			return ""
		}}
		u := uploaderTo(t, s)
		made := fill(t, u.Spool, 60)
		drain(t, u, time.Hour)
		if u.Spool.InQuarantine() != 6 {
			t.Fatalf("%d in quarantine, want 6", u.Spool.InQuarantine())
		}
		add := func(at time.Time) {
			sample := sampleAt(at)
			if err := u.Spool.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
				t.Fatal(err)
			}
			made = append(made, sample)
		}
		for version, want := range []int{6, 0, 6, 0} { // the version of this start, the same again, the next, the same again
			n, err := u.Spool.RequeueOnce("test", string(rune('a'+version/2)))
			if err != nil || n != want {
				t.Errorf("step %d moves %d, %v, want %d", version, n, err, want)
			}
			add(noon.Add(time.Duration(version+1) * time.Hour)) // the server takes others
			drain(t, u, time.Hour)
		}
		understands, s.Version = true, "sunspool/2"
		add(noon.Add(9 * time.Hour))
		drain(t, u, time.Hour)
		if u.Spool.InQuarantine() != 0 || u.Spool.Waiting() != 0 {
			t.Errorf("%d in quarantine and %d waiting after the server's new version", u.Spool.InQuarantine(), u.Spool.Waiting())
		}
		conserved(t, u, s, made)
		path := u.Spool.Path()
		u.Spool.Close()
		if again := openSpool(t, path); again.Waiting() != 0 || again.InQuarantine() != 0 {
			t.Errorf("after a restart %d wait and %d are in quarantine", again.Waiting(), again.InQuarantine())
		}
	})
}

// What JSON cannot say must not stop the samples behind it.
func TestSampleThatCannotBeSentIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true}
		u := uploaderTo(t, s)
		bad := sampleAt(noon.Add(-time.Hour))
		bad.PVPowerW = math.NaN()
		if err := u.Spool.Append(&bad, spool.When{Quality: spool.Synced}); err != nil {
			t.Fatal(err)
		}
		fill(t, u.Spool, 10)
		drain(t, u, time.Minute)
		if len(s.Stored) != 10 || u.Spool.InQuarantine() != 1 {
			t.Errorf("%d stored, %d in quarantine", len(s.Stored), u.Spool.InQuarantine())
		}
	})
}

// E21: a server that counts bytes, from a kilobyte to a megabyte.
func TestLimitInBytesIsLearned(t *testing.T) {
	for limit := 1 << 10; limit <= 1<<20; limit *= 4 {
		synctest.Test(t, func(t *testing.T) {
			over := 0
			s := &uploadtest.Server{Lenient: true}
			u := uploaderTo(t, s)
			u.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
				if r.ContentLength > int64(limit) {
					over++
					return uploadtest.Answer(413, `{"detail":"Request body too large."}`), nil
				}
				return s.RoundTrip(r)
			})
			u.plain.until = time.Now().Add(24 * time.Hour)
			made := fill(t, u.Spool, 500)
			drain(t, u, 50*time.Minute)
			conserved(t, u, s, made)
			if len(s.Stored) != 500 || over > 10 {
				t.Errorf("limit %d: %d stored, %d requests too large", limit, len(s.Stored), over)
			}
		})
	}
}

// E23: the answer ends after every one of its bytes.
func TestAnswerCutAnywhereIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true}
		u := uploaderTo(t, s)
		cut := 0
		done := false
		u.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
			resp, err := s.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			body, _ := io.ReadAll(resp.Body)
			if cut < len(body) {
				resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(string(body[:cut])), cutOff{}))
				cut++
			} else {
				resp.Body, done = io.NopCloser(strings.NewReader(string(body))), true
			}
			return resp, nil
		})
		made := fill(t, u.Spool, 20)
		for !done {
			if _, err := u.Deliver(t.Context()); err == nil && !done {
				t.Fatalf("an answer cut after %d bytes was believed", cut-1)
			}
		}
		conserved(t, u, s, made)
		if len(s.Stored) != 20 || u.Spool.Waiting() != 0 || cut < 50 {
			t.Errorf("%d stored, %d waiting, %d cuts", len(s.Stored), u.Spool.Waiting(), cut)
		}
	})
}

// E25: an answer that never ends is read no further than we believe answers to be.
func TestEndlessAnswerIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true}
		u := uploaderTo(t, s)
		read := 0
		u.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
			resp := uploadtest.Answer(200, "")
			resp.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) { read += len(p); return copy(p, strings.Repeat(" ", len(p))), nil }))
			return resp, nil
		})
		fill(t, u.Spool, 20)
		_, err := u.Deliver(t.Context())
		if _, ok := err.(*intermediary); !ok || read > 4*maxAnswer || u.Spool.Waiting() != 20 {
			t.Errorf("%v after %d bytes, %d waiting", err, read, u.Spool.Waiting())
		}
	})
}

// E22, over the whole life of an uploader: told to stop, it does not knock once more.
func TestRetryAfterHoldsForEveryRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true}
		s.Refuse = func(int) *http.Response {
			if len(s.Requests) > 1 {
				return nil
			}
			a := uploadtest.Answer(503, `{"detail":"busy"}`)
			a.Header.Set("Retry-After", "300")
			return a
		}
		u := uploaderTo(t, s)
		fill(t, u.Spool, 20)
		for range 29 {
			u.Deliver(t.Context())
			time.Sleep(10 * time.Second)
		}
		if len(s.Requests) != 1 {
			t.Errorf("%d requests in 5 min", len(s.Requests))
		}
		time.Sleep(20 * time.Second)
		if _, err := u.Deliver(t.Context()); err != nil || u.Spool.Waiting() != 0 {
			t.Errorf("afterwards: %v, %d waiting", err, u.Spool.Waiting())
		}
	})
}

type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// E24: the edge dies when the server has answered and before the samples are gone from the spool.
func TestCrashBetweenAnswerAndDeleteStoresOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true}
		u := uploaderTo(t, s)
		made := fill(t, u.Spool, 50)
		path := u.Spool.Path()
		u.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
			resp, err := s.RoundTrip(r)
			u.Spool.Close()
			return resp, err
		})
		if _, err := u.Deliver(t.Context()); err == nil || len(s.Stored) != 30 {
			t.Fatalf("%v, %d stored", err, len(s.Stored))
		}
		u.Spool, u.Client.Transport = openSpool(t, path), s
		drain(t, u, time.Minute)
		conserved(t, u, s, made)
		if len(s.Stored) != 50 || u.Spool.Waiting() != 0 || u.Duplicates.Load() != 30 {
			t.Errorf("%d stored, %d waiting, %d duplicates", len(s.Stored), u.Spool.Waiting(), u.Duplicates.Load())
		}
	})
}
