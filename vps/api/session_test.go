package api

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/listener"
	"sunspool/wire"
)

// cookie logs in, and returns the value of the cookie.
func (b *bench) cookie(token string) string {
	b.t.Helper()
	w := b.login(token)
	if w.Code != 200 || len(w.Result().Cookies()) != 1 {
		b.t.Fatalf("login: %d %s %v", w.Code, w.Body, w.Header())
	}
	return w.Result().Cookies()[0].Value
}

func (b *bench) login(token string, headers ...string) *httptest.ResponseRecorder {
	body, _ := json.Marshal(map[string]string{"token": token})
	return do(b.api, "POST", wire.SessionPath, "", strings.NewReader(string(body)), headers...)
}

// with asks with a cookie.
func (b *bench) with(cookie, method, target string, headers ...string) *httptest.ResponseRecorder {
	return do(b.api, method, target, "", strings.NewReader(bodyOf(fields(0))), append(headers, "Cookie", "sunspool_session="+cookie)...)
}

// A session reads what its token reads, and writes nothing, also if its token is one of a device.
func TestASessionOnlyReads(t *testing.T) {
	b := newBench(t)
	b.ingested(sample(time.Minute))
	for token, devices := range map[string]string{token1: `["inv-1"]`, viewer1: `["inv-1"]`, viewerAll: `null`} {
		cookie := b.cookie(token)
		want := fmt.Sprintf(`{"role":"viewer","devices":%s,"expires":"2026-07-21T10:30:00Z","open":false}`, devices)
		if w := b.with(cookie, "GET", wire.SessionPath); w.Code != 200 || w.Body.String() != want {
			t.Errorf("%d %s, want %s", w.Code, w.Body, want)
		}
		other := 403
		if token == viewerAll {
			other = 404
		}
		for request, want := range map[string]int{
			"GET /v1/realtime?device_id=inv-1": 200, "HEAD /v1/realtime?device_id=inv-1": 200, "GET /v1/devices": 200,
			"GET /v1/realtime?device_id=inv-2": other, "POST /v1/ingest": 401,
		} {
			method, target, _ := strings.Cut(request, " ")
			if w := b.with(cookie, method, target); w.Code != want {
				t.Errorf("%s: %d %s, want %d", request, w.Code, w.Body, want)
			}
		}
	}
	if b.stored("inv-1") != 1 {
		t.Error("a session wrote")
	}
}

// The cookie is what a script cannot read, no other site can use, and nothing on the way can see where there is TLS.
func TestTheCookieOfASession(t *testing.T) {
	trusted, _ := auth.ParseProxies([]string{"172.30.0.0/16"})
	for name, c := range map[string]struct {
		tls       bool
		remote    string
		proto     string
		ancestors []string
		want      string
	}{
		"plain":                      {want: "sunspool_session=V; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"},
		"TLS":                        {tls: true, want: "__Host-sunspool_session=V; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"},
		"TLS at a trusted proxy":     {remote: "172.30.0.2:1", proto: "https", want: "__Host-sunspool_session=V; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax"},
		"the last proxy has no TLS":  {remote: "172.30.0.2:1", proto: "https, http", want: "sunspool_session=V; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"},
		"TLS, as somebody claims":    {remote: "198.51.100.7:1", proto: "https", want: "sunspool_session=V; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"},
		"in a frame":                 {tls: true, ancestors: []string{"https://ha.example.org"}, want: "__Host-sunspool_session=V; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=None; Partitioned"},
		"in a frame and without TLS": {ancestors: []string{"http://ha.local:8123"}, want: "sunspool_session=V; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"},
	} {
		b := newBench(t, func(s *Server) { s.Proxies, s.Ancestors = trusted, c.ancestors })
		ask := func(method, body string, headers ...string) *httptest.ResponseRecorder {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.tls {
					r.TLS = new(tls.ConnectionState)
				}
				if c.remote != "" {
					r.RemoteAddr = c.remote
				}
				b.api.ServeHTTP(w, r)
			})
			return do(h, method, wire.SessionPath, "", strings.NewReader(body), append(headers, "X-Forwarded-Proto", c.proto)...)
		}
		w := ask("POST", `{"token":"`+viewer1+`"}`)
		got := lastCookie(w)
		named, rest, _ := strings.Cut(got, ";")
		cookieName, value, _ := strings.Cut(named, "=")
		if w.Code != 200 || cookieName+"=V;"+rest != c.want {
			t.Errorf("%s: %d %s, want %s", name, w.Code, got, c.want)
		}
		if w := ask("GET", "", "Cookie", cookieName+"="+value); w.Code != 200 {
			t.Errorf("%s: its own cookie: %d", name, w.Code)
		}
		other := map[bool]string{true: "sunspool_session", false: "__Host-sunspool_session"}[strings.HasPrefix(cookieName, "__")]
		if w := ask("GET", "", "Cookie", other+"="+value); w.Code != 401 {
			t.Errorf("%s: by the other name: %d", name, w.Code)
		}
		if gone, want := lastCookie(ask("DELETE", "", "Cookie", cookieName+"="+value)), strings.Replace(c.want, "V; Path=/; Max-Age=2592000", "; Path=/; Max-Age=0", 1); gone != want {
			t.Errorf("%s: logged out: %s, want %s", name, gone, want)
		}
	}
}

