package history

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/fair"
	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

const (
	ExportPage  = 2000     // lines that are read at once
	exportChunk = 16 << 10 // bytes that a reader must read in exportStall

	// The buffers of the system and of a proxy hold megabytes for a slow reader, and a writer is only woken when a third of
	// that is read.
	ExportStall = 2 * time.Minute
)

var errExports = problem.New(503, "busy", "Too many exports at once.").WithRetry(30 * time.Second)

// exportResolutions are those of GET /v1/export.csv, with how many days of periods are about a page.
var exportResolutions = map[store.Resolution]int{store.FiveMinutes: 1, store.Quarter: 3, store.Hour: 12, store.Day: request.RowsAtOnce}

// Export answers GET /v1/export.csv line by line: memory does not grow with the span. Every cell is a number or a time, so
// that no spreadsheet reads one as a formula.
func (h *History) Export(c *request.Request) (any, error) {
	// A semicolon is what many readers need between columns, and the standard library drops a parameter that has one.
	c.HTTP.URL.RawQuery = strings.ReplaceAll(c.HTTP.URL.RawQuery, ";", "%3B")
	params, device, site, err := h.Asked(c)
	if err != nil {
		return nil, err
	}
	e, err := h.newExport(c, device, site, params)
	if err != nil {
		return nil, err
	}
	slot := h.Exports.Take(c.HTTP.Context(), c.Token)
	if slot == nil {
		return nil, errExports
	}
	defer slot.Release()
	c.Release() // an export lasts as long as its reader, and has its own bounds
	e.slot = slot
	if c.HTTP.Method == http.MethodHead {
		e.head()
		c.WriteHeader(http.StatusOK)
		return nil, nil
	}
	lines := e.periods
	if site != nil {
		c.Turns, lines = true, e.site
	} else if e.resolution == rawResolution {
		lines = e.samples
	}
	if err = lines(); err != nil && c.Status != 0 {
		h.cutOff(e, err)
	}
	return nil, err
}

// export is an export in progress.
type export struct {
	h          *History
	c          *request.Request
	name       string           // of the device or the site
	devices    []string         // the device, or those of the site
	members    *deviceinfo.Site // nil for a device
	span       query.Span
	resolution store.Resolution // or raw
	dialect    dialect
	page       bytes.Buffer
	slot       *fair.Slot
}

func (h *History) newExport(c *request.Request, device string, site *deviceinfo.Site, params url.Values) (*export, error) {
	e := &export{h: h, c: c, name: device, devices: []string{device}, members: site, resolution: store.FiveMinutes}
	if site != nil {
		e.name, e.devices = site.Name, site.IDs()
	}
	if asked := query.Last(params, "resolution"); asked != "" {
		e.resolution = store.Resolution(asked)
	}
	if site != nil && e.resolution == rawResolution {
		return nil, errRawExport
	}
	if _, ok := exportResolutions[e.resolution]; !ok && e.resolution != rawResolution {
		return nil, problem.Invalid("bad_resolution", "Input should be raw, 5m, 15m, 1h or 1d", "query", "resolution")
	}
	var ok bool
	if e.dialect, ok = dialects[query.Last(params, "sep")]; !ok {
		return nil, problem.Invalid("bad_separator", "Input should be comma, semicolon or tab", "query", "sep")
	}
	var err error
	if e.span, err = h.parseRange(c, e.devices[0], params, store.Day); err != nil {
		return nil, err
	}
	if e.span, err = h.withDefaults(c, e.span, store.Day, e.devices...); err != nil {
		return nil, err
	}
	if e.resolution != rawResolution {
		e.span = e.span.AlignTo(e.resolution)
	}
	first, end, err := h.extentOf(c, e.devices, e.span)
	if err != nil {
		return nil, err
	}
	if first.IsZero() {
		e.span.To = e.span.From
		return e, nil
	}
	e.span.From, e.span.To = query.Later(e.span.From, first.In(e.span.Zone)), query.Earlier(e.span.To, end.Add(time.Millisecond))
	if e.resolution != rawResolution {
		e.span = e.span.AlignTo(e.resolution)
	}
	return e, nil
}

// extentOf returns the times of the first and the last sample of all devices in sp, zero when there is none.
func (h *History) extentOf(c *request.Request, devices []string, sp query.Span) (first, end time.Time, err error) {
	for _, device := range devices {
		one, last, err := h.Extent(c, device, sp.From, sp.To)
		if err != nil {
			return first, end, err
		}
		if one.IsZero() {
			continue
		}
		if first.IsZero() || one.Before(first) {
			first = one
		}
		end = query.Later(end, last)
	}
	return first, end, nil
}

// samples writes a line for each sample.
func (e *export) samples() error {
	e.begin()
	for i := range wire.Fields {
		e.cell(wire.Fields[i].Name)
	}
	e.cell("sample_count")
	for from := e.span.From; ; {
		if err := e.next(); err != nil {
			return err
		}
		n := 0
		err := e.h.Turn(e.c, e.h.Reading, func() (err error) {
			from, n, err = e.samplesFrom(from)
			return err
		})
		if err == nil {
			err = e.flush()
		}
		if err != nil || n < ExportPage {
			return err
		}
	}
}

