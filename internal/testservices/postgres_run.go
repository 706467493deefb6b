//go:build unix

package testservices

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// run runs a statement, again while that only met others at a bad moment.
func run(database *url.URL, sql string, args ...any) (err error) {
	for began := time.Now(); time.Since(began) < Patience; time.Sleep(20 * time.Millisecond) {
		err = connected(database, func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.Exec(ctx, sql, args...)
			return err
		})
		if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != deadlock && refused.Code != inUse {
			return err
		}
	}
	return err
}

const (
	deadlock = "40P01" // with a transaction of who is tested: nothing was done
	inUse    = "55006" // the database to copy or to drop: a worker of autovacuum takes longer than the five seconds that it is waited for
)

func connected(database *url.URL, f func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience) // a cleanup has no test's context any more
	defer cancel()
	c, err := pgx.Connect(ctx, database.String())
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	return f(ctx, c)
}
