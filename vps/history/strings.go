package history

import (
	"context"
	"slices"
	"strconv"
	"time"

	"sunspool/vps/problem"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

// The powers of an inverter's DC inputs. Rollups do not have them: they are voltage times current of each sample, as long as
// it is kept.

const (
	mostStrings    = 12             // of the largest inverters
	maxStringHours = 48 * time.Hour // of a series that has strings, which is computed from samples
	besideStrings  = time.Hour      // how far away a sample may be that covers some of a span
)

// stringRegisters are the two registers of which a column is the product.
type stringRegisters struct{ volts, amps string }

var (
	ofStrings   = map[string]stringRegisters{}
	StringMeans = func() (names []string) {
		for n := range mostStrings {
			input := "mppt" + strconv.Itoa(n+1)
			names = append(names, input+"_w")
			ofStrings[input+"_w"] = stringRegisters{input + "_voltage", input + "_current"}
		}
		return names
	}()
)

// watts returns the power of a string, false if the sample does not have it.
func (r stringRegisters) watts(s *wire.Sample) (float64, bool) {
	volts, ok := s.Values[r.volts]
	amps, also := s.Values[r.amps]
	return volts * amps, ok && also
}

// isString reports whether a column is the power of a string.
func isString(name string) bool { return slices.Contains(StringMeans, name) }

var errLongStrings = problem.New(422, "too_many_points",
	"The span is too long for the powers of strings, which are computed from samples: at most 48 hours in one answer.").
	WithNext("ask for a span of at most 48 hours, or without the columns of strings (mppt1_w and so on)")

// addStrings appends the mean powers of strings in the periods that begin at starts, the last of which is the end of them all. A
// sample covers the same time as for the PV power.
func (h *History) addStrings(c *request.Request, a *meansAnswer, names []string, q store.Query, starts []time.Time) error {
	if len(names) == 0 {
		return nil
	}
	from, to := q.From.Add(-besideStrings), q.To.Add(besideStrings)
	scope := rollup.NewScope(q, from.UnixMilli(), to.UnixMilli(), false)
	gatherers := make([]*rollup.Gatherer, len(names))
	for i := range names {
		gatherers[i] = rollup.NewGatherer(q, scope)
	}
	_, err := request.Ask(h.Gate, c, "each", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, h.Store.Each(ctx, q.Device, from, to, func(s wire.Sample) bool {
			for i, name := range names {
				if watts, ok := ofStrings[name].watts(&s); ok {
					gatherers[i].AddSample(&wire.Sample{Time: s.Time, PVPowerW: watts, Count: s.Count, Interval: s.Interval})
				}
			}
			return true
		})
	})
	if err != nil {
		return err
	}
	for i, name := range names {
		a.add(name, "pv_w", consecutive(starts, gatherers[i].End()), h.Now())
	}
	return nil
}
