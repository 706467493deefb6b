package backlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"encoding/json"

	"sunspool/edge/delivered"
	"sunspool/edge/report"
	"sunspool/edge/spool"
	"sunspool/edge/spool/inspect"
	"sunspool/health"
)

// ListConfig is the command line of `sunspool spool list`.
type ListConfig struct {
	Files
	JSON bool `name:"json" help:"One JSON document."`
}

// Listed is a file or directory of `spool list`. What is null is not known.
type Listed struct {
	Path        string     `json:"path"`
	Kind        string     `json:"kind"` // spool, delivered, or aside for a damaged or foreign file
	Device      string     `json:"device_id,omitempty"`
	State       string     `json:"state"`       // open in an edge, closed, damaged, or unreadable
	Waiting     *int       `json:"waiting"`     // samples that the server does not have
	Quarantined *int       `json:"quarantined"` // samples that it refused
	Delivered   *int       `json:"delivered"`   // copies of samples that it has
	Oldest      *time.Time `json:"oldest"`
	Newest      *time.Time `json:"newest"`
	Bytes       int64      `json:"bytes"`
	Why         string     `json:"why,omitempty"` // of damaged and unreadable
}

func (c Command) list(ctx context.Context, config ListConfig) error {
	all := []Listed{}
	for _, path := range config.all() {
		first, err := listed(ctx, path, config.Files)
		if err != nil {
			return err
		}
		all = append(append(all, first), beside(path)...)
	}
	if config.JSON {
		return c.answer(map[string][]Listed{"spools": all})
	}
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FILE\tDEVICE\tSTATE\tWAITING\tREFUSED\tKEPT\tOLDEST\tNEWEST\tSIZE")
	number := func(n *int) string {
		if n == nil {
			return "-"
		}
		return strconv.Itoa(*n)
	}
	at := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.UTC().Format("2006-01-02T15:04Z")
	}
	for _, l := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Path, cmp.Or(l.Device, "-"), l.State, number(l.Waiting), number(l.Quarantined), number(l.Delivered), at(l.Oldest), at(l.Newest), size(l.Bytes))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, l := range all {
		if l.Why != "" {
			fmt.Fprintf(c.Out, "%s: %s\n", l.Path, l.Why)
		}
	}
	return nil
}

// listed is the spool at path. That there is none is an error.
func listed(ctx context.Context, path string, files Files) (l Listed, err error) {
	l = Listed{Path: path, Kind: "spool", State: "closed"}
	if inspect.SetAside(path) != "" {
		l.Kind = "aside"
	}
	if info, err := os.Stat(path); err == nil {
		l.Bytes = info.Size()
	}
	s, err := files.open(ctx, path, "list")
	if err == nil {
		defer s.Close()
		var info spool.Info
		if info, err = s.Info(ctx); err == nil {
			l.Device, l.Oldest, l.Newest, l.Waiting, l.Quarantined, l.Bytes = info.Device, info.Oldest, info.Newest, &info.Waiting, &info.Quarantined, info.Bytes
		}
		if s.Open {
			l.State = "open"
		}
		if damage, unreadable := s.Damage(); damage != "" {
			l.State, l.Why = "damaged", fmt.Sprintf("%s; %s cannot be read", damage, samples(unreadable))
		}
	}
	if f, ok := errors.AsType[*health.Fault](err); ok && f.Code == "no_spool" {
		return l, err
	} else if ok && f.Code == "spool_busy" {
		l.State, l.Why = "open", "an edge has it open that does not answer at its status socket"
	} else if err != nil {
		l.State, l.Why = "unreadable", err.Error()
	}
	return l, nil
}

// beside is what belongs to the spool at path: copies of delivered samples, and files that were set aside.
func beside(path string) (all []Listed) {
	dir := delivered.DirOf(path)
	if kept, err := delivered.Look(dir); exists(dir) {
		l := Listed{Path: dir, Kind: "delivered", State: "closed", Device: strings.Join(kept.Devices, ","), Delivered: &kept.Samples, Bytes: kept.Bytes}
		if kept.Samples > 0 {
			l.Oldest, l.Newest = &kept.Oldest, &kept.Newest
		}
		if err != nil {
			l.State, l.Why = "unreadable", err.Error()
		}
		all = append(all, l)
	}
	for _, file := range inspect.AsideOf(path) {
		l := Listed{Path: file, Kind: "aside", State: "set aside"}
		if info, err := os.Stat(file); err == nil {
			l.Bytes = info.Size()
		}
		all = append(all, l)
	}
	return all
}

// CountConfig is the command line of `sunspool spool count`.
type CountConfig struct {
	Files
	JSON bool `name:"json" help:"One JSON document."`
}

func (c Command) count(ctx context.Context, config CountConfig) error {
	type counted struct {
		inspect.Unsent
		Delivered int `json:"delivered"` // copies of samples that the server has
	}
	all := []counted{}
	for _, path := range config.all() {
		unsent, err := inspect.CountUnsent(path)
		if f, ok := errors.AsType[*health.Fault](err); ok && (f.Code == "spool_busy" || errors.Is(err, os.ErrPermission)) {
			s, other := config.open(ctx, path, "count")
			if other == nil {
				info, asked := s.Info(ctx)
				unsent, err = inspect.Unsent{Path: path, Waiting: info.Waiting, Quarantined: info.Quarantined}, asked
				s.Close()
			}
		}
		if err != nil {
			return err
		}
		kept, _ := delivered.Look(delivered.DirOf(path)) // copies are worth less than an answer
		all = append(all, counted{unsent, kept.Samples})
		if config.JSON {
			continue
		}
		text := unsent.String()
		if kept.Samples > 0 {
			text += fmt.Sprintf("; %d copies of delivered ones are kept", kept.Samples)
		}
		if _, err := fmt.Fprintln(c.Out, text); err != nil {
			return err
		}
	}
	if config.JSON {
		return c.answer(map[string]any{"spools": all})
	}
	return nil
}

// QuarantineConfig is the command line of `sunspool spool quarantine`.
type QuarantineConfig struct {
	Files
	JSON bool `name:"json" help:"One JSON object a line for each sample."`
}

func (c Command) quarantine(ctx context.Context, q QuarantineConfig) error {
	for _, file := range q.all() {
		list := c.refused
		if q.JSON {
			list = c.refusedLines
		}
		if err := list(ctx, file, report.StatusSockets(file, q.Socket)); err != nil {
			return err
		}
	}
	return nil
}

// refusedLines lists the samples for programs.
func (c Command) refusedLines(ctx context.Context, file string, sockets []string) error {
	out := json.NewEncoder(c.Out)
	return report.EachQuarantined(ctx, file, sockets, func(samples []spool.QuarantinedSample) error {
		for _, s := range samples {
			if err := out.Encode(s); err != nil {
				return err
			}
		}
		return nil
	})
}

// refused lists the samples for people, and then how many there are of each code.
func (c Command) refused(ctx context.Context, file string, sockets []string) error {
	codes := make(map[string]int)
	total := 0
	err := report.EachQuarantined(ctx, file, sockets, func(samples []spool.QuarantinedSample) error {
		w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
		if total == 0 && len(samples) > 0 {
			fmt.Fprintln(w, "NUMBER\tTIME\tDEVICE\tCODE\tFIRST REFUSED\tLAST REFUSED\tDETAIL")
		}
		for _, s := range samples {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Number, instant(s.Time), cmp.Or(s.Device, "unknown"), s.Code, instant(&s.First), instant(&s.Last), s.Detail)
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
	_, err = fmt.Fprintln(c.Out, summary)
	return err
}
