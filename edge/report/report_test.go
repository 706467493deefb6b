package report

import (
	"bytes"
	"log/slog"
	"net/http"
	"path/filepath"
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
