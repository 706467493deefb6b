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

// today returns the energy of a device in its local day.
func (s *Server) today(c *request.Request, device string, now time.Time, zone *time.Location) (*today, error) {
	day := dayOf(now, zone)
	answer := &today{Date: day.From.Format(time.DateOnly), Zone: zone.String()}
	rows, err := s.history.Rows(c, device, day, store.Day)
	if err != nil || len(rows) == 0 {
		return answer, err
	}
	for i, to := range []**float64{energy.PV: &answer.PV, energy.Load: &answer.Load, energy.Import: &answer.Import,
		energy.Export: &answer.Export, energy.Charge: &answer.Charge, energy.Discharge: &answer.Discharge} {
		if kwh, from := rows[0].KWh(i); from != energy.Unknown {
			*to = new(math.Round(kwh*1000) / 1000)
		}
	}
	return answer, nil
}
