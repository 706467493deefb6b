package registers

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Model is a device type. The zero value of a field is not known.
type Model struct {
	Code   uint16 // device_type_code
	Name   string // "SH4.0RS"; several in "SG5.0RT-20 / SG5.0RT"
	Family string // "SH-RS", "SG-RT" ...
	Hybrid bool   // can have a battery; decides which map it has
	MPPTs  int    // trackers
	Phases int
}

//go:embed models.csv
var modelsCSV string

var models = sync.OnceValue(func() []Model {
	records, err := csv.NewReader(strings.NewReader(modelsCSV)).ReadAll()
	if err != nil {
		panic(err) // our own file: no test passes without it
	}
	all := make([]Model, 0, len(records)-1)
	for _, f := range records[1:] {
		code, err1 := strconv.ParseUint(f[0], 0, 16)
		mppts, err2 := strconv.Atoi(f[4])
		phases, err3 := strconv.Atoi(f[5])
		if err1 != nil || err2 != nil || err3 != nil {
			panic(fmt.Sprintf("models.csv: %v", f))
		}
		all = append(all, Model{uint16(code), f[1], f[2], f[3] == "hybrid", mppts, phases})
	}
	return all
})

// ModelOf returns the model with the device type code. There are codes that nobody has told us yet: the caller decides
// what an unknown inverter is.
func ModelOf(code uint16) (Model, bool) {
	for _, m := range models() {
		if m.Code == code {
			return m, true
		}
	}
	return Model{}, false
}

// ModelNamed returns the model of that name, in any case of letters. Of models that share a name it is the one that
// has no other.
func ModelNamed(name string) (Model, bool) {
	var found Model
	for _, m := range models() {
		if strings.EqualFold(m.Name, name) {
			return m, true
		}
		if found.Name == "" && m.is(name) {
			found = m
		}
	}
	return found, found.Name != ""
}

// is reports whether name is one of the model's names.
func (m Model) is(name string) bool {
	for one := range strings.SplitSeq(m.Name, " / ") {
		if strings.EqualFold(one, name) {
			return true
		}
	}
	return false
}

// Map is the registers that the model has.
func (m Model) Map() *Map {
	if m.Hybrid {
		return Hybrid().For(m)
	}
	return String().For(m)
}
