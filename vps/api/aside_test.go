//go:build unix

package api

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sunspool/vps/batch"
	"sunspool/vps/history"
	"sunspool/vps/store"
	"sunspool/wire"
)

// asked sends a request to the internal listener from an address.
func (b *bench) asked(method, target, from string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr, r.Host = from, "localhost:9090"
	w := httptest.NewRecorder()
	b.Internal().ServeHTTP(w, r)
	return w
}

func (b *bench) aside(device string) []AsideSample {
	b.t.Helper()
	w := b.asked("GET", wire.AsidePath+"?device_id="+device, "127.0.0.1:40000")
	if w.Code != 200 {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return decodeJSON[AsideList](b.t, w).Samples
}

// A client that asks for no verdicts sends the same batch until it is taken. Its own server takes any time.
func TestImpossibleTimesAreSetAside(t *testing.T) {
	onBothStores(t, func(t *testing.T, b *bench) {
		first, old, future := pythonBatch(10 * time.Minute)
		for i, want := range []string{`{"inserted":28,"set_aside":2}`, `{"inserted":0,"set_aside":2}`} { // the answer may be lost
			if w := b.post(token1, first); w.Code != 200 || w.Body.String() != want {
				t.Fatalf("time %d: %d %s, want %s", i, w.Code, w.Body, want)
			}
		}
		if w := b.post(token1, bodyOf(fields(time.Second))); w.Code != 200 || w.Body.String() != `{"inserted":1}` {
			t.Fatalf("the next batch: %d %s", w.Code, w.Body)
		}

		list := b.aside("inv-1")
		if len(list) != 2 || string(list[0].Sample) != old || string(list[1].Sample) != future ||
			list[0].Code != wire.CodeTooOld || list[1].Code != wire.CodeInFuture || !list[0].Received.Equal(testNow) {
			t.Errorf("set aside are %+v", list)
		}
		if got := decodeJSON[history.GapsAnswer](t, b.get("/v1/continuity?device_id=inv-1&from=2026-06-21", token1)); got.Rows != 29 {
			t.Errorf("%d rows", got.Rows)
		}
		for _, target := range []string{"/v1/realtime?", "/v1/devices?", "/v1/series?frame=all&partial=1&", "/v1/series?resolution=1y&from=2010-01-01&to=2100-01-01&",
			"/v1/energy?resolution=year&", "/v1/export.csv?resolution=raw&from=2010-01-01&to=2100-01-01&"} {
			if w := b.get(target+"device_id=inv-1", token1); w.Code != 200 || strings.Contains(w.Body.String(), "1970") || strings.Contains(w.Body.String(), "2090-") {
				t.Errorf("%s: %d %s", target, w.Code, w.Body)
			}
		}
		for _, want := range []string{`sunspool_samples_set_aside_total{code="ts_in_future"} 1`, `sunspool_samples_set_aside_total{code="ts_too_old"} 1`} {
			if !strings.Contains(b.metricsText(), want) {
				t.Errorf("no %s in the metrics", want)
			}
		}
		if log := b.log.String(); strings.Count(log, "set aside") != 2 || !strings.Contains(log, `"code":"ts_too_old","samples":1,"indexes":[3]`) ||
			!strings.Contains(log, `"code":"ts_in_future","samples":1,"indexes":[17]`) {
			t.Errorf("the log: %s", log)
		}

		// An edge that asks for verdicts gets them, and nothing is set aside.
		lenient := decodeJSON[wire.Receipt](t, b.post(token1, strings.ReplaceAll(first, "1970", "1971"), "Prefer", wire.Lenient))
		if len(lenient.Rejected) != 2 || lenient.Rejected[0].Code != wire.CodeTooOld || lenient.SetAside != 0 || *lenient.Duplicates != 28 {
			t.Errorf("lenient: %+v", lenient)
		}
		if n := len(b.aside("inv-1")); n != 2 {
			t.Errorf("%d are set aside after a lenient batch", n)
		}
		if w := b.asked("DELETE", wire.AsidePath+"?device_id=inv-1&to=1", "[::1]:40000"); w.Body.String() != `{"deleted":1}` {
			t.Errorf("deleted: %d %s", w.Code, w.Body)
		}
		if list := b.aside("inv-1"); len(list) != 1 || list[0].Number != 2 {
			t.Errorf("left are %+v", list)
		}
	})
}

// What makes a strict client's batch unfit for its own server, too, refuses it as before.
func TestOnlyTimesAreSetAside(t *testing.T) {
	b := newBench(t)
	old := with(fields(0), "ts", "1970-01-01T00:00:00Z")
	for name, c := range map[string]struct {
		samples []map[string]any
		status  int
	}{
		"another bad one":       {[]map[string]any{old, with(fields(0), "pv_power_w", nil)}, 422},
		"and bad in itself":     {[]map[string]any{without(old, "load_power_w")}, 422},
		"beside a foreign one":  {[]map[string]any{old, with(fields(0), "device_id", "inv-2")}, 403},
		"of another device":     {[]map[string]any{with(old, "device_id", "inv-2")}, 403},
		"no time":               {[]map[string]any{fields(0), with(fields(0), "ts", "yesterday")}, 422},
		"longer than any other": {[]map[string]any{with(old, "note", strings.Repeat("x", batch.MaxUntimely))}, 422},
	} {
		if w := b.post(token1, bodyOf(c.samples...)); w.Code != c.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	for _, member := range []string{`"batch_id":"7"`, `"edge":{"version":"1"}`} { // of an edge that keeps them, behind a proxy that removes Prefer
		if w := b.post(token1, strings.Replace(bodyOf(old), "{", "{"+member+",", 1)); w.Code != 422 {
			t.Errorf("with %s: %d %s", member, w.Code, w.Body)
		}
	}
	if n, list := b.stored("inv-1"), b.aside("inv-1"); n != 0 || len(list) != 0 {
		t.Errorf("%d are stored, set aside are %+v", n, list)
	}
	for target, from := range map[string]string{"": "192.0.2.1:1", "?device_id=inv-1": "10.0.0.1:1", "?device_id=inv-1&to=1": "[2001:db8::1]:1"} {
		for _, method := range []string{"GET", "DELETE"} {
			if w := b.asked(method, wire.AsidePath+target, from); w.Code != 403 {
				t.Errorf("%s from %s: %d %s", method, from, w.Code, w.Body)
			}
		}
	}
	for target, status := range map[string]int{"": 422, "?device_id=%00": 422, "?device_id=inv-1&after=x": 422, "?device_id=shed": 200} {
		if w := b.asked("GET", wire.AsidePath+target, "127.0.0.1:1"); w.Code != status {
			t.Errorf("%q: %d %s", target, w.Code, w.Body)
		}
	}
	if w := b.get(wire.AsidePath+"?device_id=inv-1", token1); w.Code != 404 {
		t.Errorf("in public: %d", w.Code)
	}
}

// What is acknowledged is kept. So when no more can be kept nothing is acknowledged, and the operator hears of it once.
func TestNoMoreIsSetAsideThanMayBe(t *testing.T) {
	b := newBench(t)
	var all []store.Aside
	for i := range store.MaxAside - 1 {
		all = append(all, store.Aside{Received: testNow, Code: wire.CodeTooOld, JSON: fmt.Appendf(nil, `{"n":%d}`, i)})
	}
	if _, err := b.bolt.SetAside(t.Context(), "inv-1", all); err != nil {
		t.Fatal(err)
	}
	body, _, _ := pythonBatch(0)
	for range 3 {
		w := b.post(token1, body)
		if got := decodeJSON[wire.Problem](t, w); w.Code != 422 || got.Code != "aside_full" || got.Next == "" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if n := b.stored("inv-1"); n != 0 {
		t.Errorf("%d of a batch that is refused are stored", n)
	}
	if log := b.log.String(); strings.Count(log, `"level":"ERROR"`) != 1 {
		t.Errorf("the log: %s", log)
	}
	if w := b.get("/ready", ""); w.Code != 200 {
		t.Errorf("ready: %d", w.Code)
	}
	b.asked("DELETE", wire.AsidePath+"?device_id=inv-1", "127.0.0.1:1")
	if w := b.post(token1, body); w.Code != 200 || w.Body.String() != `{"inserted":28,"set_aside":2}` {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
	for _, ts := range []string{"0001-01-01T00:00:00Z", "2009-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"} {
		if w := b.post(token1, bodyOf(with(fields(0), "ts", ts))); w.Code != 200 || w.Body.String() != `{"inserted":0,"set_aside":1}` {
			t.Errorf("%s: %d %s", ts, w.Code, w.Body)
		}
	}
}

// A page of another site that has given its name to this machine asks from the loopback, too, but by that name; and a proxy
// asks for somebody else.
func TestOnlyThisMachineSeesWhatIsSetAside(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		from, host, via string
		code            int
	}{
		{"127.0.0.1:40000", "localhost", "", 200},
		{"[::1]:40000", "[::1]:9090", "", 200},
		{"127.0.0.1:40000", "127.0.0.1:9090", "", 200},
		{"127.0.0.1:40000", "rebound.example.com:9090", "", 403},
		{"127.0.0.1:40000", "", "", 403},
		{"127.0.0.1:40000", "localhost", "192.0.2.1", 403},
		{"192.0.2.1:40000", "localhost", "", 403},
	} {
		r := httptest.NewRequest("GET", wire.AsidePath+"?device_id=inv-1", nil)
		r.RemoteAddr, r.Host = c.from, c.host
		if c.via != "" {
			r.Header.Set("X-Forwarded-For", c.via)
		}
		w := httptest.NewRecorder()
		b.Internal().ServeHTTP(w, r)
		if w.Code != c.code {
			t.Errorf("%+v: %d %s", c, w.Code, w.Body)
		}
	}
}
