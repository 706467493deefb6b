package vps

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"sunspool/vps/store"
	"sunspool/wire"
)

// refusal is an answer that is not 200. As an error it carries its status through the handlers to fail.
type refusal struct {
	status int
	wire.Problem
	retryAfter time.Duration
}

func (r *refusal) Error() string { return strconv.Itoa(r.status) + " " + r.Code }

func refuse(status int, code, detail string) *refusal {
	return &refusal{status: status, Problem: wire.Problem{Detail: detail, Code: code}}
}

// invalid is a 422 about one place of the request.
func invalid(kind, msg string, loc ...any) *refusal {
	if loc == nil {
		loc = []any{"body"}
	}
	return &refusal{status: 422, Problem: wire.Problem{Detail: []wire.FieldError{{Type: kind, Loc: loc, Msg: msg}}, Code: kind}}
}

func (r *refusal) after(d time.Duration) *refusal { r.retryAfter = d; return r }
func (r *refusal) next(what string) *refusal      { r.Next = what; return r }

// Every refusal whose text does not depend on the request. The details that the contract fixes are the ones with a
// full stop that read like sentences of another program: they are.
var (
	errBadLength      = refuse(400, "bad_content_length", "Invalid Content-Length header.")
	errBadBody        = refuse(400, "bad_body", "Request body could not be read.")
	errNoToken        = refuse(401, "no_token", "Missing authorization credentials.")
	errBadToken       = refuse(401, "bad_token", "Invalid or expired token.")
	errForeignSample  = refuse(403, "foreign_device", "Sample device ID does not match authenticated device.")
	errForeignDevice  = refuse(403, "foreign_device", "Device ID does not match authenticated device.")
	errReadOnly       = refuse(403, "read_only", "This token may only read.")
	errNotFound       = refuse(404, "", "Not Found")
	errMethod         = refuse(405, "", "Method Not Allowed")
	errTooManySamples = refuse(413, "too_many_samples", "Too many samples in one request.").next("send fewer samples per request")
	errTooLarge       = refuse(413, "too_large", "Request body too large.").next("send fewer samples per request")
	errEncoding       = refuse(415, "unknown_encoding", "Unsupported Content-Encoding.").next("send identity or gzip")
	errFailures       = refuse(429, "too_many_failures", "Too many failed logins.")
	errUploads        = refuse(429, "too_many_uploads", "Too many uploads of this device at once.").after(time.Second)
	errGone           = refuse(499, "caller_gone", "The caller did not wait for the answer.") // nginx's number, for our log alone
	errInternal       = refuse(500, "", "Internal Server Error")
	errBusy           = refuse(503, "busy", "Too many requests at once.").after(time.Second)
	errUnavailable    = refuse(503, "store_unavailable", "Storage is unavailable.").after(5 * time.Second)
	errUnfit          = refuse(503, "store_unfit", "Storage refuses what this server asks of it.").after(time.Minute)
)

// fail answers c with err. It is the only place that makes a status other than 200: what is not a refusal is the
// store's trouble, which may pass, so the caller is asked to come again.
func (s *Server) fail(c *call, err error) {
	r, ok := errors.AsType[*refusal](err)
	switch {
	case ok:
	case c.r.Context().Err() != nil:
		r = errGone // and nothing is known of the store
	case errors.Is(err, store.ErrUnfit):
		r = errUnfit
	default:
		r = errUnavailable
	}
	c.code = r.Code
	h := c.Header()
	switch r.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		h.Set("Connection", "close") // the rest of the body is not worth reading
	}
	if r.retryAfter > 0 {
		seconds := int((r.retryAfter + time.Second - 1) / time.Second)
		h.Set("Retry-After", strconv.Itoa(max(seconds, 1)))
	}
	c.answer(r.status, r.Problem)
}
