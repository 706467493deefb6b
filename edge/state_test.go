package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/config"
	"sunspool/edge/report"
	"sunspool/edge/spool"
	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/testhost"
	"sunspool/settings"
	"sunspool/wire"
)

// edgeTo returns an edge that is not run, with its log and its health file.
func edgeTo(t *testing.T, server http.RoundTripper) (e *Edge, log *bytes.Buffer, file string) {
	t.Helper()
	return edgeIn(t, testhost.MemoryDir(t), "", server)
}

// inTestTime lets e ask for the uptime of a host that was started before virtual time begins. The real one goes on while virtual
// time stands still.
func inTestTime(e *Edge) {
	e.Pace.Up = func() time.Duration { return time.Since(time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)) }
	e.Clock.Host.Up = e.Pace.Up
}

// edgeAt is an edge whose spool is in dir.
func edgeAt(t *testing.T, dir, serial string) *Edge {
	t.Helper()
	e, _, _ := edgeIn(t, dir, serial, nil)
	return e
}

func edgeIn(t *testing.T, dir, serial string, server http.RoundTripper) (e *Edge, log *bytes.Buffer, file string) {
	t.Helper()
	log = new(bytes.Buffer)
	file = filepath.Join(dir, "health.json")
	e, err := New(config.Config{Host: "dongle", Port: 502, Unit: 1, Serial: serial, PollS: 5, GapMS: 20, URL: "https://vps.example.org/base", Token: settings.Secret("t0ken-0123456789abcdef"),
		DeviceID: "roof", BatchSize: 30, UploadS: 10, MaxBackoffS: 300, SpoolPath: filepath.Join(dir, "spool.db"), HealthPath: file, ClockTrust: config.ClockAlways,
	}, "test", slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Spool.Close() })
	inTestTime(e)
	e.Uploader.Client.Transport = server
	chain := e.Report.Chain
	e.inverter, e.spool, e.vps = chain.Link("inverter"), chain.Link("spool"), chain.Link("vps")
	e.inverter.Report(nil)
	e.spool.Report(nil)
	return e, log, file
}

// E15, E16, E17, E20: whatever stands where the server should be is named, by one sentence in every place, for as long
// as it lasts and no longer, and the log does not repeat itself.
func TestWhoeverAnswersIsNamedEverywhere(t *testing.T) {
	for name, c := range map[string]struct {
		answer func() (*http.Response, error)
		code   string
		status string
	}{
		"login page": {func() (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: io.NopCloser(strings.NewReader("<html>"))}, nil
		}, "endpoint_identity", report.StateBlocked},
		"redirect": {func() (*http.Response, error) {
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"https://portal.example.net/"}}, Body: http.NoBody}, nil
		}, "endpoint_identity", report.StateBlocked},
		"wrong program": {func() (*http.Response, error) { return uploadtest.Answer(200, `{"status":"ok"}`), nil }, "endpoint_identity", report.StateBlocked},
		"rotated token": {func() (*http.Response, error) {
			return uploadtest.Answer(401, `{"detail":"Invalid or expired token."}`), nil
		}, "credential", report.StateBlocked},
		"busy":       {func() (*http.Response, error) { return uploadtest.Answer(503, `{"detail":"busy"}`), nil }, "vps_busy", report.StateDegraded},
		"no network": {func() (*http.Response, error) { return nil, errors.New("network is unreachable") }, "vps_unreachable", report.StateDegraded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &uploadtest.Server{T: t, Lenient: true, Stored: make(map[int64]wire.Sample)}
				wrong := true
				e, log, file := edgeTo(t, uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
					if wrong {
						return c.answer()
					}
					return s.RoundTrip(r)
				}))
				fill(t, e.Spool, 10)
				for end := time.Now().Add(13 * time.Hour); time.Now().Before(end); {
					_, err := e.deliverOnce(t.Context())
					if err == nil {
						t.Fatal("it was taken for the server")
					}
					e.Report.Write()
					time.Sleep(e.Uploader.Wait(err))
				}
				h := readHealth(t, file)
				if h.Status != c.status || h.Reason != c.code || h.Next == "" || h.SpoolCount != 10 {
					t.Errorf("health is %s, %s: %s", h.Status, h.Reason, h.Sentence)
				}
				if state := e.Report.State(); state.Sentence != h.Sentence || !strings.Contains(e.Report.Status(), state.Line()) ||
					e.Uploader.Describe().State != state.Line()[:min(len(state.Line()), 200)] {
					t.Errorf("one state, several sentences:\n%s\n%s\n%s\n%s", h.Sentence, state.Sentence, e.Report.Status(), e.Uploader.Describe().State)
				}
				if n := strings.Count(log.String(), "level=ERROR"); n < 2 || n > 4 {
					t.Errorf("%d errors in 13 hours, want one and a reminder each 6 h:\n%s", n, log)
				}
				wrong = false
				if _, err := e.deliverOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
				e.Report.Write()
				if h := readHealth(t, file); h.Status != report.StateOK || h.Reason != "" || h.Sentence != "ok" || len(s.Stored) != 10 {
					t.Errorf("afterwards health is %s, %s: %s; %d stored", h.Status, h.Reason, h.Sentence, len(s.Stored))
				}
			})
		})
	}
}

func readHealth(t *testing.T, file string) (h report.Health) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// What is in quarantine is said as long as it is there, and counted.
func TestQuarantineIsAState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, log, file := edgeTo(t, nil)
		fill(t, e.Spool, 10)
		if err := e.Spool.Settle(nil, []spool.Rejection{{Seq: 3, Code: "x"}}); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			e.Report.Write()
		}
		h := readHealth(t, file)
		if h.Status != report.StateDegraded || h.Reason != "poison_quarantined" || h.Counts["spool_quarantined_samples"] != 1 || h.Counts["spool_samples"] != 9 {
			t.Errorf("health is %s, %s: %v", h.Status, h.Reason, h.Counts)
		}
		if n := strings.Count(log.String(), "poison_quarantined"); n != 1 {
			t.Errorf("it is in the log %d times:\n%s", n, log)
		}
		if _, err := e.Spool.Requeue(func(spool.Rejection) bool { return true }); err != nil {
			t.Fatal(err)
		}
		e.Report.Write()
		e.Report.Write()
		if n := strings.Count(log.String(), "edge ok"); n != 1 || e.Report.State().Status != report.StateOK {
			t.Errorf("that it is gone is in the log %d times:\n%s", n, log)
		}
	})
}
