package storecopy

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"sunspool/health"
	"sunspool/vps/store"
)

// Report is what a comparison found.
type Report struct {
	Equal       bool           `json:"equal"`
	Devices     []DeviceReport `json:"devices"`
	Tokens      bool           `json:"tokens_equal"`
	Sites       bool           `json:"sites_equal"`
	DamagedRows uint64         `json:"damaged_rows"` // of the source, which no answer has
}

// DeviceReport is what both sides have of a device.
type DeviceReport struct {
	Device    string `json:"device_id"`
	Equal     bool   `json:"equal"`
	Different string `json:"different,omitempty"` // what is, and the first day
	From      Side   `json:"from"`
	To        Side   `json:"to"`
}

// Side is what one side has of a device. The checksums are over all rows, in any order.
type Side struct {
	Samples int64      `json:"samples"`
	First   *time.Time `json:"first"`
	Last    *time.Time `json:"last"`
	Rollups int64      `json:"rollups"`
	Aside   int64      `json:"set_aside"`

	SamplesSum string `json:"samples_checksum"`
	RollupsSum string `json:"rollups_checksum"`
}

// compare reads all of both sides and prints what they have.
func (c *copying) compare(ctx context.Context, to store.Rows, out io.Writer, cfg Config) error {
	fmt.Fprintln(c.out, "Comparing, for which all of both is read.")
	states, err := c.from.States(ctx)
	if err != nil {
		return err
	}
	targets, err := to.States(ctx)
	if err != nil {
		return err
	}
	report := Report{Equal: true, Devices: []DeviceReport{}}
	for _, name := range names(states, targets) {
		before := c.from.Damaged()
		d, err := c.compareDevice(ctx, to, name, find(states, name), find(targets, name))
		if err != nil {
			return stopped(err)
		}
		report.DamagedRows += c.from.Damaged() - before
		report.Equal = report.Equal && d.Equal
		report.Devices = append(report.Devices, d)
		d.print(c.out)
	}
	if err := c.compareOthers(ctx, to, &report); err != nil {
		return err
	}
	return report.end(c.out, out, cfg)
}

