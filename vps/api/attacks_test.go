package api

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/listener"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// A route that writes is open to tokens alone, whoever adds it: not to a cookie, which a browser sends by itself, and not to
// whoever is at home.
func TestWhatWritesNeedsAToken(t *testing.T) {
	b := newBench(t, func(s *Server) { s.OpenLAN = true })
	mux := http.NewServeMux()
	mux.Handle("/thing", b.WithToken(func(*request.Request) (any, error) { return statusOK, nil }))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Near") != "" {
			r.RemoteAddr, r.Host = "192.168.1.7:4711", "solar.local"
		}
		b.Middleware(mux).ServeHTTP(w, r)
	})
	cookie := "sunspool_session=" + b.cookie(viewer1)
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY"} {
		want := 401
		if method == "GET" || method == "HEAD" {
			want = 200
		}
		if w := do(h, method, "/thing", "", nil, "Cookie", cookie); w.Code != want {
			t.Errorf("%s with a cookie: %d, want %d", method, w.Code, want)
		}
		if w := do(h, method, "/thing", "", nil, "Near", "1"); w.Code != want {
			t.Errorf("%s at home: %d, want %d", method, w.Code, want)
		}
		if w := do(h, method, "/thing", viewer1, nil); w.Code != 200 {
			t.Errorf("%s with a token: %d", method, w.Code)
		}
	}
}

// Who sends a token is who that token names, whatever cookie is beside it.
func TestAWrongTokenIsNotSavedByACookie(t *testing.T) {
	b := newBench(t)
	cookie := b.cookie(viewer1)
	for i := range auth.MaxFailures + 1 {
		want := 401
		if i == auth.MaxFailures {
			want = 429
		}
		if w := do(b.api, "GET", "/v1/devices", tokenWrong, nil, "Cookie", "sunspool_session="+cookie); w.Code != want {
			t.Fatalf("guess %d: %d, want %d", i, w.Code, want)
		}
	}
	if w := do(b.api, "GET", "/v1/session", viewerAll, nil, "Cookie", "sunspool_session="+cookie); w.Code != 200 || !strings.Contains(w.Body.String(), `"devices":null`) {
		t.Errorf("another token: %d %s", w.Code, w.Body)
	}
	if w := b.with(cookie, "GET", "/v1/devices"); w.Code != 200 {
		t.Errorf("the cookie alone: %d", w.Code)
	}
}

// An open stream of a session ends when its token is of another device from now on.
func TestAStreamEndsWhenItsSessionMayReadAnotherDevice(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		events := follow(t, l.Dial(), "inv-1", "", "Cookie", "sunspool_session="+b.cookie(viewer1), "Authorization", "")
		synctest.Wait()
		b.Tokens.Replace(token1+":inv-1", viewer1+":inv-2")
		synctest.Wait()
		if got := of("bye", events); len(got) != 1 || got[0].Data != `{"reason":"token_revoked"}` {
			t.Errorf("%q", got)
		}
	})
}

// revoking is a store that is asked while the tokens are replaced.
type revoking struct {
	store.Samples
	replace func()
}

func (s revoking) Latest(ctx context.Context, device string) (wire.Sample, error) {
	s.replace()
	return s.Samples.Latest(ctx, device)
}

// A token that is removed while its stream is about to begin opens none.
func TestATokenRevokedAtTheLastMoment(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		cookie := b.cookie(viewer1)
		b.Store = revoking{b.bolt, func() { _ = b.Tokens.Replace(token1+":inv-1", "") }}
		events := follow(t, l.Dial(), "inv-1", "", "Cookie", "sunspool_session="+cookie, "Authorization", "")
		synctest.Wait() // no time passes
		if got := of("bye", events); len(got) != 1 || got[0].Data != `{"reason":"token_revoked"}` {
			t.Errorf("%q", got)
		}
	})
}

// whileWriting calls look when an answer is written.
type whileWriting struct {
	*httptest.ResponseRecorder
	look func()
}

func (w whileWriting) Write(p []byte) (int, error) {
	w.look()
	return w.ResponseRecorder.Write(p)
}

