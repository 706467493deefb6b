package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// realtime is the answer of GET /v1/realtime: the newest sample, and what follows from it. The last four fields of
// computed are those of a grid meter, so that one device can play both parts for a reader that expects two.
type realtime struct {
	computed
	AgeS  float64 `json:"age_s"`
	State string  `json:"state"` // live, delayed, stale, offline or asleep
}

// computed is the part of it that is the same until the next sample.
type computed struct {
	wire.Sample
	GridPowerW *float64 `json:"grid_power_w"` // > 0 from the grid, < 0 to it
	Flows      flows    `json:"flows"`

	PowerW          *int64   `json:"power_w"` // as GridPowerW, rounded
	ImportPowerW    *float64 `json:"import_power_w"`
	EnergyImportKWh *float64 `json:"energy_import_kwh"`
	EnergyExportKWh *float64 `json:"energy_export_kwh"`
}

func (s *Server) realtime(c *request.Request) (any, error) {
	_, device, site, err := s.Asked(c)
	if err != nil {
		return nil, err
	}
	if site != nil {
		return s.siteRealtime(c, site)
	}
	sample, err := request.Ask(&s.Gate, c, "latest", func(ctx context.Context) (wire.Sample, error) {
		return s.Store.Latest(ctx, device)
	})
	if errors.Is(err, store.ErrNone) {
		return nil, problem.New(404, "no_data", fmt.Sprintf("No data found for device_id '%s'.", request.Capped(device))).WithNext("wait for its first sample, or check the name: GET /v1/devices lists the devices of this token")
	}
	if err != nil {
		return nil, err
	}
	if sample.PVDailyKWh == nil {
		sample.PVDailyKWh = s.pvToday(c, &sample)
	}

	about, err := s.About(c, device)
	if err != nil {
		return nil, err
	}
	age := max(s.Now().Sub(sample.Time), 0)
	state, _ := s.StateOf(c, device, &sample, age, about.Edge)
	known := s.newest.jsonOf(&sample)
	body := append(make([]byte, 0, len(known)+48), known[:len(known)-1]...)
	body = append(body, `,"age_s":`...)
	body = strconv.AppendFloat(body, math.Round(age.Seconds()*10)/10, 'f', -1, 64)
	body = append(body, `,"state":"`+state+`"}`...)
	return request.RawJSON(body), nil
}

func compute(sample *wire.Sample) computed {
	answer := computed{Sample: *sample, Flows: flowsOf(sample),
		EnergyImportKWh: sample.ImportTotalKWh, EnergyExportKWh: sample.ExportTotalKWh}
	if sample.ExportPowerW != nil {
		grid := 0 - *sample.ExportPowerW
		answer.GridPowerW, answer.PowerW, answer.ImportPowerW = &grid, new(int64(math.Round(grid))), new(max(grid, 0))
	}
	return answer
}

// newest keeps the JSON of each device's newest sample: readers ask for it far more often than one comes.
type newest struct{ of sync.Map } // *rendered by device; as many as have samples

type rendered struct {
	sample wire.Sample
	json   []byte // of compute(&sample)
}

// jsonOf returns the JSON of compute(sample), which the caller must not change.
func (n *newest) jsonOf(sample *wire.Sample) []byte {
	if last, ok := n.of.Load(sample.DeviceID); ok && last.(*rendered).sample.Equal(sample) {
		return last.(*rendered).json
	}
	r := &rendered{*sample, request.ToJSON(compute(sample))}
	n.of.Store(sample.DeviceID, r)
	return r.json
}

// pvToday returns the PV energy since the local midnight before the sample, kWh: what the lifetime counter rose, else
// what the powers integrate to, times without samples counted as none. nil when the store cannot tell; a reader then
// sees null, not an invented number.
func (s *Server) pvToday(c *request.Request, sample *wire.Sample) *float64 {
	zone, err := s.ZoneAt(c, sample.DeviceID, func(*time.Location) time.Time { return sample.Time })
	if err != nil {
		return nil
	}
	today := query.Span{To: sample.Time.Add(time.Millisecond), Zone: zone}
	today.From, _ = store.Day.Period(sample.Time, zone)
	rows, err := s.history.Rows(c, sample.DeviceID, today, store.Day)
	if err != nil || len(rows) == 0 {
		return nil
	}
	kwh, from := rows[0].KWh(energy.PV)
	if from == energy.Unknown {
		return nil
	}
	return new(math.Round(kwh*1000) / 1000)
}
