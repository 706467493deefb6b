// Package importer copies the samples of the Python server's PostgreSQL database into a store of ours, and compares both.
//
//	sungrow_samples ──> a day of a device ──> what is not there yet ──> store.Insert ──> compare, day by day
package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"sunspool/health"
	"sunspool/vps/energy"
	"sunspool/vps/progress"
	"sunspool/vps/store"
	"sunspool/wire"
)

// Config is the command line of `sunspool vps import`. The settings of the vps decide where samples go.
type Config struct {
	From   string `name:"from" env:"IMPORT_FROM" required:"" placeholder:"URL" help:"Database of the Python server, postgres://user@host/database. The password is better in PGPASSWORD or a .pgpass file than here."`
	Export string `name:"export" enum:"keep,drop" default:"keep" help:"keep: copy export_power_w as it is. drop: leave it out for devices that never had anything but 0 or 1 there, which is what the Python server wrote for units behind a WiNet-S."`
	Check  bool   `name:"check" help:"Copy nothing, only compare."`
}

// Run copies the samples of the Python server's database into the store that open opens, a day of a device at a time, and then compares.
// It can be interrupted and started again: a day that is already there is skipped, and inserting twice is normal.
func Run(ctx context.Context, open func() (store.Samples, error), im Config, out io.Writer) (err error) {
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = &health.Fault{Code: "import_interrupted", Exit: health.ExitInterrupted, What: "the import was interrupted",
				Next: "start it again: it goes on where it stopped"}
		}
	}()
	from, err := OpenOriginal(ctx, im.From)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := open()
	if err != nil {
		return err
	}
	defer func() {
		if e := to.Close(); err == nil {
			err = e
		}
	}()
	fmt.Fprintln(out, "Counting the samples of the Python server, which takes a while if there are many.")
	days, err := from.Days(ctx)
	if err != nil {
		return err
	}
	c := copying{from: from, to: to, out: out, dropExport: map[string]bool{}, refused: map[string]int{}}
	c.introduce(days, im.Export == "drop")
	if !im.Check {
		if err := c.copyAll(ctx, days); err != nil {
			return err
		}
	}
	return c.compare(ctx, days)
}

// copying is one import at work.
type copying struct {
	from       *Original
	to         store.Samples
	out        io.Writer
	dropExport map[string]bool // by device

	inserted, repeated int64
	refused            map[string]int // rows of the Python server that no store takes, by reason
	example            string         // the first of them
}

// introduce prints what is there, and what is known to be wrong with it.
func (c *copying) introduce(days []OriginalDay, drop bool) {
	for _, ofDevice := range byDevice(days) {
		first, last, binary, rows := ofDevice[0], ofDevice[len(ofDevice)-1], true, int64(0)
		for _, d := range ofDevice {
			rows, binary = rows+d.Rows, binary && d.Binary
		}
		fmt.Fprintf(c.out, "%s: %d samples from %s to %s\n", first.Device, rows, first.First.UTC().Format(time.RFC3339), last.Last.UTC().Format(time.RFC3339))
		switch {
		case binary && drop:
			c.dropExport[first.Device] = true
			fmt.Fprintf(c.out, "  its export_power_w is never anything but 0 or 1, which is no measurement: it is left out\n")
		case binary:
			fmt.Fprintf(c.out, "  its export_power_w is never anything but 0 or 1: the Python server wrote that for units behind a WiNet-S. It is\n"+
				"  copied as it is, so grid and flows of that time will be wrong; --export=drop leaves it out\n")
		}
	}
	fmt.Fprintf(c.out, "Powers keep their signs: battery positive = charging, export positive = to the grid, in both systems.\n"+
		"The Python server has no lifetime counters: energy of that time is integrated from power.\n")
}

func byDevice(days []OriginalDay) (all [][]OriginalDay) {
	for len(days) > 0 {
		n := slices.IndexFunc(days, func(d OriginalDay) bool { return d.Device != days[0].Device })
		if n < 0 {
			n = len(days)
		}
		all, days = append(all, days[:n]), days[n:]
	}
	return all
}

