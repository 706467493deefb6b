//go:build unix

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/vps/batch"
	"sunspool/vps/store"
	"sunspool/wire"
)

// rawBatch is a batch whose first sample has these members more, of which JSON is not made again, and n good ones.
func rawBatch(members string, good int) string {
	samples := make([]map[string]any, good+1)
	for i := range samples {
		samples[i] = fields(time.Duration(i) * time.Second)
	}
	return strings.Replace(bodyOf(samples...), `{"samples":[{`, `{"samples":[{`+members+`,`, 1)
}

// What one of the stores cannot hold is refused before, so both answer the same, and it is no outage.
func TestWhatNoStoreHoldsIsRefused(t *testing.T) {
	onBothStores(t, func(t *testing.T, b *bench) {
		for name, c := range map[string]struct {
			members string
			code    string // of the verdict; "" for a good one
			whole   bool   // the body is refused
		}{
			"a zero byte in a name":         {`"values":{"a\u0000":1}`, store.CodeNotStorable, false},
			"a name that is one":            {`"values":{"\u0000":1}`, store.CodeNotStorable, false},
			"a zero byte among good names":  {`"values":{"b":2,"\u0000a":1,"c":3}`, store.CodeNotStorable, false},
			"other control characters":      {`"values":{"\u0001\u001f\u007f":1}`, "", false},
			"the last character":            {`"values":{"\uffff\udbff\udfff":1}`, "", false},
			"half a surrogate pair":         {`"values":{"\ud800":1}`, "json_invalid", true},
			"the other half":                {`"values":{"\udc00a":1}`, "json_invalid", true},
			"no UTF-8":                      {"\"values\":{\"\xff\":1}", "json_invalid", true},
			"a long name":                   {`"values":{"` + strings.Repeat("x", 65) + `":1}`, "too_long", false},
			"a number without end":          {`"values":{"a":1e400}`, wire.CodeNotFinite, false},
			"a number next to nothing":      {`"values":{"a":1e-400,"b":-0,"c":5e-324}`, "", false},
			"a zero byte in another member": {`"note":"\u0000","\u0000":[1]`, "", false},
		} {
			body := rawBatch(c.members, 9)
			w := b.post(token1, body, "Prefer", wire.Lenient)
			got := fmt.Sprint(w.Code, w.Body)
			switch receipt := decodeJSON[wire.Receipt](t, w); {
			case c.whole:
				if w.Code != 422 || decodeJSON[wire.Problem](t, w).Code != c.code {
					t.Errorf("%s: %s", name, got)
				}
			case w.Code != 200 || *receipt.Accepted+*receipt.Duplicates+len(receipt.Rejected) != 10 || (len(receipt.Rejected) == 1) != (c.code != "") ||
				c.code != "" && (receipt.Rejected[0].Code != c.code || receipt.Rejected[0].Index != 0):
				t.Errorf("%s: %s", name, got)
			}
			if strict := b.post(token1, body); (strict.Code == 422) != (c.code != "") || strict.Code != 422 && strict.Code != 200 {
				t.Errorf("%s, strict: %d %s", name, strict.Code, strict.Body)
			}
			b.stillSound(name)
		}
		// What an edge says of itself never refuses its samples: what cannot be kept is left out.
		long := strings.Repeat("x", batch.MaxText-1) + "é"
		w := b.post(token1, `{"samples":[],"batch_id":"\u0000","tz":"Europe/\u0000Brussels","edge":{"version":"1\u0000","time":"2026-06-21 10:30","model":"`+long+`","state":"\u0000","spool_count":1e400}}`)
		if w.Code != 200 {
			t.Errorf("texts of the edge: %d %s", w.Code, w.Body)
		}
		b.stillSound("texts of the edge")
		about, err := b.Store.About(t.Context(), "inv-1")
		if err != nil || about.Edge == nil || *about.Edge != (wire.Edge{Model: long[:batch.MaxText-1]}) || about.Zone != "" || about.SkewS != nil {
			t.Errorf("known is %+v %+v, %v", about, about.Edge, err)
		}
		if n := strings.Count(b.log.String(), "not stored"); n != 0 {
			t.Errorf("the log: %s", b.log)
		}
		for _, path := range []string{"realtime", "energy", "series?frame=day", "stream", "capacity/month/2026-06", "continuity", "export.csv", "devices"} {
			for _, id := range []string{"\x00", "a\x00", "\xff", "a/b", "", strings.Repeat("x", 65), "é"} {
				path, query, _ := strings.Cut(path, "?")
				w := b.get("/v1/"+path+"?"+query+"&device_id="+url.QueryEscape(id), viewerAll)
				if w.Code != 422 && w.Code != 404 && (path != "devices" || id != "") {
					t.Errorf("%s of %q: %d %s", path, id, w.Code, w.Body)
				}
			}
		}
		if w := b.post(token1, bodyOf(with(fields(0), "device_id", "\x00"))); w.Code != 422 {
			t.Errorf("a sample of a device that cannot be: %d %s", w.Code, w.Body)
		}
		b.stillSound("devices that cannot be")
	})
}

