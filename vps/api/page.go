package api

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"sunspool/vps/request"
)

//go:embed page.html
var page []byte

// pagePolicy allows the page its own style, and nothing else.
var pagePolicy = "default-src 'none'; style-src 'sha256-" + styleSum() + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// styleSum is the hash of what is between the tags of the page's style.
func styleSum() string {
	_, rest, _ := strings.Cut(string(page), "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// root answers a browser with a page about what this is, and every other program with the API's sign of life.
func (s *Server) root(c *request.Request) (any, error) {
	h := c.Header()
	h.Add("Vary", "Accept")
	if !wantsHTML(c.HTTP) {
		return statusOK, nil
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	h.Set("Content-Security-Policy", pagePolicy)
	c.WriteHeader(http.StatusOK)
	_, err := c.Write(page)
	return nil, err
}

// wantsHTML reports whether Accept names text/html, and JSON no sooner. What takes anything, as curl does, is a program.
func wantsHTML(r *http.Request) bool {
	html, json := 0.0, 0.0
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, params, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "text/html":
			html = max(html, quality(params))
		case "application/json":
			json = max(json, quality(params))
		}
	}
	return html > 0 && html >= json
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