// A reader that takes a page slowly has none of the slots.
func TestAPageThatIsTakenSlowlyOccupiesNothing(t *testing.T) {
	b := newVillage(t)
	for name, h := range map[string]http.Handler{"the API": b.api, "a demo": b.Readers("roof")} {
		for _, path := range []string{"/", wire.LitePath} {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("Authorization", "Bearer "+viewer1)
			r.Header.Set("Accept", "text/html")
			written := false
			w := whileWriting{httptest.NewRecorder(), func() {
				if written = true; b.Reads.Taken() != 0 {
					t.Errorf("%s, %s: %d slots are taken", name, path, b.Reads.Taken())
				}
			}}
			if h.ServeHTTP(w, r); w.Code != 200 || !written {
				t.Errorf("%s, %s: %d", name, path, w.Code)
			}
		}
	}
}

// HEAD is GET without its body, on every route of the page.
func TestHeadOfEveryPage(t *testing.T) {
	b := newVillage(t)
	cookie := b.cookie(viewer1)
	for _, path := range []string{"/", "/lite", "/a/" + b.pages.Site.Hash + "/app.js", "/a/" + b.pages.Site.Hash + "/icons/icon-192.png", "/a/0/app.js", "/manifest.webmanifest", "/favicon.ico", "/robots.txt", "/v1/session"} {
		for _, accept := range []string{"", "gzip"} {
			get := b.with(cookie, "GET", path, "Accept", "text/html", "Accept-Encoding", accept)
			head := b.with(cookie, "HEAD", path, "Accept", "text/html", "Accept-Encoding", accept)
			if get.Code != head.Code || !maps.EqualFunc(get.Header(), head.Header(), func(a, b []string) bool { return strings.Join(a, "|") == strings.Join(b, "|") }) {
				t.Errorf("%s %s: %d %v, but HEAD %d %v", path, accept, get.Code, get.Header(), head.Code, head.Header())
			}
		}
	}
}

// rawRequest is what no client would send so.
type rawRequest struct{ name, request, want, not string }

