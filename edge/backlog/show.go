package backlog

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sunspool/edge/delivered"
	"sunspool/edge/spool"
	"sunspool/edge/spool/format"
	"sunspool/wire"
)

// ShowConfig is the command line of `sunspool spool show`.
type ShowConfig struct {
	Files
	Span
	Quarantine bool `name:"quarantine" help:"Samples that the server refused, instead of those that wait."`
	Delivered  bool `name:"delivered" help:"Copies of samples that the server has, see KEEP_DELIVERED_DAYS."`
	Limit      int  `name:"limit" placeholder:"N" help:"At most so many samples of each spool. Default: all."`
	JSON       bool `name:"json" help:"One JSON object a line for each sample."`
}

// errEnough ends a list at its limit.
var errEnough = errors.New("enough")

func (c Command) show(ctx context.Context, config ShowConfig) error {
	choice, err := config.choice()
	if err != nil {
		return err
	}
	parts := []string{format.PartWaiting, format.PartUndated}
	switch {
	case config.Quarantine && config.Delivered:
		return usage("--quarantine and --delivered are two questions", "sunspool spool show --quarantine")
	case config.Limit < 0:
		return usage(fmt.Sprintf("--limit is %d", config.Limit), "sunspool spool show --limit 20")
	case config.Quarantine:
		parts = []string{format.PartQuarantine}
	case config.Delivered:
		parts = []string{partDelivered}
	}
	out := bufio.NewWriter(c.Out)
	print := printed
	if config.JSON {
		lines := json.NewEncoder(out)
		print = func(_ io.Writer, s spool.Stored) error { return lines.Encode(s) }
	}
	for _, path := range config.all() {
		left := config.Limit
		err := config.each(ctx, path, "show", parts, choice, func(s spool.Stored) error {
			if err := print(out, s); err != nil {
				return err
			}
			if left--; left == 0 {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return errors.Join(err, out.Flush())
		}
	}
	return out.Flush()
}

// partDelivered is the copies of delivered samples, which are beside a spool.
const partDelivered = "delivered"

// each calls f with the samples of the parts of a spool that are of the time of choice, part by part.
func (f Files) each(ctx context.Context, path, command string, parts []string, choice spool.Choice, do func(spool.Stored) error) error {
	if len(parts) == 1 && parts[0] == partDelivered {
		return eachDelivered(ctx, path, choice, do)
	}
	s, err := f.open(ctx, path, command)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, part := range parts {
		if part == partDelivered {
			err = eachDelivered(ctx, path, choice, do)
		} else {
			err = s.Each(ctx, part, func(s spool.Stored) error {
				if known := s.Sample != nil && part != format.PartUndated; known && !choice.Covers(s.Sample.Time) || !known && !choice.From.IsZero() || !known && !choice.To.IsZero() {
					return nil
				}
				return do(s)
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func eachDelivered(ctx context.Context, path string, choice spool.Choice, do func(spool.Stored) error) error {
	return delivered.Each(delivered.DirOf(path), func(s *wire.Sample) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !choice.Covers(s.Time) {
			return nil
		}
		return do(spool.Stored{Sample: s, TimeFrom: "delivered"})
	})
}

// printed prints a sample as one line.
func printed(out io.Writer, s spool.Stored) error {
	text := "a damaged record"
	if s.Sample != nil {
		at := instant(&s.Sample.Time)
		if s.TimeFrom == spool.Undated.String() {
			at = "time unknown"
		}
		text = fmt.Sprintf("%s  %s  pv %.0f W", at, s.Sample.DeviceID, s.Sample.PVPowerW)
		for _, v := range []struct {
			name, unit string
			value      *float64
		}{{"home", "W", s.Sample.LoadPowerW}, {"battery", "W", s.Sample.BatteryPowerW}, {"at", "%", s.Sample.BatterySOCPct}, {"export", "W", s.Sample.ExportPowerW}} {
			if v.value != nil {
				text += fmt.Sprintf("  %s %.0f %s", v.name, *v.value, v.unit)
			}
		}
	}
	if s.Number > 0 {
		text = fmt.Sprintf("%d  %s", s.Number, text)
	}
	if s.Code != "" {
		text += "  refused: " + s.Code
		if s.Detail != "" {
			text += ": " + s.Detail
		}
	}
	_, err := fmt.Fprintln(out, text)
	return err
}
