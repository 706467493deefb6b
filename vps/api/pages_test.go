package api

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sunspool/vps/web"
	"sunspool/wire"
)

// bootOf are the values that come with a page.
func bootOf(t testing.TB, w *httptest.ResponseRecorder) (boot struct {
	Build, Lang, Assets string
	Session             *struct {
		Role    string
		Devices []string
		Expires *time.Time
		Open    bool
	}
	Words   map[string]string
	Answers map[string]json.RawMessage
}) {
	t.Helper()
	_, values, ok := strings.Cut(w.Body.String(), `id="boot">`)
	values, _, _ = strings.Cut(values, "</script>")
	if err := json.Unmarshal([]byte(values), &boot); !ok || err != nil || w.Code != 200 {
		t.Fatalf("%d %v: %.500s", w.Code, err, w.Body)
	}
	return boot
}

// What comes with the page is letter by letter what the API answers to the same questions.
func TestThePageBringsTheFirstAnswers(t *testing.T) {
	b := newVillage(t)
	if err := b.Tokens.Replace(token1+":roof,"+token2+":barn", viewer1+":roof,"+viewerAll+":*"); err != nil {
		t.Fatal(err)
	}
	w := b.with(b.cookie(viewer1), "GET", "/", "Accept", "text/html", "Accept-Language", "en-GB")
	boot := bootOf(t, w)
	if boot.Session == nil || boot.Session.Role != "viewer" || len(boot.Session.Devices) != 1 || boot.Lang != "en" || boot.Build != "1.0.0" || len(boot.Words) == 0 {
		t.Errorf("%+v", boot)
	}
	questions := append(web.FirstQuestions("roof", testNow.In(brussels(t))), web.DevicesQuestion)
	if len(boot.Answers) != len(questions) {
		t.Errorf("%d answers, want %d", len(boot.Answers), len(questions))
	}
	for _, question := range questions {
		if got, want := string(boot.Answers[question]), b.get(question, viewer1); want.Code != 200 || normalized(t, got) != normalized(t, want.Body.String()) {
			t.Errorf("%s: %.300s, but the API says %.300s", question, got, want.Body)
		}
	}
	var energy struct{ Labels []string }
	if err := json.Unmarshal(boot.Answers[questions[1]], &energy); err != nil || len(energy.Labels) != 14 {
		t.Errorf("%d days, %v", len(energy.Labels), err)
	}
	if boot.Assets != "a/"+b.pages.Site.Hash+"/" || b.Reads.Taken() != 0 {
		t.Errorf("%s, %d slots are taken", boot.Assets, b.Reads.Taken())
	}

	all := bootOf(t, b.with(b.cookie(viewerAll), "GET", "/", "Accept", "text/html"))
	if all.Answers["/v1/realtime?device_id=barn"] == nil { // the first by name
		t.Error("the first device of several is not there")
	}
	for name, nobody := range map[string]*httptest.ResponseRecorder{
		"no cookie": do(b.api, "GET", "/", "", nil, "Accept", "text/html"), "a stale one": b.with("x", "GET", "/", "Accept", "text/html"),
		"a wrong token": do(b.api, "GET", "/", tokenWrong, nil, "Accept", "text/html"),
	} {
		if boot := bootOf(t, nobody); boot.Session != nil || len(boot.Answers) != 0 || strings.Contains(nobody.Body.String(), "roof") {
			t.Errorf("%s: %+v", name, boot)
		}
	}
}

// A store that is away, a crowd, and a device without a sample leave out answers, not the page.
func TestThePageComesWithoutItsAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*bench)
		answers int
	}{
		"the store is away": {away, 0}, "too much at once": {crowd, 0},
		"no sample yet": {func(b *bench) { _ = b.Tokens.Replace(token1+":shed", viewer1+":shed") }, 3}, // but for realtime
	} {
		b := newVillage(t)
		cookie := b.cookie(viewer1)
		c.change(b)
		boot := bootOf(t, b.with(cookie, "GET", "/", "Accept", "text/html"))
		if boot.Session == nil || len(boot.Answers) != c.answers {
			t.Errorf("%s: %+v", name, boot)
		}
	}
}

