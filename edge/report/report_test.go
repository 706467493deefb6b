package report

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/edge/clock"
	"sunspool/edge/inverter"
	"sunspool/edge/pace"
	"sunspool/edge/upload"
	"sunspool/internal/testhost"
)

// testReport returns a report of parts that do nothing, with its log and its health file.
func testReport(t *testing.T) (r *Report, p *Parts, log *bytes.Buffer, file string) {
	t.Helper()
	log = new(bytes.Buffer)
	dir := testhost.MemoryDir(t)
	file = filepath.Join(dir, "health.json")
	logger := slog.New(slog.NewTextHandler(log, nil))
	kept := openSpool(t, filepath.Join(dir, "spool.db"))
	p = &Parts{
		Inverter: &inverter.Inverter{Dongle: new(inverter.Dongle)}, Pace: new(pace.Pace), Spool: kept,
		Clock:    &clock.Clock{Host: clock.ThisHost(), Trust: true, Spool: kept, Log: logger},
		Uploader: &upload.Uploader{Spool: kept, Client: new(http.Client)}, Interval: 5 * time.Second, Slowed: 5 * time.Second,
	}
	r = New("test", "roof", file, logger)
	r.Watch(func() Parts { return *p })
	r.Chain.Link("inverter").Report(nil)
	r.Chain.Link("spool").Report(nil)
	return r, p, log, file
}

func TestServerGetsWhatTheInverterIsWithItsSerialNumberShortened(t *testing.T) {
	r, _, _, _ := testReport(t)
	if e := r.Describe(); e.Serial != "" || e.Firmware != "" {
		t.Errorf("before any reading: %+v", e)
	}
	r.Read(inverter.Reading{Serial: "A2300000001", Firmware: "ARM_V11"})
	if e := r.Describe(); e.Serial != "A23…001" || e.Serial != r.Now().Serial || e.Firmware != "ARM_V11" {
		t.Errorf("%+v", e)
	}
}

func TestServerGetsTheTimeByWhichSamplesAreDated(t *testing.T) {
	r, p, _, _ := testReport(t)
	wall := noon.Add(123456 * time.Microsecond)
	p.Clock.Host.Wall = func() time.Time { return wall }
	body, err := json.Marshal(r.Describe())
	if err != nil || !strings.Contains(string(body), `"time":"`+noon.Format("2006-01-02T15:04:05")+`.123Z"`) {
		t.Errorf("%s, %v", body, err)
	}
	p.Clock.Trust = false // and no time server has set it
	if body, err = json.Marshal(r.Describe()); err != nil || strings.Contains(string(body), `"time"`) {
		t.Errorf("a time that is not known: %s, %v", body, err)
	}
}
