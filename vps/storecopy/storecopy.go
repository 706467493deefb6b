// Package storecopy copies everything of a store into another, from the embedded file to PostgreSQL or back, and compares both.
//
//	store.Rows ──a day of a device──> store.Replica ──> read both again, compare
//
// A day is stored whole, and one that is the same at both sides is left out: so a copy that was interrupted at any moment goes on
// where it was, and one of a store that has grown since adds what is new.
package storecopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"sunspool/health"
	"sunspool/vps/progress"
	"sunspool/vps/store"
	"sunspool/wire"
)

// Config is the command line of `sunspool vps copy`.
type Config struct {
	From    string `name:"from" env:"COPY_FROM" required:"" placeholder:"STORE" help:"What is copied, and not changed: a DATA_DIR, a backup, or a database as postgres://user@host/database. DATABASE_URL takes that of the environment, @FILE one from a file of mode 0600."`
	To      string `name:"to" env:"COPY_TO" required:"" placeholder:"STORE" help:"Where it is copied to: a store that is empty, or that an earlier copy filled. Given like --from. A password is better in PGPASSWORD, in a .pgpass file or in @FILE than here."`
	Compare bool   `name:"compare" help:"Copy nothing, only compare."`
	Quick   bool   `name:"no-compare" help:"Do not compare afterwards, which takes as long as the copy: for a copy that was compared and has only grown since."`
	JSON    bool   `name:"json" help:"Print the comparison as JSON. Progress is then on standard error."`
}

// Run copies, and then compares. It can be interrupted and started again. What DATABASE_URL is, the settings say.
func Run(ctx context.Context, cfg Config, databaseURL string, out, progressTo io.Writer) (err error) {
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = &health.Fault{Code: "copy_interrupted", Exit: health.ExitInterrupted, What: "the copy was interrupted, and is not complete",
				Next: "start it again: it goes on where it stopped"}
		}
	}()
	c := copying{out: out}
	if cfg.JSON {
		c.out = progressTo
	}
	from, err := parseEnd("--from", cfg.From, databaseURL)
	if err != nil {
		return err
	}
	to, err := parseEnd("--to", cfg.To, databaseURL)
	if err != nil {
		return err
	}
	if from.same(to) {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "--from and --to are the same store", Next: "name two"}
	}
	if c.from, err = from.openRows(ctx); err != nil {
		return err
	}
	defer c.from.Close()
	opened := time.Now().UTC()
	if cfg.Compare {
		rows, err := to.openRows(ctx)
		if err != nil {
			return err
		}
		defer rows.Close()
		return c.compare(ctx, rows, out, cfg)
	}
	if c.to, err = to.openReplica(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.to.Close()) }()
	if err := c.copy(ctx); err != nil {
		return err
	}
	if cfg.Quick {
		fmt.Fprintln(c.out, "Everything is copied, and not compared.")
	} else if err := c.compare(ctx, c.to, out, cfg); err != nil {
		return err
	}
	if from.url != "" {
		fmt.Fprintf(c.out, "The copy has what was in the database at %s. If servers still use that, stop them and start the copy again: it adds what came since.\n", opened.Format(time.RFC3339))
	}
	return nil
}

// copying is one copy at work.
type copying struct {
	from store.Rows
	to   store.Replica
	out  io.Writer

	devices []deviceCopy
	tokens  []store.Token
	sites   []store.Site

	staleTokens, staleSites bool // the target has others
}

// deviceCopy is what is to be copied of a device.
type deviceCopy struct {
	state store.State
	stale bool            // the target has another state
	days  []store.DayRows // that are not the same at the target
}

