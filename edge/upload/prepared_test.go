package upload

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/spool"
	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/race"
	"sunspool/wire"
)

// ordered makes s note the samples that it was sent, in their order.
func ordered(s *uploadtest.Server) *[]int {
	sent, bad := new([]int), s.Bad
	s.Bad = func(x wire.Sample) string {
		*sent = append(*sent, place(x))
		if bad != nil {
			return bad(x)
		}
		return ""
	}
	return sent
}

// deliverOnce makes one request, and reports whether there was a prepared body and whether it was sent.
func deliverOnce(t *testing.T, u *Uploader) (prepared, used, more bool, err error) {
	t.Helper()
	p := u.ahead.prepared
	more, err = u.Deliver(t.Context())
	return p != nil, p != nil && bytes.Contains(p.body.Bytes(), []byte(`"batch_id"`)), more, err
}

func TestDrainSendsPreparedBatchesInOrderAndOnce(t *testing.T) {
	for name, c := range map[string]struct{ bytes, requests, unprepared int }{
		"by samples": {wire.MaxBytes, 8, 3}, // the first, and the last two, which are not full
		"by bytes":   {64 << 10, 0, 8},      // up to 1000 are chosen, and fewer fit
	} {
		t.Run(name, func(t *testing.T) {
			s := &uploadtest.Server{Lenient: true}
			u := uploaderTo(t, s)
			u.BatchSize, u.limit, u.limitBytes, u.size, u.limitSince = 10, wire.MaxSamples, c.bytes, 10, time.Now()
			sent := ordered(s)
			made := fill(t, u.Spool, 2200)
			reused, more := 0, true
			for more {
				var prepared, used bool
				var err error
				if prepared, used, more, err = deliverOnce(t, u); err != nil {
					t.Fatal(err)
				}
				if prepared != used {
					t.Errorf("after %v a body was prepared in vain", s.Sizes)
				}
				if used {
					reused++
				}
			}
			if c.requests > 0 && len(s.Sizes) != c.requests || len(s.Sizes)-reused > c.unprepared {
				t.Errorf("%d of %d requests had a prepared body: %v", reused, len(s.Sizes), s.Sizes)
			}
			if !slices.IsSorted(*sent) || len(*sent) != len(made) || u.Duplicates.Load() > 0 {
				t.Errorf("%d samples sent for %d, %d twice, or out of turn", len(*sent), len(made), u.Duplicates.Load())
			}
			conserved(t, u, s, made)
			if u.ahead.prepared != nil {
				t.Error("a body is kept without a backlog")
			}
		})
	}
}

// What goes next is decided without the prepared batch.
func TestPreparedBatchIsSentOnlyIfItIsNext(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testing.T, *Uploader)
		first  int // sample of the next request
		n      int
	}{
		"nothing happens":    {func(*testing.T, *Uploader) {}, 10, 20},
		"the newest are due": {func(_ *testing.T, u *Uploader) { u.Fresh = time.Minute }, 490, 10},
		"a sample is gone": {func(t *testing.T, u *Uploader) {
			if err := u.Spool.Settle([]uint64{11}, nil); err != nil {
				t.Fatal(err)
			}
		}, 11, 20},
		"a sample is a suspect": {func(_ *testing.T, u *Uploader) {
			u.refusals.recordRefusal(spool.Rejection{Seq: 11, Code: "value_error", First: now(), Last: now()})
		}, 11, 20},
		"a refused batch is bisected":     {func(_ *testing.T, u *Uploader) { u.refusals.bisection = bisection{{seqs: []uint64{21, 22, 23}}} }, 20, 3},
		"the token is to be tried":        {func(_ *testing.T, u *Uploader) { u.deviceChange.tokenProbe = true }, 499, 1},
		"an old device's samples wait":    {func(_ *testing.T, u *Uploader) { u.deviceChange.upTo, u.deviceChange.until = 40, now().Add(time.Hour) }, 40, 20},
		"batches become smaller":          {func(_ *testing.T, u *Uploader) { u.size = 5 }, 10, 5},
		"fewer bytes are allowed":         {func(_ *testing.T, u *Uploader) { u.limitBytes = 2 << 10 }, 10, 4},
		"all that waited have new times":  {redate, 1010, 20},
		"a quarantined sample goes again": {requeue, 3, 20},
	} {
		t.Run(name, func(t *testing.T) {
			s := &uploadtest.Server{Lenient: true, Bad: func(x wire.Sample) string {
				if name == "a quarantined sample goes again" && place(x) == 3 {
					return "value_error"
				}
				return ""
			}}
			u := uploaderTo(t, s)
			u.BatchSize = 10
			sent := ordered(s)
			for i := range 500 {
				x := sampleAt(noon.Add(time.Duration(i) * 5 * time.Second))
				if err := u.Spool.Append(&x, spool.When{Quality: spool.ByServer, BootID: "a", Since: time.Duration(i) * 5 * time.Second}); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, _, err := deliverOnce(t, u); err != nil || u.ahead.prepared == nil {
				t.Fatal("nothing is prepared:", err)
			}
			c.change(t, u)
			*sent = nil
			_, used, _, err := deliverOnce(t, u)
			if err != nil {
				t.Fatal(err)
			}
			if want := name == "nothing happens"; used != want {
				t.Errorf("the prepared body was sent: %v, want %v", used, want)
			}
			if len(*sent) != c.n || (*sent)[0] != c.first {
				t.Errorf("%d samples from %d on went next, want %d from %d on", len(*sent), (*sent)[0], c.n, c.first)
			}
		})
	}
}

