package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

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

// dialect is how cells are written.
type dialect struct {
	separator, decimal byte
	utc, local         string // layouts of times
}

const layout = "2006-01-02T15:04:05.999"

// Spreadsheets of countries with a decimal comma separate by semicolons, and read as a number or a time only what is
// written as there: 4.1 is the fourth of January, and a time with a T or a zone is a text.
var (
	commas     = dialect{',', '.', layout + "Z07:00", layout + "-07:00"}
	tabs       = dialect{'\t', '.', layout + "Z07:00", layout + "-07:00"}
	semicolons = dialect{';', ',', "2006-01-02 15:04:05,999", "2006-01-02 15:04:05,999"}
)

// dialects by what a reader may write for their separators.
var dialects = map[string]dialect{"": commas, ",": commas, "comma": commas, ";": semicolons, "semicolon": semicolons, "\t": tabs, "tab": tabs}

// exportResolutions are those of GET /v1/export.csv, with how many days of periods are about a page.
var exportResolutions = map[store.Resolution]int{store.FiveMinutes: 1, store.Quarter: 3, store.Hour: 12, store.Day: request.RowsAtOnce}

// Export answers GET /v1/export.csv line by line: memory does not grow with the span. Every cell is a number or a time, so
// that no spreadsheet reads one as a formula.
func (h *History) Export(c *request.Request) (any, error) {
	// A semicolon is what many readers need between columns, and the standard library drops a parameter that has one.
	c.HTTP.URL.RawQuery = strings.ReplaceAll(c.HTTP.URL.RawQuery, ";", "%3B")
	params, device, err := request.Readable(c, "device_id")
	if err != nil {
		return nil, err
	}
	e, err := h.newExport(c, device, params)
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
	if e.resolution == "raw" {
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
	device     string
	span       query.Span
	resolution store.Resolution // or raw
	dialect    dialect
	page       bytes.Buffer
	slot       *fair.Slot
}

func (h *History) newExport(c *request.Request, device string, params url.Values) (*export, error) {
	e := &export{h: h, c: c, device: device, resolution: store.FiveMinutes}
	if asked := query.Last(params, "resolution"); asked != "" {
		e.resolution = store.Resolution(asked)
	}
	if _, ok := exportResolutions[e.resolution]; !ok && e.resolution != "raw" {
		return nil, problem.Invalid("bad_resolution", "Input should be raw, 5m, 15m, 1h or 1d", "query", "resolution")
	}
	var ok bool
	if e.dialect, ok = dialects[query.Last(params, "sep")]; !ok {
		return nil, problem.Invalid("bad_separator", "Input should be comma, semicolon or tab", "query", "sep")
	}
	var err error
	if e.span, err = h.parseRange(c, device, params, store.Day); err != nil {
		return nil, err
	}
	if e.span, err = h.withDefaults(c, e.span, store.Day, device); err != nil {
		return nil, err
	}
	if e.resolution != "raw" {
		e.span = e.span.AlignTo(e.resolution)
	}
	first, end, err := h.Extent(c, device, e.span.From, e.span.To)
	if err != nil {
		return nil, err
	}
	if first.IsZero() {
		e.span.To = e.span.From
		return e, nil
	}
	e.span.From, e.span.To = query.Later(e.span.From, first.In(e.span.Zone)), query.Earlier(e.span.To, end.Add(time.Millisecond))
	if e.resolution != "raw" {
		e.span = e.span.AlignTo(e.resolution)
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
		return struct{}{}, e.h.Store.Each(ctx, e.device, from, e.span.To, func(s wire.Sample) bool {
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
	for from := e.span.From; ; {
		if err := e.next(); err != nil {
			return err
		}
		to := query.Earlier(store.Midnight(from.Year(), from.Month(), from.Day()+exportResolutions[e.resolution], from.Location()), e.span.To)
		err := e.h.Turn(e.c, e.h.Reading, func() error {
			rows, err := e.h.Rows(e.c, e.device, query.Span{From: from, To: to, Zone: e.span.Zone}, e.resolution)
			for i := range rows {
				e.period(&rows[i], now)
			}
			return err
		})
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

// head sets the headers of an answer that is an export.
func (e *export) head() {
	h := e.c.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s_%s_%s.csv"`, e.device, e.span.From.Format(time.DateOnly), e.resolution))
}

// begin writes the names of the first two columns.
func (e *export) begin() {
	e.page.WriteString("ts_utc")
	e.cell("ts_local")
}

func (e *export) times(t time.Time) {
	e.page.WriteByte('\n')
	b := t.UTC().AppendFormat(e.page.AvailableBuffer(), e.dialect.utc)
	b = append(b, e.dialect.separator)
	e.page.Write(t.In(e.span.Zone).AppendFormat(b, e.dialect.local))
}

func (e *export) cell(text string) {
	e.page.WriteByte(e.dialect.separator)
	e.page.WriteString(text)
}

func (e *export) optional(v *float64) {
	if v == nil {
		e.page.WriteByte(e.dialect.separator)
		return
	}
	e.number(*v)
}

func (e *export) number(v float64) {
	e.page.WriteByte(e.dialect.separator)
	if math.IsNaN(v) || math.IsInf(v, 0) { // a sum of absurd values is not known either
		return
	}
	b := strconv.AppendFloat(e.page.AvailableBuffer(), v+0, 'f', -1, 64) // -0 + 0 = 0
	if point := bytes.IndexByte(b, '.'); point >= 0 {
		b[point] = e.dialect.decimal
	}
	e.page.Write(b)
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
