// Package export is `sunspool export`: what a vps has of a device or a site, as a table or as JSON, from the vps of this machine
// by its socket or from a named one with a token.
//
//	raw, 5m, hour, day ──> GET /v1/export.csv, line by line ─┐
//	month ──────────────> GET /v1/energy ────────────────────┴──> rows ──> CSV or JSON, whole or not at all
package export

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"sunspool/health"
	"sunspool/internal/durable"
	"sunspool/settings"
	"sunspool/vps"
	"sunspool/vps/progress"
	"sunspool/wire"
)

// Config is the command line of `sunspool export`.
type Config struct {
	From       string `name:"from" required:"" placeholder:"DATE" help:"The first day, such as 2026-01-01, or a time such as 2026-01-01T12:00:00Z."`
	To         string `name:"to" required:"" placeholder:"DATE" help:"The last day, or the time before which it ends."`
	Resolution string `name:"resolution" enum:"raw,5m,hour,day,month" default:"day" help:"The samples themselves, or a row of each period: ${enum}."`
	Format     string `name:"format" enum:"csv,json" default:"csv" help:"A table, or an array of objects: ${enum}."`
	Device     string `name:"device" placeholder:"NAME" help:"The inverter. Default: the only one that the server shows."`
	Site       string `name:"site" placeholder:"NAME" help:"Several inverters together, in place of --device; not with raw."`
	Zone       string `name:"tz" placeholder:"ZONE" help:"Time zone in which days begin and end. Default: that of the inverter."`
	Output     string `name:"output" short:"o" placeholder:"FILE" help:"Where it is written, whole or not at all. Default: standard output."`
	Force      bool   `name:"force" help:"Replace a file that is there."`

	Server      string            `name:"server" placeholder:"URL" help:"A server to ask, such as https://solar.example.org, with a token that may read. Default: the vps of this machine, by its socket."`
	TokenFile   string            `name:"token-file" placeholder:"FILE" help:"File with the token, which only its owner may read; else it is that of the variable SUNSPOOL_TOKEN."`
	Token       settings.Secret   `name:"token" env:"SUNSPOOL_TOKEN" hidden:""`
	CAFile      string            `name:"ca-file" placeholder:"FILE" help:"PEM file of the authority of a server with a private one."`
	Fingerprint string            `name:"fingerprint" placeholder:"sha256:HEX" help:"Of the authority of a server with TLS_SELF, as sunspool vps fingerprint prints it."`
	Machine     vps.MachineConfig `embed:""`
}

// Export is who asks.
type Export struct {
	Out, Err io.Writer // the bar is on Err if that is a terminal
	Version  string
}

// resolutions are those of GET /v1/export.csv by what a person calls them.
var resolutions = map[string]string{"raw": "raw", "5m": "5m", "hour": "1h", "day": "1d"}

// stalled is how long a server may take for the next bytes.
const stalled = time.Minute

// Do writes what was asked for.
func (e Export) Do(ctx context.Context, c Config) error {
	if err := c.wrong(); err != nil {
		return err
	}
	ask, err := c.server(e.Version)
	if err != nil {
		return err
	}
	return e.write(ctx, c, ask)
}

// write asks, and writes the answer, whole or not at all.
func (e Export) write(ctx context.Context, c Config, ask asking) (err error) {
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = &health.Fault{Code: "interrupted", Exit: health.ExitInterrupted, What: "it was interrupted, and nothing is written", Next: "do it again"}
		}
	}()
	query := url.Values{"from": {c.From}, "to": {c.To}}
	if err := c.name(ctx, ask, query); err != nil {
		return err
	}
	if c.Zone != "" {
		query.Set("tz", c.Zone)
	}
	write := func(out io.Writer) error { return e.table(ctx, c, ask, query, out) }
	if c.Resolution == "month" {
		write = func(out io.Writer) error { return c.months(ctx, ask, query, out) }
	}
	if c.Output == "" {
		return write(e.Out)
	}
	err = durable.WriteWhole(c.Output, 0o600, func(file *os.File) error {
		out := bufio.NewWriter(file)
		return errors.Join(write(out), out.Flush())
	})
	if _, said := errors.AsType[*health.Fault](err); err != nil && !said && durable.FromSystem(err) {
		return &health.Fault{Code: "file_not_written", What: "cannot write " + c.Output, Err: err, Next: "name a file in a directory that you may write, on a disk with space"}
	}
	return err
}

