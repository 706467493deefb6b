package batch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"sunspool/internal/vpstest"
	"sunspool/vps/problem"
	"sunspool/wire"
)

// A name that comes twice refuses the whole body, wherever its object is: also when its value is refused or unknown.
func TestNameThatComesTwiceRefusesTheBody(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	names := []string{"samples", "device_id", "ts", "values", "sample_count", "pv_power_w", "load_power_w", "edge", "tz", "version", "x", "y", `\u0078`, "", strings.Repeat("n", MaxName+1), `z\u0000`}
	var value func(depth int) string
	object := func(depth int, first ...string) string {
		members := first
		for range rng.IntN(5) {
			members = append(members, fmt.Sprintf(`"%s":%s`, names[rng.IntN(len(names))], value(depth+1)))
		}
		return "{" + strings.Join(members, ",") + "}"
	}
	value = func(depth int) string {
		switch n := rng.IntN(9); {
		case depth > 5 || n < 4:
			return []string{"1", `"a"`, "null", "-1e400", "true", "7.5"}[rng.IntN(6)]
		case n < 6:
			return "[" + value(depth+1) + "," + object(depth+1) + "]"
		}
		return object(depth + 1)
	}
	refused := 0
	for range 20_000 {
		sample := object(1, `"device_id":"a"`, `"values":`+object(2))
		body := object(0, `"samples":[`+sample+`,`+object(1)+`]`)
		valid := jsontext.Value(body).IsValid()
		d := NewDecoder()
		d.Body.WriteString(body)
		_, err := d.Decode([]string{"a"}, vpstest.Now, wire.MaxSamples)
		d.Release()
		why, _ := errors.AsType[*problem.Refusal](err)
		if invalid := why != nil && why.Problem.Code == "json_invalid"; invalid && valid || !valid && err == nil {
			t.Fatalf("%s\nvalid: %v, answer: %v", body, valid, err)
		}
		if !valid && why.Problem.Code == "json_invalid" {
			refused++
		}
	}
	if refused < 1000 || refused > 19_000 {
		t.Errorf("%d of 20000 bodies have a name twice: this test shows nothing", refused)
	}
}
