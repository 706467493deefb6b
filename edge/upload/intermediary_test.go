package upload

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sunspool/wire"
)

// TestOnlyTheServerRefusesATokenASampleOrASize holds the whole product of status, content type, headers and body against
// a table of what each may mean at most. Nothing that is not known to be the server's convicts anything.
func TestOnlyTheServerRefusesATokenASampleOrASize(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of uploads")
	}
	const n, id = 5, "b1"
	types := []string{"", "application/json", "application/json; charset=utf-8", "application/problem+json", "text/html", "text/html; charset=utf-8", "text/plain", "application/xml", "image/png", "nonsense;;"}
	headers := map[string]http.Header{
		"none": {}, "ours": {wire.VersionHeader: {"1.2.3"}}, "nginx": {"Server": {"nginx/1.22.1"}}, "cloudflare": {"Server": {"cloudflare"}, "Cf-Mitigated": {"challenge"}},
		"our old Server": {"Server": {"sunspool/1.2.3"}}, "basic": {"Www-Authenticate": {"Basic"}}, "waits": {"Retry-After": {"60"}}, "elsewhere": {"Location": {"https://other.example.net/login"}},
	}
	refusal := map[string]bool{ // in the form of the API
		`{"detail":"Invalid or expired token."}`: true, `{"detail":[{"type":"missing","loc":["samples",3,"ts"],"msg":"Field required"}]}`: true,
		`{"detail":[]}`: true, `{"detail":"x","code":"bad_body"}`: true, ` {"next":"y","code":"c","detail":"x"} `: true,
	}
	receipts := []string{`{"inserted":5}`, `{"inserted":0}`, `{"inserted":3,"accepted":3,"duplicates":1,"rejected":[{"index":4,"code":"x","detail":"y"}],"batch_id":"b1"}`}
	bodies := append(slices.Clone(receipts), ``, `{}`, `[]`, `null`, `"x"`, `{"detail":null}`, `{"detail":7}`, `{"detail":{}}`, `{"Detail":"x"}`, `{"message":"Unauthorized"}`, `{"error":"forbidden","status":403}`,
		`{"type":"about:blank","title":"Forbidden","status":403,"detail":"no"}`, `{"inserted":6}`, `{"inserted":5,"batch_id":"other"}`, `{"inserted":5} x`,
		`<html><head><title>Just a moment...</title></head></html>`, `404 page not found`, `{"detail":"`+strings.Repeat("x", maxAnswer)+`"}`)
	for body := range refusal {
		bodies = append(bodies, body)
	}
	seen := map[string]int{}
	statuses := []int{200, 201, 202, 203, 204, 206, 226, 300, 301, 302, 303, 304, 307, 308, 451, 495, 496, 497, 499, 599}
	for status := 400; status <= 431; status++ {
		statuses = append(statuses, status)
	}
	for status := 500; status <= 530; status++ {
		statuses = append(statuses, status)
	}
	for _, status := range statuses {
		for _, kind := range types {
			for name, extra := range headers {
				header := extra.Clone()
				if kind != "" {
					header.Set("Content-Type", kind)
				}
				isJSON := strings.HasPrefix(kind, "application/json")
				for _, body := range bodies {
					receipt, err := parseResponse(status, header, []byte(body), n, id, "t0ken-0123456789abcdef")
					got := strings.TrimPrefix(fmt.Sprintf("%T", err), "*upload.")
					server := name == "ours" || isJSON && refusal[body]
					want := "intermediary"
					switch {
					case status == 200:
						if (isJSON || kind == "application/problem+json") && slices.Contains(receipts, body) {
							want = "<nil>"
						}
					case !server:
					case status == 401, status == 403:
						want = "denied"
					case status == 400, status == 422:
						want = "refusal"
					case status == 413:
						want = "tooLarge"
					case status == 408, status == 425, status == 429, status >= 500:
						want = "later"
					}
					if got != want {
						t.Fatalf("%d %q %s %.60q is %s, want %s: %v", status, kind, name, body, got, want, err)
					}
					seen[got]++
					if err == nil && receipt.Inserted > n {
						t.Errorf("%d inserted of %d", receipt.Inserted, n)
					}
					if e, ok := err.(*intermediary); ok {
						said := e.fault()
						if said.Next == "" || !strings.Contains(said.Why, fmt.Sprint(status)) || len(said.Why) > 400 || strings.ContainsAny(said.Why, "\n\x00") || said.Code == "credential" {
							t.Fatalf("%d %q %s %.60q: %+v", status, kind, name, body, said)
						}
						if name == "waits" && status != 200 && e.after == 0 {
							t.Fatalf("Retry-After of %d is not kept", status)
						}
					}
				}
			}
		}
	}
	t.Log(seen)
	for _, kind := range []string{"<nil>", "intermediary", "denied", "refusal", "tooLarge", "later"} {
		if seen[kind] == 0 {
			t.Errorf("no answer is %s: the table is wrong", kind)
		}
	}
}

