package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/internal/checklist"
)

// What a probe finds that does not stop it: it says what is wrong, what comes of it, and what to do.
func TestCatalogueOfWhatAProbeFinds(t *testing.T) {
	for name, c := range map[string]struct {
		inverter []string
		area     string
		words    []string
	}{
		"the inverter's clock is days off":    {inverter: []string{"--date=2026-06-21T12:00"}, area: "clock", words: []string{"inverter 2026-06-21 12:0", "this host", "set date and time in the inverter's menu"}},
		"the inverter's clock is minutes off": {inverter: []string{"--date=" + time.Now().UTC().Add(-9*time.Minute).Format("2006-01-02T15:04")}, area: "clock", words: []string{"set date and time in the inverter's menu"}},
		"no grid meter":                       {inverter: []string{"--no-meter"}, area: "grid", words: []string{"no meter is seen", "no load, import and export"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := startProgram(t, shortDir(t), regexp.MustCompile(`on (127\.0\.0\.1:\d+)`), nil, append([]string{"simulate", "--listen=127.0.0.1:0", "--tz=UTC"}, c.inverter...)...)[1]
			text, exit := byProgram.typed(t, shortDir(t), []string{"TZ=UTC"}, "probe", "--json", "--repeat=1", address)
			var found struct{ Checks []checklist.Check }
			if err := json.Unmarshal([]byte(text), &found); err != nil || exit != 0 {
				t.Fatalf("exit status %d, %v\n%s", exit, err, text)
			}
			for _, check := range found.Checks {
				if check.Area != c.area {
					continue
				}
				for _, word := range c.words {
					if !strings.Contains(check.What+"\n"+check.Next, word) {
						t.Errorf("%q is missing in %+v", word, check)
					}
				}
				if check.State != checklist.Warn {
					t.Errorf("not to be looked at: %+v", check)
				}
				newSandbox(t).mustTake(t, health.Pasteable(check.Next))
				return
			}
			t.Errorf("no word of %s:\n%s", c.area, text)
		})
	}
}

// A setting that is not one is named by the one that was probably meant.
func TestCatalogueOfMisspeltSettings(t *testing.T) {
	dir := shortDir(t)
	env := []string{"SUNGROW_HOT=192.168.1.100", "DEVICE_ID=roof", "SUNGROW_HOST=192.168.1.100", "VPS_BASE_URL=https://solar.example.org", "VPS_DEVICE_TOKEN=0123456789abcdef",
		"SPOOL_PATH=" + dir + "/spool.db"}
	text, exit := onTerminal.typed(t, dir, env, "check", "edge")
	if !strings.Contains(text, "SUNGROW_HOT is not a setting of sunspool: SUNGROW_HOST?") || exit != 0 {
		t.Errorf("exit status %d\n%s", exit, text)
	}
}

// Another inverter at the address of the one that was read: its samples are not stored as the other's.
func TestCatalogueOfAnotherInverter(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	env := []string{"SPOOL_PATH=" + dir + "/spool.db", "HEALTH_PATH=" + dir + "/health.json", "SUNGROW_HOST=127.0.0.1", "VPS_BASE_URL=https://127.0.0.1:1",
		"VPS_DEVICE_TOKEN=0123456789abcdef", "DEVICE_ID=roof"}
	interruptedBy(t, dir, append(env, "SUNGROW_PORT="+ownInverter(t)), `"link ok".*"inverter"`, nil, "edge")
	other := startProgram(t, shortDir(t), regexp.MustCompile(`on 127\.0\.0\.1:(\d+)`), nil, "simulate", "--listen=127.0.0.1:0", "--image=real-sh15t-evening-discharging")[1]
	startProgram(t, dir, regexp.MustCompile("(edge started)"), append(env, "SUNGROW_PORT="+other), "edge")
	link := brokenLink(t, dir+"/health.json", "inverter", "inverter_changed") // at first it may be a crossed answer
	if !strings.Contains(link.Next, "SUNGROW_SERIAL=") {
		t.Errorf("%+v", link)
	}
	newSandbox(t).mustTake(t, health.Pasteable(link.Next))
}
