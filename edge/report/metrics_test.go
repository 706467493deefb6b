package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/docs/reference"
	"sunspool/edge/delivered"
	"sunspool/edge/spool"
	"sunspool/edge/token"
	"sunspool/edge/upload"
	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
	"sunspool/internal/testhost"
	"sunspool/internal/testservices"
	"sunspool/wire"
)

// busyReport is that of an edge on which everything that it counts has happened once.
func busyReport(t *testing.T) (*Report, *Parts) {
	t.Helper()
	r, p, _, _ := testReport(t)
	for i := range 3 {
		s := sampleAt(now().Add(time.Duration(i-9) * time.Second))
		if err := p.Spool.Append(&s, spool.When{Quality: spool.Synced}); err != nil {
			t.Fatal(err)
		}
		r.Sampled(s)
	}
	p.Pace.Touch()
	r.Measured()
	r.Polled(nil)
	r.Polled(&health.Fault{Code: "inverter_silent"})
	r.Lost("disk_full")
	r.Uploaded()
	r.Tried(true, nil)
	r.model = "SH10RT"
	r.Chain.Link("vps").Report(&health.Fault{Code: "tls", What: "no TLS"})
	p.Uploader.Client.Transport = certified{now().Add(time.Hour)}
	p.Uploader.Copies = new(delivered.Copies)
	p.Uploader.Copies.Since.Store(now().UnixMilli())
	return r, p
}

// certified is a transport that knows until when the server's certificate is valid.
type certified struct{ until time.Time }

func (c certified) CertificateExpiry() time.Time                    { return c.until }
func (c certified) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

// What the edge shows is in docs/metrics.md, and its names are by Prometheus' conventions.
func TestMetricsReferenceOfTheEdge(t *testing.T) {
	r, _ := busyReport(t)
	reference.Metrics(t, "edge", testservices.Need(t, "prometheus", "promtool"), edgeMetrics(r))
}

// scraped is what /metrics with these reports answers.
func scraped(t *testing.T, reports ...*Report) string {
	t.Helper()
	w := httptest.NewRecorder()
	MetricsHandler(reports...).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetricsOfTheEdgeShowWhatHappened(t *testing.T) {
	r, p := busyReport(t)
	oldest, err := p.Spool.Oldest()
	if err != nil {
		t.Fatal(err)
	}
	text := scraped(t, r)
	for _, want := range []string{
		`sunspool_edge_spool_samples{device="roof"} 3`,
		`sunspool_edge_polls_total{device="roof"} 2`,
		`sunspool_edge_samples_not_made_total{device="roof",reason="inverter_silent"} 1`,
		`sunspool_edge_samples_lost_total{device="roof",reason="disk_full"} 1`,
		`sunspool_edge_uploads_total{device="roof",result="ok"} 1`,
		`sunspool_edge_status{device="roof",status="blocked"} 1`,
		`sunspool_edge_status{device="roof",status="ok"} 0`,
		`sunspool_edge_fault{code="tls",device="roof"} 1`,
		`sunspool_edge_clock_source{device="roof",source="believed"} 1`,
		`sunspool_edge_inverter_info{device="roof",model="SH10RT"} 1`,
		`sunspool_link_up{device="roof",link="vps"} 0`,
		`sunspool_link_up{device="roof",link="spool"} 1`,
		`sunspool_edge_modbus_requests_total 0`,
		fmt.Sprintf(`sunspool_edge_spool_oldest_sample_timestamp_seconds{device="roof"} %v`, prometheusTime(oldest)),
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

func prometheusTime(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'g', -1, 64)
}

// Absent is not zero: what has not happened has no time, and what has all been delivered has no oldest.
func TestMetricsHaveNoTimeOfWhatNeverHappened(t *testing.T) {
	r, _, _, _ := testReport(t)
	for line := range strings.Lines(scraped(t, r)) {
		if strings.HasPrefix(line, "sunspool_") && strings.Contains(line, "timestamp_seconds") {
			t.Errorf("a new edge has %s", line)
		}
	}
}

// Several inverters of one process are in one answer, each under its name; what they share is there once.
func TestMetricsOfSeveralInvertersAreInOneAnswer(t *testing.T) {
	roof, _, _, _ := testReport(t)
	garage, _, _, _ := testReport(t)
	garage.device = "garage"
	text := scraped(t, roof, garage)
	for _, want := range []string{`sunspool_edge_spool_samples{device="roof"} `, `sunspool_edge_spool_samples{device="garage"} `, `sunspool_edge_modbus_requests_total `} {
		if strings.Count(text, "\n"+want) != 1 {
			t.Errorf("%d of %s", strings.Count(text, "\n"+want), want)
		}
	}
}

// A disk that hangs keeps nobody from the other numbers, however often they are asked for.
func TestMetricsDoNotWaitForADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, p := busyReport(t)
		release := make(chan struct{})
		go p.Spool.Peek(1, func(uint64) bool { <-release; return true })
		synctest.Wait()
		for range 3 {
			if text := scraped(t, r); strings.Contains(text, "spool_oldest") || !strings.Contains(text, `sunspool_edge_spool_samples{device="roof"} 3`) {
				t.Error(text)
			}
		}
		close(release)
		synctest.Wait()
		if !strings.Contains(scraped(t, r), "spool_oldest") {
			t.Error("the oldest sample is not shown when the disk answers again")
		}
		p.Spool.Close()
	})
}

