package edge

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/report"
	"sunspool/edge/spool"
	"sunspool/edge/upload"
	"sunspool/edge/upload/uploadtest"
	"sunspool/wire"
)

// Samples of the future cost a request now and then, and are one condition, not an alarm at each attempt.
func TestSamplesOfTheFutureAreOneCondition(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of uploads")
	}
	for _, n := range []int{1, 120, 3000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &uploadtest.Server{T: t, Lenient: true, Stored: map[int64]wire.Sample{}}
				e, log, file := edgeTo(t, s)
				e.Uploader.Fresh = 10 * time.Second
				s.RefuseFuture()
				start := time.Now()
				add := func(at time.Time) {
					x := sampleAt(at)
					if err := e.Spool.Append(&x, spool.When{Quality: spool.Believed}); err != nil {
						t.Fatal(err)
					}
				}
				for i := range n {
					add(start.Add(24*time.Hour + time.Duration(i)*5*time.Second))
				}
				live := func(d, poll time.Duration) {
					last := time.Now()
					for end := last.Add(d); time.Now().Before(end); {
						for ; time.Since(last) >= poll; last = last.Add(poll) {
							add(last)
						}
						more, err := e.deliverOnce(t.Context())
						e.Report.Write()
						wait := max(e.Every, poll)
						if err != nil {
							wait = e.Uploader.Wait(err)
						} else if more {
							wait = 0
						}
						time.Sleep(wait)
					}
				}
				live(30*time.Minute, 5*time.Second)
				lines, requests := strings.Count(log.String(), "\n"), len(s.Requests)
				if h := readHealth(t, file); h.Status != report.StateDegraded || !slices.Contains(e.Report.State().Reasons, "clock_ahead") {
					t.Errorf("health is %s, %s", h.Status, h.Sentence)
				}
				live(2*time.Hour, 10*time.Second)
				if got := strings.Count(log.String(), "\n"); lines > 30 || got > lines+1 {
					t.Errorf("%d lines of log in the first half hour, %d in two hours more:\n%.3000s", lines, got-lines, log)
				}
				if got := len(s.Requests) - requests; got > 2*360+10 {
					t.Errorf("%d requests in two hours", got)
				}
				if e.Uploader.SuspectSamples() > 0 || e.Uploader.SchemaMismatch() > 0 {
					t.Error("the samples are suspected")
				}
				live(24*time.Hour, 5*time.Minute)
				if e.Spool.Waiting() > 3000 && n < 3000 || e.Spool.InQuarantine() > 0 {
					t.Errorf("%d samples wait after the future came, %d in quarantine", e.Spool.Waiting(), e.Spool.InQuarantine())
				}
			})
		})
	}
}

func TestFullQuarantineTakesNoMoreAndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{T: t, Lenient: true, Stored: map[int64]wire.Sample{}, Bad: func(x wire.Sample) string {
			if int(x.Time.Sub(noon)/(5*time.Second))%50 == 3 {
				return "unknown_field"
			}
			return ""
		}}
		e, _, _ := edgeTo(t, s)
		e.Spool.QuarantineCap = 2000
		fill(t, e.Spool, 1000)
		drainAll(t, e.Uploader, 30*time.Minute)
		in, waiting := e.Spool.InQuarantine(), e.Spool.Waiting()
		if in == 0 || in == 20 || in+waiting != 20 || len(s.Stored) != 980 {
			t.Errorf("%d in quarantine, %d waiting, %d stored", in, waiting, len(s.Stored))
		}
		if state := e.Report.State(); state.Status != report.StateBlocked || !slices.Contains(state.Reasons, "quarantine_full") {
			t.Errorf("the state is %+v", state)
		}
	})
}

// drainAll delivers as the edge does until nothing is left or the time is over.
func drainAll(t *testing.T, u *upload.Uploader, atMost time.Duration) {
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

// An upload that fails is counted by the code of what went wrong.
func TestFailedUploadIsCounted(t *testing.T) {
	e, _, _ := edgeTo(t, uploadtest.Tripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }))
	s := sampleAt(now())
	if err := e.Spool.Append(&s, spool.When{Quality: spool.Synced}); err != nil {
		t.Fatal(err)
	}
	e.deliverOnce(t.Context())
	w := httptest.NewRecorder()
	report.MetricsHandler(e.Report).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if text := w.Body.String(); !strings.Contains(text, `sunspool_edge_uploads_total{device="roof",result="vps_unreachable"} 1`) || strings.Count(text, "\nsunspool_edge_uploads_total") != 1 {
		t.Error(text)
	}
}
