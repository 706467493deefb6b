package page

import (
	"net/http"
	"strconv"
	"strings"
)

// wantsHTML reports whether Accept names text/html, and JSON no sooner. What takes anything, as curl does, is a program.
func wantsHTML(r *http.Request) bool {
	html := accepted(r, "text/html")
	return html > 0 && html >= accepted(r, "application/json")
}

// wantsText reports whether Accept names text/plain, and text/html no sooner.
func wantsText(r *http.Request) bool {
	plain := accepted(r, "text/plain")
	return plain > 0 && plain > accepted(r, "text/html")
}

// accepted returns how much r likes a kind of answer that its Accept names; 0 for one that it does not name.
func accepted(r *http.Request, kind string) (most float64) {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		named, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(named), kind) {
			most = max(most, quality(params))
		}
	}
	return most
}

// quality returns q of the parameters of a media range, 1 if there is none, 0 if it is not a number.
func quality(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return q
		}
	}
	return 1
}
