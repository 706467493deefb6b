package vps

import (
	"strconv"
	"sunspool/wire"
	"time"
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
