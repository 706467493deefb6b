package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/pace"
)

func TestCheckBelievesOnlyAFreshAndHonestHealthFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock stands still
		dir, poll := t.TempDir(), 5*time.Second
		written := func(ago time.Duration, status string) string {
			b, err := json.Marshal(Health{Written: time.Now().Add(-ago), Status: status, Sentence: "all links answer\nand more"})
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		for name, c := range map[string]struct {
			text string
			want string // of the line, or of the error after a "!"
		}{
			"ok":              {written(5*time.Second, StateOK), "all links answer"},
			"heals by itself": {written(5*time.Second, StateDegraded), "degraded: all links answer"},
			"blocked":         {written(5*time.Second, StateBlocked), "!blocked: all links answer"},
			"just in time":    {written(65*time.Second, StateOK), "all links answer"},
			"stale":           {written(66*time.Second, StateOK), "!1 min 6 s ago"},
			"from the future": {written(-2*time.Minute, StateOK), "!has not come yet"},
			"other JSON":      {`{"status":""}`, "!not a health file"},
			"half a file":     {`{"status":"o`, "!not a health file"},
			"empty":           {"", "!not a health file"},
		} {
			path := filepath.Join(dir, "health.json")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			line, err := Check(path, poll, time.Now())
			got, want := line, c.want
			if err != nil {
				got = "!" + err.Error()
			}
			if (got == "" || got[0] == '!') != (want[0] == '!') || !strings.Contains(got, strings.TrimPrefix(want, "!")) || strings.Contains(got, "\n") {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if _, err := Check(filepath.Join(dir, "none"), poll, time.Now()); err == nil {
			t.Error("a file that is not there is healthy")
		}
	})
}

// The health file of one inverter leads to those of the others that the same process reads.
func TestCheckCoversAllInvertersOfTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its clock stands still
		dir := t.TempDir()
		write := func(name string, h Health) {
			b, err := json.Marshal(h)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		roof := Health{Written: time.Now(), Status: StateOK, Sentence: "all well", DeviceID: "roof", Others: []string{"garage.health.json"}, PollS: 10}
		garage := Health{Written: time.Now(), Status: StateOK, Sentence: "all well", DeviceID: "garage", Others: []string{"health.json"}, PollS: 10}
		for name, c := range map[string]struct {
			change func(h *Health)
			want   string // of the line, or of the error after a "!"
		}{
			"ok":           {func(*Health) {}, "roof: all well | garage: all well"},
			"degraded":     {func(h *Health) { h.Status = StateDegraded }, "garage: degraded: all well | roof: all well"},
			"blocked":      {func(h *Health) { h.Status = StateBlocked }, "!garage: blocked: all well | roof: all well"},
			"just in time": {func(h *Health) { h.Written = h.Written.Add(-70 * time.Second) }, "roof: all well | garage: all well"},
			"stale":        {func(h *Health) { h.Written = h.Written.Add(-71 * time.Second) }, "!garage.health.json 1 min 11 s ago"},
			"not there":    {nil, "!garage.health.json"},
		} {
			other := garage
			write("health.json", roof)
			if c.change != nil {
				c.change(&other)
				write("garage.health.json", other)
			} else {
				os.Remove(filepath.Join(dir, "garage.health.json"))
			}
			got, err := Check(filepath.Join(dir, "health.json"), 5*time.Second, time.Now())
			if err != nil {
				got = "!" + err.Error()
			}
			if (got == "" || got[0] == '!') != (c.want[0] == '!') || !strings.Contains(got, strings.TrimPrefix(c.want, "!")) || strings.Contains(got, "\n") {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
	})
}

// Two files say how a container's health is checked. By both, whatever the phase of the check and however long it
// takes, a container is unhealthy within two intervals after the edge wrote its health file for the last time.
func TestStandstillIsNoticedWithinTwoIntervals(t *testing.T) {
	const slowestPoll = 10 * time.Second
	for path, of := range map[string]string{
		"../../Dockerfile":      `HEALTHCHECK --interval=(\S+) --timeout=(\S+) --start-period=(\S+) --retries=(\d+) CMD \["/sunspool", "health", "edge"\]`,
		"../docker-compose.yml": `test: \["CMD", "/sunspool", "health", "edge"\]\s+interval: (\S+)\s+timeout: (\S+)\s+start_period: (\S+)\s+retries: (\d+)`,
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(of).FindSubmatch(text)
		if found == nil {
			t.Fatalf("%s has no health check of the edge", path)
		}
		var d [3]time.Duration
		for i := range d {
			if d[i], err = time.ParseDuration(string(found[i+1])); err != nil {
				t.Fatal(err)
			}
		}
		interval, timeout, start := d[0], d[1], d[2]
		retries, _ := strconv.Atoi(string(found[4]))

		// The last good check begins when the file is just fresh enough; an interval passes between the end of a check
		// and the next.
		worst := slowestPoll + checkSlack + timeout + time.Duration(retries)*(interval+timeout)
		if worst > 2*interval {
			t.Errorf("%s: unhealthy %v after the last poll, two intervals are %v", path, worst, 2*interval)
		}
		if start < interval+timeout {
			t.Errorf("%s: the first check, at %v, counts already: the edge may have a spool to repair before it polls", path, interval)
		}
	}

	const gap = 5 * time.Second // at most, INTER_REGISTER_DELAY_MS
	afterLoss := pace.Margin + inverter.AnswerTime + inverter.SettleTime + gap + pace.Margin + inverter.AnswerTime
	inPoll := freshFor + inverter.RetryAfter + gap + pace.Margin + inverter.AnswerTime - 5*time.Second
	if left := checkSlack - max(afterLoss, inPoll); left < 30*time.Second {
		t.Errorf("only %v of the slack are left for the disk", left)
	}
}