// A browser takes servers at several paths of one host for one, and sends each of them all cookies: whoever logs in at one, or out
// of it, leaves the sessions of the others alone, and no server takes that of another for its own.
func TestServersOfOneHostKeepASessionEach(t *testing.T) {
	now := testNow
	later := func(s *Server) { s.Now = func() time.Time { return now } }
	solar, barn := newBench(t, later), newBench(t, later)
	if err := barn.Tokens.Replace(token2+":inv-2", viewerAll+":*"); err != nil {
		t.Fatal(err)
	}
	if err := solar.Tokens.Replace(token1+":inv-1", viewer1+":inv-1"); err != nil {
		t.Fatal(err)
	}
	browser := map[string]string{}
	ask := func(b *bench, method, body string) int {
		headers := []string{}
		for name, value := range browser {
			headers = append(headers, "Cookie", name+"="+value)
		}
		w := do(b.api, method, wire.SessionPath, "", strings.NewReader(body), headers...)
		for _, c := range w.Result().Cookies() {
			if delete(browser, c.Name); c.MaxAge > 0 {
				browser[c.Name] = c.Value
			}
		}
		return w.Code
	}
	login := func(b *bench, token string) {
		t.Helper()
		if code := ask(b, "POST", `{"token":"`+token+`"}`); code != 200 {
			t.Errorf("a login: %d", code)
		}
	}
	const plain = "sunspool_session"
	has := func(cookies int, ofPlain *bench, atSolar, atBarn int) {
		t.Helper()
		if got := []int{len(browser), ask(solar, "GET", ""), ask(barn, "GET", "")}; !slices.Equal(got, []int{cookies, atSolar, atBarn}) {
			t.Errorf("%d cookies, sessions %d and %d, want %d, %d and %d", got[0], got[1], got[2], cookies, atSolar, atBarn)
		}
		if ofPlain == nil {
			return
		}
		if _, ok := ofPlain.Tokens.Session(browser[plain], now); !ok {
			t.Errorf("the plain name is not of who has it: %v", browser)
		}
	}
	login(solar, viewer1)
	has(1, solar, 200, 401)
	login(barn, viewerAll)
	has(2, solar, 200, 200)
	login(solar, token1) // in place of the one before
	has(2, solar, 200, 200)
	login(barn, token2)
	has(2, solar, 200, 200)
	now = now.Add(auth.RenewAfter)
	has(2, solar, 200, 200) // both are renewed
	ask(barn, "DELETE", "")
	has(1, solar, 200, 401)
	login(barn, viewerAll)
	ask(solar, "DELETE", "")
	has(1, nil, 401, 200)
	now = now.Add(auth.RenewAfter)
	has(1, nil, 401, 200)
	has(1, barn, 401, 200) // renewed, by the plain name, which is free
	login(solar, viewer1)
	has(2, barn, 200, 200)

	// A token that is replaced leaves a cookie behind that nobody can tell from another server's, until it expires.
	if err := barn.Tokens.Replace(token2+":inv-2", viewer1+"-new:*"); err != nil {
		t.Fatal(err)
	}
	has(2, nil, 200, 401)
	login(barn, viewer1+"-new")
	has(3, nil, 200, 200)
	now = now.Add(auth.SessionAge + time.Hour)
	has(3, nil, 401, 401)
	login(solar, viewer1) // and takes its own old one away
	has(3, nil, 200, 401)
}

