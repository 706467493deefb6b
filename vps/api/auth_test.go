package api

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/internal/vpstest"
	"sunspool/vps/auth"
	"sunspool/wire"
)

func TestReadersHandlerKnowsOneDeviceAndCannotWrite(t *testing.T) {
	b := newBench(t)
	b.ingested(sample(0))
	open := b.Readers("inv-1")
	for target, want := range map[string]int{
		"GET /v1/realtime?device_id=inv-1":         200,
		"GET /v1/series?device_id=inv-1&frame=day": 200,
		"GET /health":                          200,
		"GET /v1/realtime?device_id=inv-2":     403,
		"GET /v1/series?device_id=*&frame=day": 403,
		"POST /v1/ingest":                      404,
		"GET /metrics":                         404,
		"POST /v1/realtime?device_id=inv-1":    405,
	} {
		method, path, _ := strings.Cut(target, " ")
		if w := do(open, method, path, "", strings.NewReader(bodyOf(fields(time.Minute)))); w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
	if w := b.get("/v1/realtime?device_id=inv-1", ""); w.Code != 401 {
		t.Errorf("the other handler of the same server opened too: %d", w.Code)
	}
}

func TestGuessingTokensIsSlowedButAGoodTokenAlwaysPasses(t *testing.T) {
	race.Skip(t, "one caller after the other")
	now := testNow
	b := newBench(t, func(s *Server) { s.Now = func() time.Time { return now } })
	for i := range 1000 {
		w := b.post(fmt.Sprint("guess-", i), bodyOf())
		want := 401
		if i >= auth.MaxFailures {
			want = 429
		}
		if w.Code != want {
			t.Fatalf("guess %d: %d, want %d", i, w.Code, want)
		}
		if want == 429 && (w.Header().Get("Retry-After") != "60" || detail(t, w) != "Too many failed logins.") {
			t.Fatalf("guess %d: %q %s", i, w.Header().Get("Retry-After"), w.Body)
		}
		if w := b.post(token1, bodyOf()); w.Code != 200 {
			t.Fatalf("the good token of the same address: %d", w.Code)
		}
	}
	other := func(addr string) int {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { r.RemoteAddr = addr; b.api.ServeHTTP(w, r) })
		return do(h, "POST", wire.IngestPath, "guess", nil).Code
	}
	if got := other("198.51.100.7:1234"); got != 401 {
		t.Errorf("the first guess of another address: %d", got)
	}
	for i := range auth.MaxFailures {
		other(fmt.Sprintf("[2001:db8::%x]:99", i))
	}
	if got := other("[2001:db8::ffff]:99"); got != 429 {
		t.Errorf("one IPv6 host that changes its address: %d", got)
	}
	now = now.Add(auth.FailureWindow)
	if w := b.post("guess", bodyOf()); w.Code != 401 {
		t.Errorf("a minute later: %d", w.Code)
	}
}

func TestBodyOfAStrangerIsNotRead(t *testing.T) {
	b := newBench(t)
	body := &counter{Reader: io.LimitReader(vpstest.Zeros{}, 1<<20)}
	if w := do(b.api, "POST", wire.IngestPath, tokenWrong, body); w.Code != 401 || body.n != 0 {
		t.Errorf("%d, %d bytes read", w.Code, body.n)
	}
}
