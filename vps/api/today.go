package api

import (
	"math"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

// today is the energy since local midnight, kWh; null where no sample has it.
type today struct {
	Date      string   `json:"date"`
	Zone      string   `json:"tz"`
	PV        *float64 `json:"pv_kwh"`
	Load      *float64 `json:"load_kwh"`
	Import    *float64 `json:"import_kwh"`
	Export    *float64 `json:"export_kwh"`
	Charge    *float64 `json:"charge_kwh"`
	Discharge *float64 `json:"discharge_kwh"`
}

// dayOf returns the local day of now.
func dayOf(now time.Time, zone *time.Location) query.Span {
	day := query.Span{Zone: zone}
	day.From, day.To = store.Day.Period(now, zone)
	return day
}

// today returns the energy of a device in its local day. Its digest may be nil.
func (s *Server) today(c *request.Request, device string, now time.Time, zone *time.Location, digest *store.Digest) (*today, error) {
	day := dayOf(now, zone)
	kwh, err := s.history.Day(c, device, day, digest)
	return energiesOf(day, kwh), err
}

// digestsOfToday returns what today's energies of devices are computed from, nil for each if that is not asked for.
func (s *Server) digestsOfToday(c *request.Request, devices []store.Device, asked bool) ([]*store.Digest, error) {
	all := make([]*store.Digest, len(devices))
	if !asked || len(devices) == 0 {
		return all, nil
	}
	if err := s.Weigh(c, rowsOfToday*len(devices)); err != nil {
		return nil, err
	}
	ids := make([]string, len(devices))
	for i, d := range devices {
		ids[i] = d.ID
	}
	return all, s.Step(c, func() error {
		digests, err := s.history.TodayDigests(c, ids, s.Now())
		for i := range digests {
			all[i] = &digests[i]
		}
		return err
	})
}

// readToday reads what today is computed from, of devices with a digest, some at once.
func (s *Server) readToday(c *request.Request, devices []store.Device, digests []*store.Digest) error {
	const atOnce = 100
	for first := 0; first < len(devices); first += atOnce {
		var ids []string
		var days []query.Span
		var some []store.Digest
		err := s.Step(c, func() error {
			for i, d := range devices[first:min(first+atOnce, len(devices))] {
				if digest := digests[first+i]; digest != nil {
					zone, err := s.ZoneOf(c, d.ID)
					if err != nil {
						return err
					}
					ids, days, some = append(ids, d.ID), append(days, dayOf(s.Now(), zone)), append(some, *digest)
				}
			}
			return s.history.ReadDays(c, ids, days, some)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// energiesOf returns those of a day, nil for one that is not known.
func energiesOf(day query.Span, kwh [energy.Energies]*float64) *today {
	answer := &today{Date: day.From.Format(time.DateOnly), Zone: day.Zone.String()}
	for i, to := range []**float64{energy.PV: &answer.PV, energy.Load: &answer.Load, energy.Import: &answer.Import,
		energy.Export: &answer.Export, energy.Charge: &answer.Charge, energy.Discharge: &answer.Discharge} {
		if v := kwh[i]; v != nil {
			*to = new(math.Round(*v*1000) / 1000)
		}
	}
	return answer
}
