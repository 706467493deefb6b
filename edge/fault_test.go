package edge

import (
	"errors"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/reading"
	"sunspool/health"
)

func sameCode(err error, code string) bool {
	if u, ok := errors.AsType[*reading.Unusable](err); ok {
		return u.Code == code
	}
	return invertertest.HasCode(err, code)
}

func asFault(err error) *health.Fault {
	f, _ := errors.AsType[*health.Fault](err)
	return f
}