// names returns the devices of both, ascending.
func names(all ...[]store.State) (names []string) {
	for _, states := range all {
		for _, s := range states {
			names = append(names, s.Device)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func find(all []store.State, name string) *store.State {
	if i := slices.IndexFunc(all, func(s store.State) bool { return s.Device == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

func (c *copying) compareDevice(ctx context.Context, to store.Rows, name string, a, b *store.State) (d DeviceReport, err error) {
	d.Device = name
	var days [2][]store.DayRows
	var aside [2][sha256.Size]byte
	g, ctx := errgroup.WithContext(ctx)
	for i, rows := range []store.Rows{c.from, to} {
		side := []*Side{&d.From, &d.To}[i]
		g.Go(func() (err error) {
			if days[i], err = rows.Days(ctx, name, true); err != nil {
				return err
			}
			side.add(days[i])
			side.Aside, aside[i], err = sumAside(ctx, rows, name)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return d, err
	}
	switch day, what := firstDifference(days[0], days[1]); {
	case a == nil:
		d.Different = "the source does not have it"
	case b == nil:
		d.Different = "the target does not have it"
	case what != "":
		d.Different = what + " of " + dateOf(day)
	case !a.Equal(*b):
		d.Different = "what is known of the device"
	case aside[0] != aside[1]:
		d.Different = "what is set aside"
	}
	d.Equal = d.Different == ""
	return d, nil
}

// add adds what days have.
func (s *Side) add(days []store.DayRows) {
	var samples, rollups store.Sum
	for _, day := range days {
		samples.Join(day.Values)
		rollups.Join(day.Rollups)
		if day.Samples == 0 {
			continue
		}
		if s.First == nil {
			s.First = new(time.UnixMilli(day.First).UTC())
		}
		s.Last = new(time.UnixMilli(day.Last).UTC())
	}
	s.Samples, s.SamplesSum, s.Rollups, s.RollupsSum = samples.Rows, samples.String(), rollups.Rows, rollups.String()
}

// firstDifference returns the first day that is not the same, and what of it.
func firstDifference(a, b []store.DayRows) (day int64, what string) {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a) || i < len(b) && b[i].Start < a[i].Start:
			return b[i].Start, "the target has more: samples"
		case i >= len(b) || a[i].Start < b[i].Start:
			return a[i].Start, "the target has no samples"
		case a[i].Samples != b[i].Samples:
			return a[i].Start, fmt.Sprintf("%d and %d samples", a[i].Samples, b[i].Samples)
		case a[i].Values != b[i].Values:
			return a[i].Start, "values of samples"
		case a[i].Rollups != b[i].Rollups:
			return a[i].Start, "rollups"
		}
	}
	return 0, ""
}

func sumAside(ctx context.Context, rows store.Rows, device string) (n int64, sum [sha256.Size]byte, err error) {
	h := sha256.New()
	err = eachAside(ctx, rows, device, func(page []store.Aside) error {
		for _, a := range page {
			n++
			fmt.Fprintf(h, "%d %d %q %q\n", a.Number, a.Received.UnixMilli(), a.Code, a.JSON)
		}
		return nil
	})
	return n, [sha256.Size]byte(h.Sum(nil)), err
}

func sameAside(ctx context.Context, device string, a, b store.Rows) (bool, error) {
	_, one, err := sumAside(ctx, a, device)
	if err != nil {
		return false, err
	}
	_, other, err := sumAside(ctx, b, device)
	return one == other, err
}

func (c *copying) compareOthers(ctx context.Context, to store.Rows, report *Report) error {
	tokens, err := c.from.Tokens(ctx)
	if err != nil {
		return err
	}
	there, err := to.Tokens(ctx)
	if err != nil {
		return err
	}
	keepRevoked(tokens, there)
	report.Tokens = sameJSON(byID(tokens), byID(there))
	sites, err := c.from.Sites(ctx)
	if err != nil {
		return err
	}
	sitesThere, err := to.Sites(ctx)
	report.Sites = sameJSON(sites, sitesThere)
	report.Equal = report.Equal && report.Tokens && report.Sites
	return err
}

// keepRevoked makes tokens those that are revoked at the target alone.
func keepRevoked(tokens, there []store.Token) {
	target := byID(there)
	for i := range tokens {
		if t, known := target[tokens[i].ID]; known && tokens[i].Revoked.IsZero() {
			tokens[i].Revoked = t.Revoked
		}
	}
}

// byID returns tokens such that they can be compared: times of equal creation may come in any order.
func byID(all []store.Token) map[string]store.Token {
	tokens := map[string]store.Token{}
	for _, t := range all {
		tokens[t.ID] = t
	}
	return tokens
}

func sameJSON(a, b any) bool {
	one, err := json.Marshal(a)
	other, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(one) == string(other)
}

// print prints what both sides have of a device.
func (d *DeviceReport) print(out io.Writer) {
	mark := "equal"
	if !d.Equal {
		mark = "NOT EQUAL: " + d.Different
	}
	fmt.Fprintf(out, "%s: %s\n", d.Device, mark)
	for _, side := range []struct {
		name string
		Side
	}{{"from", d.From}, {"to", d.To}} {
		between := ""
		if side.First != nil {
			between = ", " + side.First.Format(time.RFC3339) + " to " + side.Last.Format(time.RFC3339)
		}
		fmt.Fprintf(out, "  %-4s  %d samples %s, %d rollups %s, %d set aside%s\n", side.name, side.Samples, side.SamplesSum, side.Rollups, side.RollupsSum, side.Aside, between)
	}
}

// end prints the result, and returns what is wrong.
func (r *Report) end(text, out io.Writer, cfg Config) error {
	if r.DamagedRows > 0 {
		fmt.Fprintf(text, "%d rows of the source are damaged. Answers leave them out, and so does the copy.\n", r.DamagedRows)
	}
	if cfg.JSON {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
	}
	if r.Equal {
		fmt.Fprintln(text, "Both are equal: every sample, every rollup, what is known of devices, tokens and sites.")
		return nil
	}
	fault := &health.Fault{Code: "copy_unequal", Exit: health.ExitUnhealthy, What: "the two stores are not equal",
		Next: "stop what writes to the target, and start the copy again; if they still differ, copy into an empty one"}
	switch i := slices.IndexFunc(r.Devices, func(d DeviceReport) bool { return !d.Equal }); {
	case i >= 0:
		fault.Why = r.Devices[i].Device + ": " + r.Devices[i].Different
	case !r.Tokens:
		fault.Why = "the tokens differ"
	default:
		fault.Why = "the sites differ"
	}
	if cfg.Compare {
		fault.Next = "start the copy without --compare: it adds what is missing"
	}
	return fault
}
