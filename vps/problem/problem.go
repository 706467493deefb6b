// Package problem is the answers of the API other than 200, as errors: a status, a code for programs, and what to do next.
package problem

import (
	"strconv"
	"time"

	"sunspool/wire"
)

// Refusal is an answer that is not 200. As an error it carries its status through the handlers.
type Refusal struct {
	Status int
	wire.Problem
	RetryAfter time.Duration
}

func (r *Refusal) Error() string { return strconv.Itoa(r.Status) + " " + r.Code }

// New returns a refusal.
func New(status int, code, detail string) *Refusal {
	return &Refusal{Status: status, Problem: wire.Problem{Detail: detail, Code: code}}
}

// Invalid returns a 422 about one part of the request.
func Invalid(kind, msg string, loc ...any) *Refusal {
	if loc == nil {
		loc = []any{"body"}
	}
	return &Refusal{Status: 422, Problem: wire.Problem{Detail: []wire.FieldError{{Type: kind, Loc: loc, Msg: msg}}, Code: kind}}
}

// WithRetry makes r ask the caller to retry after d; WithNext adds what the caller can do. Both return r.
func (r *Refusal) WithRetry(d time.Duration) *Refusal { r.RetryAfter = d; return r }
func (r *Refusal) WithNext(what string) *Refusal      { r.Next = what; return r }
