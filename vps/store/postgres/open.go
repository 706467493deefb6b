package postgres

import (
	"context"
	"errors"
	"log/slog"

	"sunspool/health"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
)

const (
	defaultWriters = 4
	defaultReaders = 8
)

// Open opens the store in a database and brings its schema up to date. A database that is away is not an error: the store
// tries again, and its calls return ErrUnavailable until then. What an operator must act on is a *health.Fault;
// if it occurs later, it is part of what the calls answer and of the log.
func Open(o Options) (*Store, error) {
	if o.CallTime == 0 {
		o.CallTime = database.CallTime
	}
	config, err := database.ParseURL(o.URL, o.CallTime)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Writers < 1 {
		o.Writers = defaultWriters
	}
	if o.Readers < 1 {
		o.Readers = defaultReaders
	}
	db, err := database.Open(config, database.Options{Writers: o.Writers, Readers: o.Readers, CallTime: o.CallTime, Statements: deviceStatements(), Log: o.Log})
	if err != nil {
		return nil, err
	}
	p := &Store{db: db, callTime: o.CallTime, closing: db.Closing(), repairs: rollup.NewRepairs()}
	for range o.Writers {
		queue := make(chan *insertion)
		p.queues = append(p.queues, queue)
		p.running.Go(func() { p.write(queue) })
	}
	p.running.Go(func() { p.repairs.Run(p.closing, p.repair) })
	return p, nil
}

// Migrate brings the schema of the database at url up to date and returns. Processes that do so at once wait for
// each other.
func Migrate(ctx context.Context, url string, log *slog.Logger) error {
	config, err := database.ParseURL(url, database.CallTime)
	if err != nil {
		return err
	}
	return database.Migrate(ctx, config, deviceStatements(), log)
}

// WrongURL returns what is wrong with url, without its password, or "".
func WrongURL(url string) string {
	_, err := database.ParseURL(url, database.CallTime)
	if f, ok := errors.AsType[*health.Fault](err); ok {
		return "cannot be understood: " + f.Why + "; " + f.Next
	}
	return ""
}
