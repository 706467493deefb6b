package demo

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/simulator"
)

// E34: a string inverter switches its dongle off with the sun. That is no fault, and a night is two lines in the log: it
// rests, it is back.
func TestNightIsTwoLinesInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBedOf(t, "SG5.0RS")
		var log bytes.Buffer
		b.log = slog.New(slog.NewTextHandler(&log, nil))
		b.pollS, b.uploadS = 60, 60
		b.begin()
		for b.inverter.Plant().PVPower > 30 || time.Now().Hour() < 12 {
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		day := log.Len()
		b.inverter.SetFaults(simulator.Fault{Kind: "off"})
		time.Sleep(4 * time.Hour)
		if s := b.edge.Report.State(); s.Status != "ok" || !strings.Contains(s.Sentence, "resting") {
			t.Errorf("at midnight the edge is %+v", s)
		}
		time.Sleep(time.Until(epoch.AddDate(0, 0, 1).Add(-5 * time.Hour)))
		b.inverter.SetFaults()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(log.String()[day:]), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "link resting") || !strings.Contains(lines[1], "link ok") {
			t.Errorf("the night is %d lines:\n%s", len(lines), strings.Join(lines, "\n"))
		}
		b.stopEdge()
		b.check()
		b.stopServer()
	})
}
