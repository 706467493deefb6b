package api

import (
	"fmt"
	"math"
	"slices"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/problem"
	"sunspool/vps/request"
	"sunspool/wire"
)

// siteRealtime is the answer of GET /v1/realtime about a site: the newest samples of its devices, added up.
type siteRealtime struct {
	Site          string    `json:"site"`
	Time          time.Time `json:"ts"` // of the oldest of them, those of devices that sleep left out
	PVPowerW      *float64  `json:"pv_power_w"`
	PVDailyKWh    *float64  `json:"pv_daily_kwh"`
	BatteryPowerW *float64  `json:"battery_power_w"`
	BatterySOCPct *float64  `json:"battery_soc_pct"`
	LoadPowerW    *float64  `json:"load_power_w"`
	ExportPowerW  *float64  `json:"export_power_w"`
	GridPowerW    *float64  `json:"grid_power_w"`
	Flows         flows     `json:"flows"`

	PowerW          *int64   `json:"power_w"`
	ImportPowerW    *float64 `json:"import_power_w"`
	EnergyImportKWh *float64 `json:"energy_import_kwh"`
	EnergyExportKWh *float64 `json:"energy_export_kwh"`

	AgeS       float64             `json:"age_s"` // since ts
	State      string              `json:"state"` // the worst of them
	Quality    map[string]string   `json:"quality"`
	Incomplete map[string][]string `json:"incomplete"`
	Devices    []siteDevice        `json:"devices"`
}

// siteDevice is how fresh one of them is.
type siteDevice struct {
	ID    string     `json:"id"`
	Time  *time.Time `json:"ts"`
	AgeS  *float64   `json:"age_s"`
	State string     `json:"state"`
}

// worst are the states of devices, the best first.
var worst = []string{"asleep", "live", "delayed", "stale", "offline", "never"}