// redate gives all samples of a clock that was ahead the times of one 1000 samples later.
func redate(t *testing.T, u *Uploader) {
	if _, err := u.Spool.Retract(noon.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := u.Spool.AssignTimestamps(1, spool.Anchor{Start: noon.Add(5000 * time.Second).UnixNano(), Quality: spool.ByServer}, time.Hour); err != nil {
		t.Fatal(err)
	}
}

func requeue(t *testing.T, u *Uploader) {
	if n, err := u.Spool.Requeue(func(spool.Rejection) bool { return true }); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}

// Whatever the server answers: the requests, their samples and their times are those of an uploader that prepares nothing.
func TestPreparedBatchesChangeNoRequest(t *testing.T) {
	race.Skip(t, "many courses of what TestDrainSendsPreparedBatchesInOrderAndOnce does at once")
	type request struct {
		at      time.Duration
		samples string
	}
	for name, c := range map[string]struct {
		strict  bool
		fresh   time.Duration
		respond func(s *uploadtest.Server, n int) *http.Response // to request n, nil for what the server answers
	}{
		"nothing happens":    {},
		"newest overtake":    {fresh: 10 * time.Second},
		"busy once":          {respond: func(_ *uploadtest.Server, n int) *http.Response { return answerIf(n == 4, 503) }},
		"busy often":         {respond: func(_ *uploadtest.Server, n int) *http.Response { return answerIf(n%3 == 0, 503) }},
		"too large":          {respond: func(s *uploadtest.Server, n int) *http.Response { s.Limit = 25; return nil }},
		"smaller limit late": {respond: func(s *uploadtest.Server, n int) *http.Response { s.Limit = max(200-20*n, 15); return nil }},
		"token refused":      {respond: func(_ *uploadtest.Server, n int) *http.Response { return answerIf(n == 4, 401) }},
		"refuses one":        {respond: func(s *uploadtest.Server, n int) *http.Response { s.Bad = badPlace(n > 3, 75); return nil }},
		"refuses a whole batch": {strict: true, respond: func(s *uploadtest.Server, n int) *http.Response {
			s.Bad = badPlace(n > 3, 75, 400)
			return nil
		}},
		"another version": {respond: func(s *uploadtest.Server, n int) *http.Response {
			s.Version = "sunspool/" + string(rune('1'+n/5))
			s.Bad = badPlace(n < 6, 3, 50, 120)
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var requests [2][]request
			used := 0
			for i := range requests {
				synctest.Test(t, func(t *testing.T) {
					began := time.Now()
					s := &uploadtest.Server{Lenient: !c.strict, Took: time.Second}
					u := uploaderTo(t, s)
					u.BatchSize, u.Fresh = 10, c.fresh
					made := fill(t, u.Spool, 1000)
					s.Refuse = func(int) *http.Response {
						if c.respond == nil {
							return nil
						}
						return c.respond(s, len(s.Sizes))
					}
					u.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
						body, err := r.GetBody()
						if err != nil {
							t.Fatal(err)
						}
						requests[i] = append(requests[i], request{time.Since(began), samplesOf(t, body)})
						return s.RoundTrip(r)
					})
					for end := began.Add(20 * time.Minute); u.Spool.Waiting() > 0 && time.Now().Before(end); {
						if i == 1 {
							u.ahead.prepared = nil
						}
						_, was, more, err := deliverOnce(t, u)
						if was {
							used++
						}
						switch {
						case err != nil:
							if u.ahead.prepared != nil {
								t.Error("a body is kept while the server takes nothing")
							}
							time.Sleep(10 * time.Second)
						case !more:
							time.Sleep(10 * time.Second)
						}
					}
					conserved(t, u, s, made)
				})
			}
			if used == 0 {
				t.Error("no prepared body was sent: the test tests nothing")
			}
			if !slices.Equal(requests[0], requests[1]) {
				for n := range min(len(requests[0]), len(requests[1])) {
					if requests[0][n] != requests[1][n] {
						t.Fatalf("request %d is %.300v, without a prepared body %.300v", n+1, requests[0][n], requests[1][n])
					}
				}
				t.Errorf("%d requests, without prepared bodies %d", len(requests[0]), len(requests[1]))
			}
		})
	}
}

func answerIf(yes bool, status int) *http.Response {
	if !yes {
		return nil
	}
	return uploadtest.Answer(status, `{"detail":"no"}`)
}

// badPlace refuses some samples while it is on.
func badPlace(on bool, places ...int) func(wire.Sample) string {
	return func(x wire.Sample) string {
		if on && slices.Contains(places, place(x)) {
			return "value_error"
		}
		return ""
	}
}

// samplesOf returns which samples are in a body.
func samplesOf(t *testing.T, body io.Reader) string {
	z, err := gzip.NewReader(body)
	if err != nil {
		t.Fatal(err)
	}
	var b wire.Batch
	if err := json.NewDecoder(z).Decode(&b); err != nil {
		t.Fatal(err)
	}
	var places []int
	for _, x := range b.Samples {
		places = append(places, place(x))
	}
	return fmt.Sprint(places)
}
