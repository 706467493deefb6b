// Package backlog is `sunspool spool`: what an operator asks and changes of the spools of this machine, while their edges run or
// do not.
//
//	command ──> report.OpenSpool ─┬─ an edge runs: its status socket, and the edge does it
//	                              └─ else: the file, for reading; or one transaction that changes it
//
// Samples that wait are never deleted here. Those that the server refused are, by drop alone, and only when they were exported
// or when whoever asks has confirmed how many they are.
package backlog

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"sunspool/edge/report"
	"sunspool/edge/spool"
	"sunspool/edge/spool/inspect"
	"sunspool/health"
	"sunspool/systemd"
)

// Config is the command line of `sunspool spool`.
type Config struct {
	List       ListConfig       `cmd:"" help:"List the spools of this machine, the copies of delivered samples, and the damaged files that were set aside."`
	Show       ShowConfig       `cmd:"" help:"Print samples that wait, that the server refused, or copies of delivered ones."`
	Count      CountConfig      `cmd:"" help:"Say how many samples of a spool the server does not have."`
	Quarantine QuarantineConfig `cmd:"" help:"List the samples that the server refused, and why. An edge that runs is asked by its status socket."`
	Verify     VerifyConfig     `cmd:"" help:"Read spools from their beginning to their end: exit status 0 if they are whole, else 1."`
	Requeue    RequeueConfig    `cmd:"" help:"Send samples again that the server refused."`
	Export     ExportConfig     `cmd:"" help:"Write samples to a file, in the form in which a server takes them."`
	Drop       DropConfig       `cmd:"" help:"Delete samples that the server refused, or a damaged file that was set aside. They are lost."`
}

// Command is what a command of a spool reads and writes.
type Command struct {
	In       io.Reader
	Out, Err io.Writer
	Terminal bool // a person is at In and reads Err
}

// Run does what was typed behind `sunspool spool`.
func (c Command) Run(ctx context.Context, verb string, all Config) error {
	switch verb {
	case "list":
		return c.list(ctx, all.List)
	case "show":
		return c.show(ctx, all.Show)
	case "count":
		return c.count(ctx, all.Count)
	case "quarantine":
		return c.quarantine(ctx, all.Quarantine)
	case "verify":
		return c.verify(ctx, all.Verify)
	case "requeue":
		return c.requeue(ctx, all.Requeue)
	case "export":
		return c.export(ctx, all.Export)
	case "drop":
		return c.drop(ctx, all.Drop)
	}
	return fmt.Errorf("bug: no code for spool %s", verb)
}

// Files are the spools that a command is about.
type Files struct {
	Files    []string `arg:"" optional:"" help:"Spools. Default: $SPOOL_PATH and what belongs to it by DEVICE_ID, or those of the package's or the image's edge."`
	Path     string   `name:"spool-path" env:"SPOOL_PATH" hidden:""`
	DeviceID string   `name:"device-id" env:"DEVICE_ID" hidden:""`
	Socket   string   `name:"status-socket" env:"STATUS_SOCKET" placeholder:"FILE" help:"Status socket of the edge that has the spool open. Default: beside the spool, or that of the package's edge."`
}

// imageSpool is the spool of the edge in a container.
const imageSpool = "/data/spool.db"

func (f Files) all() []string { return f.of(systemd.PackagedSpool, imageSpool) }

// of returns the spools where those of a package and of an image have these paths.
func (f Files) of(packaged, image string) []string {
	switch {
	case len(f.Files) > 0:
		return f.Files
	case f.Path != "":
		return inspect.FilesOf(f.Path, f.DeviceID)
	case !exists(packaged) && exists(image):
		return inspect.FilesOf(image, f.DeviceID)
	}
	return inspect.FilesBeside(packaged)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// open opens a spool for a command.
func (f Files) open(ctx context.Context, path, command string) (*report.Spool, error) {
	return report.OpenSpool(ctx, path, command, report.StatusSockets(path, f.Socket))
}

// Span is the time of the samples that a command is about.
type Span struct {
	From string `name:"from" placeholder:"TIME" help:"Samples from then on: 2026-06-21, 2026-06-21T12:30 (time of this machine) or 2026-06-21T12:30:00Z."`
	To   string `name:"to" placeholder:"TIME" help:"Samples before then."`
}

// choice reads the span.
func (s Span) choice() (c spool.Choice, err error) {
	for _, end := range []struct {
		flag, text string
		to         *time.Time
	}{{"--from", s.From, &c.From}, {"--to", s.To, &c.To}} {
		if end.text == "" {
			continue
		}
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
			if *end.to, err = time.ParseInLocation(layout, end.text, time.Local); err == nil {
				break
			}
		}
		if err != nil {
			return c, usage(fmt.Sprintf("%s %q is not a time", end.flag, end.text), "write it as 2026-06-21, 2026-06-21T12:30 or 2026-06-21T12:30:00Z")
		}
	}
	if !c.From.IsZero() && !c.To.IsZero() && !c.From.Before(c.To) {
		return c, usage("--from is not before --to", "write the earlier time behind --from")
	}
	return c, nil
}

func usage(what, next string) *health.Fault {
	return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: what, Next: next}
}

// answer prints v as one JSON document.
func (c Command) answer(v any) error { return json.NewEncoder(c.Out).Encode(v) }

// instant is a time for people.
func instant(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format(time.RFC3339)
}

// size is a number of bytes for people.
func size(bytes int64) string {
	if bytes < 1<<20 {
		return fmt.Sprintf("%d kB", (bytes+1023)>>10)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20))
}

// samples is a number of samples for people.
func samples(n int) string {
	if n == 1 {
		return "1 sample"
	}
	return fmt.Sprintf("%d samples", n)
}
