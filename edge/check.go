package edge

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"sunspool/health"
)

// checkSlack is how late the health file may be beyond three polls: a dongle that is slow to refuse delays it.
const checkSlack = time.Minute

// Check reads the health file at path and says in one line how the edge is at the time now that writes it at every poll. It is an
// error when nobody does any more, or when the edge is blocked; one that is degraded heals by itself, and to restart
// it would help nobody.
func Check(path string, poll time.Duration, now time.Time) (string, error) {
	unhealthy := func(format string, args ...any) (string, error) {
		return "", &health.Fault{Code: "unhealthy", What: fmt.Sprintf(format, args...)}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return unhealthy("no health file: %v", err)
	}
	var h Health
	if err := json.Unmarshal(text, &h); err != nil || h.Status == "" {
		return unhealthy("%s is not a health file", path)
	}
	line := State{Status: h.Status, Sentence: h.Sentence}.Line()
	switch age := now.Sub(h.Written); {
	case age > 3*poll+checkSlack:
		return unhealthy("the edge wrote %s %v ago and does so every %v while it runs", path, age.Round(time.Second), poll)
	case age < -checkSlack:
		return unhealthy("%s is from a time that has not come yet, %v: another clock wrote it", path, h.Written)
	case h.Status == StateBlocked:
		return unhealthy("%s", line)
	}
	return line, nil
}