func TestWhatAnsweredIsNamed(t *testing.T) {
	html := http.Header{"Content-Type": {"text/html; charset=UTF-8"}}
	with := func(h http.Header, name, value string) http.Header {
		h = h.Clone()
		h.Set(name, value)
		return h
	}
	for name, c := range map[string]struct {
		status int
		header http.Header
		body   string
		code   string
		words  []string
	}{
		"Cloudflare's challenge": {403, with(html, "Server", "cloudflare"), "<title>Just a moment...</title>", "endpoint_identity",
			[]string{"something between here and the server answered: 403, text/html, server: cloudflare", "Just a moment...", "let Cloudflare pass /v1/*"}},
		"nginx deny all": {403, with(html, "Server", "nginx/1.22.1"), "<html><head><title>403 Forbidden</title></head>", "endpoint_identity",
			[]string{"403, text/html, server: nginx/1.22.1", "403 Forbidden", "pass POST /v1/ingest"}},
		"basic auth":    {401, with(html, "Www-Authenticate", "Basic"), "<title>401 Authorization Required</title>", "endpoint_identity", []string{"401", "without a password"}},
		"a gateway":     {401, http.Header{"Content-Type": {"application/json"}}, `{"message":"Unauthorized"}`, "endpoint_identity", []string{"Unauthorized", "no verdict on the token"}},
		"problem+json":  {403, http.Header{"Content-Type": {"application/problem+json"}}, `{"title":"Forbidden","detail":"blocked by policy"}`, "endpoint_identity", []string{"blocked by policy"}},
		"a redirect":    {301, with(html, "Location", "https://www.example.com/v1/ingest"), "", "endpoint_identity", []string{"redirects to https://www.example.com", "VPS_BASE_URL"}},
		"a login page":  {302, with(html, "Location", "http://portal.example.net/login?back=x"), "", "endpoint_identity", []string{"redirects to http://portal.example.net", "login page"}},
		"a local one":   {302, with(html, "Location", "/login"), "", "endpoint_identity", []string{"another path, /login"}},
		"a portal":      {200, html, "<title>Welcome to FreeWiFi</title>", "endpoint_identity", []string{"Welcome to FreeWiFi", "login page"}},
		"no backend":    {502, with(html, "Server", "nginx"), "<title>502 Bad Gateway</title>", "vps_unreachable", []string{"502", "nginx", "see whether the server behind it runs"}},
		"HAProxy":       {503, html, "<html><body><h1>503 Service Unavailable</h1>", "vps_unreachable", []string{"503", "see whether the server behind it runs"}},
		"certificate":   {526, with(html, "Server", "cloudflare"), "<title>Invalid SSL certificate</title>", "tls", []string{"526", "certificate of the server behind it"}},
		"Traefik":       {404, http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, "404 page not found\n", "endpoint_identity", []string{"404 page not found", "VPS_BASE_URL"}},
		"mTLS":          {400, with(html, "Server", "nginx"), "<title>400 No required SSL certificate was sent</title>", "endpoint_identity", []string{"client certificate"}},
		"the hotel":     {511, html, "<title>Log in</title>", "endpoint_identity", []string{"log in to the network"}},
		"a wrong path":  {404, http.Header{"Content-Type": {"application/json"}}, `{"detail":"Not Found"}`, "endpoint_identity", []string{"not as one that takes samples", "404", "Not Found"}},
		"unknown zip":   {200, with(http.Header{"Content-Type": {"application/json"}}, "Content-Encoding", "br"), "\x0b\x02", "endpoint_identity", []string{"compressed as br"}},
		"a body limit":  {413, html, "<title>413 Request Entity Too Large</title>", "body_limit", []string{"413", "client_max_body_size"}},
		"Starlette 500": {500, http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, "Internal Server Error", "vps_unreachable", []string{"the server, or something between", "Internal Server Error"}},
	} {
		_, err := parseResponse(c.status, c.header, []byte(c.body), 1, "b1")
		e, ok := err.(*intermediary)
		if !ok {
			t.Errorf("%s is %T", name, err)
			continue
		}
		f := e.fault()
		for _, word := range c.words {
			if !strings.Contains(f.Error()+" "+f.Next, word) {
				t.Errorf("%s: %q is missing in %s; next: %s", name, word, f, f.Next)
			}
		}
		if f.Code != c.code {
			t.Errorf("%s has the code %s, want %s", name, f.Code, c.code)
		}
	}
}

// A page that repeats the request may change the token: nothing is repeated that has a part of it.
func TestPageThatRepeatsATokenIsNotRepeated(t *testing.T) {
	const token = "abc&def<ghi>0123456789"
	for _, text := range []string{token, "abc&amp;def&lt;ghi&gt;0123456789", "ABC&DEF<GHI>0123456789", "you sent 0123456789", "..." + token[:9]} {
		page, _ := json.Marshal(map[string]string{"message": "Bearer " + text})
		for kind, body := range map[string]string{"text/html": "<title>Bearer " + text + "</title>", "text/plain": "Bearer " + text, "application/json": string(page)} {
			header := http.Header{"Content-Type": {kind}, "Server": {text}, "Location": {"https://" + "x.example/?" + text}}
			_, err := parseResponse(302, header, []byte(body), 1, "b1", token)
			said := fmt.Sprint(err, err.(*intermediary).fault())
			for i := 0; i+shortestTrace <= len(token); i++ {
				if strings.Contains(strings.ToLower(said), token[i:i+shortestTrace]) {
					t.Errorf("%s: %s", kind, said)
					break
				}
			}
		}
	}
}
