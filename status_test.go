package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/edge/report"
	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/vps"
	"sunspool/wire"
)

// edgeThat is what an edge says of itself.
func edgeThat(now time.Time, change func(*report.Health)) report.Health {
	h := report.Health{Version: "1.2.3", DeviceID: "roof", Status: report.StateOK, Sentence: "ok", UptimeS: 12*86400 + 4*3600, Model: "SH10RT", Serial: "A22…856",
		LastPoll: new(now.Add(-3 * time.Second)), LastUpload: new(now.Add(-7 * time.Second)), SpoolShare: 0.1, Clock: "synced", Written: now, PollS: 5,
		Links:  []health.Status{{Name: "inverter", State: health.OK}, {Name: "spool", State: health.OK}, {Name: "clock", State: health.OK}, {Name: "vps", State: health.OK}},
		Sample: &wire.Sample{Time: now.Add(-3 * time.Second), PVPowerW: 4210, LoadPowerW: new(730.0), BatteryPowerW: new(1480.0), BatterySOCPct: new(62.4), ExportPowerW: new(-2000.0)}}
	if change != nil {
		change(&h)
	}
	return h
}

// statusOf prints the status of a machine that has only that health file.
func statusOf(t *testing.T, c statusCommand) (string, machineStatus, error) {
	t.Helper()
	c.Server = vps.MachineConfig{AdminSocket: filepath.Join(t.TempDir(), "none.sock")}
	s := c.look(t.Context(), false)
	var out bytes.Buffer
	if err := c.print(&out, s, false, checklist.Style{Plain: checklist.PlainLocale()}, nil); err != nil {
		t.Fatal(err)
	}
	return out.String(), s, c.verdict(s)
}

func writeHealth(t *testing.T, h report.Health) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "health.json")
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// The first line is one honest sentence, and nothing is wider than a terminal, with UTF-8 or without.
func TestStatusBeginsWithOneSentence(t *testing.T) {
	now := time.Now()
	broken := func(h *report.Health) {
		h.Status, h.Reason, h.Sentence, h.Next = report.StateDegraded, "vps_unreachable", "vps broken since 07:02: the server does not answer", "sunspool check edge"
		h.SpoolCount, h.Quarantined = 1104, 3
		h.Links[3] = health.Status{Name: "vps", State: health.Broken, Since: now.Add(-92 * time.Minute), LastError: "the server does not answer " + strings.Repeat("and is long about it ", 12), Next: "sunspool check edge"}
	}
	for name, c := range map[string]struct {
		health report.Health
		first  string
		has    []string
	}{
		"healthy": {edgeThat(now, func(h *report.Health) {
			h.Sample.PVDailyKWh, h.Counts = new(12.3), map[string]int64{"spool_limit_bytes": 512e6}
		}), "ok          healthy", []string{"SH10RT A22", "0.1 % of 512 MB used", "today PV 12.3 kWh", "last batch", "PV 4.21 kW", "battery +1.48 kW (62 %)", "import 2.00 kW", "up 12 d 4 h"}},
		"asleep":   {edgeThat(now, func(h *report.Health) { h.Sample.PVDailyKWh, h.Sample.Time = new(12.3), now.Add(-6*time.Hour) }), "ok          healthy", []string{"last PV 4.21 kW", "import 2.00 kW, 6 h 0 min ago"}},
		"degraded": {edgeThat(now, broken), "degraded    roof: vps broken since", []string{"1104 waiting", "3 in quarantine", "sunspool spool quarantine", "broken for 1 h 32 min"}},
		"stopped":  {edgeThat(now, func(h *report.Health) { h.Written = now.Add(-time.Hour) }), "silent", []string{"wrote"}},
	} {
		for _, locale := range []string{"C.UTF-8", "C"} {
			t.Setenv("LC_ALL", locale)
			text, _, _ := statusOf(t, statusCommand{HealthPath: writeHealth(t, c.health)})
			first, _, _ := strings.Cut(text, "\n")
			if !strings.Contains(first, c.first) {
				t.Errorf("%s, %s: the first line is %q", name, locale, first)
			}
			if strings.Contains(text, " today ") != (name == "healthy") {
				t.Errorf("%s, %s: today in\n%s", name, locale, text)
			}
			last := strings.TrimSpace(text[strings.LastIndex(strings.TrimSpace(text), "\n")+1:])
			if want := map[string]string{"degraded": "next: sudo sunspool doctor upload", "stopped": "next: sudo sunspool doctor service"}[name]; want != "" && last != want {
				t.Errorf("%s: the last line is %q", name, last)
			}
			joined := strings.Join(strings.Fields(text), " ")
			for _, want := range c.has {
				if !strings.Contains(joined, strings.Join(strings.Fields(want), " ")) {
					t.Errorf("%s, %s: %q is missing in\n%s", name, locale, want, text)
				}
			}
			for line := range strings.Lines(text) {
				if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 && strings.Contains(strings.TrimSpace(line), " ") { // a word is not broken
					t.Errorf("%s: %d columns: %s", name, n, line)
				}
				if locale == "C" && strings.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
					t.Errorf("%s: not plain: %s", name, line)
				}
			}
		}
	}
}

// --check says it by its exit status: 0, 6 for something that is wrong, 5 for nothing that answers.
func TestStatusCheckSaysItByItsExitStatus(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		file string
		exit int
	}{
		"healthy":  {writeHealth(t, edgeThat(now, nil)), 0},
		"blocked":  {writeHealth(t, edgeThat(now, func(h *report.Health) { h.Status, h.Sentence = report.StateBlocked, "credential" })), health.ExitUnhealthy},
		"degraded": {writeHealth(t, edgeThat(now, func(h *report.Health) { h.Status = report.StateDegraded })), health.ExitUnhealthy},
		"old":      {writeHealth(t, edgeThat(now, func(h *report.Health) { h.Written = now.Add(-time.Hour) })), health.ExitUnreachable},
		"none":     {filepath.Join(t.TempDir(), "health.json"), health.ExitUnreachable},
	} {
		_, _, err := statusOf(t, statusCommand{HealthPath: c.file, Check: true})
		exit := 0
		if f, ok := errors.AsType[*health.Fault](err); ok {
			exit = f.Exit
		}
		if exit != c.exit {
			t.Errorf("%s: exit %d, not %d: %v", name, exit, c.exit, err)
		}
	}
}

// An edge that was killed left a file that still looks fresh.
func TestStatusOfAnEdgeThatWasKilled(t *testing.T) {
	file := writeHealth(t, edgeThat(time.Now(), nil))
	socket, err := net.Listen("unix", filepath.Join(filepath.Dir(file), "edge.sock"))
	if err != nil {
		t.Fatal(err)
	}
	socket.(*net.UnixListener).SetUnlinkOnClose(false)
	socket.Close()
	if _, s, _ := statusOf(t, statusCommand{HealthPath: file}); s.Status != silent || !strings.Contains(s.Sentence, "does not run") {
		t.Errorf("%+v", s)
	}
}

// Who watches a machine on which nothing runs is shown that, and not an empty screen.
func TestSilenceIsWatched(t *testing.T) {
	text, s, _ := statusOf(t, statusCommand{Watch: true, HealthPath: filepath.Join(t.TempDir(), "health.json")})
	if s.Status != silent || !strings.Contains(text, "no edge and no vps of this machine answers") || strings.Contains(text, "sunspool doctor") != strings.Contains(s.Next, "sunspool doctor") {
		t.Errorf("%q", text)
	}
}
