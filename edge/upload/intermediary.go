package upload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sunspool/health"
	"sunspool/wire"
)

// Between the edge and the server there are proxies, tunnels, firewalls, providers and login pages, and each of them may
// answer in the server's place. Only the server of the API may refuse a token, a sample or a size:
//
//	answer ──> fromServer ──yes──> its status counts, see parseResponse
//	                └──────no───> *intermediary: the samples wait, the answer is named, the same again at a bounded pace
//
// Two of the reasons for which something between refuses a request can be worked around: it does not let compressed
// bodies pass, or not large ones. So plain JSON and smaller batches are tried (see post and sizeLimit).

// intermediary is an answer of something other than the server of the API.
type intermediary struct {
	status  int
	api     bool          // it has the form of the API, but is none that the ingest gives
	what    string        // it is: its type, who sent it, its title
	target  string        // of a redirect: scheme and host
	after   time.Duration // that it asks for
	single  bool          // the batch was a single sample
	atOnce  bool          // something smaller, or another sample, can be tried at once
	recent  bool          // the server of the API answered here a few minutes ago
	mention string        // of a client certificate or a challenge, in lower case
}

func (e *intermediary) Error() string {
	if e.api {
		return fmt.Sprintf("a server answers, but not as one that takes samples: %d, %s", e.status, e.what)
	}
	text := fmt.Sprintf("something between here and the server answered: %d, %s", e.status, e.what)
	if e.status == http.StatusInternalServerError { // the Python server's own is a text as well
		text = "the server, or s" + text[1:]
	}
	if e.target != "" {
		text += ", redirects to " + e.target
	}
	return text
}

const (
	restartFor    = 5 * time.Minute  // after a good answer in which a 404 is a restart behind a proxy
	betweenRest   = 15 * time.Second // after a refusal by something between, at least
	maxTitle      = 80               // bytes of a page's title that are repeated
	shortestTrace = 6                // characters of a token in a text that is not repeated then
)

// fromServer reports whether an answer comes from the server of the API, by the header that ours sends to a valid token,
// or by the form that the API gives to every refusal: JSON with a detail, which is a string or a list, and nothing
// beside it but what ours adds. A gateway's "problem+json" or {"message":...} is another form. An answer 200 has to
// prove more, see receipt.
func fromServer(header http.Header, body []byte) bool {
	if header.Get(wire.VersionHeader) != "" {
		return true
	}
	if t, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || t != "application/json" || len(body) > maxAnswer {
		return false
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return false
	}
	detail := bytes.TrimSpace(fields["detail"])
	for name := range fields {
		if !slices.Contains([]string{"detail", "code", "next"}, name) {
			return false
		}
	}
	return len(detail) > 0 && (detail[0] == '"' || detail[0] == '[')
}

// newIntermediary describes an answer that is not the server's. What is repeated of it is short, printable, and free of the
// secrets, as far as a page may have changed these.
func newIntermediary(status int, header http.Header, body []byte, n int, secrets []string) *intermediary {
	e := &intermediary{status: status, api: fromServer(header, body), after: retryAfterOf(header, now()), single: n <= 1}
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || kind == "" {
		kind = "no content type"
	}
	parts := []string{safe(kind, secrets)}
	if encoding := header.Get("Content-Encoding"); encoding != "" {
		parts = append(parts, "compressed as "+safe(encoding, secrets))
	}
	if by := header.Get("Server"); by != "" {
		parts = append(parts, "server: "+safe(by, secrets))
	}
	title := titleOf(kind, body)
	if text := safe(title, secrets); text != "" {
		parts = append(parts, strconv.QuoteToASCII(text))
	}
	e.what = strings.Join(parts, ", ")
	e.mention = strings.ToLower(title)
	if header.Get("Cf-Mitigated") != "" || strings.EqualFold(header.Get("Server"), "cloudflare") {
		e.mention += " cloudflare"
	}
	if status/100 == 3 {
		if u, err := url.Parse(header.Get("Location")); err == nil && u.Host != "" {
			e.target = safe(u.Scheme+"://"+u.Host, secrets)
		} else if err == nil && u.Path != "" {
			e.target = "another path, " + safe(u.Path, secrets)
		}
	}
	return e
}

var htmlTitle = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

// titleOf returns the few words by which a person recognizes a page: its title, the message of a JSON error, or the first
// line of a text.
func titleOf(kind string, body []byte) string {
	body = body[:min(len(body), maxAnswer)]
	switch {
	case strings.Contains(kind, "html"):
		if m := htmlTitle.FindSubmatch(body); m != nil {
			return string(m[1])
		}
	case strings.Contains(kind, "json"):
		var fields map[string]any
		if json.Unmarshal(body, &fields) != nil {
			return ""
		}
		for _, name := range []string{"detail", "message", "error", "title", "error_description"} {
			if text, ok := fields[name].(string); ok {
				return text
			}
		}
	case kind == "text/plain", kind == "no content type":
		line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		return line
	}
	return ""
}