// lastCookie is the header Set-Cookie that counts.
func lastCookie(w *httptest.ResponseRecorder) string {
	all := w.Header().Values("Set-Cookie")
	return all[len(all)-1]
}

// When frames are allowed, or not any more, a browser has the cookie of before beside the new one, and sends it first, for as long
// as it lasts. That keeps nobody out, and ends with the logout.
func TestASessionOutlivesTheSettingAboutFrames(t *testing.T) {
	for _, ancestors := range [][]string{nil, {"self"}} {
		b := newBench(t, func(s *Server) { s.Ancestors = ancestors })
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.TLS = new(tls.ConnectionState)
			b.api.ServeHTTP(w, r)
		})
		w := do(h, "POST", wire.SessionPath, "", strings.NewReader(`{"token":"`+viewer1+`"}`))
		set := w.Result().Cookies()
		if len(set) != 2 || set[0].Value != "" || set[0].MaxAge != -1 || set[1].Value == "" || set[0].Partitioned == set[1].Partitioned || !set[0].Secure || !set[1].Secure {
			t.Fatalf("login: %q", w.Header()["Set-Cookie"])
		}
		good := "__Host-sunspool_session=" + set[1].Value
		for _, cookies := range [][]string{{"Cookie", "__Host-sunspool_session=stale; " + good}, {"Cookie", good + "; __Host-sunspool_session=stale"},
			{"Cookie", "__Host-sunspool_session=" + strings.Repeat("; __Host-sunspool_session=x", 200) + "; " + good}, {"Cookie", "__Host-sunspool_session=stale", "Cookie", good}} {
			if w := do(h, "GET", wire.SessionPath, "", nil, cookies...); w.Code != 200 {
				t.Errorf("%.60q: %d %s", cookies, w.Code, w.Body)
			}
		}
		if w := do(h, "GET", wire.SessionPath, "", nil, "Cookie", "__Host-sunspool_session=a; __Host-sunspool_session=b"); w.Code != 401 {
			t.Errorf("two stale ones: %d", w.Code)
		}
		gone := do(h, "DELETE", wire.SessionPath, "", nil, "Cookie", good).Result().Cookies()
		if len(gone) != 2 || gone[0].MaxAge != -1 || gone[1].MaxAge != -1 || gone[0].Partitioned == gone[1].Partitioned {
			t.Errorf("logout: %v", gone)
		}
	}
}

// The days of a session are counted from its last visit; that of a screen on a wall has no end. A cookie has no younger twin:
// its time is not the browser's to say.
func TestSessionsExpire(t *testing.T) {
	now := testNow
	b := newBench(t, func(s *Server) { s.Now = func() time.Time { return now } })
	cookie := b.cookie(viewer1)
	w := do(b.api, "POST", wire.SessionPath, "", strings.NewReader(`{"token":"`+viewer1+`","kiosk":true}`))
	kiosk := w.Result().Cookies()[0]
	if kiosk.MaxAge != 10*365*24*3600 || !strings.Contains(w.Body.String(), `"expires":null`) {
		t.Errorf("a kiosk's: %v %s", kiosk, w.Body)
	}
	now = testNow.Add(auth.RenewAfter - time.Second)
	if w := b.with(cookie, "GET", "/v1/devices"); w.Code != 200 || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("on the same day: %d %v", w.Code, w.Header())
	}
	now = testNow.Add(29 * 24 * time.Hour)
	w = b.with(cookie, "GET", "/v1/devices")
	renewed := w.Result().Cookies()
	if w.Code != 200 || len(renewed) != 1 {
		t.Fatalf("after 29 days: %d %v", w.Code, w.Header())
	}
	now = testNow.Add(31 * 24 * time.Hour)
	if w := b.with(cookie, "GET", "/v1/devices"); w.Code != 401 || !strings.Contains(w.Body.String(), "bad_token") {
		t.Errorf("after 31 days: %d %s", w.Code, w.Body)
	}
	if w := b.with(renewed[0].Value, "GET", "/v1/devices"); w.Code != 200 {
		t.Errorf("renewed, after 31 days: %d", w.Code)
	}
	now = testNow.AddDate(9, 0, 0)
	w = b.with(kiosk.Value, "GET", "/v1/devices")
	if again := w.Result().Cookies(); w.Code != 200 || len(again) != 1 || again[0].MaxAge != kiosk.MaxAge {
		t.Errorf("a kiosk's after nine years: %d %v", w.Code, again)
	}
}

