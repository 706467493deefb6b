package postgres

import (
	"encoding/json"
	"maps"
	"math"
	"testing"
)

// Values are read and written as encoding/json does.
func TestValuesAreThoseOfEncodingJSON(t *testing.T) {
	var r valuesReader
	for _, text := range []string{
		`{}`, `{ }`, `{"a": 1}`, `{"a":1.5,"b":-2e+300}`, `{"a": 100000000000000000000000000000, "b c": 0.001}`, `{"a\"b": 1, "ü": 2}`, `{"a": 1, "a": 2}`,
		``, `{`, `{"a"`, `{"a":`, `{"a": 1`, `{"a": 1,}`, `{"a": "1"}`, `{"a": null}`, `{"a": Inf}`, `{"a": NaN}`, `{"a": 0x10}`, `{"a": 1}x`, `[1]`, `{"a": 1e999}`, `{"": 1}`,
		`{"a": 1_0}`, `{"a": +1}`, `{"a": .5}`, `{"a": 1.}`, `{"a": 01}`,
	} {
		var want map[string]float64
		wrong := json.Unmarshal([]byte(text), &want)
		got, err := r.read([]byte(text))
		if loose := text == `{"a": 1.}` || text == `{"a": 01}`; loose { // which jsonb never has
			continue
		}
		if (err == nil) != (wrong == nil) || err == nil && !maps.Equal(got, want) {
			t.Errorf("%s is %v, %v; want %v, %v", text, got, err, want, wrong)
		}
	}
	for _, values := range []map[string]float64{
		{"a": 1, "b": -0.5, "c": 1e21, "d": 1e-9, "e": math.MaxFloat64, "f": math.SmallestNonzeroFloat64, "g": 380.5}, {"\x00": 1}, {"quote\"": 1, "ü": 2, "back\\": 3}, {"": 0},
	} {
		text, err := appendValues(nil, values)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]float64
		if err := json.Unmarshal(text, &got); err != nil || !maps.Equal(got, values) {
			t.Errorf("%v is written as %s: %v", values, text, err)
		}
		if read, err := r.read(text); err != nil || !maps.Equal(read, values) {
			t.Errorf("%s is read as %v, %v", text, read, err)
		}
	}
	if _, err := appendValues(nil, map[string]float64{"a": math.NaN()}); err == nil {
		t.Error("NaN is a number")
	}
}
