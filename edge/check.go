package edge

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"sunspool/health"
)

// checkSlack is how much older than POLL_INTERVAL_S the health file may get. From one write to the next pass at most
//
//	the poll interval, answerTime to connect, settleTime, answerTime     after a connection was lost
//	freshFor, retryAfter, answerTime                                     in a poll of a dongle that is slow to refuse
//	freshFor, restTime, answerTime to connect, restTime, answerTime      in a poll whose connection is replaced
//
// and the gap between requests, 5 s at most. What is left, half a minute and more, is for the disk: a card that stalls,
// a spool that is made small.
//
// A container is unhealthy at the first check that fails: of two in a row the second would come too late. So a container
// whose edge has stopped polling is unhealthy within one interval of the check, the slack, the poll interval, and the
// time that the last good check and the first bad one take: with the 90 s and the timeout of 10 s of the Dockerfile
// that is two intervals at most while POLL_INTERVAL_S is at most 10. The price: a host whose clock jumps ahead
// between a poll and a check is unhealthy for one interval.
const checkSlack = time.Minute

// Check reads the health file at path and says in one line how the edge is at the time now that writes it with every
// poll. It is an error when nobody does any more, or when the edge is blocked; one that is degraded heals by itself,
// and to restart it would help nobody.
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
	case age > poll+checkSlack:
		return unhealthy("the edge wrote %s %v ago and does so every %v while it runs", path, age.Round(time.Second), poll)
	case age < -checkSlack:
		return unhealthy("%s is from a time that has not come yet, %v: another clock wrote it", path, h.Written)
	case h.Status == StateBlocked:
		return unhealthy("%s", line)
	}
	return line, nil
}

// FindHealth is where the edge of this machine tells how it is: where the settings say, else where a package's edge
// does, else beside the spool.
func FindHealth(set, spool string) string {
	if set != "" {
		return set
	}
	if _, err := os.Stat(packagedHealth); err == nil {
		return packagedHealth
	}
	c := Config{SpoolPath: spool}
	return c.beside("health.json")
}

const packagedHealth = "/run/sunspool/edge/health.json"
