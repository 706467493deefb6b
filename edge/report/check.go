package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sunspool/edge/config"
	"sunspool/health"
	"sunspool/internal/durable"
)

// checkSlack is how much older than POLL_INTERVAL_S the health file may get. From one write to the next pass at most
//
//	the poll interval, AnswerTime to connect, SettleTime, AnswerTime     after a connection was lost
//	freshFor, RetryAfter, AnswerTime                                     in a poll of a dongle that is slow to refuse
//	freshFor, RestTime, AnswerTime to connect, RestTime, AnswerTime      in a poll whose connection is replaced
//
// and the gap between requests, 5 s at most. What is left, half a minute and more, is for the disk: a card that stalls,
// a spool that is compacted.
//
// A container is unhealthy at the first check that fails: of two in a row the second would come too late. So a container
// whose edge has stopped polling is unhealthy within one interval of the check, the slack, the poll interval, and the
// time that the last good check and the first bad one take: with the 90 s and the timeout of 10 s of the Dockerfile
// that is two intervals at most while POLL_INTERVAL_S is at most 10. The price: a host whose clock jumps ahead
// between a poll and a check is unhealthy for one interval.
const checkSlack = time.Minute

// Check reads the health file at path, and those of other inverters that it names because the same process reads them, and
// returns in one line how the edge is at the time now. The edge writes them with every poll. It is an error when they are
// old, or when the edge is blocked. A degraded edge recovers by itself, so it is reported as healthy: a restart would not help.
func Check(path string, poll time.Duration, now time.Time) (string, error) {
	h, err := freshHealth(path, poll, now)
	all := []boardLine{{h.DeviceID, h.Status, State{Status: h.Status, Sentence: h.Sentence}.Line()}}
	for _, name := range h.Others {
		name = filepath.Join(filepath.Dir(path), filepath.Base(name))
		other, otherErr := freshHealth(name, poll, now)
		if err == nil {
			err = otherErr
		}
		all = append(all, boardLine{cmp.Or(other.DeviceID, filepath.Base(name)), other.Status, State{Status: other.Status, Sentence: other.Sentence}.Line()})
	}
	line := joined(all)
	switch {
	case err != nil:
		return "", &health.Fault{Code: "unhealthy", What: err.Error()}
	case slices.ContainsFunc(all, func(l boardLine) bool { return l.status == StateBlocked }):
		return "", &health.Fault{Code: "unhealthy", What: line}
	}
	return line, nil
}

// freshHealth reads one health file. It is an error when it is old.
func freshHealth(path string, poll time.Duration, now time.Time) (h Health, err error) {
	if h, err = loadHealth(path); err != nil {
		return h, err
	}
	poll = max(poll, seconds(h.PollS))
	switch age := now.Sub(h.Written); {
	case age > poll+checkSlack:
		return h, fmt.Errorf("the edge wrote %s %s ago and does so every %v while it runs", path, health.Span(age), poll)
	case age < -checkSlack:
		return h, fmt.Errorf("%s is from a time that has not come yet, %v: another clock wrote it", path, h.Written)
	}
	return h, nil
}

// reservedFor is how long a health file may be reserved by its writer, which takes less than a millisecond on a disk that
// answers.
const reservedFor = time.Second

// loadHealth reads a health file. While its writer waits for the disk it cannot be opened: then the result has the
// time of the last change alone.
func loadHealth(path string) (h Health, err error) {
	file, reserved, err := durable.OpenUnleased(path)
	for waited := time.Duration(0); reserved && waited < reservedFor; waited += reservedFor / 50 {
		time.Sleep(reservedFor / 50)
		file, reserved, err = durable.OpenUnleased(path)
	}
	if reserved {
		info, err := os.Stat(path)
		if err != nil {
			return h, fmt.Errorf("no health file: %w", err)
		}
		return Health{Written: info.ModTime(), Status: StateDegraded, Sentence: "the edge waits for the disk of its health file"}, nil
	}
	if err != nil {
		return h, fmt.Errorf("no health file: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		return h, fmt.Errorf("no health file: %w", err)
	}
	if err := json.Unmarshal(text, &h); err != nil || h.Status == "" {
		return h, fmt.Errorf("%s is not a health file", path)
	}
	return h, nil
}

// FindHealth returns the path of the health file of this machine's edge: the one of the settings, else that of the packaged
// unit if there is one, else the one beside the spool.
func FindHealth(set, spool string) string {
	if set != "" {
		return set
	}
	if _, err := os.Stat(packagedHealth); err == nil {
		return packagedHealth
	}
	c := config.Config{SpoolPath: spool}
	return c.Beside("health.json")
}

const packagedHealth = "/run/sunspool/edge/health.json"

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