// What a client normalizes, an attacker does not. Each is sent as it is on a connection, and answered by one status; nothing
// leads elsewhere, and nothing of a session is in what anybody may have asked for.
func TestRequestsThatNoBrowserSends(t *testing.T) {
	b := newBench(t)
	b.ingested(sample(time.Minute))
	good := "Cookie: sunspool_session=" + b.cookie(viewer1) + "\r\n"
	asset := "/a/" + b.pages.Site.Hash + "/app.js"
	get := func(target, headers string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: solar.local\r\nAccept: text/html\r\n" + headers + "\r\n"
	}
	post := func(path, headers, body string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: solar.local\r\n" + headers + "\r\n" + body
	}
	login := `{"token":"` + viewer1 + `"}`
	for _, c := range []rawRequest{
		{"two slashes", get("//", ""), "404", "Location"}, {"another host as a path", get("//evil.example/", ""), "404", "Location"},
		{"a backslash", get(`/\evil.example`, ""), "404", "Location"}, {"an encoded slash", get("/%2fevil.example", ""), "404", "Location"},
		{"dots", get("/x/../lite", ""), "404", "Location"}, {"encoded dots", get("/a/%2e%2e/lite", ""), "404", "Location"}, {"a slash too many", get("/lite/", ""), "404", "Location"},
		{"out of the files", get("/a/"+b.pages.Site.Hash+"/..%2f..%2fweb.go", ""), "404", "Location"}, {"an end of line in a path", get("/lite%0d%0aSet-Cookie:x=y", ""), "404", "x=y"},
		{"a zero", get(asset+"%00", ""), "404", "immutable"}, {"the hash in capitals", get(strings.ToUpper(asset), ""), "404", "immutable"},
		{"a query of 100 kB", get("/?"+strings.Repeat("q", 100<<10), ""), "431", ""}, {"languages of 100 kB", get("/", "Accept-Language: "+strings.Repeat("de,", 34<<10)+"\r\n"), "431", ""},
		{"languages of 7 kB", get("/", "Accept-Language: "+strings.Repeat("de;q=0.1,", 750)+"fr\r\n"), `200`, `lang="de"`},
		{"a language that is markup", get("/?lang=%22%3E%3Cscript%3E", ""), "200", `"><script>`}, {"a bad escape", get("/lite?lang=%zz", good), "200", "%zz"},
		{"a cookie of 100 kB", get("/v1/devices", "Cookie: sunspool_session="+strings.Repeat("A", 100<<10)+"\r\n"), "431", ""},
		{"a cookie of 6 kB", get("/v1/devices", "Cookie: sunspool_session="+strings.Repeat("A", 6<<10)+"\r\n"), "401", ""},
		{"200 cookies, one good", get("/v1/devices", strings.Replace(good, "Cookie: ", "Cookie: "+strings.Repeat("sunspool_session=x; ", 200), 1)), "200", ""},
		{"the secure name without TLS", get("/v1/devices", strings.Replace(good, "sunspool", "__Host-sunspool", 1)), "401", ""},
		{"another host's absolute form", strings.Replace(get("http://evil.example/v1/session", good), "Accept: text/html\r\n", "", 1), "200", "evil"},
		{"CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", "405", ""}, {"TRACE", "TRACE / HTTP/1.1\r\nHost: x\r\n" + good + "\r\n", "405", "sunspool_session"},
		{"another method in a header", get("/v1/session", good+"X-HTTP-Method-Override: DELETE\r\n"), "200", "Max-Age=0"}, {"a method in small letters", "get / HTTP/1.1\r\nHost: x\r\n\r\n", "405", ""},
		{"a part of a file", get(asset, "Range: bytes=0-1\r\n"), "200", "Content-Range"}, {"if there is none", get(asset, "If-None-Match: *\r\n"), "200", "304"},
		{"a part of a page", get("/", good+"Range: bytes=0-1\r\nAccept-Encoding: gzip\r\n"), "200", "Content-Range"},
		{"no coding at all", get(asset, "Accept-Encoding: gzip;q=0, identity;q=0\r\n"), "200", "Content-Encoding"},
		{"an upgrade", get("/v1/stream?device_id=inv-1", "Connection: Upgrade\r\nUpgrade: websocket\r\n"), "401", ""},
		{"a line that goes on", "GET /v1/session HTTP/1.1\r\nHost: x\r\nX: a\r\n " + good + "\r\n", "401", ""}, {"a bare end of line in a header", "GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", "400", ""},
		{"a name that is no header", "POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nxxx", "400", ""},
		{"a length and chunks", post("/v1/session", "Content-Length: 500\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "422", "devices"},
		{"two codings", post("/v1/session", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), "501", ""},
		{"a login from another origin", post("/v1/session", "Origin: http://evil.example\r\nContent-Length: 42\r\n", login), "403", "Set-Cookie"},
		{"a login from another port", post("/v1/session", "Origin: http://solar.local:81\r\nContent-Length: 42\r\n", login), "403", "Set-Cookie"},
		{"a login twice", post("/v1/session", "Content-Length: 30\r\n", `{"token":"a","token":["a","b"]}`[:30]), "422", "Set-Cookie"},
		{"a login that is deep", post("/v1/session", "Content-Length: 4000\r\n", strings.Repeat("[", 4000)), "422", "Set-Cookie"},
		{"an endless login", post("/v1/session", "Transfer-Encoding: chunked\r\n", "FFFFFFF\r\n"+strings.Repeat("x", 8<<10)), "413", "Set-Cookie"},
		{"a form that leads elsewhere", post("/lite?next=//evil.example", "Content-Length: 8\r\n", "logout=1"), "303", "evil"},
	} {
		status, answer := onWire(t, b, c.request)
		if status != c.want || c.not != "" && strings.Contains(answer, c.not) {
			t.Errorf("%s: %s, want %s without %q\n%.700s", c.name, status, c.want, c.not, answer)
		}
	}
}

// onWire sends what is not a request for any client, and returns the status and the first answer as they came.
func onWire(t *testing.T, b *bench, text string) (status, answer string) {
	t.Helper()
	l := newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- listener.Serve(ctx, l, nil, b.api, b.Log) }()
	conn := l.Dial()
	go io.WriteString(conn, text)
	var raw strings.Builder
	from := bufio.NewReader(io.TeeReader(conn, &raw))
	r, err := http.ReadResponse(from, nil)
	if err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
		status = r.Status[:3]
	} else {
		t.Errorf("%.60q: %v", text, err)
	}
	conn.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return status, raw.String()
}
