package request

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"sunspool/vps/problem"
	"sunspool/vps/store"
	"sunspool/wire"
)

// Every refusal whose text does not depend on the request. Details that end with a full stop are those of the
// Python API, word by word.
var (
	ErrBadLength     = problem.New(400, "bad_content_length", "Invalid Content-Length header.")
	ErrBadBody       = problem.New(400, "bad_body", "Request body could not be read.")
	errNoToken       = problem.New(401, "no_token", "Missing authorization credentials.").WithNext("send the header Authorization: Bearer TOKEN")
	errBadToken      = problem.New(401, "bad_token", "Invalid or expired token.").WithNext("check the token: it is in neither DEVICE_TOKENS nor VIEWER_TOKENS of this server, and `sunspool token list` there shows no valid one")
	errBadCode       = problem.New(401, "bad_code", "No such pairing code.").WithNext("a code works once, for 15 minutes, and a newer one for the same device replaces it: `sunspool vps pair` on the server makes another")
	errCrossOrigin   = problem.New(403, "cross_origin", "The request comes from a page of another origin.").WithNext("open the server's own page; behind a proxy, let it pass on the header Host")
	ErrForeignSample = problem.New(403, "foreign_device", "Sample device ID does not match authenticated device.").WithNext("send samples of the device that the token is for, or with the token of their device")
	ErrForeignDevice = problem.New(403, "foreign_device", "Device ID does not match authenticated device.").WithNext("ask for a device of this token: GET /v1/devices lists them")
	errReadOnly      = problem.New(403, "read_only", "This token may only read.").WithNext("send with the token of a device: this one is a viewer's")
	errNotAdmin      = problem.New(403, "not_admin", "This token is not an admin's.").WithNext("send the token of an admin: `sunspool token create --role admin --name NAME` on the server makes one")
	errNotFound      = problem.New(404, "", "Not Found").WithNext("GET /openapi.yaml lists every path")
	errMethod        = problem.New(405, "", "Method Not Allowed").WithNext("use a method of the header Allow; GET /openapi.yaml lists every path with its methods")
	ErrTooLarge      = problem.New(413, "too_large", "Request body too large.").WithNext("send fewer samples per batch")
	ErrNoDeviceID    = problem.Invalid(wire.CodeDeviceID, "Input should be 1 to 64 characters of A-Z a-z 0-9 . _ ~ -", "query", "device_id")
	errNotStorable   = problem.New(422, store.CodeNotStorable, "The store cannot hold what was sent.")
	ErrEncoding      = problem.New(415, "unknown_encoding", "Unsupported Content-Encoding.").WithNext("send identity or gzip")
	errFailures      = problem.New(429, "too_many_failures", "Too many failed logins.")
	errUploads       = problem.New(429, "too_many_uploads", "Too many uploads with this token at once.").WithRetry(time.Second)
	ErrGone          = problem.New(499, "caller_gone", "The caller did not wait for the answer.") // nginx's number, for our log alone
	errInternal      = problem.New(500, "", "Internal Server Error")
	ErrBusy          = problem.New(503, "busy", "Too many requests at once.").WithRetry(time.Second)
	errUnavailable   = problem.New(503, "store_unavailable", "Storage is unavailable.").WithRetry(5 * time.Second)
	errUnfit         = problem.New(503, "store_unfit", "Storage refuses what this server asks of it.").WithRetry(time.Minute)
)

// fail answers c with err. It is the only place that sets a status other than 200: an error that is not a refusal is a
// failure of the store, which may pass, so the caller is asked to retry.
func (g *Gate) fail(c *Request, err error) {
	r, ok := errors.AsType[*problem.Refusal](err)
	switch {
	case ok:
	case c.HTTP.Context().Err() != nil:
		r = ErrGone // and nothing is known of the store
	case errors.Is(err, store.ErrUnfit):
		r = errUnfit
	case store.Refused(err):
		r = errNotStorable
	default:
		r = errUnavailable
	}
	c.Code = r.Code
	h := c.Header()
	switch r.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		h.Set("Connection", "close") // the rest of the body is not worth reading
	}
	if r.RetryAfter > 0 {
		seconds := int((r.RetryAfter + time.Second - 1) / time.Second)
		h.Set("Retry-After", strconv.Itoa(max(seconds, 1)))
	}
	c.answer(r.Status, r.Problem)
}
