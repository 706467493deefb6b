package vps

import (
	"context"
	"log/slog"
	"time"

	"sunspool/vps/store"
)

const (
	minRetentionDays = 7 // the edges of a day in any zone, and what a person still looks at closely
	retainEvery      = time.Hour
	retainPause      = 100 * time.Millisecond // between two deletions, for inserts that wait
	retainTimeout    = time.Minute
)

// retain deletes samples that are older than age, until ctx ends. Several processes may do so at once.
func retain(ctx context.Context, samples store.Samples, age time.Duration, log *slog.Logger) {
	for {
		deleted, err := prune(ctx, samples, time.Now().Add(-age))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil: // the next time is soon enough
			log.Warn("old samples not deleted", "deleted", deleted, "error", err.Error())
		case deleted > 0:
			log.Info("old samples deleted, their rollups kept", "deleted", deleted)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retainEvery):
		}
	}
}

// prune deletes all samples before a time, a few at once.
func prune(ctx context.Context, samples store.Samples, before time.Time) (all int64, err error) {
	for {
		once, cancel := context.WithTimeout(ctx, retainTimeout)
		deleted, err := samples.Prune(once, before)
		cancel()
		all += deleted
		if err != nil || deleted == 0 {
			return all, err
		}
		select {
		case <-ctx.Done():
			return all, ctx.Err()
		case <-time.After(retainPause):
		}
	}
}
