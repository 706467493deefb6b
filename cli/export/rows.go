package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
)

// writer writes rows: the names of the columns first.
type writer interface {
	head(names []string) error
	row(cells []string) error
	end() error
}

func writerOf(format string, out io.Writer) writer {
	if format == "json" {
		return &objects{out: out}
	}
	return table{csv.NewWriter(out)}
}

// table is CSV.
type table struct{ out *csv.Writer }

func (t table) head(names []string) error { return t.out.Write(names) }
func (t table) row(cells []string) error  { return t.out.Write(cells) }
func (t table) end() error                { t.out.Flush(); return t.out.Error() }

// objects is a JSON array with an object a line. An empty cell is null; a cell that is a number is one.
type objects struct {
	out   io.Writer
	names [][]byte // as JSON, each with its colon
	line  bytes.Buffer
	any   bool
}

func (o *objects) head(names []string) error {
	for _, name := range names {
		text, err := json.Marshal(name)
		if err != nil {
			return err
		}
		o.names = append(o.names, append(text, ':'))
	}
	return nil
}

func (o *objects) row(cells []string) error {
	o.line.Reset()
	o.line.WriteString(map[bool]string{false: "[\n{", true: ",\n{"}[o.any])
	o.any = true
	for i, cell := range cells[:min(len(cells), len(o.names))] {
		if i > 0 {
			o.line.WriteByte(',')
		}
		o.line.Write(o.names[i])
		switch {
		case cell == "":
			o.line.WriteString("null")
		case strings.Trim(cell, "-.0123456789") == "" && json.Valid([]byte(cell)):
			o.line.WriteString(cell)
		default:
			text, err := json.Marshal(cell)
			if err != nil {
				return err
			}
			o.line.Write(text)
		}
	}
	o.line.WriteByte('}')
	_, err := o.out.Write(o.line.Bytes())
	return err
}

func (o *objects) end() error {
	text := "\n]\n"
	if !o.any {
		text = "[]\n"
	}
	_, err := io.WriteString(o.out, text)
	return err
}

// writeMonths writes a row for each label, with a cell of each column.
func writeMonths(w writer, labels []string, columns map[string][]json.Number) error {
	names := slices.Sorted(maps.Keys(columns))
	if err := w.head(append([]string{"month"}, names...)); err != nil {
		return err
	}
	for i, label := range labels {
		row := []string{label}
		for _, name := range names {
			cell := ""
			if i < len(columns[name]) {
				cell = columns[name][i].String()
			}
			row = append(row, cell)
		}
		if err := w.row(row); err != nil {
			return err
		}
	}
	return w.end()
}
