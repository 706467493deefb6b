package edge

import (
	"errors"

	"sunspool/health"
)

func sameCode(err error, code string) bool {
	if u, ok := errors.AsType[*Unusable](err); ok {
		return u.Code == code
	}
	f := asFault(err)
	return f != nil && f.Code == code
}

func asFault(err error) *health.Fault {
	f, _ := errors.AsType[*health.Fault](err)
	return f
}
