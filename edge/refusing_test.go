package edge

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/report"
	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
	"sunspool/wire"
)

// Before the inverter has given a sample an empty batch shows whether name, way, certificate and token are in order.
func TestEmptyBatchProvesTheServerBeforeTheFirstSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f := bedOf(t, true)
		f.server.Refuse = func(int) *http.Response { return uploadtest.Answer(401, `{"detail":"Invalid or expired token."}`) }
		deliver := func(span time.Duration) {
			for end := time.Now().Add(span); time.Now().Before(end); {
				_, err := e.deliverOnce(t.Context())
				wait := e.Every
				if err != nil {
					wait = e.Uploader.Wait(err)
				}
				time.Sleep(wait)
			}
		}
		deliver(10 * time.Minute)
		if s := e.Report.State(); s.Status != report.StateBlocked || s.Reasons[0] != "credential" {
			t.Errorf("a wrong token gives %s, %v", s.Status, s.Reasons)
		}
		if n := len(f.server.Requests); n == 0 || n > 11 {
			t.Errorf("%d requests in ten minutes", n)
		}
		f.server.Refuse = nil
		deliver(3 * time.Minute)
		if s := e.Report.State(); s.Status != report.StateOK {
			t.Errorf("the right token gives %s: %s", s.Status, s.Sentence)
		}
		before := len(f.server.Requests)
		deliver(6 * time.Hour)
		if n := len(f.server.Requests) - before; n < 5 || n > 7 {
			t.Errorf("%d requests in six hours without a sample, want one an hour", n)
		}
		if len(f.server.Stored) != 0 {
			t.Error("something was stored")
		}
	})
	synctest.Test(t, func(t *testing.T) { // a server that does not take an empty one is there all the same
		e, f := bedOf(t, false)
		f.server.Refuse = func(n int) *http.Response {
			if n == 0 {
				return uploadtest.Answer(422, `{"detail":[{"type":"too_short","loc":["body","samples"],"msg":"List should have at least 1 item"}]}`)
			}
			return nil
		}
		for range 10 {
			e.deliverOnce(t.Context())
			time.Sleep(e.Every)
		}
		if s := e.Report.State(); s.Status != report.StateOK || len(f.server.Requests) > 2 {
			t.Errorf("%s, %d requests", s.Sentence, len(f.server.Requests))
		}
	})
}

// A server that does not take a sample because of a null is named from the first refusal on, and what it takes is
// delivered meanwhile.
func TestRefusedSamplesAreNamedFromTheFirst(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of uploads")
	}
	for _, lenient := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e, f := bedOf(t, lenient)
			f.live(t, e, time.Minute)
			null := false
			f.server.Bad = func(wire.Sample) string {
				if null {
					return "float_type"
				}
				return ""
			}
			null = true
			f.live(t, e, 30*time.Second)
			if s := e.Report.State(); s.Status == report.StateOK || !strings.Contains(s.Sentence, "float_type") {
				t.Errorf("lenient %v: half a minute after the first refusal the state is %s: %s", lenient, s.Status, s.Sentence)
			}
			f.live(t, e, time.Minute)
			var since time.Time
			for range 5 { // fewer refusals than open the breaker
				f.live(t, e, e.Every)
				links := e.Report.Chain.Status()
				vps := links[slices.IndexFunc(links, func(l health.Status) bool { return l.Name == "vps" })]
				if since.IsZero() {
					since = vps.Since
				}
				if vps.Code != "batch_refused" || !vps.Since.Equal(since) || e.Report.State().Status == report.StateOK {
					t.Errorf("lenient %v: while everything is refused the link is %s, %q: %s", lenient, vps.State, vps.Code, e.Report.State().Sentence)
				}
			}
			if e.Spool.InQuarantine() > 0 {
				t.Errorf("lenient %v: %d in quarantine of a server that takes nothing", lenient, e.Spool.InQuarantine())
			}
			null = false
			f.live(t, e, 70*time.Minute)
			f.arrived(t, e)
		})
	}
}

// What made the server refuse so much is mended: a minute later, when good answers came, nothing speaks of it any more.
func TestBreakerForgetsWhenTheServerIsWell(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of uploads")
	}
	for _, lenient := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e, f := bedOf(t, lenient)
			e.Uploader.Fresh = e.Every
			bad := true
			f.server.Bad = func(wire.Sample) string {
				if bad {
					return "missing"
				}
				return ""
			}
			f.live(t, e, 3*time.Hour)
			if s := e.Report.State(); s.Status != report.StateBlocked || s.Reasons[0] != "schema_mismatch" {
				t.Fatalf("lenient %v: after three hours the state is %s, %v: %s", lenient, s.Status, s.Reasons, s.Sentence)
			}
			bad = false
			f.live(t, e, 5*time.Minute) // until it is asked again
			accepted := time.Now()
			for e.Report.State().Status == report.StateBlocked {
				f.live(t, e, 10*time.Second)
				if time.Since(accepted) > 3*time.Minute {
					t.Fatalf("lenient %v: %v after good answers: %s", lenient, time.Since(accepted), e.Report.State().Sentence)
				}
			}
			f.live(t, e, 15*time.Minute)
			f.arrived(t, e)
		})
	}
}
