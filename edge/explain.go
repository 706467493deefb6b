package edge

import (
	"errors"

	"sunspool/edge/reading"
	"sunspool/health"
)

// unusable reports a reading without a sample.
func (e *Edge) unusable(err error) error {
	u, ok := errors.AsType[*reading.Unusable](err)
	if !ok {
		return err
	}
	return &health.Fault{Code: "reading_" + u.Code, What: "the inverter answers, but its reading gives no sample", Why: u.Why, Err: err,
		Next: "set RAW_DEBUG_ENABLED=true, which logs what was read, and report it with the model"}
}