func (c *copying) copyAll(ctx context.Context, days []OriginalDay) error {
	total := int64(0)
	for _, d := range days {
		total += d.Rows
	}
	done := progress.Samples(c.out, total)
	for _, d := range days {
		if err := c.copyDay(ctx, d); err != nil {
			fmt.Fprintln(c.out)
			return &health.Fault{Code: "import_stopped", What: fmt.Sprintf("the import stopped at %s of %s", d.Start.Format(time.DateOnly), d.Device),
				Err: err, Next: "start it again when the cause is gone: it goes on where it stopped"}
		}
		done(d.Rows)
	}
	fmt.Fprintln(c.out)
	return nil
}

// longestName is how much of a device's name is shown, which may be anything there.
const longestName = 200

func (c *copying) copyDay(ctx context.Context, d OriginalDay) error {
	there, err := c.stored(ctx, d)
	if err != nil {
		return err
	}
	if d.In(&there) {
		c.repeated += d.Rows
		return nil
	}
	samples, err := c.from.Samples(ctx, d)
	if err != nil {
		return err
	}
	good := samples[:0]
	for _, s := range samples {
		if c.dropExport[d.Device] {
			s.ExportPowerW = nil
		}
		if err := s.Validate(s.Time); err != nil {
			c.refuse(&s, err)
			continue
		}
		good = append(good, s)
	}
	for some := range slices.Chunk(good, wire.MaxSamples) {
		if err := c.insert(ctx, d.Device, some); err != nil {
			return err
		}
	}
	return nil
}

// insert stores samples of a device, but for those that are too dense.
func (c *copying) insert(ctx context.Context, device string, samples []wire.Sample) error {
	n, err := c.to.Insert(ctx, device, samples)
	if dense, ok := errors.AsType[*store.TooDense](err); ok {
		rest := samples[:0:0]
		for i := range samples {
			if _, is := slices.BinarySearch(dense.Indexes, i); is {
				c.refuse(&samples[i], fmt.Errorf("more than %d samples in five minutes", store.MostInSpan))
			} else {
				rest = append(rest, samples[i])
			}
		}
		return c.insert(ctx, device, rest)
	}
	if err != nil {
		return err
	}
	c.inserted += int64(n)
	c.repeated += int64(len(samples) - n)
	return nil
}

// refuse counts a row that cannot be stored. It stays in the old database; nothing is made up for it.
func (c *copying) refuse(s *wire.Sample, err error) {
	c.refused[err.Error()]++
	if c.example == "" {
		c.example = fmt.Sprintf("%s at %s: %v", s.DeviceID[:min(len(s.DeviceID), longestName)], s.Time.Format(time.RFC3339Nano), err)
	}
}

// stored returns what the store has of the same device and day.
func (c *copying) stored(ctx context.Context, d OriginalDay) (energy.Period, error) {
	periods, err := c.to.Periods(ctx, store.Query{Device: d.Device, From: d.Start, To: d.Start.AddDate(0, 0, 1), Resolution: store.Day})
	if err != nil || len(periods) == 0 {
		return energy.Period{}, err
	}
	return periods[0], nil
}

// compare counts both sides. More rows than the Python server has are fine: an edge of ours may have sent some.
func (c *copying) compare(ctx context.Context, days []OriginalDay) error {
	var rows, missing, short int64
	for _, d := range days {
		there, err := c.stored(ctx, d)
		if err != nil {
			return fmt.Errorf("compare %s of %s: %w", d.Start.Format(time.DateOnly), d.Device, err)
		}
		rows += d.Rows
		if there.Rows < d.Rows {
			missing += d.Rows - there.Rows
			if short++; short <= 10 {
				fmt.Fprintf(c.out, "%s, %s: the Python server has %d samples, here are %d\n", d.Device, d.Start.Format(time.DateOnly), d.Rows, there.Rows)
			}
		}
	}
	fmt.Fprintf(c.out, "%d samples in the old database, %d copied now, %d were here already\n", rows, c.inserted, c.repeated)
	for why, n := range c.refused {
		fmt.Fprintf(c.out, "%d not stored: %s\n", n, why)
	}
	if missing == 0 && len(c.refused) == 0 {
		fmt.Fprintln(c.out, "every day has at least as many samples here as in the old database")
		return nil
	}
	fault := &health.Fault{Code: "import_incomplete", Exit: health.ExitUnhealthy, What: fmt.Sprintf("%d samples of the Python server, on %d days, are not here", missing, short),
		Next: "start the import again; samples of the same millisecond are one sample here"}
	if c.example != "" {
		fault.Why = "some cannot be stored, such as " + c.example
		fault.Next = "they stay in the Python server's database: keep it, or correct them there and start the import again"
	}
	return fault
}