func brussels(t testing.TB) *time.Location {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func normalized(t testing.TB, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %.200s", err, text)
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// Every HTML answer has a policy that runs nothing but the page's own script, whoever asks and whatever is wrong; and only the
// sites of the setting may frame it.
func TestEveryPageIsConfined(t *testing.T) {
	for _, ancestors := range [][]string{nil, {"self", "https://ha.example.org"}} {
		b := newVillage(t)
		b.Ancestors = ancestors
		cookie := b.cookie(viewer1)
		who := "frame-ancestors 'none'"
		if ancestors != nil {
			who = "frame-ancestors 'self' https://ha.example.org"
		}
		for name, w := range map[string]*httptest.ResponseRecorder{
			"page":            b.with(cookie, "GET", "/", "Accept", "text/html"),
			"page, nobody":    do(b.api, "GET", "/", "", nil, "Accept", "text/html"),
			"page, a demo's":  do(b.Readers("roof"), "GET", "/", "", nil, "Accept", "text/html"),
			"page, head":      b.with(cookie, "HEAD", "/", "Accept", "text/html"),
			"lite":            b.with(cookie, "GET", wire.LitePath, "Accept", "text/html"),
			"lite, nobody":    do(b.api, "GET", wire.LitePath, "", nil, "Accept", "text/html"),
			"lite, a demo's":  do(b.Readers("roof"), "GET", wire.LitePath, "", nil, "Accept", "text/html"),
			"lite, refused":   do(b.api, "POST", wire.LitePath, "", strings.NewReader("token=x"), "Accept", "text/html"),
			"lite, no sample": b.with(cookie, "GET", wire.LitePath, "Accept", "text/html"),
		} {
			policy := w.Header()["Content-Security-Policy"]
			if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || len(policy) != 1 || !strings.HasPrefix(policy[0], "default-src 'none'; ") ||
				!strings.Contains(policy[0], who) || strings.Contains(policy[0], "unsafe") || strings.HasPrefix(name, "page") && !strings.Contains(policy[0], "require-trusted-types-for 'script'; trusted-types lit-html") {
				t.Errorf("%s: %d %v", name, w.Code, w.Header())
			}
			if h := w.Header(); h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" || h.Get("Cache-Control") != "private, no-cache" ||
				strings.Join(h.Values("Vary"), ",") != "Accept,Cookie,Accept-Encoding" && name != "lite, refused" {
				t.Errorf("%s: %v", name, h)
			}
			for _, script := range regexp.MustCompile(`<script([^>]*)>`).FindAllStringSubmatch(w.Body.String(), -1) {
				if !strings.Contains(script[1], `src="a/`) && script[1] != ` type="application/json" id="boot"` {
					t.Errorf("%s has %s", name, script[0])
				}
			}
		}
	}
}

// The files of the page are there, for everybody, at the addresses that it names; nothing is at others.
func TestFilesOfThePage(t *testing.T) {
	b := newBench(t)
	page := do(b.api, "GET", "/", "", nil, "Accept", "text/html").Body.String()
	named := regexp.MustCompile(`(?:href|src)="(a/[^"]+|manifest.webmanifest)"`).FindAllStringSubmatch(page, -1)
	if len(named) < 6 {
		t.Fatalf("the page names %v", named)
	}
	for name, h := range map[string]http.Handler{"the API": b.api, "a demo": b.Readers("inv-1")} {
		for _, n := range named {
			for _, method := range []string{"GET", "HEAD"} {
				if w := do(h, method, "/"+n[1], "", nil, "Accept-Encoding", "gzip"); w.Code != 200 || w.Header().Get("Content-Length") == "" ||
					strings.HasPrefix(n[1], "a/") && w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
					t.Errorf("%s, %s %s: %d %v", name, method, n[1], w.Code, w.Header())
				}
			}
		}
		for _, path := range []string{"/a/00000000/app.js", "/a/" + b.pages.Site.Hash + "/none.js", "/a/" + b.pages.Site.Hash + "/", "/a/", "/a", "/app.js", "/static/js/app.js",
			"/a/" + b.pages.Site.Hash + "/../app.js", "/a/" + b.pages.Site.Hash + "/%2e%2e/web.go", "/a/" + b.pages.Site.Hash + "/js/app.js"} {
			if w := do(h, "GET", path, "", nil); w.Code != 404 || strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s, %s: %d %v", name, path, w.Code, w.Header())
			}
		}
		if w := do(h, "GET", "/manifest.webmanifest", "", nil); w.Header().Get("Cache-Control") != "no-cache" || w.Header().Get("Content-Type") != "application/manifest+json" {
			t.Errorf("%s, manifest: %v", name, w.Header())
		}
		if w := do(h, "GET", "/robots.txt", "", nil); w.Code != 200 || !strings.Contains(w.Body.String(), "Disallow: /\n") {
			t.Errorf("%s, robots: %d %s", name, w.Code, w.Body)
		}
		icon := do(h, "GET", "/favicon.ico", "", nil)
		if w := do(h, "GET", "/"+icon.Header().Get("Location"), "", nil); icon.Code != 302 || w.Code != 200 {
			t.Errorf("%s, icon: %d %v", name, icon.Code, icon.Header())
		}
	}
}