// stillSound reports what would be an outage of the store.
func (b *bench) stillSound(after string) {
	b.t.Helper()
	if w := b.get("/ready", ""); w.Code != 200 {
		b.t.Errorf("%s: ready is %d", after, w.Code)
	}
	for line := range strings.Lines(b.metricsText()) {
		if strings.HasPrefix(line, `sunspool_link_up{link="store"} 0`) || strings.HasPrefix(line, "sunspool_store_") && strings.Contains(line, `outcome="error"`) {
			b.t.Errorf("%s: %s", after, line)
		}
	}
}

// fussy is a store that refuses samples of which the server knows nothing bad, as one with a constraint of its owner's.
type fussy struct{ store.Samples }

func (f fussy) Insert(ctx context.Context, device string, samples []wire.Sample) (int, error) {
	for _, s := range samples {
		if s.PVPowerW == 6666 {
			return 0, fmt.Errorf("insert: %w", store.ErrRefused)
		}
	}
	return f.Samples.Insert(ctx, device, samples)
}

func TestWhatTheStoreRefusesIsNoOutage(t *testing.T) {
	b := newBench(t, func(s *Server) { s.Store = fussy{s.Store} })
	samples := make([]map[string]any, 20)
	for i := range samples {
		samples[i] = fields(time.Duration(i) * time.Second)
	}
	samples[0]["ts"] = "never"
	samples[4]["pv_power_w"], samples[5]["pv_power_w"], samples[19]["pv_power_w"] = 6666, 6666, 6666
	lenient := func(want ...int) *httptest.ResponseRecorder {
		t.Helper()
		w := b.post(token1, bodyOf(samples...), "Prefer", wire.Lenient)
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		var got []int
		for _, r := range decodeJSON[wire.Receipt](t, w).Rejected {
			if got = append(got, r.Index); r.Index > 0 && (r.Code != store.CodeNotStorable || r.Detail == "") {
				t.Errorf("%+v", r)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		b.stillSound("a lenient batch")
		return w
	}
	if got := decodeJSON[wire.Receipt](t, lenient(0, 4, 5, 19)); *got.Accepted != 16 || *got.Duplicates != 0 {
		t.Errorf("%+v", got)
	}
	if got := decodeJSON[wire.Receipt](t, lenient(0, 4, 5, 19)); *got.Accepted != 0 || *got.Duplicates != 16 {
		t.Errorf("again: %+v", got)
	}
	if w := b.post(token1, bodyOf(samples[3:]...)); w.Code != 422 || decodeJSON[wire.Problem](t, w).Code != store.CodeNotStorable {
		t.Errorf("strict: %d %s", w.Code, w.Body)
	}
	b.stillSound("a strict batch")
	if n := b.stored("inv-1"); n != 16 {
		t.Errorf("%d are stored", n)
	}
	var line struct{ Level string }
	for text := range strings.Lines(b.log.String()) {
		if json.Unmarshal([]byte(text), &line); line.Level == "ERROR" {
			t.Error(text)
		}
	}
}