// safe makes a text from outside fit for a log: one line, printable, short, and "" if there may be a part of a secret in
// it.
func safe(text string, secrets []string) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)), " ")
	text = hide(text, secrets)
	if traces(text, secrets) {
		return ""
	}
	return text[:min(len(text), maxTitle)]
}

// traces reports whether a text holds a part of a secret: a page may have escaped or cut what it repeats.
func traces(text string, secrets []string) bool {
	text = strings.ToLower(text)
	for _, secret := range secrets {
		secret = strings.ToLower(secret)
		for i := 0; i+shortestTrace <= len(secret); i++ {
			if strings.Contains(text, secret[i:i+shortestTrace]) {
				return true
			}
		}
	}
	return false
}

// aboutSize reports whether a smaller batch may pass.
func (e *intermediary) aboutSize() bool {
	switch e.status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotAcceptable, http.StatusRequestTimeout,
		http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return e.status >= 500 && !e.ofCertificate()
}

// tooLarge reports whether a smaller batch is what is asked for.
func (e *intermediary) tooLarge() bool { return e.status == http.StatusRequestEntityTooLarge }

// ofCertificate reports whether a proxy does not accept the server's certificate, by the numbers of Cloudflare.
func (e *intermediary) ofCertificate() bool { return e.status == 525 || e.status == 526 }

// missing reports whether a proxy has lost the server for the moment: behind one whose container restarts there is
// nothing.
func (e *intermediary) missing() bool {
	return e.recent && (e.status == http.StatusNotFound || e.status == http.StatusMethodNotAllowed || e.status == http.StatusGone || e.status == http.StatusMisdirectedRequest)
}

// wait is how long to leave whatever answered alone, at least.
func (e *intermediary) wait() time.Duration {
	switch {
	case e.status >= 500, e.missing(), e.status == http.StatusTooManyRequests:
		return e.after
	}
	return max(e.after, betweenRest)
}

// fault says what the owner can do about an answer of something between.
func (e *intermediary) fault() *health.Fault {
	f := &health.Fault{Code: "endpoint_identity", What: "the server did not take the samples", Why: e.Error(), Err: e, Exit: health.ExitUnreachable,
		Next: "check VPS_BASE_URL, and whether a login page of the network answers in its place"}
	switch {
	case e.missing():
		f.Code, f.Next = "vps_unreachable", "nothing for some minutes: the server answered here a moment ago, and may be restarting"
	case e.ofCertificate():
		f.Code, f.Next = "tls", "renew the certificate of the server behind it: the proxy does not accept that"
	case e.status == http.StatusNetworkAuthenticationRequired:
		f.Next = "log in to the network: a page of its own answers in the server's place"
	case e.status >= 500, e.status == http.StatusRequestTimeout, e.status == http.StatusTooEarly, e.status == http.StatusTooManyRequests:
		f.Code, f.Next = "vps_unreachable", "see whether the server behind it runs and is reached from there; the samples wait"
		if e.status == http.StatusTooManyRequests || e.status == http.StatusServiceUnavailable {
			f.Next = "see whether the server behind it runs, and whether a limit of requests is set too low there; the samples wait"
		}
	case e.tooLarge() && e.single:
		f.Code, f.Next = "body_limit", "raise the limit of what stands between (nginx: client_max_body_size 2m): a single sample is larger than it"
	case e.tooLarge():
		f.Code, f.Next = "batch_too_large", "nothing: smaller batches follow"
	case e.target != "":
		f.Next = "if that is your server, write its address into VPS_BASE_URL: redirects are not followed, they would hand over the token; if not, see whose login page it is"
	case strings.Contains(e.mention, "ssl certificate"), strings.Contains(e.mention, "client certificate"):
		f.Next = "switch the demand for a client certificate off for /v1/: the edge has none"
	case e.status == http.StatusUnauthorized, e.status == http.StatusForbidden, e.status == http.StatusNotAcceptable, e.status == http.StatusBadRequest:
		f.Next = "let what stands between (proxy, firewall, login) pass POST /v1/ingest to the server without a password or a check of its own; this is no verdict on the token"
		if strings.Contains(e.mention, "cloudflare") {
			f.Next = "let Cloudflare pass /v1/* without challenge and firewall (a rule that skips them); this is no verdict on the token"
		}
	}
	return f
}