func (s *Server) siteRealtime(c *request.Request, site *deviceinfo.Site) (any, error) {
	answer := siteRealtime{Site: site.Name, Quality: map[string]string{}, Incomplete: map[string][]string{}}
	now := s.Now()
	asleep := make([]bool, len(site.Members))
	for i, m := range site.Members {
		d := siteDevice{ID: m.ID, State: "never"}
		if m.Newest != nil {
			about, err := s.About(c, m.ID)
			if err != nil {
				return nil, err
			}
			age := max(now.Sub(m.Newest.Time), 0)
			d.State, _ = s.StateOf(c, m.ID, m.Newest, age, about.Edge)
			d.Time, d.AgeS = &m.Newest.Time, new(math.Round(age.Seconds()*10)/10)
			asleep[i] = d.State == "asleep"
		}
		answer.Devices = append(answer.Devices, d)
	}
	if !answer.worst() {
		return nil, problem.New(404, "no_data", fmt.Sprintf("No data found for site '%s'.", site.Name)).WithNext("wait for the first sample of one of its devices: GET /v1/sites lists them")
	}
	if err := s.addNow(c, site, asleep, &answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// worst sets the state and the time of the answer to the worst of the devices that do not sleep. It returns false if none of
// them has ever sent anything.
func (a *siteRealtime) worst() (any bool) {
	awake := slices.ContainsFunc(a.Devices, func(d siteDevice) bool { return d.Time != nil && d.State != "asleep" })
	for _, d := range a.Devices {
		if slices.Index(worst, d.State) > slices.Index(worst, a.State) {
			a.State = d.State
		}
		if d.Time != nil && (!awake || d.State != "asleep") && (!any || d.Time.Before(a.Time)) {
			a.Time, a.AgeS, any = *d.Time, *d.AgeS, true
		}
	}
	return any
}

// sum adds up a value of the devices that have it, nil if one of them does not know it, which is recorded by its name.
func (a *siteRealtime) sum(site *deviceinfo.Site, name string, has func(m *deviceinfo.Member) bool, of func(i int, newest *wire.Sample) *float64) *float64 {
	var sum *float64
	var lacking []string
	for i := range site.Members {
		m := &site.Members[i]
		if m.Newest != nil && !has(m) {
			continue
		}
		var v *float64
		if m.Newest != nil {
			v = of(i, m.Newest)
		}
		switch {
		case v == nil:
			lacking = append(lacking, m.ID)
		case sum == nil:
			sum = new(*v)
		default:
			*sum += *v
		}
	}
	if sum == nil {
		return nil
	}
	if lacking == nil {
		return watts(*sum)
	}
	for _, id := range lacking {
		a.Incomplete[id] = append(a.Incomplete[id], name)
	}
	return nil
}

// addNow adds up the newest samples. A device that sleeps makes nothing, whatever it made last.
func (s *Server) addNow(c *request.Request, site *deviceinfo.Site, asleep []bool, a *siteRealtime) error {
	all := func(*deviceinfo.Member) bool { return true }
	meter := func(m *deviceinfo.Member) bool { return m.Meter }
	battery := func(m *deviceinfo.Member) bool { return m.Battery }
	add := func(name string, has func(*deviceinfo.Member) bool, of func(*wire.Sample) *float64) *float64 {
		return a.sum(site, name, has, func(_ int, newest *wire.Sample) *float64 { return of(newest) })
	}
	today, err := s.pvOfSite(c, site, asleep)
	if err != nil {
		return err
	}
	a.PVPowerW = a.sum(site, "pv_power_w", all, func(i int, newest *wire.Sample) *float64 {
		if asleep[i] {
			return new(0.0)
		}
		return &newest.PVPowerW
	})
	a.PVDailyKWh = a.sum(site, "pv_daily_kwh", all, func(i int, _ *wire.Sample) *float64 { return today[i] })
	a.BatteryPowerW = add("battery_power_w", battery, func(n *wire.Sample) *float64 { return n.BatteryPowerW })
	a.BatterySOCPct = site.SOC(func(i int) (float64, bool) {
		soc := site.Members[i].Newest.BatterySOCPct
		if soc == nil {
			return 0, false
		}
		return *soc, true
	})
	a.ExportPowerW = add("export_power_w", meter, func(n *wire.Sample) *float64 { return n.ExportPowerW })
	a.EnergyImportKWh = add("energy_import_kwh", meter, func(n *wire.Sample) *float64 { return n.ImportTotalKWh })
	a.EnergyExportKWh = add("energy_export_kwh", meter, func(n *wire.Sample) *float64 { return n.ExportTotalKWh })
	if site.Shared() {
		complete := true
		for _, m := range site.Members {
			if m.Newest == nil || m.Battery && m.Newest.BatteryPowerW == nil {
				complete = false
				a.Incomplete[m.ID] = append(a.Incomplete[m.ID], "load_power_w")
			}
		}
		if complete {
			sum := energy.Powers{PV: *a.PVPowerW, Battery: a.BatteryPowerW, Export: a.ExportPowerW}
			sum.SetRest()
			a.LoadPowerW, a.Flows = sum.Load, split(sum)
			a.Quality["load_power_w"] = "derived"
		}
	} else {
		a.LoadPowerW = add("load_power_w", all, func(n *wire.Sample) *float64 { return n.LoadPowerW })
		a.Flows = flowsTogether(site)
	}
	if a.ExportPowerW != nil {
		grid := 0 - *a.ExportPowerW
		a.GridPowerW, a.PowerW, a.ImportPowerW = &grid, new(int64(math.Round(grid))), new(max(grid, 0))
	}
	return nil
}

// pvOfSite returns the PV energy of each device in the local day of the site, kWh.
func (s *Server) pvOfSite(c *request.Request, site *deviceinfo.Site, asleep []bool) ([]*float64, error) {
	zone, err := s.ZoneOf(c, site.Members[0].ID)
	if err != nil {
		return nil, err
	}
	all := make([]*float64, len(site.Members))
	for i, m := range site.Members {
		day, err := s.today(c, m.ID, s.Now(), zone)
		if err != nil {
			return nil, err
		}
		if all[i] = day.PV; all[i] == nil && asleep[i] {
			all[i] = new(0.0) // since before midnight
		}
	}
	return all, nil
}
