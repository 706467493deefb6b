package edge

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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
			"just in time":    {written(75*time.Second, StateOK), "all links answer"},
			"stale":           {written(76*time.Second, StateOK), "!1m16s ago"},
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