// wrong is what is wrong with the command line.
func (c Config) wrong() error {
	usage := func(what, next string) error {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: what, Next: next}
	}
	switch _, err := os.Lstat(c.Output); {
	case c.Device != "" && c.Site != "":
		return usage("--device and --site are two questions", "name one of them")
	case c.Site != "" && c.Resolution == "raw":
		return usage("a site has no samples of its own", "ask for those of each device: --device NAME --resolution raw")
	case c.Server == "" && (c.TokenFile != "" || c.CAFile != "" || c.Fingerprint != ""):
		return usage("--token-file, --ca-file and --fingerprint are about a --server", "name it: --server https://solar.example.org")
	case c.Output != "" && err == nil && !c.Force && !durable.IsStream(c.Output):
		return &health.Fault{Code: "file_exists", Exit: health.ExitUsage, What: c.Output + " is there already", Next: "name another file, or replace this one with --force"}
	}
	return nil
}

// name says in the query what is asked about. Where nothing is named, it is the only device that the server shows.
func (c Config) name(ctx context.Context, ask asking, query url.Values) error {
	switch {
	case c.Site != "":
		query.Set("site", c.Site)
		return nil
	case c.Device != "":
		query.Set("device_id", c.Device)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stalled)
	defer cancel()
	answer, err := ask(ctx, wire.DevicesPath+"?limit=100")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var list struct {
		Devices []struct{ ID string }
	}
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return fmt.Errorf("read the devices of the server: %w", err)
	}
	if len(list.Devices) == 1 {
		query.Set("device_id", list.Devices[0].ID)
		return nil
	}
	if len(list.Devices) == 0 {
		return &health.Fault{Code: "no_devices", Exit: health.ExitUnhealthy, What: "the server shows no inverter", Why: "none has sent a sample yet, or the token may read none", Next: "sudo sunspool doctor   # beside the inverter"}
	}
	var names []string
	for _, d := range list.Devices {
		names = append(names, d.ID)
	}
	return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "which inverter is meant is not clear", Why: fmt.Sprintf("the server shows %d: %s", len(names), strings.Join(names, ", ")),
		Next: "name one with --device, or a site with --site"}
}

// table copies what GET /v1/export.csv answers.
func (e Export) table(ctx context.Context, c Config, ask asking, query url.Values, out io.Writer) error {
	query.Set("resolution", resolutions[c.Resolution])
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(stalled, cancel)
	defer timer.Stop()
	answer, err := ask(ctx, wire.ExportPath+"?"+query.Encode())
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	bar := progress.Span(e.Err, dayOf(c.From), dayOf(c.To).AddDate(0, 0, 1))
	defer bar.End()
	rows := writerOf(c.Format, out)
	lines := bufio.NewReader(answer.Body)
	cutOff := func(err error) error {
		return &health.Fault{Code: "export_cut_off", Exit: health.ExitUnreachable, What: "the server ended the export before it was whole", Err: err, Next: "see the log of the vps, and do it again; nothing is written"}
	}
	columns := 0
	for {
		line, err := lines.ReadString('\n')
		timer.Reset(stalled)
		if err != nil && err != io.EOF {
			return cutOff(err)
		}
		over := err == io.EOF // the last line has no end
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			cells := strings.Split(line, ",") // which are numbers and times
			if columns == 0 {
				columns, err = len(cells), rows.head(cells)
			} else if len(cells) != columns {
				return cutOff(io.ErrUnexpectedEOF)
			} else {
				err = rows.row(cells)
				if at, wrong := time.Parse(time.RFC3339, cells[0]); wrong == nil {
					bar.At(at)
				}
			}
			if err != nil && err != io.EOF {
				return err
			}
		}
		if over {
			if columns == 0 {
				return cutOff(io.ErrUnexpectedEOF)
			}
			return rows.end()
		}
	}
}

// dayOf reads a day or a time, in UTC: for a bar that is exact enough.
func dayOf(text string) time.Time {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at
	}
	at, _ := time.Parse(time.DateOnly, text)
	return at
}

// months writes a row for each month of GET /v1/energy.
func (c Config) months(ctx context.Context, ask asking, query url.Values, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, stalled)
	defer cancel()
	query.Set("resolution", "month")
	answer, err := ask(ctx, wire.EnergyPath+"?"+query.Encode())
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var energy struct {
		Labels  []string
		Columns map[string][]json.Number
	}
	if err := json.NewDecoder(answer.Body).Decode(&energy); err != nil {
		return fmt.Errorf("read the energy of the server: %w", err)
	}
	return writeMonths(writerOf(c.Format, out), energy.Labels, energy.Columns)
}

// asking asks a server. The answer is a 200.
type asking func(ctx context.Context, path string) (*http.Response, error)
