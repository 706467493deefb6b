package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"sunspool/edge/report"
	"sunspool/edge/spool"
	"sunspool/edge/spool/inspect"
	"sunspool/systemd"
)

// spoolCommand looks into spools, and changes nothing.
type spoolCommand struct {
	Count      countCommand      `cmd:"" help:"Say how many samples of a spool the server does not have, while no edge has it open."`
	Quarantine quarantineCommand `cmd:"" help:"List the samples that the server refused, and why. An edge that runs is asked by its status socket."`
}

// spoolFiles are the spools that a command is about.
type spoolFiles struct {
	Files    []string `arg:"" optional:"" help:"Spools. Default: $SPOOL_PATH and what belongs to it by DEVICE_ID, or those of the package's or the image's edge."`
	Path     string   `name:"spool-path" env:"SPOOL_PATH" hidden:""`
	DeviceID string   `name:"device-id" env:"DEVICE_ID" hidden:""`
}

// imageSpool is the spool of the edge in a container.
const imageSpool = "/data/spool.db"

func (f spoolFiles) all() []string { return f.of(systemd.PackagedSpool, imageSpool) }

// of returns the spools where those of a package and of an image have these paths.
func (f spoolFiles) of(packaged, image string) []string {
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

type countCommand struct {
	spoolFiles
}

func (c countCommand) do(stdout io.Writer) error {
	for _, file := range c.all() {
		unsent, err := inspect.CountUnsent(file)
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, unsent)
	}
	return nil
}

type quarantineCommand struct {
	spoolFiles
	Socket string `name:"status-socket" env:"STATUS_SOCKET" placeholder:"FILE" help:"Status socket of the edge that has the spool open. Default: beside the spool, or that of the package's edge."`
	JSON   bool   `name:"json" help:"One JSON object a line for each sample."`
}

func (q quarantineCommand) do(ctx context.Context, stdout io.Writer) error {
	for _, file := range q.all() {
		list := q.table
		if q.JSON {
			list = q.lines
		}
		if err := list(ctx, file, stdout); err != nil {
			return err
		}
	}
	return nil
}

// lines lists the samples for programs.
func (q quarantineCommand) lines(ctx context.Context, file string, stdout io.Writer) error {
	out := json.NewEncoder(stdout)
	return report.EachQuarantined(ctx, file, report.StatusSockets(file, q.Socket), func(samples []spool.QuarantinedSample) error {
		for _, s := range samples {
			if err := out.Encode(s); err != nil {
				return err
			}
		}
		return nil
	})
}

// table lists the samples for people, and then how many there are of each code.
func (q quarantineCommand) table(ctx context.Context, file string, stdout io.Writer) error {
	codes := make(map[string]int)
	total := 0
	err := report.EachQuarantined(ctx, file, report.StatusSockets(file, q.Socket), func(samples []spool.QuarantinedSample) error {
		w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
		if total == 0 && len(samples) > 0 {
			fmt.Fprintln(w, "NUMBER\tTIME\tDEVICE\tCODE\tFIRST REFUSED\tLAST REFUSED\tDETAIL")
		}
		for _, s := range samples {
			var at time.Time
			if s.Time != nil {
				at = *s.Time
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Number, instant(at), cmp.Or(s.Device, "unknown"), s.Code, instant(s.First), instant(s.Last), s.Detail)
			codes[s.Code]++
		}
		total += len(samples)
		return w.Flush()
	})
	if err != nil {
		return err
	}
	var each []string
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		each = append(each, fmt.Sprintf("%d %s", codes[code], code))
	}
	summary := fmt.Sprintf("%s: %d samples are in quarantine", file, total)
	if total > 0 {
		summary += ": " + strings.Join(each, ", ")
	}
	_, err = fmt.Fprintln(stdout, summary)
	return err
}

// instant is a time for people.
func instant(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.Format(time.RFC3339)
}
