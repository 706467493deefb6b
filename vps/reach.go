package vps

import (
	"context"
	"path/filepath"

	"sunspool/internal/checklist"
	"sunspool/vps/store/postgres"
	"sunspool/vps/store/redis"
)

// Reach looks at what settings lead to that Validate accepted: the database, or the directory of the embedded store, and Redis.
// It changes nothing but a key in Redis that is gone a second later.
func Reach(ctx context.Context, c Config) (all []checklist.Check) {
	reach := func(area, what string, err error) {
		if err != nil {
			all = append(all, checklist.Of(area, err))
			return
		}
		all = append(all, checklist.Check{Area: area, State: checklist.OK, What: what})
	}
	if c.DatabaseURL != "" {
		reach("database", "PostgreSQL answers, and this user can store", postgres.Reach(ctx, string(c.DatabaseURL)))
	} else {
		all = append(all, checklist.Writable("store", filepath.Dir(c.storePath())))
	}
	if c.RedisURL != "" {
		reach("redis", "Redis answers, and stores", redis.Reach(ctx, string(c.RedisURL)))
	}
	return all
}
