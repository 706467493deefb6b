package backlog

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"sunspool/edge/spool"
	"sunspool/edge/spool/format"
	"sunspool/health"
	"sunspool/internal/durable"
	"sunspool/wire"
)

// ExportConfig is the command line of `sunspool spool export`.
type ExportConfig struct {
	Files
	Span
	Waiting    bool   `name:"waiting" help:"Samples that wait. Without this and the next two flags: those that wait, and those that were refused."`
	Quarantine bool   `name:"quarantine" help:"Samples that the server refused."`
	Delivered  bool   `name:"delivered" help:"Copies of samples that the server has."`
	Format     string `name:"format" enum:"json,batches,csv" default:"json" help:"A sample a line, a body of POST /v1/ingest a line, or a table: ${enum}."`
	Output     string `name:"output" short:"o" placeholder:"FILE" help:"A file, which must not exist. It is written whole or not at all. Default: standard output."`
}

func (c Command) export(ctx context.Context, config ExportConfig) error {
	choice, err := config.choice()
	if err != nil {
		return err
	}
	if config.Output == "" {
		out := bufio.NewWriter(c.Out)
		n, left, err := config.write(ctx, out, choice)
		if err = errors.Join(err, out.Flush()); err != nil {
			return err
		}
		return c.said(n, left, "are written")
	}
	if _, err := os.Lstat(config.Output); !errors.Is(err, fs.ErrNotExist) {
		return &health.Fault{Code: "file_exists", What: config.Output + " is there already", Why: "it may be the only copy of samples that were deleted", Next: "name another file behind -o"}
	}
	n, left := 0, 0
	err = durable.WriteWhole(config.Output, 0o600, func(file *os.File) (err error) {
		out := bufio.NewWriter(file)
		n, left, err = config.write(ctx, out, choice)
		return errors.Join(err, out.Flush())
	})
	if err != nil {
		return err
	}
	return c.said(n, left, "are in "+config.Output)
}

func (c Command) said(n, left int, where string) error {
	text := samples(n) + " " + where
	if left > 0 {
		text += fmt.Sprintf("; %d are left out, which are damaged or whose time is not known yet", left)
	}
	_, err := fmt.Fprintln(c.Err, text)
	return err
}

// write writes the samples and returns how many, and how many no server could take.
func (config ExportConfig) write(ctx context.Context, out io.Writer, choice spool.Choice) (n, left int, err error) {
	var parts []string
	none := !config.Waiting && !config.Quarantine && !config.Delivered
	if config.Waiting || none {
		parts = append(parts, format.PartWaiting, format.PartUndated)
	}
	if config.Quarantine || none {
		parts = append(parts, format.PartQuarantine)
	}
	if config.Delivered {
		parts = append(parts, partDelivered)
	}
	w := exportWriters(config.Format, out)
	for _, path := range config.all() {
		err := config.each(ctx, path, "export", parts, choice, func(s spool.Stored) error {
			if s.Sample == nil || s.TimeFrom == spool.Undated.String() {
				left++
				return nil
			}
			n++
			return w.add(s.Sample)
		})
		if err != nil {
			return n, left, err
		}
	}
	return n, left, w.end()
}

// exportWriter writes samples in a format.
type exportWriter struct {
	add func(*wire.Sample) error
	end func() error
}

const batchOf = 500 // samples in a line of batches: half of what a server takes unless its operator says otherwise

func exportWriters(kind string, out io.Writer) exportWriter {
	var e wire.Encoder
	var b []byte
	inBatch, device := 0, ""
	line := func(tail string) error {
		_, err := out.Write(append(b, tail...))
		b, inBatch = b[:0], 0
		return err
	}
	switch kind {
	case "batches":
		return exportWriter{func(s *wire.Sample) (err error) {
			if inBatch > 0 && s.DeviceID != device { // a batch is of one device
				if err := line("]}\n"); err != nil {
					return err
				}
			}
			if device = s.DeviceID; inBatch == 0 {
				b = append(b, `{"samples":[`...)
			} else {
				b = append(b, ',')
			}
			if b, err = e.Append(b, s); err != nil {
				return err
			}
			if inBatch++; inBatch == batchOf || len(b) > wire.MaxBytes/2 {
				return line("]}\n")
			}
			return nil
		}, func() error {
			if inBatch == 0 {
				return nil
			}
			return line("]}\n")
		}}
	case "csv":
		w := csv.NewWriter(out)
		head := []string{"device_id", "ts"}
		for _, f := range wire.Fields {
			head = append(head, f.Name)
		}
		w.Write(append(head, "sample_count", "values"))
		return exportWriter{func(s *wire.Sample) error {
			row := []string{s.DeviceID, s.Time.UTC().Format(time.RFC3339Nano)}
			for _, f := range wire.Fields {
				text := ""
				if v := f.Get(s); v != nil {
					text = strconv.FormatFloat(*v, 'f', -1, 64)
				}
				row = append(row, text)
			}
			values := []byte(nil)
			if len(s.Values) > 0 {
				values, _ = json.Marshal(s.Values) // numbers by name have always a form
			}
			return w.Write(append(row, strconv.Itoa(s.Count), string(values)))
		}, func() error { w.Flush(); return w.Error() }}
	}
	return exportWriter{func(s *wire.Sample) (err error) {
		if b, err = e.Append(b, s); err != nil {
			return err
		}
		return line("\n")
	}, func() error { return nil }}
}
