package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Boot is what the page is given to begin with, so that it need not ask for it first.
type Boot struct {
	Build   string                     `json:"build"`
	Lang    string                     `json:"lang"`
	Assets  string                     `json:"assets"`  // where the files of the site are
	Session any                        `json:"session"` // as of /v1/session; null without one
	Words   json.RawMessage            `json:"words,omitempty"`
	Answers map[string]json.RawMessage `json:"answers"` // by what FirstQuestions asks
}

// DevicesQuestion is asked before all others: its first device that has ever sent something is the one that is shown.
const DevicesQuestion = "/v1/devices"

// FirstQuestions are what the first view of a device asks at first, in the order of its zone's today.
func FirstQuestions(device string, today time.Time) []string {
	id, day := url.QueryEscape(device), today.Format(time.DateOnly)
	return []string{
		"/v1/realtime?device_id=" + id,
		"/v1/energy?device_id=" + id + "&resolution=day&from=" + today.AddDate(0, 0, -13).Format(time.DateOnly) + "&to=" + day,
		"/v1/series?device_id=" + id + "&from=" + day + "&to=" + day + "&resolution=5m",
	}
}

// Index returns the page. Its links are relative, so that a proxy may serve it below a path.
func (s *Site) Index(b Boot) []byte {
	b.Assets = strings.TrimPrefix(Prefix, "/") + s.Hash + "/"
	b.Words = s.words[b.Lang]
	boot, err := json.Marshal(b) // with <, >, & and the ends of line of JavaScript escaped
	if err != nil {
		panic(err) // answers are JSON
	}
	w := wordsOf(b.Lang)
	p := new(printer)
	p.print("<!doctype html>\n<html lang=\"", text(b.Lang), "\">\n<head>\n<meta charset=\"utf-8\">\n",
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1, viewport-fit=cover\">\n",
		"<meta name=\"robots\" content=\"noindex\">\n<meta name=\"color-scheme\" content=\"light dark\">\n",
		"<meta name=\"theme-color\" media=\"(prefers-color-scheme: light)\" content=\"", lightPage, "\">\n",
		"<meta name=\"theme-color\" media=\"(prefers-color-scheme: dark)\" content=\"", darkPage, "\">\n",
		"<title>sunspool</title>\n",
		"<link rel=\"manifest\" href=\"manifest.webmanifest\">\n")
	for _, i := range s.icons {
		switch {
		case i.kind == "image/svg+xml" && !i.maskable:
			p.print("<link rel=\"icon\" type=\"image/svg+xml\" href=\"", text(b.Assets+i.name), "\">\n")
		case i.size == 180:
			p.print("<link rel=\"apple-touch-icon\" href=\"", text(b.Assets+i.name), "\">\n")
		}
	}
	p.print("<link rel=\"stylesheet\" href=\"", text(b.Assets), "app.css\">\n")
	p.print("<script type=\"module\" src=\"", text(b.Assets), "app.js\"></script>\n")
	for _, name := range s.vendored() {
		p.print("<link rel=\"modulepreload\" href=\"", text(b.Assets+name), "\">\n")
	}
	p.print("</head>\n<body>\n",
		"<div id=\"app\"></div>\n<p class=\"loading\">", text(w["loading"]), " <a href=\"lite\">", text(w["simple"]), "</a></p>\n",
		"<noscript><p>", text(w["noscript"]), " <a href=\"lite\">", text(w["simple"]), "</a></p></noscript>\n",
		"<script type=\"application/json\" id=\"boot\">", string(boot), "</script>\n</body>\n</html>\n")
	return p.Bytes()
}

// vendored are the scripts of others.
func (s *Site) vendored() (all []string) {
	for name := range s.files {
		if strings.HasPrefix(name, "vendor/") && strings.HasSuffix(name, ".js") {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// The colours of the page behind everything.
const lightPage, darkPage = "#F4F6F8", "#0B0F14"

type icon struct {
	name     string
	kind     string
	size     int // 0 for any
	maskable bool
}

var iconSize = regexp.MustCompile(`-(\d+)\.png$`)

// findIcons are those of the program in icons: icon.svg, icon-SIZE.png, maskable-SIZE.png and so on.
func (s *Site) findIcons() (all []icon) {
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		base, f := path.Base(name), s.files[name]
		if path.Dir(name) != "icons" || !strings.Contains(base, "icon") && !strings.Contains(base, "maskable") {
			continue
		}
		i := icon{name: name, kind: f.kind, maskable: strings.Contains(base, "maskable")}
		if found := iconSize.FindStringSubmatch(base); found != nil {
			i.size, _ = strconv.Atoi(found[1])
		} else if path.Ext(base) != ".svg" {
			continue
		}
		all = append(all, i)
	}
	return all
}

// Manifest returns what a phone needs to install the page. Its addresses are relative to its own; it has no id, because one is
// relative to the host: of two servers at two paths a phone would install one alone.
func (s *Site) Manifest() []byte {
	type entry struct {
		Source  string `json:"src"`
		Sizes   string `json:"sizes"`
		Kind    string `json:"type"`
		Purpose string `json:"purpose,omitempty"`
	}
	icons := []entry{}
	for _, i := range s.icons {
		e := entry{Source: strings.TrimPrefix(Prefix, "/") + s.Hash + "/" + i.name, Sizes: "any", Kind: i.kind}
		if i.size > 0 {
			e.Sizes = fmt.Sprintf("%dx%[1]d", i.size)
		}
		if i.maskable {
			e.Purpose = "maskable"
		}
		icons = append(icons, e)
	}
	b, err := json.Marshal(map[string]any{
		"name": "sunspool", "short_name": "sunspool", "start_url": "./", "scope": "./", "display": "standalone",
		"background_color": lightPage, "theme_color": lightPage, "icons": icons,
	})
	if err != nil {
		panic(err)
	}
	return b
}

// Icon returns the name of a picture of the program, for browsers that ask for one by themselves; "" without any.
func (s *Site) Icon() string {
	for _, i := range s.icons {
		if !i.maskable && (i.size == 0 || i.size == 32 || i.size == 192) {
			return i.name
		}
	}
	return ""
}

// Robots keeps search engines out.
const Robots = "User-agent: *\nDisallow: /\n"

// printer collects HTML. What comes from outside goes through text.
type printer struct{ b []byte }

func (p *printer) print(parts ...string) {
	for _, part := range parts {
		p.b = append(p.b, part...)
	}
}

func (p *printer) Bytes() []byte { return p.b }

// text is s as HTML shows it, in a tag or in an attribute with quotes.
func text(s string) string { return escaper.Replace(s) }

// html.EscapeString does the same, and brings the names of 2,231 characters into the program: 0.1 MB.
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")
