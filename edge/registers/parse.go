package registers

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
)

//go:embed hybrid.csv
var hybridCSV string

//go:embed string.csv
var stringCSV string

var hybridMap, stringMap = sync.OnceValue(ours(hybridCSV)), sync.OnceValue(ours(stringCSV))

// Hybrid is the map of all hybrid inverters (SH).
func Hybrid() *Map { return hybridMap() }

// String is the map of all string inverters (SG).
func String() *Map { return stringMap() }

func ours(text string) func() *Map {
	return func() *Map {
		m, err := Parse(strings.NewReader(text))
		if err != nil {
			panic(err) // our own file: no test passes without it
		}
		return m
	}
}

// Parse reads a map from CSV. The first line names the columns, in any order; name, number and type must be there:
//
//	name         the key of the value: lower case, digits, underscores
//	number       of the first word, as in the vendor's manual (1-based)
//	kind         input (the default) or holding
//	type         u16 s16 u32 s32 utf8
//	words        of a utf8
//	scale        value = raw * scale; 1 when empty
//	unit         of the value
//	min max      of a plausible value; open when empty
//	block        what it is read with, spaces between several
//	models       the families or models that have it, or with ! do not have it; semicolons between several
//	mppts phases what a model needs to have it
//	unavailable  a raw value that means not available, besides the type's own
//	rescale      low..high=scale: another scale for the raw values from low to high
//	description  what it is
//
// Lines that begin with # are comments. The error joins every mistake, each with its line number.
func Parse(r io.Reader) (*Map, error) {
	p := parser{csv: csv.NewReader(r), lines: make(map[string]int)}
	p.csv.Comment, p.csv.FieldsPerRecord, p.csv.TrimLeadingSpace = '#', -1, true
	if err := p.readAll(); err != nil {
		return nil, err
	}
	p.together()
	if len(p.mistakes) > 0 {
		slices.SortStableFunc(p.mistakes, func(a, b mistake) int { return a.line - b.line })
		errs := make([]error, len(p.mistakes))
		for i, m := range p.mistakes {
			errs[i] = m
		}
		return nil, errors.Join(errs...)
	}
	return newMap(p.registers), nil
}

type mistake struct {
	line int
	text string
}

func (m mistake) Error() string { return fmt.Sprintf("line %d: %s", m.line, m.text) }

type parser struct {
	csv       *csv.Reader
	columns   []string
	line      int
	fields    map[string]string // of the line
	registers []Register
	lines     map[string]int // of each register, by its name
	mistakes  []mistake
}

var columns = strings.Fields("name number kind type words scale unit min max block models mppts phases unavailable rescale description")

func (p *parser) wrong(format string, args ...any) {
	p.mistakes = append(p.mistakes, mistake{p.line, fmt.Sprintf(format, args...)})
}

// readAll reads every line. It fails when the text cannot be read; what is wrong in it is a mistake.
func (p *parser) readAll() error {
	for {
		record, err := p.csv.Read()
		if err == io.EOF {
			if p.columns == nil {
				p.line = 1
				p.wrong("no line names the columns")
			}
			return nil
		}
		if bad, ok := errors.AsType[*csv.ParseError](err); ok {
			p.line = bad.Line
			p.wrong("%v", bad.Err)
			if p.columns == nil {
				return nil
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("read registers: %w", err)
		}
		p.line, _ = p.csv.FieldPos(0)
		if p.columns == nil {
			if p.header(record); len(p.mistakes) > 0 {
				return nil // every line would be wrong too
			}
			continue
		}
		p.record(record)
	}
}

func (p *parser) header(record []string) {
	for _, name := range record {
		name = strings.TrimSpace(strings.TrimPrefix(name, "\uFEFF")) // a spreadsheet's mark
		switch {
		case !slices.Contains(columns, name):
			p.wrong("no column is called %q; there are %s", name, strings.Join(columns, ", "))
		case slices.Contains(p.columns, name):
			p.wrong("the column %s is there twice", name)
		}
		p.columns = append(p.columns, name)
	}
	for _, name := range []string{"name", "number", "type"} {
		if !slices.Contains(p.columns, name) {
			p.wrong("the column %s is missing", name)
		}
	}
}

var (
	registerName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	blockName    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)
)

// record reads one register.
func (p *parser) record(record []string) {
	if len(record) != len(p.columns) {
		p.wrong("%d fields, not %d", len(record), len(p.columns))
		return
	}
	p.fields = make(map[string]string, len(record))
	for i, field := range record {
		p.fields[p.columns[i]] = strings.TrimSpace(field)
	}
	before := len(p.mistakes)
	r := Register{
		Name:        p.fields["name"],
		Description: p.fields["description"],
		Kind:        Kind(p.oneOf("kind", "input", "input", "holding")),
		Type:        Type(p.oneOf("type", "", "u16", "s16", "u32", "s32", "utf8")),
		Number:      uint16(p.whole("number", 0, 1, math.MaxUint16)),
		Scale:       p.number("scale", 1),
		Unit:        p.fields["unit"],
		Min:         p.number("min", math.Inf(-1)),
		Max:         p.number("max", math.Inf(1)),
		Block:       strings.Join(strings.Fields(p.fields["block"]), " "),
		Models:      p.models(),
		MPPTs:       p.whole("mppts", 0, 0, 99),
		Phases:      p.whole("phases", 0, 0, 3),
		Unavailable: p.unavailable(),
		Rescale:     p.rescale(),
	}
	r.Words = p.words(r.Type)
	switch first := p.lines[r.Name]; {
	case !registerName.MatchString(r.Name):
		p.wrong("the name %q is not made of up to 63 of a-z 0-9 _, a letter first", r.Name)
	case first > 0:
		p.wrong("%s is already on line %d", r.Name, first)
	default:
		p.lines[r.Name] = p.line
	}
	for block := range strings.FieldsSeq(r.Block) {
		if !blockName.MatchString(block) {
			p.wrong("the block %q is not made of letters, digits, _ and -", block)
		}
	}
	if r.Scale == 0 {
		p.wrong("the scale is 0")
	}
	if r.Min > r.Max {
		p.wrong("min %v is greater than max %v", r.Min, r.Max)
	}
	if r.Number > 0 && r.end() > math.MaxUint16+1 {
		p.wrong("%d words at %d end after the last register", r.Words, r.Number)
	}
	if len(p.mistakes) == before {
		p.registers = append(p.registers, r)
	}
}