// Not one bit of a cookie can be changed, and who knows nothing but the hash of a token, as in the settings, makes none.
func TestNobodyForgesASession(t *testing.T) {
	b := newBench(t)
	good, _ := base64.RawURLEncoding.DecodeString(b.cookie(viewer1))
	for i := range good {
		for _, bit := range []byte{1, 128} {
			bad := append([]byte(nil), good...)
			bad[i] ^= bit
			if w := b.with(base64.RawURLEncoding.EncodeToString(bad), "GET", "/v1/devices"); w.Code != 401 {
				t.Fatalf("byte %d with another bit: %d", i, w.Code)
			}
		}
		if w := b.with(base64.RawURLEncoding.EncodeToString(good[:i]), "GET", "/v1/devices"); w.Code != 401 {
			t.Fatalf("%d bytes of it: %d", i, w.Code)
		}
	}
	text := base64.RawURLEncoding.EncodeToString(good)
	for name, bad := range map[string]string{"empty": "", "padded": text + "=", "twice": text + text, "long": strings.Repeat("A", 4000), "a token": viewer1} {
		if w := b.with(bad, "GET", "/v1/devices"); w.Code != 401 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if strings.Contains(string(good), viewer1) {
		t.Error("the token stands in the cookie")
	}
	if one, other := b.cookie(viewer1), b.cookie(viewer1); one == other {
		t.Error("two cookies are alike")
	}
	if w := b.with(text, "GET", "/v1/devices"); w.Code != 200 {
		t.Errorf("the good one: %d", w.Code)
	}
}

// Another process, and this one after a restart, knows a session by its token alone; it ends with the token.
func TestASessionEndsWithItsToken(t *testing.T) {
	b, other := newBench(t), newBench(t)
	cookie := b.cookie(viewer1)
	if w := other.with(cookie, "GET", "/v1/devices"); w.Code != 200 {
		t.Errorf("another process: %d", w.Code)
	}
	if err := other.Tokens.Replace(token1+":inv-1", viewer1+":inv-2"); err != nil {
		t.Fatal(err)
	}
	if w := other.with(cookie, "GET", wire.SessionPath); !strings.Contains(w.Body.String(), `["inv-2"]`) {
		t.Errorf("its token has another device: %s", w.Body)
	}
	if err := other.Tokens.Replace(token1+":inv-1", ""); err != nil {
		t.Fatal(err)
	}
	if w := other.with(cookie, "GET", "/v1/devices"); w.Code != 401 {
		t.Errorf("its token is gone: %d", w.Code)
	}
	if w := b.with(cookie, "GET", "/v1/devices"); w.Code != 200 {
		t.Errorf("where it is not: %d", w.Code)
	}
}

// An open stream of a session ends when its time is over, at the next ping.
func TestAStreamEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var later atomic.Int64
		b := newBench(t, func(s *Server) { s.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) } })
		cookie := b.cookie(viewer1)
		l := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- listener.Serve(ctx, l, nil, b.api, b.Log) }()
		events := follow(t, l.Dial(), "inv-1", "", "Cookie", "sunspool_session="+cookie, "Authorization", "")
		time.Sleep(time.Second)
		later.Store(int64(auth.SessionAge - time.Minute))
		time.Sleep(2 * pingEvery)
		synctest.Wait()
		if said := of("bye", events); len(said) != 0 {
			t.Errorf("half a minute before: %v", said)
		}
		later.Store(int64(auth.SessionAge))
		time.Sleep(pingEvery + time.Second)
		synctest.Wait()
		if said := of("bye", events); len(said) != 1 || !strings.Contains(said[0].Data, "token_revoked") {
			t.Errorf("a ping later: %v", said)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// An open stream of a session ends when its token is removed.
func TestAStreamEndsWithTheTokenOfItsSession(t *testing.T) {
	b := newBench(t)
	b.ingested(sample(time.Minute))
	server := httptest.NewServer(b.api)
	defer server.Close()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+wire.StreamPath+"?device_id=inv-1", nil)
	r.AddCookie(&http.Cookie{Name: "sunspool_session", Value: b.cookie(viewer1)})
	answer, err := server.Client().Do(r)
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("%v %v", answer, err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "event: state") {
	}
	if err := b.Tokens.Replace(token1+":inv-1", ""); err != nil {
		t.Fatal(err)
	}
	var rest strings.Builder
	for lines.Scan() {
		rest.WriteString(lines.Text() + "\n")
	}
	if !strings.Contains(rest.String(), "event: bye\ndata: {\"reason\":\"token_revoked\"}") {
		t.Errorf("it ended with %q", rest.String())
	}
}

