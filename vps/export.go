package vps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/wire"
)

const (
	exportPage  = 2000             // lines that are read at once
	exportStall = 30 * time.Second // for which a reader may take nothing
)

var errExports = refuse(503, "busy", "Too many exports at once.").after(30 * time.Second)

// separators by what a reader may write for them.
var separators = map[string]byte{"": ',', ",": ',', "comma": ',', ";": ';', "semicolon": ';', "\t": '\t', "tab": '\t'}

// exportResolutions are those of GET /v1/export.csv, with how many days of periods are about a page.
var exportResolutions = map[store.Resolution]int{store.FiveMinutes: 7, store.Quarter: 20, store.Hour: 80, store.Day: 2000}

// export answers GET /v1/export.csv line by line: memory does not grow with the span. Every cell is a number or a time,
// so that no spreadsheet takes one for a formula.
func (s *Server) export(c *call) (any, error) {
	// A semicolon is what many want between columns, and what the standard library drops a parameter for.
	c.r.URL.RawQuery = strings.ReplaceAll(c.r.URL.RawQuery, ";", "%3B")
	query, device, err := readable(c, "device_id")
	if err != nil {
		return nil, err
	}
	e, err := s.newExport(c, device, query)
	if err != nil {
		return nil, err
	}
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		return nil, errExports
	}
	if c.r.Method == http.MethodHead {
		e.head()
		c.WriteHeader(http.StatusOK)
		return nil, nil
	}
	if e.resolution == "raw" {
		return nil, e.samples()
	}
	return nil, e.periods()
}

// export is an export on its way.
type export struct {
	s          *Server
	c          *call
	device     string
	span       span
	resolution store.Resolution // or raw
	separator  byte
	page       bytes.Buffer
}

func (s *Server) newExport(c *call, device string, query url.Values) (*export, error) {
	e := &export{s: s, c: c, device: device, resolution: store.FiveMinutes}
	if asked := last(query, "resolution"); asked != "" {
		e.resolution = store.Resolution(asked)
	}
	if _, ok := exportResolutions[e.resolution]; !ok && e.resolution != "raw" {
		return nil, invalid("bad_resolution", "Input should be raw, 5m, 15m, 1h or 1d", "query", "resolution")
	}
	var ok bool
	if e.separator, ok = separators[last(query, "sep")]; !ok {
		return nil, invalid("bad_separator", "Input should be comma, semicolon or tab", "query", "sep")
	}
	var err error
	if e.span, err = s.asked(c, device, query, store.Day); err != nil {
		return nil, err
	}
	if e.span, err = s.framed(c, device, e.span, store.Day); err != nil {
		return nil, err
	}
	if e.resolution != "raw" {
		e.span = e.span.widened(e.resolution)
	}
	first, end, err := s.extent(c, device, e.span.from, e.span.to)
	if err != nil {
		return nil, err
	}
	if first.IsZero() {
		e.span.to = e.span.from
		return e, nil
	}
	e.span.from, e.span.to = laterTime(e.span.from, first.In(e.span.zone)), minTime(e.span.to, end.Add(time.Millisecond))
	if e.resolution != "raw" {
		e.span = e.span.widened(e.resolution)
	}
	return e, nil
}

// samples writes a line for each sample.
func (e *export) samples() error {
	e.begin()
	for i := range wire.Fields {
		e.cell(wire.Fields[i].Name)
	}
	e.cell("sample_count")
	for from := e.span.from; ; {
		n := 0
		_, err := ask(e.s, e.c, "each", func(ctx context.Context) (struct{}, error) {
			return struct{}{}, e.s.Store.Each(ctx, e.device, from, e.span.to, func(s wire.Sample) bool {
				e.times(s.Time)
				for i := range wire.Fields {
					e.optional(wire.Fields[i].Get(&s))
				}
				e.number(float64(s.Count))
				from = s.Time.Add(time.Millisecond)
				n++
				return n < exportPage
			})
		})
		if err == nil {
			err = e.flush()
		}
		if err != nil || n < exportPage {
			return err
		}
	}
}

