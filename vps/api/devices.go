package api

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

const (
	maxDevices     = 1000 // in one answer
	defaultDevices = 200
	rowsOfToday    = 10 // of a history, that today's energy of a device costs as much as
)

// devicesAnswer is the answer of GET /v1/devices.
type devicesAnswer struct {
	Server struct {
		Version string    `json:"version,omitempty"`
		Time    time.Time `json:"time"`
	} `json:"server"`
	Role    string       `json:"role"` // device or viewer
	Devices []deviceLine `json:"devices"`
	After   *string      `json:"next_after"` // for the parameter after, when there are more
}

// deviceLine is what is known of one device.
type deviceLine struct {
	ID            string        `json:"id"`
	Model         *string       `json:"model"`
	Serial        string        `json:"serial,omitempty"` // as its edge sent it: shortened
	Firmware      string        `json:"firmware,omitempty"`
	TimeZone      string        `json:"time_zone"`
	PollIntervalS *float64      `json:"poll_interval_s"`
	FirstSample   *time.Time    `json:"first_sample"`
	LastSample    *time.Time    `json:"last_sample"`
	AgeS          *float64      `json:"age_s"`
	State         string        `json:"state"` // live, delayed, stale, offline, asleep or never
	Capabilities  *capabilities `json:"capabilities"`
	Chain         []hop         `json:"chain"`
	Tariff        *prices       `json:"tariff,omitempty"` // absent without one
	Today         *today        `json:"today,omitempty"`  // if it is asked for
}

// prices are what energy costs now.
type prices struct {
	Currency string   `json:"currency"`
	From     *string  `json:"from"`   // the first day of these prices; null before the first ones
	Import   *float64 `json:"import"` // per kWh
	Export   *float64 `json:"export"`
	CO2      *float64 `json:"co2_g_per_kwh"`
	Capacity *string  `json:"capacity"` // be where the months' peaks cost money
	PerKW    *float64 `json:"capacity_per_kw_year"`
}

// pricesAt returns the prices of a device at a local time, nil without a tariff.
func (s *Server) pricesAt(device string, at time.Time) *prices {
	t := s.Tariff.Now()
	if t == nil {
		return nil
	}
	p := &prices{Currency: t.Currency}
	if t.Capacity != "" {
		p.Capacity = &t.Capacity
	}
	if now := t.Of(device).On(at); now != nil {
		imports, exports := now.At(at)
		p.From, p.Import, p.Export, p.CO2, p.PerKW = &now.From, &imports, &exports, now.CO2, now.Capacity
	}
	return p
}

// capabilities are what the newest sample shows that the unit can measure.
type capabilities struct {
	Battery  bool `json:"battery"`
	Grid     bool `json:"grid"`
	Load     bool `json:"load"`
	Counters bool `json:"counters"`
}

// hop is a link of the chain inverter -> edge -> server, as far as the server can tell: it gets news of the inverter only
// through the edge.
type hop struct {
	Hop         string     `json:"hop"`
	State       string     `json:"state"` // ok, slow, down, asleep or unknown
	Since       *time.Time `json:"since,omitempty"`
	Says        string     `json:"says,omitempty"` // the edge of itself
	Version     string     `json:"version,omitempty"`
	ClockSkewS  *float64   `json:"clock_skew_s,omitempty"` // s that the clock of the edge is behind ours, less than 0 ahead
	Spool       *int       `json:"spool,omitempty"`        // samples that wait on the edge
	Quarantined *int       `json:"quarantined,omitempty"`  // samples that the server refused and the edge keeps
}

