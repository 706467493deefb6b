package registers

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// What one cell of a line means. A cell that is empty, or whose column is not there, has its default; one that means
// nothing is a mistake.

// oneOf returns the place of the cell among the choices.
func (p *parser) oneOf(column, otherwise string, choices ...string) int {
	cell := p.cell(column, otherwise)
	i := slices.Index(choices, cell)
	if i < 0 {
		p.wrong("the %s %q is not one of %s", column, cell, strings.Join(choices, ", "))
		return 0
	}
	return i
}

func (p *parser) cell(column, otherwise string) string {
	if s := p.fields[column]; s != "" {
		return s
	}
	return otherwise
}

// whole returns a whole number from low to high.
func (p *parser) whole(column string, otherwise, low, high int) int {
	n := otherwise
	if cell := p.fields[column]; cell != "" {
		var err error
		if n, err = strconv.Atoi(cell); err != nil {
			p.wrong("the %s %q is not a whole number", column, cell)
			return low
		}
	}
	if n < low || n > high {
		p.wrong("the %s is %d, not %d to %d", column, n, low, high)
		return low
	}
	return n
}

func (p *parser) number(column string, otherwise float64) float64 {
	cell := p.fields[column]
	if cell == "" {
		return otherwise
	}
	x, ok := number(cell)
	if !ok {
		p.wrong("the %s %q is not a number", column, cell)
		return otherwise
	}
	return x
}

func number(s string) (x float64, ok bool) {
	x, err := strconv.ParseFloat(s, 64)
	return x, err == nil && !math.IsInf(x, 0) && !math.IsNaN(x)
}

// words is the length of the register: only that of a text is free.
func (p *parser) words(t Type) uint16 {
	if t == UTF8 {
		return uint16(p.whole("words", 0, 1, maxWords))
	}
	length := 1
	if t == U32 || t == S32 {
		length = 2
	}
	if n := p.whole("words", length, 0, math.MaxUint16); n != length {
		p.wrong("words is %d, but a %v has %d", n, t, length)
	}
	return uint16(length)
}

func (p *parser) models() []string {
	cell := p.fields["models"]
	if cell == "" {
		return nil
	}
	names := strings.Split(cell, ";")
	for i, name := range names {
		name = strings.TrimSpace(name)
		names[i] = name
		if name, _ := strings.CutPrefix(name, "!"); !known(name) {
			p.wrong("%q is neither a model nor a family", name)
		}
	}
	return names
}

// known reports whether there is a model or a family of that name.
func known(name string) bool {
	return slices.ContainsFunc(models(), func(m Model) bool { return m.Family == name || m.is(name) })
}

func (p *parser) unavailable() []uint64 {
	cell := p.fields["unavailable"]
	if cell == "" {
		return nil
	}
	raw, err := strconv.ParseUint(cell, 0, 32)
	if err != nil {
		p.wrong("unavailable %q is not a raw value such as 0xFFFF", cell)
		return nil
	}
	return []uint64{raw}
}

// rescale reads low..high=scale.
func (p *parser) rescale() Rescale {
	cell := p.fields["rescale"]
	if cell == "" {
		return Rescale{}
	}
	span, scale, _ := strings.Cut(cell, "=")
	from, to, _ := strings.Cut(span, "..")
	low, err1 := strconv.ParseUint(from, 0, 32)
	high, err2 := strconv.ParseUint(to, 0, 32)
	x, ok := number(scale)
	if err1 != nil || err2 != nil || !ok || x == 0 || low > high {
		p.wrong("rescale %q is not of the form low..high=scale", cell)
		return Rescale{}
	}
	return Rescale{low, high, x}
}

// together checks what registers must be to each other. Two may be readings of the same words, but one that begins
// inside of another has a wrong number; and one request must be able to read a block.
func (p *parser) together() {
	blocks := make(map[string][]Register)
	for i, r := range p.registers {
		p.line = p.lines[r.Name]
		for _, other := range p.registers[:i] {
			if r.Kind == other.Kind && r.Number != other.Number &&
				int(r.Address()) < other.end() && int(other.Address()) < r.end() {
				p.wrong("%v overlaps %v of line %d", r, other, p.lines[other.Name])
			}
		}
		for block := range strings.FieldsSeq(r.Block) {
			blocks[block] = append(blocks[block], r)
			if in := blocks[block]; fits(in[:len(in)-1]) && !fits(in) {
				p.wrong("%v makes the block %s more than one request of %d words of one kind", r, block, maxWords)
			}
		}
	}
}
