// Package web is what a browser gets: the page, its files, and the page without scripts. It makes text of values, and asks
// nobody: package api gives it the values.
//
//	static/js/*.js ──> link ──> app.js, more.js ─┐
//	static/css/*.css ─────────> app.css ─────────┼──> Site: /a/HASH/..., kept for a year ──> browser
//	static/vendor, i18n, icons ──────────────────┘      └──> Index, Lite: HTML that names them, asked for each time
//
// HTML is made by functions. The templates of the standard library look methods up by name, so that the linker could not
// leave any out (see binary_test.go).
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sunspool/vps/compress"
)

//go:embed static/js static/css static/i18n static/icons static/vendor/*.js static/vendor/*.css
var embedded embed.FS

// Default returns the site that is in the program. It is made once, when somebody asks for it.
var Default = sync.OnceValues(func() (*Site, error) {
	static, err := fs.Sub(embedded, "static")
	if err != nil {
		return nil, err
	}
	return New(static)
})

// Prefix is where the files of a site are, followed by a hash of all of them and their names.
const Prefix = "/a/" // as wire.FilesPath

// Site is the files of the page, under names that change with their content.
type Site struct {
	Hash  string
	files map[string]*file
	words map[string][]byte // JSON by language
	icons []icon
}

type file struct {
	kind         string // Content-Type
	body, packed []byte // packed is gzip; nil where it saves nothing
}

// kinds are the files that a site serves, by the end of their names. Anything else in static is not served.
var kinds = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".json": "application/json",
	".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".webp": "image/webp",
}

// later are the scripts that the first view does without: the other views, which the page loads by itself, what only those see
// who have several inverters, and what only an admin sees.
var later = []string{"more.js", "sites.js", "admin.js"}

// classic is how the names of scripts of others end that are no modules: they make one global name, with which their own begins.
// It is exported, so that they can be imported.
const classic = ".iife.min.js"

// rightLanguage stands before such a script, which asks Intl for the language of the browser while it is loaded. Some browsers
// have one that Intl rejects (WebKitGTK with LANG=C.UTF-8: "C"): then it is that of the page.
const rightLanguage = `try{new Intl.NumberFormat(navigator.language)}catch(e){Object.defineProperty(navigator,"language",{value:document.documentElement.lang})}
`

// New makes a site of files: js, css, vendor, i18n and icons.
func New(static fs.FS) (*Site, error) {
	s := &Site{files: map[string]*file{}, words: map[string][]byte{}}
	modules, sheets := map[string]string{}, map[string]string{}
	err := fs.WalkDir(static, ".", func(name string, d fs.DirEntry, err error) error {
		kind, served := kinds[path.Ext(name)]
		if err != nil || d.IsDir() || !served {
			return err
		}
		body, err := fs.ReadFile(static, name)
		if err != nil {
			return err
		}
		switch dir := path.Dir(name); {
		case dir == "js":
			modules[path.Base(name)] = string(body)
			return nil
		case path.Ext(name) == ".css":
			sheets[name] = string(body)
			return nil
		case dir == "i18n":
			s.words[strings.TrimSuffix(path.Base(name), ".json")] = body
		case strings.HasSuffix(name, classic):
			body = fmt.Appendf(nil, "%s%s\nexport { %s };\n", rightLanguage, body, strings.TrimSuffix(path.Base(name), classic))
		}
		s.files[name] = &file{kind: kind, body: body}
		return nil
	})
	if err != nil {
		return nil, err
	}
	entries := []string{"app.js"}
	for _, name := range later {
		if modules[name] != "" {
			entries = append(entries, name)
		}
	}
	scripts, err := link(modules, entries...)
	if err != nil {
		return nil, err
	}
	for i, name := range entries {
		s.files[name] = &file{kind: kinds[".js"], body: []byte(scripts[i])}
	}
	s.files["app.css"] = &file{kind: kinds[".css"], body: []byte(joined(sheets))}
	for _, f := range s.files {
		f.packed = packed(f.body)
	}
	s.icons = s.findIcons()
	s.Hash = s.hash()
	return s, nil
}

// loaded takes the words away that lead to the page without scripts, once a script has drawn something.
const loaded = "#app:not(:empty) ~ .loading { display: none; }\n"

// joined makes one sheet of all: those of others first, so that ours decide. A sheet's paths are relative to its directory.
func joined(sheets map[string]string) string {
	names := slices.Sorted(maps.Keys(sheets))
	var all strings.Builder
	for _, foreign := range []bool{true, false} {
		for _, name := range names {
			if strings.HasPrefix(name, "vendor/") != foreign {
				continue
			}
			all.WriteString(strings.NewReplacer(`url(../`, `url(`, `url("../`, `url("`).Replace(sheets[name]))
			all.WriteByte('\n')
		}
	}
	all.WriteString(loaded)
	return all.String()
}

func (s *Site) hash() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		fmt.Fprintf(h, "%s\x00%d\x00", name, len(s.files[name].body))
		h.Write(s.files[name].body)
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}

// packed returns body as gzip, nil if that is not smaller.
func packed(body []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = w.Write(body)
	_ = w.Close()
	if b.Len() >= len(body)*9/10 {
		return nil
	}
	return b.Bytes()
}

// Serve answers r with a file of the site, and reports whether there is one of that name and hash. The answer may be kept for
// a year: a file that changes gets another address.
func (s *Site) Serve(w http.ResponseWriter, r *http.Request, hash, name string) bool {
	f := s.files[name]
	if hash != s.Hash || f == nil {
		return false
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Type", f.kind)
	if f.packed != nil {
		compress.Serve(w, r, f.packed, func() []byte { return f.body })
		return true
	}
	h.Set("Content-Length", strconv.Itoa(len(f.body)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(f.body)
	return true
}

// Write answers r with a page that is made for it alone.
func Write(w http.ResponseWriter, r *http.Request, status int, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Add("Vary", "Accept-Encoding")
	if compress.Accepted(r) {
		if packed := compress.Gzip(body, compress.Small); packed != nil {
			h.Set("Content-Encoding", "gzip")
			body = packed
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// Policy is the Content-Security-Policy of the page. Scripts and styles come from this server only, text becomes HTML only where
// lit-html does it, and ancestors are the sites that may frame the page: self, or origins.
func Policy(ancestors []string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
		"manifest-src 'self'; base-uri 'none'; form-action 'self'; " + framing(ancestors) +
		"; require-trusted-types-for 'script'; trusted-types lit-html"
}

// LitePolicy is the policy of the page without scripts, which has its style inside.
func LitePolicy(ancestors []string) string {
	return "default-src 'none'; style-src '" + liteStyleSum + "'; base-uri 'none'; form-action 'self'; " + framing(ancestors)
}

func framing(ancestors []string) string {
	if len(ancestors) == 0 {
		return "frame-ancestors 'none'"
	}
	return "frame-ancestors " + strings.TrimSpace(strings.ReplaceAll(" "+strings.Join(ancestors, " ")+" ", " self ", " 'self' "))
}