// The page is sent as gzip where the browser takes it, with the same content.
func TestThePageIsPacked(t *testing.T) {
	b := newVillage(t)
	cookie := b.cookie(viewer1)
	plain := b.with(cookie, "GET", "/", "Accept", "text/html")
	w := b.with(cookie, "GET", "/", "Accept", "text/html", "Accept-Encoding", "gzip, deflate")
	if w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > 12_000 {
		t.Fatalf("%v, %d bytes", w.Header(), w.Body.Len())
	}
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || string(text) != plain.Body.String() {
		t.Errorf("%v, or another page", err)
	}
}

// The page without scripts: the same numbers, for a browser, for a terminal, and for whoever has to log in first.
func TestLitePage(t *testing.T) {
	b := newVillage(t)
	cookie := b.cookie(viewer1)
	page := b.with(cookie, "GET", wire.LitePath, "Accept", "text/html")
	text := b.with(cookie, "GET", wire.LitePath, "Accept", "text/plain").Body.String()
	for _, want := range []string{"4.51\u00a0kW", "0.74\u00a0kW", "2.25\u00a0kW", "1.52\u00a0kW", "to the grid", "charging", "71\u00a0%", `fill="#EBB020"`, `stroke="currentColor" stroke-width="2"`, "<b>■</b> Solar", "<i>━</i> Home", ".key b { color: #EBB020; }", ">5 kW</text>", `http-equiv="refresh" content="30"`,
		"as of 2026-06-21 12:29:00 CEST", "Today", "Yesterday", "This month", "Log out"} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the page does not have %s", want)
		}
	}
	if strings.Contains(page.Body.String(), "<script") || strings.Contains(page.Body.String(), "NaN") {
		t.Error(page.Body)
	}
	for _, want := range []string{"roof: ", "Solar               4.51 kW\n", "Grid                2.25 kW to the grid\n", "Today         "} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not have %q:\n%s", want, text)
		}
	}
	for accept, kind := range map[string]string{"": "text/plain", "*/*": "text/plain", "application/json": "text/plain", "text/plain, text/html;q=0.5": "text/plain",
		"text/html": "text/html", "text/html,application/xhtml+xml,*/*;q=0.8": "text/html"} {
		w := do(b.api, "GET", wire.LitePath, viewer1, nil, "Accept", accept)
		if got := w.Header().Get("Content-Type"); w.Code != 200 || got != kind+"; charset=utf-8" || kind == "text/plain" && w.Body.String() != text {
			t.Errorf("Accept %q: %d %s, want %s", accept, w.Code, got, kind)
		}
	}
	for target, want := range map[string]int{"": 200, "?device_id=roof": 200, "?device_id=barn": 403, "?device_id=": 200, "?lang=de": 200} {
		if w := b.with(cookie, "GET", wire.LitePath+target, "Accept", "text/html"); w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
	if w := b.with(cookie, "GET", wire.LitePath+"?lang=de", "Accept", "text/html"); !strings.Contains(w.Body.String(), "4,51\u00a0kW") || !strings.Contains(w.Body.String(), "ins Netz") {
		t.Errorf("in German: %s", w.Body)
	}
	if w := do(b.Readers("roof"), "GET", wire.LitePath, "", nil, "Accept", "text/html"); w.Code != 200 || strings.Contains(w.Body.String(), "Log out") || !strings.Contains(w.Body.String(), "4.51") {
		t.Errorf("a demo's: %d %s", w.Code, w.Body)
	}

	barn := b.with(b.cookie(viewerAll), "GET", wire.LitePath+"?device_id=barn", "Accept", "text/html").Body.String()
	if !strings.Contains(barn, "Asleep") || !strings.Contains(barn, "<option selected>barn</option>") || !strings.Contains(barn, "0\u00a0W") || strings.Contains(barn, ">roof: ") {
		t.Errorf("a unit that sleeps, without battery and meter: %s", barn)
	}
	never := b.with(b.cookie(viewerAll), "GET", wire.LitePath+"?device_id=shed", "Accept", "text/html")
	if never.Code != 200 || !strings.Contains(never.Body.String(), "No inverter has reported yet") {
		t.Errorf("no sample yet: %d %s", never.Code, never.Body)
	}
	b.Now = func() time.Time { return testNow.Add(10 * time.Hour) }
	if old := b.with(cookie, "GET", wire.LitePath, "Accept", "text/html").Body.String(); !strings.Contains(old, "Offline") || strings.Contains(old, "4.51") {
		t.Errorf("ten hours later: %s", old)
	}
	for target, want := range map[string]int{"?device_id=%3Cx%3E": 422, "?device_id=roof%26frame%3Dday": 422, "?device_id=%00": 422, "?device_id=never-heard-of": 200} {
		if w := b.with(b.cookie(viewerAll), "GET", wire.LitePath+target, "Accept", "text/html"); w.Code != want || w.Header().Get("Vary") != "Accept" && want != 200 {
			t.Errorf("%s of who may read all: %d %v, want %d", target, w.Code, w.Header(), want)
		}
	}
	away(b)
	if text := b.with(cookie, "GET", wire.LitePath, "Accept", "text/plain").Body.String(); !strings.HasPrefix(text, "The values cannot be read now") {
		t.Errorf("the store is away: %s", text)
	}
	if w := b.with(cookie, "GET", wire.LitePath, "Accept", "text/html"); w.Code != 503 || !strings.Contains(w.Body.String(), "cannot be read now") || !strings.Contains(w.Body.String(), "refresh") {
		t.Errorf("the store is away: %d %s", w.Code, w.Body)
	}
}

