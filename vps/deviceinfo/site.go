package deviceinfo

import (
	"context"
	"errors"
	"math"
	"net/url"
	"slices"

	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

var (
	// ErrForeignSite is answered about a site of which the caller may not read every device, whether there is one or not.
	ErrForeignSite   = problem.New(403, "foreign_site", "There is no such site of which this token may read every device.").WithNext("ask for a site of this token: GET /v1/sites lists them")
	errSiteAndDevice = problem.Invalid("site_and_device", "Input should be either site or device_id, not both", "query", "site")
)

// Site is several devices whose answers are added up.
type Site struct {
	Name    string
	Members []Member // at least one, in order of their names
}

// Member is a device of a site, and what it has by its newest sample and its days before. One that has never sent anything has
// nothing.
type Member struct {
	ID             string
	Newest         *wire.Sample // nil for none
	Meter, Battery bool
}

// Asked returns the parameters of a reader's request, and what it is about: a device, or a site in its place.
func (d *Devices) Asked(c *request.Request, required ...string) (params url.Values, device string, site *Site, err error) {
	if params = c.HTTP.URL.Query(); !params.Has("site") {
		params, device, err = request.Readable(c, append([]string{"device_id"}, required...)...)
		return params, device, nil, err
	}
	if params.Has("device_id") {
		return nil, "", nil, errSiteAndDevice
	}
	site, err = d.Site(c, query.Last(params, "site"))
	return params, "", site, err
}

// Site returns the site of a name, if the caller may read every device of it.
func (d *Devices) Site(c *request.Request, name string) (*Site, error) {
	if d.Sites == nil || !wire.ValidDeviceID(name) {
		return nil, ErrForeignSite
	}
	all, err := request.Ask(d.Gate, c, "sites", d.Sites.Sites)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(s store.Site) bool { return s.Name == name })
	if i < 0 || !MayReadAll(c, all[i]) {
		return nil, ErrForeignSite
	}
	site := &Site{Name: name}
	for _, id := range all[i].Devices {
		m := Member{ID: id}
		newest, err := request.Ask(d.Gate, c, "latest", func(ctx context.Context) (wire.Sample, error) { return d.Store.Latest(ctx, id) })
		if err != nil && !errors.Is(err, store.ErrNone) {
			return nil, err
		}
		if err == nil {
			m.Newest, m.Meter, m.Battery = &newest, hasMeter(&newest), HasBattery(&newest)
			if err := d.addKnown(c, &m); err != nil {
				return nil, err
			}
		}
		site.Members = append(site.Members, m)
	}
	return site, nil
}

// hasMeter reports whether a sample has anything of a meter.
func hasMeter(s *wire.Sample) bool {
	return s.ExportPowerW != nil || s.ImportTotalKWh != nil || s.ExportTotalKWh != nil
}

// MayReadAll reports whether the caller may read every device of a site: to all others it does not exist.
func MayReadAll(c *request.Request, site store.Site) bool {
	for _, id := range site.Devices {
		if !c.Caller.MayRead(id) {
			return false
		}
	}
	return true
}

// IDs are the names of its devices.
func (s *Site) IDs() (all []string) {
	for _, m := range s.Members {
		all = append(all, m.ID)
	}
	return all
}

// Shared reports whether devices without a meter are behind the meter of another one. The load that such a meter's device
// computes is not that of the house, which is then what remains of the sums. Devices that all have a meter have a connection
// each, and where their energy goes adds up.
func (s *Site) Shared() bool {
	meters := len(s.Meters())
	return meters > 0 && meters < len(s.Members)
}

// Meters are the members that have one.
func (s *Site) Meters() (some []Member) {
	for _, m := range s.Members {
		if m.Meter {
			some = append(some, m)
		}
	}
	return some
}

// HasBattery reports whether one of the devices has a battery.
func (s *Site) HasBattery() bool {
	return slices.ContainsFunc(s.Members, func(m Member) bool { return m.Battery })
}

const capacityName = "battery_capacity" // kWh, of the registers that edges send

// SOC returns the state of charge of all batteries together, %, of those of the members that have one: by their capacities,
// if there are several. It is NaN if one is not known.
func (s *Site) SOC(of func(i int) (pct float64, ok bool)) float64 {
	var sum, kwh, only float64
	batteries := 0
	for i := range s.Members {
		if m := &s.Members[i]; m.Battery {
			pct, ok := of(i)
			if !ok {
				return math.NaN()
			}
			batteries, only = batteries+1, pct
			capacity := m.Newest.Values[capacityName]
			if capacity <= 0 {
				capacity = math.NaN()
			}
			sum, kwh = sum+pct*capacity, kwh+capacity
		}
	}
	if batteries == 1 {
		return only
	}
	return sum / kwh // NaN of none
}