// Wrong tokens are counted wherever they come in, and answered alike. A good one passes.
func TestLoginsAreLimited(t *testing.T) {
	b := newBench(t)
	for i := range 2 * auth.MaxFailures {
		w, want := b.login(tokenWrong), 401
		if i >= auth.MaxFailures {
			want = 429
		}
		if w.Code != want || w.Header().Get("Set-Cookie") != "" || want == 429 && w.Header().Get("Retry-After") == "" {
			t.Fatalf("guess %d: %d %v, want %d", i, w.Code, w.Header(), want)
		}
		if want == 401 && w.Body.String() != b.with("x", "GET", "/v1/devices").Body.String() {
			t.Fatalf("guess %d is answered by %s", i, w.Body)
		}
	}
	for path, accept := range map[string]string{"/v1/devices": "", "/v1/session": "", "/lite": "text/html"} {
		if w := do(b.api, "GET", path, tokenWrong, nil, "Accept", accept); w.Code != 429 {
			t.Errorf("a guess in a header, %s: %d", path, w.Code)
		}
	}
	b.with("stale", "GET", "/v1/devices")
	metrics := do(b.Internal(), "GET", "/metrics", "", nil).Body.String()
	for _, want := range []string{`code="bad_token"} 21`, `code="too_many_failures"} 13`} { // ten guesses, and eleven stale cookies
		if !strings.Contains(metrics, "sunspool_auth_failures_total{"+want+"\n") {
			t.Errorf("the metrics do not have %s", want)
		}
	}
	if w := b.login(viewer1); w.Code != 200 {
		t.Errorf("the good token: %d", w.Code)
	}
	for range 2 * auth.MaxFailures {
		b.with("stale", "GET", "/v1/devices")
	}
	if w := do(b.api, "POST", wire.SessionPath, "", strings.NewReader(`{"token":"`+strings.Repeat("x", 1200)+`"}`)); w.Code != 429 {
		t.Errorf("a token of 1200 characters: %d", w.Code)
	}
}

// What changes something is not done for a page of another origin, except by a token, which such a page does not have.
func TestPagesOfOthersChangeNothing(t *testing.T) {
	b := newBench(t)
	login := `{"token":"` + viewer1 + `"}`
	for name, c := range map[string]struct {
		headers []string
		want    int
	}{
		"a program":                      {nil, 200},
		"our page":                       {[]string{"Sec-Fetch-Site", "same-origin", "Origin", "http://example.com"}, 200},
		"our page, an old browser":       {[]string{"Origin", "http://example.com"}, 200},
		"what a person types":            {[]string{"Sec-Fetch-Site", "none"}, 200},
		"another site":                   {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		"another host of the domain":     {[]string{"Sec-Fetch-Site", "same-site"}, 403},
		"another site, an old browser":   {[]string{"Origin", "https://evil.example"}, 403},
		"another port, an old browser":   {[]string{"Origin", "http://example.com:81"}, 403},
		"a page that hides its origin":   {[]string{"Origin", "null"}, 403},
		"another site, basic credential": {[]string{"Sec-Fetch-Site", "cross-site", "Authorization", "Basic eDp5"}, 403},
	} {
		for _, path := range []string{wire.SessionPath, wire.LitePath} {
			body, want := login, c.want
			if path == wire.LitePath {
				if body = "token=" + viewer1; want == 200 {
					want = 303
				}
			}
			if w := do(b.api, "POST", path, "", strings.NewReader(body), c.headers...); w.Code != want {
				t.Errorf("%s, POST %s: %d %s, want %d", name, path, w.Code, w.Body, want)
			}
		}
		if w := do(b.api, "DELETE", wire.SessionPath, "", nil, c.headers...); w.Code != c.want {
			t.Errorf("%s, logout: %d, want %d", name, w.Code, c.want)
		}
	}
	if w := b.post(token1, bodyOf(fields(0)), "Sec-Fetch-Site", "cross-site", "Origin", "https://app.example"); w.Code != 200 {
		t.Errorf("an upload with a token: %d %s", w.Code, w.Body)
	}
	b.Origins = []string{"https://panel.example"}
	w := b.with(b.cookie(viewer1), "GET", "/v1/devices", "Origin", "https://panel.example")
	if w.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Error("pages of other origins read with the cookie")
	}
}