// The page without scripts has the numbers of the API, of today, yesterday and this month, and names a sum that is not whole.
func TestLiteHasTheNumbersOfTheAPI(t *testing.T) {
	b := newVillage(t)
	text := b.with(b.cookie(viewer1), "GET", wire.LitePath, "Accept", "text/plain").Body.String()
	for span, question := range map[string]string{"Today": "day&from=2026-06-21&to=2026-06-21", "Yesterday": "day&from=2026-06-20&to=2026-06-20", "This month": "month&from=2026-06-01&to=2026-06-21"} {
		energy := decodeJSON[struct{ Columns map[string][]*float64 }](t, b.get("/v1/energy?device_id=roof&resolution="+question, viewer1))
		pv, exported, coverage := *energy.Columns["pv_kwh"][0], *energy.Columns["export_kwh"][0], *energy.Columns["coverage"][0]
		if coverage > 0.9 || pv < 0.1 || exported > 0 && pv == exported {
			t.Fatalf("%s: %v kWh, %v of it measured", span, pv, coverage)
		}
		digits := map[bool]int{true: 1, false: 2}
		row := regexp.MustCompile(`(?m)^` + span + ` +≥ ` + strconv.FormatFloat(pv, 'f', digits[pv >= 9.995], 64) + ` kWh .* ` + strconv.FormatFloat(exported, 'f', digits[exported >= 9.995], 64) + ` kWh`)
		if !row.MatchString(text) {
			t.Errorf("%s is not as %s:\n%s", span, row, text)
		}
	}
}

