package request

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/store"
	"sunspool/wire"
)

// StoreTimeout is for all calls of the store for one request together; then the caller is asked to retry.
const StoreTimeout = 5 * time.Second

var errStoreSlow = fmt.Errorf("%w: no answer within %v", store.ErrUnavailable, StoreTimeout)

// Ask calls the store on behalf of c and measures it. It waits as long as c does, but all calls for one request
// have StoreTimeout together: a store that hangs is a 503 soon, not one after each call.
func Ask[T any](g *Gate, c *Request, op string, f func(context.Context) (T, error)) (v T, err error) {
	began := g.Now()
	if c.StoreSince.IsZero() {
		c.StoreSince = began
	}
	ctx, cancel := context.WithTimeoutCause(c.HTTP.Context(), StoreTimeout-began.Sub(c.StoreSince), errStoreSlow)
	defer cancel()
	v, err = f(ctx)
	g.StoreAsked(op, err, g.Now().Sub(began))
	return v, err
}

// Readable returns the query and the device of a reader's request, or why it may not be answered. device_id is one of
// the parameters that must be present. The store is not asked about a name that cannot be a device.
func Readable(c *Request, required ...string) (url.Values, string, error) {
	params := c.HTTP.URL.Query()
	var missing []wire.FieldError
	for _, name := range required {
		if !params.Has(name) {
			missing = append(missing, wire.FieldError{Type: "missing", Loc: []any{"query", name}, Msg: "Field required"})
		}
	}
	if missing != nil && params.Has("site") { // where sites serve, the caller has taken it
		return nil, "", (&problem.Refusal{Status: 422, Problem: wire.Problem{Detail: missing, Code: "missing"}}).WithNext(
			"this is not answered for a site: ask for each of its devices with device_id; GET /v1/sites lists them")
	}
	if missing != nil {
		return nil, "", (&problem.Refusal{Status: 422, Problem: wire.Problem{Detail: missing, Code: "missing"}}).WithNext(
			"add " + named(missing) + " to the query; GET /v1/devices lists the devices of this token, GET /openapi.yaml every parameter")
	}
	device := query.Last(params, "device_id")
	if !c.Caller.MayRead(device) {
		return nil, "", ErrForeignDevice
	}
	if !wire.ValidDeviceID(device) {
		return nil, "", ErrNoDeviceID
	}
	return params, device, nil
}

// named lists the parameters that are missing.
func named(missing []wire.FieldError) string {
	var names []string
	for _, m := range missing {
		names = append(names, m.Loc[1].(string))
	}
	return strings.Join(names, " and ")
}