func (s *Server) devices(c *request.Request) (any, error) {
	params := c.HTTP.URL.Query()
	limit, err := strconv.Atoi(cmp.Or(query.Last(params, "limit"), strconv.Itoa(defaultDevices)))
	if err != nil || limit < 1 || limit > maxDevices {
		return nil, problem.Invalid("bad_limit", "Input should be 1 to "+strconv.Itoa(maxDevices), "query", "limit")
	}
	only := query.Last(params, "device_id")
	if only != "" && !c.Caller.MayRead(only) {
		return nil, request.ErrForeignDevice
	}
	if only != "" && !wire.ValidDeviceID(only) {
		return nil, request.ErrNoDeviceID
	}
	names := c.Caller.Devices()
	if only != "" {
		names = []string{only}
	}
	all, err := s.Registered(c, names)
	if err != nil {
		return nil, err
	}

	answer := devicesAnswer{Role: c.Caller.Role(), Devices: []deviceLine{}}
	answer.Server.Version, answer.Server.Time = s.Version, s.Now().UTC().Truncate(time.Millisecond)
	from, found := slices.BinarySearchFunc(all, query.Last(params, "after"), deviceinfo.ByID)
	if found {
		from++
	}
	all = all[from:]
	listed := all[:min(limit, len(all))]
	digests, err := s.digestsOfToday(c, listed, query.Last(params, "today") == "1")
	if err == nil {
		err = s.readToday(c, listed, digests)
	}
	if err != nil {
		return nil, err
	}
	for i, d := range listed {
		err := s.Step(c, func() error {
			line, err := s.line(c, d, digests[i])
			answer.Devices = append(answer.Devices, line)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if len(all) > limit {
		answer.After = &answer.Devices[limit-1].ID
	}
	return answer, nil
}

// line returns what is known of a device; with a digest of it also the energy of today.
func (s *Server) line(c *request.Request, d store.Device, digest *store.Digest) (deviceLine, error) {
	zone, err := s.ZoneOf(c, d.ID)
	if err != nil {
		return deviceLine{}, err
	}
	about := d.About
	line := deviceLine{ID: d.ID, TimeZone: zone.String(), State: "never", Tariff: s.pricesAt(d.ID, s.Now().In(zone))}
	if e := about.Edge; e != nil {
		if e.Model != "" {
			line.Model = &e.Model
		}
		line.Serial, line.Firmware = e.Serial, e.Firmware
		if e.PollIntervalS > 0 {
			line.PollIntervalS = &e.PollIntervalS
		}
	}
	newest, err := request.Ask(&s.Gate, c, "latest", func(ctx context.Context) (wire.Sample, error) { return s.Store.Latest(ctx, d.ID) })
	if errors.Is(err, store.ErrNone) {
		line.Chain = chainOf(nil, about, line.State, s.Now())
		return line, nil
	}
	if err != nil {
		return line, err
	}
	age := max(s.Now().Sub(newest.Time), 0)
	line.LastSample, line.AgeS = &newest.Time, new(math.Round(age.Seconds()*10)/10)
	if !d.First.IsZero() {
		line.FirstSample = &d.First
	}
	line.State, _ = s.StateOf(c, d.ID, &newest, age, about.Edge)
	line.Capabilities = &capabilities{Battery: deviceinfo.HasBattery(&newest), Grid: newest.ExportPowerW != nil, Load: newest.LoadPowerW != nil,
		Counters: newest.PVTotalKWh != nil}
	line.Chain = chainOf(&newest, about, line.State, s.Now())
	if digest != nil {
		line.Today, err = s.today(c, d.ID, s.Now(), zone, digest)
	}
	return line, err
}

// chainOf returns the state of each link. Each batch is a sign of life of the edge, and its newest samples come first: an
// edge that delivers old samples has none that are newer.
func chainOf(newest *wire.Sample, about store.About, state string, now time.Time) []hop {
	inverter, edge, server := hop{Hop: "inverter", State: "unknown"}, hop{Hop: "edge", State: "unknown"}, hop{Hop: "server", State: "ok"}
	heard := about.Seen
	if newest != nil && newest.Time.After(heard) && !newest.Time.After(now) {
		heard = newest.Time
	}
	if e := about.Edge; e != nil {
		edge.Says, edge.Version, edge.Spool, edge.Quarantined = e.State, e.Version, &e.SpoolCount, &e.Quarantined
		edge.ClockSkewS = about.SkewS
	}
	if !heard.IsZero() {
		fresh, _ := deviceinfo.Freshness(now.Sub(heard), about.Edge)
		edge.State = hopState(fresh)
		if edge.State == "down" {
			edge.Since = new(heard.UTC())
		}
	}
	switch {
	case newest == nil:
	case state == "asleep":
		inverter.State, inverter.Since = "asleep", &newest.Time
		if edge.State == "down" { // it has nothing to send, so its silence means nothing
			edge.State, edge.Since = "unknown", nil
		}
	case hopState(state) != "down":
		inverter.State = hopState(state)
	case edge.State != "down":
		inverter.State, inverter.Since = "down", &newest.Time
	}
	return []hop{inverter, edge, server}
}

func hopState(freshness string) string {
	switch freshness {
	case "live":
		return "ok"
	case "delayed":
		return "slow"
	}
	return "down"
}
