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
	"sunspool/edge/spool"
	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
	"sunspool/internal/testhost"
	"sunspool/settings"
	"sunspool/wire"
)

func TestStateIsTheWorstOfItsReasons(t *testing.T) {
	link := func(name string, state health.State, code string) health.Status {
		return health.Status{Name: name, State: state, Code: code, Next: "do " + code}
	}
	fault := func(code string) *health.Fault {
		return &health.Fault{Code: code, What: "what of " + code, Next: "do " + code}
	}
	for name, c := range map[string]struct {
		links  []health.Status
		faults []*health.Fault
		status string
		reason string // all of them
		next   string
	}{
		"all well":            {[]health.Status{link("inverter", health.OK, ""), link("vps", health.OK, "")}, nil, "ok", "", ""},
		"night":               {[]health.Status{link("inverter", health.Resting, "inverter_asleep")}, nil, "ok", "", ""},
		"just started":        {[]health.Status{link("inverter", health.Unknown, "")}, nil, "ok", "", ""},
		"outage":              {[]health.Status{link("vps", health.Broken, "vps_unreachable")}, nil, "degraded", "vps_unreachable", "do vps_unreachable"},
		"inverter away":       {[]health.Status{link("inverter", health.Broken, "inverter_silent")}, nil, "degraded", "inverter_silent", "do inverter_silent"},
		"token":               {[]health.Status{link("vps", health.Broken, "credential")}, nil, "blocked", "credential", "do credential"},
		"portal":              {[]health.Status{link("vps", health.Broken, "endpoint_identity")}, nil, "blocked", "endpoint_identity", "do endpoint_identity"},
		"spool":               {[]health.Status{link("spool", health.Broken, "")}, nil, "blocked", "spool_broken", "do "},
		"both":                {[]health.Status{link("inverter", health.Broken, "inverter_silent"), link("vps", health.Broken, "tls")}, nil, "blocked", "tls inverter_silent", "do tls"},
		"quarantine":          {[]health.Status{link("vps", health.OK, "")}, []*health.Fault{fault("poison_quarantined")}, "degraded", "poison_quarantined", "do poison_quarantined"},
		"the same told twice": {[]health.Status{link("vps", health.Broken, "schema_mismatch")}, []*health.Fault{fault("schema_mismatch")}, "blocked", "schema_mismatch", "do schema_mismatch"},
	} {
		s := assess(c.links, "chain", c.faults)
		if s.Status != c.status || strings.Join(s.Reasons, " ") != c.reason || s.Next != c.next || s.Sentence == "" {
			t.Errorf("%s: %+v", name, s)
		}
		if strings.Contains(s.Line(), "\n") || (c.status != "ok") != strings.HasPrefix(s.Line(), c.status+": ") {
			t.Errorf("%s: the line is %q", name, s.Line())
		}
	}
}

// A proxy that is away may come back; one that does not do its part needs somebody.
func TestProxyThatRefusesBlocks(t *testing.T) {
	for _, f := range []string{"proxy", "proxy_unreachable"} {
		if blocks := (reason{code: f}).blocks(); blocks != (f == "proxy") {
			t.Errorf("%s blocks: %v", f, blocks)
		}
	}
}

// edgeTo returns an edge that is not run, with its log and its health file.
func edgeTo(t *testing.T, server http.RoundTripper) (e *Edge, log *bytes.Buffer, file string) {
	t.Helper()
	return edgeIn(t, testhost.MemoryDir(t), "", server)
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
		}, "endpoint_identity", StateBlocked},
		"redirect": {func() (*http.Response, error) {
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"https://portal.example.net/"}}, Body: http.NoBody}, nil
		}, "endpoint_identity", StateBlocked},
		"wrong program": {func() (*http.Response, error) { return uploadtest.Answer(200, `{"status":"ok"}`), nil }, "endpoint_identity", StateBlocked},
		"rotated token": {func() (*http.Response, error) {
			return uploadtest.Answer(401, `{"detail":"Invalid or expired token."}`), nil
		}, "credential", StateBlocked},
		"busy":       {func() (*http.Response, error) { return uploadtest.Answer(503, `{"detail":"busy"}`), nil }, "vps_busy", StateDegraded},
		"no network": {func() (*http.Response, error) { return nil, errors.New("network is unreachable") }, "vps_unreachable", StateDegraded},
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
					e.Uploader.Describe().State != shorten(state.Line()) {
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
				if h := readHealth(t, file); h.Status != StateOK || h.Reason != "" || h.Sentence != "ok" || len(s.Stored) != 10 {
					t.Errorf("afterwards health is %s, %s: %s; %d stored", h.Status, h.Reason, h.Sentence, len(s.Stored))
				}
			})
		})
	}
}

func readHealth(t *testing.T, file string) (h Health) {
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
		if h.Status != StateDegraded || h.Reason != "poison_quarantined" || h.Counts["spool_quarantined_samples"] != 1 || h.Counts["spool_samples"] != 9 {
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
		if n := strings.Count(log.String(), "edge ok"); n != 1 || e.Report.State().Status != StateOK {
			t.Errorf("that it is gone is in the log %d times:\n%s", n, log)
		}
	})
}

// Every count is in health.json and among the metrics.
func TestCountsAreTheSameEverywhere(t *testing.T) {
	e, _, file := edgeTo(t, nil)
	e.Report.Write()
	h := readHealth(t, file)
	e.Report.sampled(sampleAt(now()))
	text := "\n" + scraped(t, e)
	for _, c := range counts {
		shown := strings.Contains(text, "\n# TYPE sunspool_edge_"+c.name+" ")
		if _, ok := h.Counts[c.name]; !ok || !shown || c.help == "" {
			t.Errorf("%s: in health.json %v, a metric %v", c.name, ok, shown)
		}
	}
}
