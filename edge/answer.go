package edge

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sunspool/wire"
)

// What an answer to an ingest means is its type: the loop branches on nothing else.
//
//	nil         the server has the samples, and proved that it read this batch
//	*later      nobody's fault, or the network's: the same batch again after a while
//	*foreign    an answer that our server does not give: a captive portal, another program, a redirect
//	*denied     the token is refused: the samples wait for a good one
//	*suspect    something in the batch is refused: find out which sample
//	*tooLarge   fewer samples at once
type (
	later struct {
		why   string
		after time.Duration // that the server asked for
		busy  bool          // with this batch, perhaps: a smaller one may pass
	}
	foreign struct{ why string }
	denied  struct {
		why       string
		forbidden bool // 403 in the form of the contract: perhaps a good token, but not for this
	}
	suspect  struct{ code, why string }
	tooLarge struct{ why string }
)

func (e *later) Error() string    { return e.why }
func (e *foreign) Error() string  { return "not the answer of a sunspool server: " + e.why }
func (e *denied) Error() string   { return "the server refuses the token: " + e.why }
func (e *suspect) Error() string  { return "the server refuses a sample: " + e.why }
func (e *tooLarge) Error() string { return "the batch is too large for the server: " + e.why }

const (
	maxAnswer     = 64 << 10         // bytes read of an answer
	maxRetryAfter = 15 * time.Minute // that a server may ask of us
	maxQuote      = 200              // bytes of an explanation that are repeated
)

// judge decides what an answer to a batch of n samples with that id means. Only an answer that proves itself lets the
// samples go: status 200, JSON, and counts that can be true of this batch. What it repeats of the answer is short, and
// without the secrets.
func judge(status int, header http.Header, body []byte, n int, id string, secrets ...string) (wire.Receipt, error) {
	quote := func(status int, body []byte) string { return quote(status, body, secrets...) }
	switch {
	case status == http.StatusOK:
		r, err := receipt(header, body, n, id, secrets...)
		for i := range r.Rejected {
			r.Rejected[i].Code, r.Rejected[i].Detail = clip(hide(r.Rejected[i].Code, secrets)), hide(r.Rejected[i].Detail, secrets)
		}
		return r, err
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return wire.Receipt{}, &denied{quote(status, body), status == http.StatusForbidden && isEnvelope(header, body)}
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		if !isEnvelope(header, body) {
			return wire.Receipt{}, &foreign{quote(status, body)}
		}
		return wire.Receipt{}, &suspect{clip(hide(rejectionCode(status, body), secrets)), quote(status, body)}
	case status == http.StatusRequestEntityTooLarge:
		return wire.Receipt{}, &tooLarge{quote(status, body)}
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		busy := status >= 500 || status == http.StatusRequestTimeout
		return wire.Receipt{}, &later{quote(status, body), retryAfterOf(header, now()), busy}
	}
	return wire.Receipt{}, &foreign{quote(status, body)}
}

