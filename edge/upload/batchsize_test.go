package upload

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/spool"
	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/race"
	"sunspool/wire"
)

// slowWay is a way to a server that carries so many bytes a second. A request that takes longer than the client waits
// for is cut off.
type slowWay struct {
	to     *uploadtest.Server
	rate   float64
	cut    int // requests that were cut off
	cutOff func(took time.Duration) error
}

func (w *slowWay) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	took := time.Duration(float64(len(body)) / w.rate * float64(time.Second))
	if w.cutOff != nil {
		if err := w.cutOff(took); err != nil {
			w.cut++
			return nil, err
		}
	}
	select {
	case <-time.After(took):
	case <-r.Context().Done():
		w.cut++
		return nil, r.Context().Err()
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return w.to.RoundTrip(r)
}

// fillWide adds n samples whose values do not compress to nothing.
func fillWide(t *testing.T, s *spool.Spool, n int) {
	t.Helper()
	var group []spool.Pending
	for i := range n {
		x := sampleAt(noon.Add(time.Duration(i) * 5 * time.Second))
		x.Values = make(map[string]float64)
		for k := range 20 {
			x.Values[fmt.Sprintf("register_%d", k)] = float64((i*7919+k*104729)%100003) / 10
		}
		group = append(group, spool.Pending{Sample: x, When: spool.When{Quality: spool.Synced}})
	}
	if err := s.AppendAll(group); err != nil {
		t.Fatal(err)
	}
}

func TestSlowUplinkGetsSmallerBatches(t *testing.T) {
	race.Skip(t, "one uploader alone")
	reset := func(most time.Duration) func(time.Duration) error { // a server, or a proxy, with a shorter patience than ours
		return func(took time.Duration) error {
			if took > most {
				time.Sleep(most)
				return io.ErrUnexpectedEOF
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		rate  float64
		batch int
		cut   func(time.Duration) error
	}{
		"modem":                     {3000, 30, nil},
		"hardly a way":              {300, 30, nil},
		"large batches by settings": {1000, 1000, nil},
		"cut off by the other end":  {3000, 30, reset(10 * time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &uploadtest.Server{Lenient: true}
				u := uploaderTo(t, s)
				w := &slowWay{to: s, rate: c.rate, cutOff: c.cut}
				u.Fresh, u.BatchSize = 10*time.Second, c.batch
				u.Client.Timeout, u.Client.Transport = 30*time.Second, w
				fillWide(t, u.Spool, 1500)
				drain(t, u, 6*time.Hour)
				if len(s.Stored) != 1500 || w.cut > 12 {
					t.Errorf("%d of 1500 samples delivered, %d requests cut off", len(s.Stored), w.cut)
				}
			})
		})
	}
}

func TestBusyServerGetsSmallerBatches(t *testing.T) {
	race.Skip(t, "one uploader alone")
	for _, status := range []int{408, 500, 524} {
		for _, bears := range []int{700, 100, 7} {
			t.Run(fmt.Sprintf("%d above %d", status, bears), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					failed := 0
					s := &uploadtest.Server{Lenient: true, Refuse: func(n int) *http.Response {
						if n <= bears {
							return nil
						}
						failed++
						a := uploadtest.Answer(status, `{"detail":"the store is busy"}`)
						a.Header.Set("Retry-After", "5")
						return a
					}}
					s.Took = time.Second
					u := uploaderTo(t, s)
					u.Fresh = 10 * time.Second
					fill(t, u.Spool, 2000)
					drain(t, u, 2*time.Hour)
					if len(s.Stored) != 2000 || failed > 25 {
						t.Errorf("%d of 2000 samples delivered, %d requests for nothing", len(s.Stored), failed)
					}
				})
			})
		}
	}
}

// What fails whatever its size is not made small for long: when the server is back a backlog drains in large batches.
func TestBatchesAreLargeAgainSoonAfterAnOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of uploads")
	}
	for name, a := range map[string]func() (*http.Response, error){
		"busy":   func() (*http.Response, error) { return uploadtest.Answer(503, `{"detail":"later"}`), nil },
		"silent": func() (*http.Response, error) { time.Sleep(30 * time.Second); return nil, io.ErrUnexpectedEOF },
	} {
		for _, failures := range []int{1, 3, 20} {
			t.Run(fmt.Sprint(name, failures), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &uploadtest.Server{Lenient: true, Took: 100 * time.Millisecond}
					u := uploaderTo(t, s)
					left := failures
					u.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
						if left > 0 && len(s.Sizes) >= 5 { // in the middle of a drain
							left--
							return a()
						}
						return s.RoundTrip(r)
					})
					fill(t, u.Spool, 8000)
					for left > 0 {
						drain(t, u, time.Second)
					}
					drain(t, u, 20*time.Minute)
					if u.Spool.Waiting() > 0 {
						t.Errorf("%d of 8000 samples wait 20 min after the outage", u.Spool.Waiting())
					}
				})
			})
		}
	}
}

// A server that only wants fewer requests is not sent more of them.
func TestTooManyRequestsKeepsBatchesLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		s := &uploadtest.Server{Lenient: true, Refuse: func(int) *http.Response {
			if n++; n%2 == 0 {
				return uploadtest.Answer(429, `{"detail":"slower"}`)
			}
			return nil
		}}
		u := uploaderTo(t, s)
		fill(t, u.Spool, 3000)
		drain(t, u, time.Hour)
		if len(s.Requests) > 24 || len(s.Stored) != 3000 {
			t.Errorf("%d stored in %d requests: %v", len(s.Stored), len(s.Requests), s.Sizes)
		}
	})
}

// A part of a batch that is searched for a poison is no larger than what the way bears.
func TestSearchOnASlowUplinkGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Bad: func(x wire.Sample) string {
			if place(x) == 1500 {
				return "value_error"
			}
			return ""
		}}
		u := uploaderTo(t, s)
		w := &slowWay{to: s, rate: 1e6}
		u.Fresh = 10 * time.Second
		u.Client.Timeout, u.Client.Transport = 30*time.Second, w
		fillWide(t, u.Spool, 2000)
		for u.refusals.bisection.size() == 0 {
			if _, err := u.Deliver(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w.rate = 500
		drain(t, u, 3*time.Hour)
		if len(s.Stored) != 1999 {
			t.Errorf("%d of 1999 good samples delivered, %d cut off", len(s.Stored), w.cut)
		}
	})
}

// A server that takes nothing for hours and then only little gets little in the end.
func TestBusyServerAfterAnOutageGetsSmallBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bears := 0
		s := &uploadtest.Server{Lenient: true, Refuse: func(n int) *http.Response {
			if n <= bears {
				return nil
			}
			return uploadtest.Answer(503, `{"detail":"the store is busy"}`)
		}}
		u := uploaderTo(t, s)
		fill(t, u.Spool, 500)
		drain(t, u, 3*time.Hour)
		bears = 7
		drain(t, u, 5*time.Hour)
		if len(s.Stored) != 500 {
			t.Errorf("%d of 500 samples delivered in %d requests", len(s.Stored), len(s.Requests))
		}
	})
}