// copy copies what the target does not have.
func (c *copying) copy(ctx context.Context) error {
	fmt.Fprintln(c.out, "Reading what is there, which takes a while if it is much.")
	total, there, err := c.plan(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%d devices, %d samples to copy, %d are there already\n", len(c.devices), total, there)
	began := time.Now()
	if total > 0 || slices.ContainsFunc(c.devices, func(d deviceCopy) bool { return d.stale || len(d.days) > 0 }) {
		if err := c.copyDays(ctx, progress.Samples(c.out, total)); err != nil {
			fmt.Fprintln(c.out)
			return stopped(err)
		}
		seconds := time.Since(began).Seconds()
		fmt.Fprintf(c.out, "\n%d samples copied in %s, %.0f samples/s\n", total, time.Since(began).Round(time.Second/10), float64(total)/max(seconds, 0.001))
	}
	for i := range c.devices {
		if err := c.copyAside(ctx, c.devices[i].state); err != nil {
			return stopped(err)
		}
	}
	if c.staleTokens {
		if err := c.to.PutTokens(ctx, c.tokens); err != nil {
			return stopped(err)
		}
	}
	if c.staleSites {
		if err := c.to.PutSites(ctx, c.sites); err != nil {
			return stopped(err)
		}
	}
	return nil
}

// stopped is why a copy ends before it is complete.
func stopped(err error) error {
	if fault, ok := errors.AsType[*health.Fault](err); ok && fault.Next != "" {
		return err
	}
	return &health.Fault{Code: "copy_stopped", What: "the copy stopped before it was complete", Err: err,
		Next: "start it again when the cause is gone: it goes on where it stopped"}
}

// piece is some of the rows of a day. The last one of a day has its rollups.
type piece struct {
	samples []wire.Sample
	rollups []store.RollupRow
}

// piecesAhead is how many pieces are read before they are written: reading and writing take the same time.
const piecesAhead = 2

func (c *copying) copyDays(ctx context.Context, done func(samples int64)) error {
	g, ctx := errgroup.WithContext(ctx)
	pieces := make(chan piece, piecesAhead)
	g.Go(func() error {
		defer close(pieces)
		for _, d := range c.devices {
			for _, day := range d.days {
				if err := c.from.EachRow(ctx, d.state.Device, day.Start, func(samples []wire.Sample, rollups []store.RollupRow) error {
					select {
					case pieces <- piece{samples, rollups}:
						return nil
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				}); err != nil {
					return fmt.Errorf("read %s of %s: %w", dateOf(day.Start), d.state.Device, err)
				}
			}
		}
		return nil
	})
	g.Go(func() error {
		for _, d := range c.devices {
			if err := c.putDevice(ctx, d, pieces, done); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// errReading is why a day is not written: the reader has failed, and its error is the one to report.
var errReading = errors.New("the source was not read to the end")

// putDevice writes the state of a device, by which the target knows what is pruned, and then its days.
func (c *copying) putDevice(ctx context.Context, d deviceCopy, pieces <-chan piece, done func(samples int64)) error {
	if d.stale {
		if err := c.to.PutState(ctx, d.state); err != nil {
			return fmt.Errorf("write what is known of %s: %w", d.state.Device, err)
		}
	}
	for _, day := range d.days {
		err := c.to.PutDay(ctx, d.state.Device, day.Start, keptFrom(d.state, day), func() ([]wire.Sample, []store.RollupRow, error) {
			p, more := <-pieces
			if !more {
				return nil, nil, errReading
			}
			if len(p.samples) > 0 {
				done(int64(len(p.samples)))
			}
			return p.samples, p.rollups, nil
		})
		switch {
		case errors.Is(err, store.ErrForeign):
			return foreign(fmt.Sprintf("%s has others, or other values, at %s", d.state.Device, dateOf(day.Start)))
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errReading):
			<-ctx.Done()
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("write %s of %s: %w", dateOf(day.Start), d.state.Device, err)
		}
	}
	return nil
}

// keptFrom returns before when, ms, the samples of a day were pruned at the source.
func keptFrom(s store.State, day store.DayRows) int64 {
	pruned := s.Pruned.UnixMilli()
	if s.Pruned.IsZero() || day.Start >= pruned {
		return 0
	}
	if day.Samples > 0 {
		return min(pruned, day.First)
	}
	return pruned
}

func dateOf(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.DateOnly) }

const asidePage = 500

// copyAside copies what is set aside of a device, unless it is the same.
func (c *copying) copyAside(ctx context.Context, s store.State) error {
	if s.Aside == 0 {
		return nil
	}
	same, err := sameAside(ctx, s.Device, c.from, c.to)
	if err != nil || same {
		return err
	}
	if err := c.to.PutState(ctx, s); err != nil {
		return err
	}
	return eachAside(ctx, c.from, s.Device, func(page []store.Aside) error { return c.to.PutAside(ctx, s.Device, page) })
}

func eachAside(ctx context.Context, from store.Rows, device string, yield func([]store.Aside) error) error {
	for after := int64(0); ; {
		page, err := from.Aside(ctx, device, after, asidePage)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := yield(page); err != nil {
			return err
		}
		after = page[len(page)-1].Number
	}
}