// samplesFrom adds the lines of the next samples to the page. It returns the time of the sample after them, and how many they are.
func (e *export) samplesFrom(from time.Time) (next time.Time, n int, err error) {
	next = from
	_, err = request.Ask(e.h.Gate, e.c, "each", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, e.h.Store.Each(ctx, e.name, from, e.span.To, func(s wire.Sample) bool {
			e.times(s.Time)
			for i := range wire.Fields {
				e.optional(wire.Fields[i].Get(&s))
			}
			e.number(float64(s.Count))
			next = s.Time.Add(time.Millisecond)
			n++
			return n < ExportPage
		})
	})
	return next, n, err
}

// exportCells are the columns of a period beside its times, energies and counters.
var exportCells = []struct {
	name   string
	value  func(p *energy.Period, now time.Time) float64
	always bool // also of a period without samples
}{
	{"samples", func(p *energy.Period, _ time.Time) float64 { return float64(p.Rows) }, true},
	{"coverage", rowColumns["coverage"], true},
	{"pv_w", means["pv_w"], false}, {"pv_max_w", means["pv_max_w"], false}, {"load_w", means["load_w"], false},
	{"battery_w", means["battery_w"], false}, {"grid_w", means["grid_w"], false}, {"soc_pct", means["soc_pct"], false},
}

// exportCoverages come last: programs that count columns find the others where they were.
var exportCoverages = []string{"load_coverage", "grid_coverage", "battery_coverage", "flows_coverage"}

// counterNames are those of the lifetime counters.
var counterNames = [energy.Counters]string{"pv_total_kwh", "import_total_kwh", "export_total_kwh", "charge_total_kwh", "discharge_total_kwh", "direct_total_kwh"}

// periods writes a line for each period that has data.
func (e *export) periods() error {
	e.begin()
	for _, cell := range exportCells {
		e.cell(cell.name)
	}
	for _, name := range EnergyColumns {
		e.cell(name)
	}
	for _, name := range counterNames {
		e.cell(name)
	}
	for _, name := range exportCoverages {
		e.cell(name)
	}
	now := e.h.Now()
	return e.pages(exportResolutions[e.resolution], func(page query.Span) error {
		return e.h.Turn(e.c, e.h.Reading, func() error {
			rows, err := e.h.Rows(e.c, e.name, page, e.resolution)
			for i := range rows {
				e.period(&rows[i], now)
			}
			return err
		})
	})
}

// pages calls lines for the days of the span, so many at once, and sends what that wrote.
func (e *export) pages(days int, lines func(page query.Span) error) error {
	for from := e.span.From; ; {
		if err := e.next(); err != nil {
			return err
		}
		to := query.Earlier(store.Midnight(from.Year(), from.Month(), from.Day()+days, from.Location()), e.span.To)
		err := lines(query.Span{From: from, To: to, Zone: e.span.Zone})
		if err == nil {
			err = e.flush()
		}
		if err != nil || !to.Before(e.span.To) {
			return err
		}
		from = to
	}
}

// period writes a line, unless the period has no data at all.
func (e *export) period(row *energy.Row, now time.Time) {
	var kwh [energy.Energies]float64
	some := row.HasData()
	for i := range kwh {
		v, from := row.KWh(i)
		kwh[i] = round(known(v, from != energy.Unknown), 4)
		some = some || kwh[i] > 0
	}
	if !some {
		return
	}
	e.times(row.Start)
	for _, cell := range exportCells {
		e.number(known(cell.value(&row.Period, now), row.HasData() || cell.always))
	}
	for _, v := range kwh {
		e.number(v)
	}
	for _, counter := range row.Counters {
		e.number(known(counter.High, counter.N > 0))
	}
	for _, name := range exportCoverages {
		e.number(rowColumns[name](&row.Period, now))
	}
}

// next begins a page. Each has its own time limit for the store: the time that the reader takes for the one before does not
// count. Only a token that is still valid gets one.
func (e *export) next() error {
	e.c.StoreSince = time.Time{}
	if !e.h.StillAllowed(e.c) {
		return errRevoked
	}
	return nil
}

// flush sends what was written so far, for as long as the reader reads some of it.
func (e *export) flush() error {
	if e.c.Status == 0 {
		e.head()
	}
	control := http.NewResponseController(e.c)
	defer e.slot.SetCancel(nil)
	for {
		e.slot.SetCancel(e.c.CutOff) // again: a reader that reads is not slow
		if err := control.SetWriteDeadline(time.Now().Add(ExportStall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return errUnread{err}
		}
		if _, err := e.c.Write(e.page.Next(exportChunk)); err != nil {
			return errUnread{err}
		}
		if e.page.Len() == 0 {
			return nil
		}
	}
}