// In mode open-lan whoever is at home reads, and nobody else: not from elsewhere, not through a proxy that is not in the
// settings, and not a page of another site by a name of its own that it has pointed at this server.
func TestOpenLANIsForTheHomeAlone(t *testing.T) {
	trusted, _ := auth.ParseProxies([]string{"172.30.0.2"})
	for _, c := range []struct {
		remote, host string
		headers      []string
		open         bool
	}{
		{remote: "192.168.1.7", host: "192.168.1.2:8000", open: true}, {remote: "127.0.0.1", host: "localhost:8000", open: true},
		{remote: "::1", host: "[::1]:8000", open: true}, {remote: "fd00::7", host: "[fd00::2]", open: true}, {remote: "fe80::7%eth0", host: "solar.local", open: true},
		{remote: "10.0.0.7", host: "solar.lan", open: true}, {remote: "10.0.0.7", host: "solar:8000", open: true}, {remote: "10.0.0.7", host: "Solar.Home.Arpa.", open: true},
		{remote: "172.16.3.4", host: "127.0.0.1", open: true},

		{remote: "203.0.113.7", host: "192.168.1.2"}, {remote: "100.64.1.1", host: "solar.local"}, {remote: "2001:db8::7", host: "solar.local"},
		{remote: "192.168.1.7", host: "evil.example"}, {remote: "192.168.1.7", host: "solar.local.evil.example"}, {remote: "192.168.1.7", host: "192.168.1.2.evil.example:8000"},
		{remote: "192.168.1.7", host: "203.0.113.9"}, {remote: "192.168.1.7", host: ""}, {remote: "192.168.1.7", host: ".local@evil.example"},
		{remote: "192.168.1.7", host: "3232235778"}, {remote: "192.168.1.7", host: "0xc0a80102"},

		{remote: "192.168.1.7", host: "192.168.1.2", headers: []string{"X-Forwarded-For", "192.168.1.9"}}, {remote: "127.0.0.1", host: "localhost", headers: []string{"X-Real-Ip", "10.0.0.1"}},
		{remote: "127.0.0.1", host: "localhost", headers: []string{"Forwarded", "for=10.0.0.1"}}, {remote: "127.0.0.1", host: "localhost", headers: []string{"Via", "1.1 proxy"}},
		{remote: "172.30.0.2", host: "solar.local", headers: []string{"X-Forwarded-For", "192.168.1.9"}, open: true},
		{remote: "172.30.0.2", host: "solar.local", headers: []string{"X-Forwarded-For", "203.0.113.9"}},
		{remote: "172.30.0.2", host: "solar.example.org", headers: []string{"X-Forwarded-For", "192.168.1.9"}},
	} {
		for mode, open := range map[bool]bool{true: c.open, false: false} {
			b := newBench(t, func(s *Server) { s.OpenLAN, s.Proxies = mode, trusted })
			b.ingested(sample(time.Minute))
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.RemoteAddr, r.Host = net.JoinHostPort(c.remote, "4711"), c.host
				b.api.ServeHTTP(w, r)
			})
			for target, want := range map[string]int{"GET /v1/realtime?device_id=inv-1": 200, "GET /v1/session": 200, "POST /v1/ingest": 401} {
				method, path, _ := strings.Cut(target, " ")
				if !open {
					want = 401
				}
				if w := do(h, method, path, "", strings.NewReader(bodyOf(fields(0))), c.headers...); w.Code != want {
					t.Errorf("%s of %+v, open-lan %v: %d %s, want %d", target, c, mode, w.Code, w.Body, want)
				} else if path == wire.SessionPath && open && w.Body.String() != `{"role":"viewer","devices":null,"expires":null,"open":true}` {
					t.Errorf("%s", w.Body)
				}
			}
		}
	}
}
