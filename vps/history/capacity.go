package history

import (
	"fmt"
	"math"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

// CapacityAnswer is the answer of GET /v1/capacity/month/YYYY-MM, from which the Belgian capacity tariff is computed.
type CapacityAnswer struct {
	DeviceID       string     `json:"device_id"`
	Month          string     `json:"month"`
	Peaks          []peak     `json:"peaks"` // every quarter-hour of the clock that is over, ascending
	MonthlyPeakW   *int64     `json:"monthly_peak_w"`
	MonthlyPeakTS  *time.Time `json:"monthly_peak_ts"`
	RunningQuarter *peak      `json:"running_quarter,omitempty"`
}

// peak is the mean import of a quarter-hour.
type peak struct {
	Bucket    time.Time `json:"bucket"`
	AvgPowerW int64     `json:"avg_power_w"`
	Coverage  float64   `json:"coverage"`          // of the quarter-hour, as far as it is over
	Partial   bool      `json:"partial,omitempty"` // measured for less than nine tenths: it cannot be the peak of the month
}

// monthOf returns the month of a name, and the zone in which it began.
func (h *History) monthOf(c *request.Request, device, name string) (month time.Time, zone *time.Location, err error) {
	month, err = time.Parse("2006-01", name)
	if err != nil || month.Year() < query.FirstYear || month.Year() > query.LastYear {
		return month, nil, problem.New(400, "bad_month", fmt.Sprintf("Invalid month '%s'. Expected YYYY-MM.", request.Capped(name)))
	}
	zone, err = h.ZoneAt(c, device, func(zone *time.Location) time.Time {
		return store.Midnight(month.Year(), month.Month(), 1, zone)
	})
	return month, zone, err
}

func (h *History) Capacity(c *request.Request) (any, error) {
	_, device, err := request.Readable(c, "device_id")
	if err != nil {
		return nil, err
	}
	name := c.HTTP.PathValue("month")
	month, zone, err := h.monthOf(c, device, name)
	if err != nil {
		return nil, err
	}
	if err := h.Weigh(c, 31*24*4); err != nil {
		return nil, err
	}
	var quarters []energy.Period
	err = h.Step(c, func() (err error) {
		quarters, err = h.Periods(c, store.Query{Device: device, Resolution: store.Quarter, Zone: zone,
			From: store.Midnight(month.Year(), month.Month(), 1, zone), To: store.Midnight(month.Year(), month.Month()+1, 1, zone)})
		return err
	})
	if err != nil {
		return nil, err
	}

	now := h.Now()
	answer := CapacityAnswer{DeviceID: device, Month: name, Peaks: make([]peak, 0, len(quarters))}
	for i := range quarters {
		q := quarters[i].FirstQuarter()
		mean, ok := q.Mean()
		if !ok {
			continue // nothing is known of the grid
		}
		p := peak{Bucket: quarters[i].Start.UTC(), AvgPowerW: int64(math.Round(mean)), Coverage: round(q.Coverage(now), 3)}
		if !q.Over(now) {
			answer.RunningQuarter = &p
			continue
		}
		p.Partial = !q.Measured()
		answer.Peaks = append(answer.Peaks, p)
		if !p.Partial && (answer.MonthlyPeakW == nil || p.AvgPowerW > *answer.MonthlyPeakW) {
			answer.MonthlyPeakW, answer.MonthlyPeakTS = &p.AvgPowerW, &p.Bucket
		}
	}
	return answer, nil
}
