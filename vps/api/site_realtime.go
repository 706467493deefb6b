package api

import (
	"math"
	"slices"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/history"
	"sunspool/vps/problem"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

var errEmptySite = problem.New(404, "no_data", "No device of the site has data.").WithNext("wait for the first sample of one of its devices: GET /v1/sites lists them")

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

	PowerW       *int64   `json:"power_w"`
	ImportPowerW *float64 `json:"import_power_w"`

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

func (s *Server) siteRealtime(c *request.Request, site *deviceinfo.Site) (*siteRealtime, error) {
	answer := &siteRealtime{Site: site.Name, Quality: map[string]string{}}
	now := s.Now()
	for _, m := range site.Members {
		d := siteDevice{ID: m.ID, State: "never"}
		if m.Newest != nil {
			about, err := s.About(c, m.ID)
			if err != nil {
				return nil, err
			}
			age := max(now.Sub(m.Newest.Time), 0)
			d.State, _ = s.StateOf(c, m.ID, m.Newest, age, about.Edge)
			d.Time, d.AgeS = &m.Newest.Time, new(math.Round(age.Seconds()*10)/10)
		}
		answer.Devices = append(answer.Devices, d)
	}
	if !answer.worst() {
		return nil, errEmptySite
	}
	if err := s.addNow(c, site, answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// withoutAges returns what does not change with the time alone.
func (a *siteRealtime) withoutAges() *siteRealtime {
	copied := *a
	copied.AgeS, copied.Devices = 0, slices.Clone(a.Devices)
	for i := range copied.Devices {
		copied.Devices[i].AgeS = nil
	}
	return &copied
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

// flowMeans are the flows, those of batteries last.
var flowMeans = [...]string{"solar_home_w", "solar_grid_w", "grid_home_w", "unaccounted_w", "solar_battery_w", "battery_home_w", "battery_grid_w", "grid_battery_w"}

// addNow adds up the newest samples. A device that sleeps makes nothing, whatever it made last.
func (s *Server) addNow(c *request.Request, site *deviceinfo.Site, a *siteRealtime) error {
	samples := make([]*wire.Sample, len(site.Members))
	for i, m := range site.Members {
		if samples[i] = m.Newest; a.Devices[i].State == "asleep" {
			samples[i] = &wire.Sample{Time: m.Newest.Time, Count: 1}
		}
	}
	now := history.NowOf(site, samples)
	a.PVPowerW = now.Watts("pv_power_w", "pv_w")
	a.BatteryPowerW = now.Watts("battery_power_w", "battery_w")
	a.BatterySOCPct = now.Watts("battery_soc_pct", "soc_pct")
	a.LoadPowerW = now.Watts("load_power_w", "load_w")
	a.GridPowerW = now.Watts("grid_power_w", "grid_w")
	f := &a.Flows
	for i, to := range [...]**float64{&f.SolarHome, &f.SolarGrid, &f.GridHome, &f.Unaccounted, &f.SolarBattery, &f.BatteryHome, &f.BatteryGrid, &f.GridBattery} {
		if *to = now.Watts("flows", flowMeans[i]); i > 3 && *to == nil && f.GridHome != nil && !site.HasBattery() {
			*to = new(0.0) // a battery that is absent has no flow
		}
	}
	if a.Incomplete = now.Incomplete; site.Shared() && a.LoadPowerW != nil {
		a.Quality["load_power_w"] = "derived"
	}
	if a.GridPowerW != nil {
		grid := *a.GridPowerW
		a.ExportPowerW, a.PowerW, a.ImportPowerW = new(0-grid), new(int64(math.Round(grid))), new(max(grid, 0))
	}
	return s.pvOfSite(c, site, a)
}

// pvOfSite adds up the PV energy of the local day of the site: what the devices say of it, else what /v1/energy has.
func (s *Server) pvOfSite(c *request.Request, site *deviceinfo.Site, a *siteRealtime) error {
	zone, err := s.ZoneOf(c, site.Members[0].ID)
	if err != nil {
		return err
	}
	sum, known := 0.0, true
	today := dayOf(s.Now(), zone)
	var digests []store.Digest
	for i, m := range site.Members {
		its, err := s.ZoneOf(c, m.ID)
		if err != nil {
			return err
		}
		// A day of another zone is another day.
		if m.Newest != nil && m.Newest.PVDailyKWh != nil && its.String() == zone.String() && !m.Newest.Time.Before(today.From) {
			sum += *m.Newest.PVDailyKWh
			continue
		}
		if digests == nil {
			if digests, err = s.history.TodayDigests(c, site.IDs(), s.Now()); err != nil {
				return err
			}
		}
		day, err := s.today(c, m.ID, s.Now(), zone, &digests[i])
		if err != nil {
			return err
		}
		switch {
		case day.PV != nil:
			sum += *day.PV
		case a.Devices[i].State != "asleep": // if it is, since before midnight
			known = false
			a.Incomplete[m.ID] = append(a.Incomplete[m.ID], "pv_daily_kwh")
		}
	}
	if known {
		a.PVDailyKWh = watts(sum)
	}
	return nil
}