func TestUploadsAreCountedByTheirResult(t *testing.T) {
	answered := func(status int) error {
		client := &http.Client{Transport: uploadtest.Tripper(func(*http.Request) (*http.Response, error) { return uploadtest.Answer(status, `{"detail":"no"}`), nil })}
		u := &upload.Uploader{Spool: openSpool(t, filepath.Join(testhost.MemoryDir(t), "spool.db")), Client: client, URL: "https://vps.example.org/base/v1/ingest",
			Token: &token.Source{Value: "t0ken-0123456789abcdef"}, BatchSize: 30, Describe: func() *wire.Edge { return nil }}
		_, err := u.Deliver(t.Context())
		return err
	}
	for want, c := range map[string]struct {
		accepted bool
		err      error
	}{
		"ok":              {true, nil},
		"refused":         {false, nil},
		"vps_unreachable": {false, errors.New("no route")},
		"credential":      {false, answered(401)},
		"vps_busy":        {false, answered(503)},
	} {
		if got := resultOf(c.accepted, c.err); got != want {
			t.Errorf("%v, %v is %s, want %s", c.accepted, c.err, got, want)
		}
	}
}

// The address may be in use when the edge starts: it is said once, polled on, and the metrics are there when it is free.
func TestMetricsComeWhenTheirAddressIsFree(t *testing.T) {
	taken, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", testservices.FreePort(t))) // which stays free when it is given back
	if err != nil {
		t.Fatal(err)
	}
	addr := taken.Addr().String()
	r, _ := busyReport(t)
	log := new(bytes.Buffer)
	ctx, stop := context.WithCancel(t.Context())
	retry, listens, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	m := MetricsListener{Addr: addr, Reports: []*Report{r}, Log: slog.New(slog.NewJSONHandler(log, nil)), ready: func() { close(listens) },
		wait: func(ctx context.Context) {
			select {
			case <-retry:
			case <-ctx.Done():
			}
		}}
	go func() {
		m.Run(ctx)
		close(done)
	}()
	retry <- struct{}{}
	retry <- struct{}{}
	taken.Close()
	for listening := false; !listening; {
		select {
		case retry <- struct{}{}:
		case <-listens:
			listening = true
		}
	}
	if n := strings.Count(log.String(), "port_in_use"); n != 1 {
		t.Errorf("it is said %d times: %s", n, log)
	}
	for path, want := range map[string]int{"/metrics": 200, "/": 404, "/status": 404, "/quarantine": 404, "/debug/pprof/": 404} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || want == 200 && !bytes.Contains(body, []byte("sunspool_build_info{")) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	stop()
	<-done
}
