package upload

import (
	"cmp"
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
//	*intermediary something else answered, see intermediary.go: the samples wait
//	*later      the server is busy: the same batch again after a while
//	*denied     the server refuses the token: the samples wait for a good one
//	*refusal    the server refuses something in the batch: bisect it
//	*tooLarge   the server takes fewer samples at once
type (
	later struct {
		why   string
		after time.Duration // that the server asked for
		busy  bool          // with this batch, perhaps: a smaller one may pass
	}
	denied struct {
		why       string
		forbidden bool   // 403: perhaps a good token, but not for this
		code      string // that the server gave as the reason
		status    int    // 0 for a token that was not even sent
	}
	refusal struct {
		code, why string
		whole     bool // no sample is named: perhaps the body could not be read
	}
	tooLarge struct{ why string }
)

func (e *later) Error() string    { return "the server is busy: " + e.why }
func (e *denied) Error() string   { return "the server refuses the token: " + e.why }
func (e *refusal) Error() string  { return "the server refuses a sample: " + e.why }
func (e *tooLarge) Error() string { return "the batch is too large for the server: " + e.why }

const (
	maxAnswer     = 64 << 10         // bytes read of an answer
	maxRetryAfter = 15 * time.Minute // that a server may ask of us
	maxQuote      = 200              // bytes of an explanation that are repeated
)

// parseResponse returns what a response to a batch of n samples with that id means. Only a response that proves itself removes the
// samples: status 200, JSON, and counts that can be true of this batch. What it repeats of the answer is short, and
// without the secrets.
func parseResponse(status int, header http.Header, body []byte, n int, id string, secrets ...string) (wire.Receipt, error) {
	if status == http.StatusOK {
		r, why := receipt(header, body, n, id)
		if why != "" {
			e := newIntermediary(status, header, body, n, secrets)
			e.what += ", which is no receipt: " + clip(hide(why, secrets))
			return wire.Receipt{}, e
		}
		for i := range r.Rejected {
			r.Rejected[i].Code, r.Rejected[i].Detail = clip(hide(r.Rejected[i].Code, secrets)), hide(r.Rejected[i].Detail, secrets)
		}
		return r, nil
	}
	if !fromServer(header, body) {
		return wire.Receipt{}, newIntermediary(status, header, body, n, secrets)
	}
	said := quote(status, body, secrets...)
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		said = strings.ReplaceAll(said, `"`, "") // it becomes a part of a sentence, which is quoted as a whole
		code, _ := rejectionCode(status, body)
		return wire.Receipt{}, &denied{said, status == http.StatusForbidden, code, status}
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		code, whole := rejectionCode(status, body)
		return wire.Receipt{}, &refusal{clip(hide(code, secrets)), said, whole}
	case http.StatusRequestEntityTooLarge:
		return wire.Receipt{}, &tooLarge{said}
	case http.StatusRequestTimeout:
		return wire.Receipt{}, &later{said, retryAfterOf(header, now()), true}
	case http.StatusTooEarly, http.StatusTooManyRequests:
		return wire.Receipt{}, &later{said, retryAfterOf(header, now()), false}
	}
	if status >= 500 {
		return wire.Receipt{}, &later{said, retryAfterOf(header, now()), true}
	}
	return wire.Receipt{}, newIntermediary(status, header, body, n, secrets)
}

// receipt reads an answer 200, or returns why it is none. A server of the API counts the rows that are new; ours has a
// verdict on each sample and repeats the id of the batch. Counts that do not add up are refused.
func receipt(header http.Header, body []byte, n int, id string) (got wire.Receipt, why string) {
	var r struct {
		wire.Receipt
		Inserted *int            `json:"inserted"`
		Compare  json.RawMessage `json:"compare"` // of another form they are another server's, and no reason to doubt the rest
		Missing  json.RawMessage `json:"missing"`
	}
	switch {
	case !isJSON(header):
		return got, "it is not JSON"
	case len(body) > maxAnswer:
		return got, fmt.Sprintf("it has more than %d bytes", maxAnswer)
	case json.Unmarshal(body, &r) != nil || r.Inserted == nil:
		return got, fmt.Sprintf("%d bytes without a count", len(body))
	}
	got = r.Receipt
	got.Inserted = *r.Inserted
	if json.Unmarshal(r.Missing, &got.Missing) != nil {
		got.Missing = nil
	}
	json.Unmarshal(r.Compare, &got.Compare)
	if got.Inserted < 0 || got.Inserted > n {
		return got, fmt.Sprintf("%d inserted of %d sent", got.Inserted, n)
	}
	if got.Accepted == nil && got.Duplicates == nil && got.Rejected == nil && (got.BatchID == "" || got.BatchID == id) {
		return got, "" // ours too, when a proxy removes Prefer
	}
	switch {
	case got.Accepted == nil || got.Duplicates == nil || *got.Accepted < 0 || *got.Duplicates < 0:
		return got, "counts are missing"
	case *got.Accepted+*got.Duplicates+len(got.Rejected) != n:
		return got, fmt.Sprintf("%d accepted, %d duplicates, %d rejected of %d sent", *got.Accepted, *got.Duplicates, len(got.Rejected), n)
	case got.BatchID != id:
		return got, "the answer to another batch"
	}
	seen := make(map[int]bool, len(got.Rejected))
	for _, rej := range got.Rejected {
		if rej.Index < 0 || rej.Index >= n || seen[rej.Index] {
			return got, fmt.Sprintf("sample %d rejected of %d sent", rej.Index, n)
		}
		seen[rej.Index] = true
	}
	return got, ""
}

func isJSON(header http.Header) bool {
	t, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}

// rejectionCode returns the reason of a refusal, as far as the answer has one: ours is in code, that of the Python server
// in the type of its first detail. The refusal is of the whole body if no detail names a sample.
func rejectionCode(status int, body []byte) (code string, whole bool) {
	var p struct {
		Code   string          `json:"code"`
		Detail json.RawMessage `json:"detail"`
	}
	var fields []wire.FieldError
	if json.Unmarshal(body, &p) == nil {
		code, _ = p.Code, json.Unmarshal(p.Detail, &fields)
	}
	for _, f := range fields {
		code = cmp.Or(code, f.Type)
		for i, place := range f.Loc[:max(len(f.Loc)-1, 0)] {
			if _, index := f.Loc[i+1].(float64); index && place == "samples" {
				return code, false
			}
		}
	}
	return cmp.Or(code, "status_"+strconv.Itoa(status)), true
}

// quote returns what a server answered, fit for a log: its own explanation, one line, printable, short. A body that is no
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
	return fmt.Sprintf("status %d %s", status, quoteText(explanation(p.Detail), secrets))
}

// explanation puts the detail of a refusal into words: a text, or the first of a list of what is wrong where.
func explanation(detail json.RawMessage) string {
	var text string
	if json.Unmarshal(detail, &text) == nil {
		return text
	}
	var fields []wire.FieldError
	if json.Unmarshal(detail, &fields) != nil || len(fields) == 0 || fields[0].Msg == "" {
		return string(detail)
	}
	var place []string
	for _, part := range fields[0].Loc {
		place = append(place, fmt.Sprint(part))
	}
	text = fmt.Sprintf("%s: %s (%s)", strings.Join(place, "."), fields[0].Msg, fields[0].Type)
	if n := len(fields) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	return text
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
// clock may be the wrong one. Anything else is 0, and the result is at most maxRetryAfter.
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
