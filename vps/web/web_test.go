package web

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func site(t testing.TB, files map[string]string) *Site {
	t.Helper()
	static := fstest.MapFS{"js/app.js": {Data: []byte("const app = 1;\n")}}
	for name, text := range files {
		static[name] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := New(static)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The page in the program can be linked, and what comes of it is JavaScript: Node reads it, where there is one.
func TestTheEmbeddedPageIsWhole(t *testing.T) {
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"app.js", "more.js", "app.css", "vendor/lit-html.js", "vendor/uPlot.iife.min.js", "i18n/en.json", "icons/icon.svg"} {
		if s.files[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
	for lang, words := range s.words {
		var dictionary map[string]string
		if err := json.Unmarshal(words, &dictionary); err != nil || len(dictionary) == 0 {
			t.Errorf("i18n/%s.json: %v", lang, err)
		}
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node to read the script")
	}
	if !bytes.HasSuffix(s.files["vendor/uPlot.iife.min.js"].body, []byte("\nexport { uPlot };\n")) {
		t.Error("uPlot cannot be imported")
	}
	for _, name := range []string{"app.js", "more.js", "vendor/uPlot.iife.min.js"} {
		read := exec.CommandContext(t.Context(), node, "--input-type=module", "--check")
		read.Stdin = bytes.NewReader(s.files[name].body)
		if says, err := read.CombinedOutput(); err != nil {
			t.Errorf("node: %s: %v\n%.1000s", name, err, says)
		}
	}
}

// Before the values, a browser loads these files for the first view. With the HTML and the values they must stay below 80 kB.
func TestTheFirstViewIsSmall(t *testing.T) {
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	page := string(s.Index(Boot{Lang: "en"}))
	for _, found := range regexp.MustCompile(`(?:src|href)="a/[0-9a-f]{8}/([^"]+\.(?:js|css))"`).FindAllStringSubmatch(page, -1) {
		f := s.files[found[1]]
		if f == nil || f.packed == nil {
			t.Fatalf("%s is not there, or not packed", found[1])
		}
		t.Logf("%6d bytes %s", len(f.packed), found[1])
		sum += len(f.packed)
	}
	if own := len(s.files["app.js"].packed); own > 30_000 {
		t.Errorf("app.js has %d bytes, at most 30000: what the first view does without belongs into more.js", own)
	}
	t.Logf("%6d bytes more.js, later", len(s.files["more.js"].packed))
	html := len(packed([]byte(page)))
	t.Logf("%6d bytes HTML without values", html)
	if sum += html; sum > 73_000 {
		t.Errorf("%d bytes, at most 73000: the values need the rest of 80000", sum)
	}
}

func TestLinkedModulesAreInTheOrderOfTheirImports(t *testing.T) {
	scripts, err := link(map[string]string{
		"app.js": "import { a } from \"./a.js\";\nimport {\n  b,\n} from './b.js'\nimport { html, render as draw } from \"../vendor/lit.js\";\nexport const app = a + b;\r\nconst text = `\n  import x\n`;",
		"a.js":   "// A module.\nimport { b } from \"./b.js\";\n/**\n * Does nothing. @returns {void} */\nexport function a() {\n  // nothing\n}\nexport async function late() {}\nclass Inner {}\n",
		"b.js":   "import { html } from \"../vendor/lit.js\";\nimport \"../vendor/other.js\";\nexport let b = 1, { c } = /** @type {any} */ ({}); // behind code\nexport class B {}\n",
	}, "app.js")
	const want = `import { html, render as draw } from "./vendor/lit.js";
import {  } from "./vendor/other.js";
// b.js
let b = 1, { c } = ({}); // behind code
class B {}
// a.js
function a() {
}
async function late() {}
class Inner {}
// app.js
const app = a + b;
const text = ` + "`\n  import x\n`;\n"
	if err != nil || scripts[0] != want {
		t.Errorf("%v\n%s", err, scripts)
	}
}

// A later script has what no earlier one has, and takes the rest from that.
func TestLaterScriptsTakeFromEarlierOnes(t *testing.T) {
	scripts, err := link(map[string]string{
		"app.js":    "import { a } from \"./both.js\";\nexport const app = a;\n",
		"both.js":   "import { html } from \"../vendor/lit.js\";\nexport const a = html;\nexport let b = 2;\n",
		"more.js":   "import { b, a } from \"./both.js\";\nimport { only } from \"./only.js\";\nexport const all = [a, b, only];\nexport function last() {}\nconst inner = 1;\n",
		"only.js":   "import { b } from \"./both.js\";\nimport { late } from \"./late.js\";\nexport const only = b + late;\n",
		"late.js":   "import { svg } from \"../vendor/lit.js\";\nexport const late = svg;\n",
		"latest.js": "import { only } from \"./only.js\";\nexport const latest = only;\n",
	}, "app.js", "more.js", "latest.js")
	want := []string{
		"import { html } from \"./vendor/lit.js\";\n// both.js\nconst a = html;\nlet b = 2;\n// app.js\nconst app = a;\nexport { b, a };\n",
		"import { b, a } from \"./app.js\";\nimport { svg } from \"./vendor/lit.js\";\n// late.js\nconst late = svg;\n// only.js\nconst only = b + late;\n" +
			"// more.js\nconst all = [a, b, only];\nfunction last() {}\nconst inner = 1;\nexport { all, last, only };\n",
		"import { only } from \"./more.js\";\n// latest.js\nconst latest = only;\nexport { latest };\n",
	}
	if err != nil || !slices.Equal(scripts, want) {
		t.Errorf("%v\n%s", err, strings.Join(scripts, "---\n"))
	}
}

// What would be another program when joined is not joined.
func TestWhatCannotBeLinkedIsAnError(t *testing.T) {
	for says, modules := range map[string]map[string]string{
		"both have x":      {"app.js": "import { a } from \"./a.js\";\nconst x = 1;\n", "a.js": "export const a = 1;\nfunction x() {}\n"},
		"both have y":      {"app.js": "import { a } from \"./a.js\";\nconst { x: y } = a;\n", "a.js": "export const a = 1;\nlet y;\n"},
		"both have html":   {"app.js": "import { html } from \"../vendor/lit.js\";\nfunction html() {}\n"},
		"circle":           {"app.js": "import { a } from \"./a.js\";\nexport const b = 1;\n", "a.js": "import { b } from \"./app.js\";\nexport const a = 1;\n"},
		"no such module":   {"app.js": "import { a } from \"./a.js\";\n"},
		"does not export":  {"app.js": "import { b } from \"./a.js\";\n", "a.js": "export const a = 1;\n"},
		"another name":     {"app.js": "import { a as b } from \"./a.js\";\n", "a.js": "export const a = 1;\n"},
		"by no module":     {"app.js": "", "a.js": ""},
		"neither ./ nor":   {"app.js": "import { a } from \"lit\";\n"},
		"cannot link":      {"app.js": "export default 1;\n"},
		`"export { a };"`:  {"app.js": "const a = 1;\nexport { a };\n"},
		`"import * as l `:  {"app.js": "import * as l from \"./l.js\";\n"},
		`"import d from `:  {"app.js": "import d from \"../vendor/l.js\";\n"},
		`"import(\"./x.j`:  {"app.js": "import(\"./x.js\");\n"},
		`"export * from `:  {"app.js": "export * from \"./x.js\";\n"},
		"there is no such": {"a.js": ""},
	} {
		if scripts, err := link(modules, "app.js"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v, want %q\n%s", modules, err, says, scripts)
		}
	}
}

func TestSheetsAreJoinedThoseOfOthersFirst(t *testing.T) {
	s := site(t, map[string]string{"css/b.css": "b{background:url(../icons/x.svg)}", "css/a.css": "a{background:url(\"../icons/y.svg\")}", "vendor/z.css": "z{}"})
	if got, want := string(s.files["app.css"].body), "z{}\na{background:url(\"icons/y.svg\")}\nb{background:url(icons/x.svg)}\n"+loaded; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A file may be kept because its address is another one when any file changes, and there is nothing at the old one.
func TestFilesAreKeptByTheirHash(t *testing.T) {
	long := strings.Repeat("const long = 1; ", 100)
	s := site(t, map[string]string{"vendor/lit.js": long, "icons/icon-192.png": "png", "notes.md": "not served"})
	if again := site(t, map[string]string{"vendor/lit.js": long, "icons/icon-192.png": "png", "notes.md": "other"}); again.Hash != s.Hash {
		t.Error("the same files have another hash")
	}
	if other := site(t, map[string]string{"vendor/lit.js": long, "icons/icon-192.png": "pnG"}); other.Hash == s.Hash {
		t.Error("other files have the same hash")
	}
	get := func(hash, name, encoding string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		if !s.Serve(w, r, hash, name) {
			w.Code = 404
		}
		return w
	}
	for _, c := range [][2]string{{"00000000", "app.js"}, {"", "app.js"}, {s.Hash, "none.js"}, {s.Hash, ""}, {s.Hash, "notes.md"}, {s.Hash, "js/app.js"}, {s.Hash, "../web.go"}} {
		if w := get(c[0], c[1], "gzip"); w.Code != 404 || w.Body.Len() > 0 {
			t.Errorf("%v: %d", c, w.Code)
		}
	}
	for encoding, gzipped := range map[string]bool{"gzip": true, "gzip, br": true, "br, GZIP;q=0.5": true, "": false, "br": false, "gzip;q=0": false, "gzip;q=0.0": false, "x-gzip2": false} {
		w := get(s.Hash, "vendor/lit.js", encoding)
		var body io.Reader = w.Body
		if w.Header().Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(w.Body)
		}
		text, _ := io.ReadAll(body)
		if (w.Header().Get("Content-Encoding") == "gzip") != gzipped || string(text) != long || w.Header().Get("Vary") != "Accept-Encoding" ||
			w.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("Accept-Encoding %q: %v", encoding, w.Header())
		}
	}
	if w := get(s.Hash, "icons/icon-192.png", "gzip"); w.Header().Get("Content-Encoding") != "" || w.Header().Get("Content-Type") != "image/png" {
		t.Errorf("a picture: %v", w.Header())
	}
}

// Whatever an answer has in it, the page's own script ends where we end it, and the values arrive as they were.
func TestValuesDoNotLeaveTheirScript(t *testing.T) {
	const evil = "</script><script>alert(1)</script><!-- &amp; ' \" \u2028\u2029"
	raw, _ := json.Marshal(map[string]string{"name": evil})
	plain := json.RawMessage(`{"name":"</script><!--\u2028"}`)
	page := string(site(t, nil).Index(Boot{Build: evil, Lang: "en", Session: map[string]string{"role": evil},
		Answers: map[string]json.RawMessage{"/v1/devices": raw, "/" + evil: plain}}))
	if n := strings.Count(page, "</script"); n != 2 { // app.js and the values
		t.Errorf("%d scripts end:\n%s", n, page)
	}
	_, values, _ := strings.Cut(page, `id="boot">`)
	values, _, _ = strings.Cut(values, "</script>")
	if strings.ContainsAny(values, "<>&\u2028\u2029") {
		t.Errorf("not escaped: %s", values)
	}
	var boot Boot
	if err := json.Unmarshal([]byte(values), &boot); err != nil || boot.Build != evil || !strings.Contains(string(boot.Answers["/v1/devices"]), "alert(1)") {
		t.Errorf("%v: %s", err, values)
	}
}

// A proxy may serve all of it below a path: nothing in it begins at the root, or at another host.
func TestLinksOfThePagesAreRelative(t *testing.T) {
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	lite := Lite{Lang: "en", Devices: []string{"a", "b"}, State: "live"}
	for name, page := range map[string]string{"page": string(s.Index(Boot{Lang: "de"})), "lite": string(lite.HTML()),
		"login": string(LiteLogin("fr", "wrong")), "manifest": string(s.Manifest())} {
		for _, found := range regexp.MustCompile(`(?:href|src|action|start_url|scope)(?:="|":")([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if strings.HasPrefix(found[1], "/") || strings.Contains(found[1], ":") {
				t.Errorf("%s leads to %s", name, found[1])
			}
		}
		if strings.Contains(page, "style=\"") || regexp.MustCompile(`\son[a-z]+="`).MatchString(page) {
			t.Errorf("%s has a style or a handler in an attribute, which the policy forbids", name)
		}
	}
}

func TestManifestHasWhatAPhoneNeeds(t *testing.T) {
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Name, Display string
		Start         string `json:"start_url"`
		Icons         []struct{ Src, Sizes, Type, Purpose string }
	}
	if err := json.Unmarshal(s.Manifest(), &m); err != nil || m.Name == "" || m.Display != "standalone" || m.Start == "" {
		t.Fatalf("%v %+v", err, m)
	}
	has := map[string]bool{}
	for _, i := range m.Icons {
		name := strings.TrimPrefix(i.Src, "a/"+s.Hash+"/")
		if s.files[name] == nil || s.files[name].kind != i.Type {
			t.Errorf("%+v is not there", i)
		}
		has[i.Sizes+" "+i.Purpose] = true
	}
	if !has["192x192 "] || !has["512x512 "] || !has["512x512 maskable"] {
		t.Errorf("%v", has)
	}
	if s.Icon() == "" {
		t.Error("no icon for browsers that ask for one")
	}
}

func TestFirstQuestionsAreOfTheLocalDay(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(FirstQuestions("roof", time.Date(2026, 6, 30, 22, 30, 0, 0, time.UTC).In(zone)), "\n")
	const want = "/v1/realtime?device_id=roof\n/v1/energy?device_id=roof&resolution=day&from=2026-06-18&to=2026-07-01\n/v1/series?device_id=roof&from=2026-07-01&to=2026-07-01&resolution=5m"
	if got != want {
		t.Errorf("%s", got)
	}
}

func TestPoliciesNameWhoMayFrame(t *testing.T) {
	for want, ancestors := range map[string][]string{"'none'": nil, "'self' https://ha.example.org": {"self", "https://ha.example.org"}} {
		for _, policy := range []string{Policy(ancestors), LitePolicy(ancestors)} {
			directives := map[string]string{}
			for d := range strings.SplitSeq(policy, "; ") {
				name, value, _ := strings.Cut(d, " ")
				directives[name] = value
			}
			if directives["frame-ancestors"] != want || directives["default-src"] != "'none'" || directives["base-uri"] != "'none'" || directives["form-action"] != "'self'" || strings.Contains(policy, "unsafe") {
				t.Errorf("%v: %s", ancestors, policy)
			}
		}
	}
	if policy := Policy(nil); !strings.Contains(policy, "script-src 'self';") || !strings.Contains(policy, "require-trusted-types-for 'script'; trusted-types lit-html") {
		t.Error(policy)
	}
	if strings.Contains(LitePolicy(nil), "script-src") {
		t.Error("the page without scripts may run some")
	}
}

func TestLanguageIsWhatTheBrowserLikesBest(t *testing.T) {
	for accept, want := range map[string]string{"": "en", "de": "de", "de-AT,en;q=0.5": "de", "es, nl;q=0.3, fr; q=0.8": "fr", "*": "en", "fr;q=x,nl;q=0.1": "nl", "es": "en"} {
		if got := Language("", accept); got != want {
			t.Errorf("%q: %s, want %s", accept, got, want)
		}
	}
	if got := Language("nl-BE", "fr"); got != "nl" {
		t.Errorf("lang=nl-BE: %s", got)
	}
	if got := Language("xx", "fr"); got != "fr" {
		t.Errorf("lang=xx: %s", got)
	}
}

// Whatever a page shows of a device, it shows as text, in an attribute too.
func TestTextIsNoMarkup(t *testing.T) {
	hostile := `"><script>alert('x')</script>&`
	lite := Lite{Lang: "en", Devices: []string{hostile, "b"}, Device: hostile, State: hostile}
	page := string(lite.HTML())
	if strings.Contains(page, "<script") || strings.Contains(page, "'x'") {
		t.Errorf("markup of a name is in the page:\n%s", page)
	}
	if !strings.Contains(page, "&#34;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;") {
		t.Errorf("the name is not in the page:\n%s", page)
	}
}

// Anybody may ask for a page, also without a token: to compress it costs no megabyte each time.
func TestPagesAreCompressedWithoutGarbage(t *testing.T) {
	body := []byte(strings.Repeat("<p>the same again</p>\n", 2000))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	write := func() {
		w := httptest.NewRecorder()
		if Write(w, r, 200, "text/html", body); w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > len(body)/10 {
			t.Fatalf("%v, %d bytes", w.Header(), w.Body.Len())
		}
	}
	write()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const times = 100
	for range times {
		write()
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / times; each > 400_000 {
		t.Errorf("%d bytes for each page", each)
	}
}

// What the page shows a newcomer to type is what the program reads.
func TestTheFirstCommandHasOnlySettings(t *testing.T) {
	all, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	_, command, _ := strings.Cut(string(s.files["app.js"].body), "<pre tabindex=\"0\">")
	command, _, found := strings.Cut(command, "sunspool edge</pre>")
	names := regexp.MustCompile(`(?m)^([A-Z_]+)=.*`).FindAllStringSubmatch(command, -1)
	if !found || len(names) != 4 {
		t.Fatalf("%q", command)
	}
	for _, n := range names {
		if !strings.Contains(string(all), "\n#"+n[1]+"=") || !strings.HasSuffix(n[0], ` \\`) {
			t.Errorf("%q is no setting, or its line does not go on", n[0])
		}
	}
}