// receipt reads an answer 200. A server of the contract tells how many rows are new; ours tells the fate of every
// sample and repeats the id of the batch. Counts that are not whole are nobody's.
func receipt(header http.Header, body []byte, n int, id string, secrets ...string) (wire.Receipt, error) {
	quote := func(status int, body []byte) string { return quote(status, body, secrets...) }
	var r struct {
		wire.Receipt
		Inserted *int `json:"inserted"`
	}
	if !isJSON(header) {
		return wire.Receipt{}, &foreign{"status 200 with Content-Type " + quoteText(header.Get("Content-Type"), secrets)}
	}
	if len(body) > maxAnswer {
		return wire.Receipt{}, &foreign{fmt.Sprintf("an answer of more than %d bytes", maxAnswer)}
	}
	if err := json.Unmarshal(body, &r); err != nil || r.Inserted == nil {
		return wire.Receipt{}, &foreign{quote(200, body)}
	}
	got := r.Receipt
	got.Inserted = *r.Inserted
	if got.Inserted < 0 || got.Inserted > n {
		return wire.Receipt{}, &foreign{fmt.Sprintf("%d inserted of %d sent", got.Inserted, n)}
	}
	if got.Accepted == nil && got.Duplicates == nil && got.Rejected == nil && (got.BatchID == "" || got.BatchID == id) {
		return got, nil // ours too, when a proxy does not let our wish for verdicts pass
	}
	switch {
	case got.Accepted == nil || got.Duplicates == nil || *got.Accepted < 0 || *got.Duplicates < 0:
		return wire.Receipt{}, &foreign{"counts are missing: " + quote(200, body)}
	case *got.Accepted+*got.Duplicates+len(got.Rejected) != n:
		return wire.Receipt{}, &foreign{fmt.Sprintf("%d accepted, %d duplicates, %d rejected of %d sent", *got.Accepted, *got.Duplicates, len(got.Rejected), n)}
	case got.BatchID != id:
		return wire.Receipt{}, &foreign{"the answer to another batch"}
	}
	seen := make(map[int]bool, len(got.Rejected))
	for _, rej := range got.Rejected {
		if rej.Index < 0 || rej.Index >= n || seen[rej.Index] {
			return wire.Receipt{}, &foreign{fmt.Sprintf("sample %d rejected of %d sent", rej.Index, n)}
		}
		seen[rej.Index] = true
	}
	return got, nil
}

func isJSON(header http.Header) bool {
	t, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}

// isEnvelope reports whether an answer has the form that the contract gives to every refusal.
func isEnvelope(header http.Header, body []byte) bool {
	var p struct {
		Detail json.RawMessage `json:"detail"`
	}
	return isJSON(header) && len(body) <= maxAnswer && json.Unmarshal(body, &p) == nil && p.Detail != nil
}

// rejectionCode names the reason of a refusal, as far as the answer has one: ours says it in code, the contract's
// first implementation in the type of its first detail.
func rejectionCode(status int, body []byte) string {
	var p struct {
		Code   string          `json:"code"`
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &p) == nil {
		if p.Code != "" {
			return p.Code
		}
		var fields []wire.FieldError
		if json.Unmarshal(p.Detail, &fields) == nil && len(fields) > 0 {
			return fields[0].Type
		}
	}
	return "status_" + strconv.Itoa(status)
}

// quote says what a server answered, fit for a log: its own explanation, one line, printable, short. A body that is no
// explanation is not repeated: it may hold anything, what we sent included.
func quote(status int, body []byte, secrets ...string) string {
	var p struct {
		Detail json.RawMessage `json:"detail"`
	}
	switch {
	case len(body) == 0:
		return fmt.Sprintf("status %d", status)
	case json.Unmarshal(body, &p) != nil || len(p.Detail) == 0:
		return fmt.Sprintf("status %d, %d bytes without an explanation", status, len(body))
	}
	return fmt.Sprintf("status %d %s", status, quoteText(string(p.Detail), secrets))
}

// quoteText repeats what a server sent, whichever part of its answer it is: without the secrets, printable, and short.
func quoteText(text string, secrets []string) string {
	return strconv.QuoteToASCII(clip(hide(text, secrets)))
}

// hide puts a word in the place of each secret. It comes before the text is made short, which may cut one in two.
func hide(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, "(token)")
	}
	return text
}

// retryAfterOf reads a Retry-After header: seconds, or a date, which is compared with the answer's own date because our
// clock may be the wrong one. Nonsense is 0, and no server can send us away for longer than maxRetryAfter.
func retryAfterOf(header http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(header.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(s, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	t, err := http.ParseTime(v)
	if err != nil {
		if len(v) > 18 && strings.Trim(v, "0123456789") == "" {
			return maxRetryAfter // more seconds than an integer holds
		}
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return min(max(t.Sub(now), 0), maxRetryAfter)
}
