package vps

import (
	"context"
	"log/slog"
	"time"

	"sunspool/vps/store"
)

const (
	recountPause   = 10 * time.Millisecond // between two days at least, for inserts that wait
	recountAgain   = 5 * time.Second       // after an error
	recountReports = time.Minute
)

// recount counts again what an earlier version of this program counted by other rules, until nothing of that is left or ctx
// ends. Half of the time it rests. Several processes may do so at once.
func recount(ctx context.Context, samples store.Samples, log *slog.Logger) {
	began := time.Now()
	all, reported, failed := 0, began, false
	for {
		start := time.Now()
		days, err := samples.Recount(ctx)
		pause := max(time.Since(start), recountPause)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if pause = recountAgain; !failed {
				log.Warn("rollups not counted by the new rules, trying again", "error", err.Error())
			}
		case days == 0:
			if all > 0 {
				log.Info("rollups are counted by the new rules", "days", all, "duration_s", seconds(began))
			}
			return
		case all == 0:
			log.Info("counting the rollups of an earlier version by the new rules, newest days first")
		case time.Since(reported) >= recountReports:
			log.Info("still counting rollups by the new rules", "days", all+days, "duration_s", seconds(began))
			reported = time.Now()
		}
		all, failed = all+days, err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func seconds(since time.Time) int { return int(time.Since(since).Seconds()) }
