package upload

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/token"
	"sunspool/edge/upload/uploadtest"
)

func TestOnlyAnAnswerThatProvesItselfLetsSamplesGo(t *testing.T) {
	const n, id = 5, "b1"
	html := "<html>login</html>"
	for _, c := range []struct {
		status      int
		contentType string
		body        string
		want        error // by its type; nil lets go
	}{
		{200, "application/json", `{"inserted":5}`, nil},
		{200, "application/json; charset=utf-8", `{"inserted":0}`, nil}, // all were there already
		{200, "application/json", `{"inserted":3,"accepted":3,"duplicates":1,"rejected":[{"index":4,"code":"x","detail":"y"}],"batch_id":"b1"}`, nil},
		{200, "application/json", `{"inserted":3,"unknown":true}`, nil},
		{200, "application/json", `{"inserted":3,"batch_id":"b1"}`, nil},
		{200, "application/json", `{"inserted":3,"batch_id":"other"}`, new(intermediary)},

		{200, "text/html", html, new(intermediary)},
		{200, "", `{"inserted":5}`, new(intermediary)},
		{200, "application/json", html, new(intermediary)},
		{200, "application/json", `{}`, new(intermediary)},
		{200, "application/json", `[]`, new(intermediary)},
		{200, "application/json", `{"inserted":null}`, new(intermediary)},
		{200, "application/json", `{"inserted":"5"}`, new(intermediary)},
		{200, "application/json", `{"inserted":6}`, new(intermediary)},
		{200, "application/json", `{"inserted":-1}`, new(intermediary)},
		{200, "application/json", `{"inserted":2.5}`, new(intermediary)},
		{200, "application/json", `{"inserted":5} trailing`, new(intermediary)},
		{200, "application/json", `{"status":"ok"}`, new(intermediary)},
		{200, "application/json", `{"inserted":3,"accepted":3,"duplicates":1,"batch_id":"b1"}`, new(intermediary)},
		{200, "application/json", `{"inserted":5,"accepted":5,"duplicates":0,"batch_id":"other"}`, new(intermediary)},
		{200, "application/json", `{"inserted":5,"accepted":5,"duplicates":0}`, new(intermediary)},
		{200, "application/json", `{"inserted":5,"accepted":6,"duplicates":-1,"batch_id":"b1"}`, new(intermediary)},
		{200, "application/json", `{"inserted":3,"accepted":4,"duplicates":0,"rejected":[{"index":5,"code":"x"}],"batch_id":"b1"}`, new(intermediary)},
		{200, "application/json", `{"inserted":3,"accepted":3,"duplicates":0,"rejected":[{"index":1,"code":"x"},{"index":1,"code":"x"}],"batch_id":"b1"}`, new(intermediary)},
		{200, "application/json", `{"inserted":5,"pad":"` + strings.Repeat("x", maxAnswer) + `"}`, new(intermediary)},

		{201, "application/json", `{"inserted":5}`, new(intermediary)},
		{204, "", ``, new(intermediary)},
		{301, "text/html", html, new(intermediary)},
		{302, "", ``, new(intermediary)},
		{307, "", ``, new(intermediary)},
		{404, "application/json", `{"detail":"Not Found"}`, new(intermediary)},
		{405, "application/json", `{"detail":"Method Not Allowed"}`, new(intermediary)},
		{410, "", ``, new(intermediary)},
		{418, "", ``, new(intermediary)},

		{400, "application/json", `{"detail":"bad"}`, new(refusal)},
		{422, "application/json", `{"detail":[]}`, new(refusal)},
		{400, "text/html", html, new(intermediary)},
		{400, "application/json", html, new(intermediary)},
		{422, "application/json", `{"error":"no such session"}`, new(intermediary)},
		{422, "application/json", `{"detail":[],"pad":"` + strings.Repeat("x", maxAnswer) + `"}`, new(intermediary)},
		{401, "application/json", `{"detail":"Invalid or expired token."}`, new(denied)},
		{403, "application/json", `{"detail":"Sample device ID does not match authenticated device."}`, new(denied)},
		{413, "application/json", `{"detail":"Request body too large."}`, new(tooLarge)},
		{429, "application/json", `{"detail":"slower"}`, new(later)},
		{503, "application/json", `{"detail":"store"}`, new(later)},
	} {
		header := http.Header{"Content-Type": {c.contentType}}
		_, err := parseResponse(c.status, header, []byte(c.body), n, id)
		if reflect.TypeOf(err) != reflect.TypeOf(c.want) {
			t.Errorf("%d %s %.80s: %T (%v), want %T", c.status, c.contentType, c.body, err, err, c.want)
		}
	}
}

func TestRefusalIsNamedByItsCode(t *testing.T) {
	header := http.Header{"Content-Type": {"application/json"}}
	for body, want := range map[string]string{
		`{"detail":"x","code":"not_finite"}`:                                              "not_finite",
		`{"detail":[{"type":"missing","loc":["samples",0,"ts"],"msg":"Field required"}]}`: "missing",
		`{"detail":"x"}`: "status_422",
	} {
		_, err := parseResponse(422, header, []byte(body), 1, "")
		if s, ok := err.(*refusal); !ok || s.code != want {
			t.Errorf("%s is %+v, want code %s", body, err, want)
		}
	}
}