// exportCells are the columns of a period beside its times, energies and counters.
var exportCells = []struct {
	name  string
	value func(p *energy.Period, now time.Time) float64
}{
	{"samples", func(p *energy.Period, _ time.Time) float64 { return float64(p.Rows) }},
	{"coverage", func(p *energy.Period, now time.Time) float64 { return round(p.Coverage(now), 4) }},
	{"pv_w", powers["pv_w"]}, {"pv_max_w", powers["pv_max_w"]}, {"load_w", powers["load_w"]},
	{"battery_w", powers["battery_w"]}, {"grid_w", powers["grid_w"]}, {"soc_pct", powers["soc_pct"]},
}

// counterNames are those of the lifetime counters.
var counterNames = [energy.Counters]string{"pv_total_kwh", "import_total_kwh", "export_total_kwh", "charge_total_kwh", "discharge_total_kwh", "direct_total_kwh"}

// periods writes a line for each period with a sample.
func (e *export) periods() error {
	e.begin()
	for _, cell := range exportCells {
		e.cell(cell.name)
	}
	for _, name := range energyColumns {
		e.cell(name)
	}
	for _, name := range counterNames {
		e.cell(name)
	}
	now := e.s.Now()
	for from := e.span.from; ; {
		to := minTime(store.Midnight(from.Year(), from.Month(), from.Day()+exportResolutions[e.resolution], from.Location()), e.span.to)
		var periods []energy.Period
		var err error
		if from.Before(to) {
			periods, err = e.s.periods(e.c, store.Query{Device: e.device, From: from, To: to, Resolution: e.resolution, Zone: e.span.zone})
		}
		for i := range periods {
			e.period(&periods[i], now)
		}
		if err == nil {
			err = e.flush()
		}
		if err != nil || !to.Before(e.span.to) {
			return err
		}
		from = to
	}
}

func (e *export) period(p *energy.Period, now time.Time) {
	e.times(p.Start)
	for _, cell := range exportCells {
		e.number(cell.value(p, now))
	}
	row := energy.Row{Period: *p} // without its neighbours only what was integrated can be said
	for i := range energy.Energies {
		kwh, from := row.KWh(i)
		e.number(round(known(kwh, from != energy.Unknown), 4))
	}
	for _, counter := range p.Counters {
		e.number(known(counter.Last.KWh, counter.Last.Known()))
	}
}

// head sets the headers of an answer that is one.
func (e *export) head() {
	h := e.c.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s_%s_%s.csv"`, e.device, e.span.from.Format(time.DateOnly), e.resolution))
}

// begin writes the names of the first two columns.
func (e *export) begin() {
	e.page.WriteString("ts_utc")
	e.cell("ts_local")
}

func (e *export) times(t time.Time) {
	e.page.WriteByte('\n')
	b := t.UTC().AppendFormat(e.page.AvailableBuffer(), "2006-01-02T15:04:05.999Z07:00")
	b = append(b, e.separator)
	e.page.Write(t.In(e.span.zone).AppendFormat(b, "2006-01-02T15:04:05.999-07:00"))
}

func (e *export) cell(text string) {
	e.page.WriteByte(e.separator)
	e.page.WriteString(text)
}

func (e *export) optional(v *float64) {
	if v == nil {
		e.page.WriteByte(e.separator)
		return
	}
	e.number(*v)
}

func (e *export) number(v float64) {
	e.page.WriteByte(e.separator)
	if v == v {
		e.page.Write(strconv.AppendFloat(e.page.AvailableBuffer(), v, 'f', -1, 64))
	}
}

// flush sends what was written so far. Each page has its own time: the connection's would cut a long answer.
func (e *export) flush() error {
	if e.c.status == 0 {
		e.head()
	}
	control := http.NewResponseController(e.c)
	if err := control.SetWriteDeadline(time.Now().Add(exportStall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := e.c.Write(e.page.Bytes())
	e.page.Reset()
	return err
}
