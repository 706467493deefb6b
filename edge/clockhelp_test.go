package edge

import (
	"errors"

	"sunspool/health"
)

// hasCode reports whether err is a *health.Fault of that code.
func hasCode(err error, code string) bool {
	f, ok := errors.AsType[*health.Fault](err)
	return ok && f.Code == code
}