func TestRetryAfterIsHonouredAndBounded(t *testing.T) {
	date := "Sun, 21 Jun 2026 10:00:00 GMT"
	for v, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"7":                             7 * time.Second,
		" 60 ":                          time.Minute,
		"-5":                            0,
		"1000000000":                    maxRetryAfter,
		"99999999999999999999999":       maxRetryAfter,
		"soon":                          0,
		"1.5":                           0,
		"Sun, 21 Jun 2026 10:00:30 GMT": 30 * time.Second,
		"Sun, 21 Jun 2026 09:00:00 GMT": 0,
		"Sun, 21 Jun 2099 10:00:00 GMT": maxRetryAfter,
	} {
		header := http.Header{"Retry-After": {v}, "Date": {date}}
		// Our own clock is years away: it must not matter.
		if got := retryAfterOf(header, time.Unix(0, 0)); got != want {
			t.Errorf("Retry-After %q is %v, want %v", v, got, want)
		}
	}
	header := http.Header{"Retry-After": {"Sun, 21 Jun 2026 10:00:30 GMT"}}
	if got := retryAfterOf(header, time.Date(2026, 6, 21, 10, 0, 20, 0, time.UTC)); got != 10*time.Second {
		t.Errorf("without a Date it is %v, want 10s by our clock", got)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"7", "-1", "1e9", "Sun, 21 Jun 2026 10:00:30 GMT", "9223372036854775808"} {
		f.Add(s, "Sun, 21 Jun 2026 10:00:00 GMT")
	}
	f.Fuzz(func(t *testing.T, v, date string) {
		got := retryAfterOf(http.Header{"Retry-After": {v}, "Date": {date}}, noon)
		if got < 0 || got > maxRetryAfter {
			t.Errorf("%q is %v", v, got)
		}
	})
}

func FuzzParseResponse(f *testing.F) {
	f.Add(200, "application/json", []byte(`{"inserted":5}`))
	f.Add(200, "application/json", []byte(`{"inserted":3,"accepted":3,"duplicates":1,"rejected":[{"index":4,"code":"x","detail":"y"}],"batch_id":"b1"}`))
	f.Add(422, "application/json", []byte(`{"detail":[{"type":"missing"}]}`))
	f.Add(302, "text/html", []byte(`<html>`))
	f.Add(200, strings.Repeat("\x01", 2000), []byte(`{"inserted":5}`))
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		const n = 5
		r, err := parseResponse(status, http.Header{"Content-Type": {contentType}}, body, n, "b1")
		if err == nil && (status != 200 || r.Inserted < 0 || r.Inserted > n || len(r.Rejected) > n) {
			t.Errorf("status %d %q lets %d samples go: %+v", status, body, n, r)
		}
		if err != nil && len(fmt.Sprint(err)) > 4*maxQuote+200 {
			t.Errorf("a message of %d bytes", len(fmt.Sprint(err)))
		}
	})
}

// Whatever part of an answer a message repeats, it is short, and the token is not in it, not even a part of it.
func TestAnswerIsRepeatedShortAndWithoutTheToken(t *testing.T) {
	const token = "0123456789abcdef"
	long := strings.Repeat("x", maxQuote-8) + token + strings.Repeat("\x01", 2*maxQuote)
	detail, err := json.Marshal(map[string]string{"detail": long, "code": long})
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{200, 302, 400, 401, 403, 404, 413, 422, 429, 500} {
		for _, contentType := range []string{"application/json", long} {
			_, err := parseResponse(status, http.Header{"Content-Type": {contentType}}, detail, 1, "b1", token)
			text := fmt.Sprint(err)
			if s, ok := err.(*refusal); ok {
				text += s.code
			}
			if err == nil || len(text) > 5*maxQuote || strings.Contains(text, token[:4]) {
				t.Errorf("%d: %d bytes: %s", status, len(text), text)
			}
		}
	}
	body := `{"inserted":0,"accepted":0,"duplicates":0,"batch_id":"b1","rejected":[{"index":0,"code":"` + token + `","detail":"your ` + token + `"}]}`
	r, err := parseResponse(200, http.Header{"Content-Type": {"application/json"}}, []byte(body), 1, "b1", token)
	if err != nil || len(r.Rejected) != 1 || strings.Contains(fmt.Sprint(r), token) {
		t.Errorf("%+v, %v", r, err)
	}
}

// A token may be a word of the answer, which is read as it came.
func TestTokenThatIsAWordOfTheAnswerChangesNothing(t *testing.T) {
	for _, text := range []string{"1", "inserted", `":`, "rejected", "batch_id"} {
		synctest.Test(t, func(t *testing.T) {
			s := &uploadtest.Server{Lenient: true}
			u := uploaderTo(t, s)
			u.Token = &token.Source{Value: text}
			made := fill(t, u.Spool, 40)
			drain(t, u, time.Minute)
			conserved(t, u, s, made)
			if u.Spool.Waiting() > 0 {
				t.Errorf("token %q: %d of 40 are on the server", text, len(s.Stored))
			}
		})
	}
}