// A browser without scripts logs in by a form, and out.
func TestLoginWithoutScripts(t *testing.T) {
	b := newVillage(t)
	form := func(body string, headers ...string) *httptest.ResponseRecorder {
		return do(b.api, "POST", wire.LitePath, "", strings.NewReader(body), append(headers, "Accept", "text/html", "Content-Type", "application/x-www-form-urlencoded")...)
	}
	if w := do(b.api, "GET", wire.LitePath, "", nil, "Accept", "text/html"); w.Code != 403 || w.Header().Get("WWW-Authenticate") != "" || !strings.Contains(w.Body.String(), `<form method="post" action="lite">`) || !strings.Contains(w.Body.String(), `type="password"`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body) // lynx shows no 401
	}
	if w := do(b.api, "GET", wire.LitePath, "", nil, "Accept", "text/plain"); w.Code != 401 || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("a program: %d %v", w.Code, w.Header())
	}
	w := form("token=" + viewer1)
	if w.Code != 303 || w.Header().Get("Location") != "lite" || len(w.Result().Cookies()) != 1 {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	if w := b.with(w.Result().Cookies()[0].Value, "GET", wire.LitePath, "Accept", "text/html"); w.Code != 200 || !strings.Contains(w.Body.String(), "Log out") {
		t.Errorf("with the cookie: %d %s", w.Code, w.Body)
	}
	if w.Result().Cookies()[0].MaxAge != 30*24*3600 {
		t.Errorf("a form makes a session of %v", w.Result().Cookies()[0])
	}
	if w := form("logout=1", "Cookie", "sunspool_session="+w.Result().Cookies()[0].Value); w.Code != 303 || !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("logout: %d %v", w.Code, w.Header())
	}
	if w := form("token=" + strings.Repeat("x", 5000)); w.Code != 413 {
		t.Errorf("a long body: %d", w.Code)
	}
	for i := range 12 {
		w, want := form("token="+tokenWrong+"<script>"), 403
		if i >= 10 {
			want = 429
		}
		if w.Code != want || (want == 429) != (w.Header().Get("Retry-After") == "60") || strings.Contains(w.Body.String(), "canary") || !strings.Contains(w.Body.String(), `role="alert"`) || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("guess %d: %d %v %s", i, w.Code, w.Header(), w.Body)
		}
	}
	if strings.Contains(b.log.String(), "canary") {
		t.Error("a token is in the log")
	}
}

// Who left before /lite was written is no failure of the store.
func TestLiteForACallerWhoLeft(t *testing.T) {
	b := newBench(t)
	b.ingested(sample(0))
	ctx, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(ctx, "GET", wire.LitePath, nil)
	r.Header.Set("Authorization", "Bearer "+viewer1)
	w := httptest.NewRecorder()
	if b.api.ServeHTTP(w, r); w.Code != 499 {
		t.Errorf("%d %.200s", w.Code, w.Body)
	}
}
