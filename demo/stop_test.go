package demo

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/report"
	"sunspool/edge/simulator"
	"sunspool/edge/spool/inspect"
)

// readHealth reads a health file; nil if there is none yet.
func readHealth(path string) *report.Health {
	h := new(report.Health)
	if b, err := os.ReadFile(path); err != nil || json.Unmarshal(b, h) != nil {
		return nil
	}
	return h
}

// until waits until the health file of a device, which is beside its log, is as asked for.
func (s *site) until(what, device string, ok func(h report.Health) bool) report.Health {
	s.t.Helper()
	var last *report.Health
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if last = readHealth(s.healthPath(device)); last != nil && ok(*last) {
			return *last
		}
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, device+".log"))
	s.t.Fatalf("%s: not %s within %v:\n%s\n%+v", device, what, patience, log, last)
	return report.Health{}
}

func (s *site) healthPath(device string) string {
	return filepath.Join(s.dir, device+".health", "health.json")
}

// However often an edge is told to end, what it has in memory is in the spool when it has ended.
func TestSignalsDoNotSkipTheSpool(t *testing.T) {
	t.Parallel() // it mostly waits
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: time.Now().AddDate(0, 0, -2)})
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // a server that takes connections and says nothing, so that the last upload takes its time
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s.listen = silent.Addr().String()
	_, address := inverter(t, simulator.Options{Home: home})
	p := s.edge("roof", "t0ken-0123456789abcdef", address, "SPOOL_COMMIT_INTERVAL_S=300", "HEALTH_PATH="+s.healthPath("roof"))
	h := s.until("at three samples in memory", "roof", func(h report.Health) bool { return h.RAMOnly >= 3 })

	ended := false
	for !ended {
		p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-p.done:
			ended = true
			if err != nil {
				t.Errorf("told to end, and again, it says %v", err)
			}
		case <-time.After(2 * time.Millisecond):
		}
	}
	unsent, err := inspect.CountUnsent(filepath.Join(s.dir, "roof", "spool.db"))
	if err != nil || unsent.Waiting < h.RAMOnly {
		t.Errorf("%d samples were in memory, %d are in the spool, %v", h.RAMOnly, unsent.Waiting, err)
	}
}
