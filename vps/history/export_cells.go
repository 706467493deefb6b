package history

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"
)

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

// head sets the headers of an answer that is an export.
func (e *export) head() {
	h := e.c.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s_%s_%s.csv"`, e.name, e.span.From.Format(time.DateOnly), e.resolution))
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
