package deviceinfo

import (
	"sync"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

const (
	// A meter or a battery that is not heard of for a while is there still: without it the others would be taken for the whole
	// house. After so many days it was taken away.
	equipmentDays  = 30
	equipmentFresh = 5 * time.Minute // until the days are read again
)

// equipment caches what devices had in the days before their newest sample.
type equipment struct {
	mu sync.Mutex
	of map[string]equipped // by device; as many as there are in sites
}

type equipped struct {
	at             time.Time // when it was read
	meter, battery bool
}

// addKnown adds to a member what its newest sample lacks although the device had it in the days before.
func (d *Devices) addKnown(c *request.Request, m *Member) error {
	if m.Meter && m.Battery {
		return nil
	}
	now := d.Now()
	d.equipment.mu.Lock()
	e, ok := d.equipment.of[m.ID]
	d.equipment.mu.Unlock()
	if !ok || now.Sub(e.at).Abs() >= equipmentFresh {
		end := m.Newest.Time.Add(time.Millisecond)
		days, err := d.Periods(c, store.Query{Device: m.ID, From: end.AddDate(0, 0, -equipmentDays), To: end, Resolution: store.Day, Zone: time.UTC})
		if err != nil {
			return err
		}
		e = equipped{at: now}
		for i := range days {
			p := &days[i]
			e.meter = e.meter || p.Covered[energy.KnowsGrid] > 0 || p.Counters[energy.ImportTotal].N > 0 || p.Counters[energy.ExportTotal].N > 0
			e.battery = e.battery || p.Weights[energy.AvgBattery] > 0 || p.Weights[energy.AvgSOC] > 0
		}
		d.equipment.mu.Lock()
		if d.equipment.of == nil {
			d.equipment.of = map[string]equipped{}
		}
		d.equipment.of[m.ID] = e
		d.equipment.mu.Unlock()
	}
	m.Meter, m.Battery = m.Meter || e.meter, m.Battery || e.battery
	return nil
}
