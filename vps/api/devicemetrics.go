package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"sunspool/internal/metrics"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// deviceField is how a field of the newest sample is shown: in base units, by its value times scale.
type deviceField struct {
	field  string // of wire.Fields
	family metrics.Family
	scale  float64
}

const joules = 3.6e6 // in a kWh

func gaugeOf(field, name, help string, scale float64) deviceField {
	return deviceField{field, deviceFamily(name, help), scale}
}

func energyOf(field, name, help string) deviceField {
	return deviceField{field, deviceFamily(name, help), joules}
}

func deviceFamily(name, help string, labels ...string) metrics.Family {
	return metrics.Family{Name: "sunspool_device_" + name, Help: help, Labels: append([]string{"device"}, labels...)}
}

// deviceFields are all of wire.Fields. A gauge is shown while samples come, a counter as long as the device is known.
var deviceFields = []deviceField{
	gaugeOf("pv_power_w", "pv_power_watts", "PV power, DC.", 1),
	gaugeOf("pv_daily_kwh", "pv_daily_energy_joules", "PV energy since local midnight.", joules),
	gaugeOf("battery_power_w", "battery_power_watts", "Power of the battery: above 0 it charges, below it discharges.", 1),
	gaugeOf("battery_soc_pct", "battery_charge_ratio", "State of charge of the battery.", 0.01),
	gaugeOf("battery_temp_c", "battery_temperature_celsius", "Temperature of the battery.", 1),
	gaugeOf("load_power_w", "load_power_watts", "Power of the house.", 1),
	gaugeOf("export_power_w", "export_power_watts", "Power to the grid: below 0 it comes from there.", 1),
	energyOf("pv_total_kwh", "pv_energy_joules_total", "PV energy, by the inverter's lifetime counter."),
	energyOf("import_total_kwh", "import_energy_joules_total", "Energy from the grid, by the lifetime counter."),
	energyOf("export_total_kwh", "export_energy_joules_total", "Energy to the grid, by the lifetime counter."),
	energyOf("charge_total_kwh", "battery_charge_energy_joules_total", "Energy into the battery, by the lifetime counter."),
	energyOf("discharge_total_kwh", "battery_discharge_energy_joules_total", "Energy out of the battery, by the lifetime counter."),
	energyOf("direct_total_kwh", "direct_energy_joules_total", "PV energy used in the house at once, by the lifetime counter."),
}

var (
	deviceOnlineFamily = deviceFamily("online", "1 while samples come, or while none are due because the inverter sleeps; 0 for a device that is silent or never sent any.")
	deviceStateFamily  = deviceFamily("state", "1 for the state of the device, 0 for the others: live, delayed, stale, offline, asleep, never.", "state")
	deviceInfoFamily   = deviceFamily("info", "Always 1: what the edge last reported of itself.", "model", "edge_version")
	deviceSampleFamily = deviceFamily("last_sample_timestamp_seconds", "Unix time of the newest sample.")
	deviceAgeFamily    = deviceFamily("last_sample_age_seconds", "Age of the newest sample.")
	deviceHeardFamily  = deviceFamily("last_batch_timestamp_seconds", "Unix time when the edge last delivered, an empty batch included.")
	deviceSpoolFamily  = deviceFamily("spool_samples", "Samples that waited on the edge when it last delivered.")
	deviceAsideFamily  = deviceFamily("quarantined_samples", "Samples that the edge keeps because the server refused them.")

	deviceStates = []string{"live", "delayed", "stale", "offline", "asleep", "never"}
)

// deviceReading is what is shown of a device.
type deviceReading struct {
	device string
	state  string
	age    time.Duration
	newest *wire.Sample // nil if it never sent one
	about  store.About
}

// deviceMetrics serves the newest value of each device of the tokens. One caller at a time is served, and the store has as
// long as for one request: an answer has all devices, or is none.
func (s *Server) deviceMetrics() http.Handler {
	turn := make(chan struct{}, 1)
	return s.Public(func(c *request.Request) (any, error) {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-c.HTTP.Context().Done():
			return nil, request.ErrGone
		}
		all, err := s.readings(c)
		if err != nil {
			return nil, err
		}
		all.metrics().ServeHTTP(c, c.HTTP)
		return nil, nil
	})
}

func (s *Server) readings(c *request.Request) (all deviceReadings, err error) {
	devices := s.Tokens.Devices()
	slices.Sort(devices)
	for _, device := range slices.Compact(devices) {
		r := deviceReading{device: device, state: "never"}
		if r.about, err = s.About(c, device); err != nil {
			return nil, err
		}
		newest, err := request.Ask(&s.Gate, c, "latest", func(ctx context.Context) (wire.Sample, error) { return s.Store.Latest(ctx, device) })
		switch {
		case errors.Is(err, store.ErrNone):
		case err != nil:
			return nil, err
		default:
			r.newest, r.age = &newest, max(s.Now().Sub(newest.Time), 0)
			r.state, _ = s.StateOf(c, device, &newest, r.age, r.about.Edge)
		}
		all = append(all, r)
	}
	return all, nil
}

// deviceReadings are those of one answer.
type deviceReadings []deviceReading

func (all deviceReadings) metrics() *metrics.Set {
	families := []metrics.Family{deviceOnlineFamily, deviceStateFamily, deviceInfoFamily, deviceSampleFamily, deviceAgeFamily, deviceHeardFamily,
		deviceSpoolFamily, deviceAsideFamily}
	for _, f := range deviceFields {
		families = append(families, f.family)
	}
	set := metrics.NewSet()
	set.Show(func(v *metrics.Values) {
		for i := range all {
			all[i].addMetrics(v)
		}
	}, families...)
	return set
}

func (r *deviceReading) addMetrics(v *metrics.Values) {
	add := func(f metrics.Family, value float64, labels ...string) {
		v.Add(f, value, append([]string{r.device}, labels...)...)
	}
	is := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	for _, state := range deviceStates {
		add(deviceStateFamily, is(state == r.state), state)
	}
	coming := r.state == "live" || r.state == "delayed"
	add(deviceOnlineFamily, is(coming || r.state == "asleep"))
	if e := r.about.Edge; e != nil {
		add(deviceInfoFamily, 1, e.Model, e.Version)
		add(deviceSpoolFamily, float64(e.SpoolCount))
		add(deviceAsideFamily, float64(e.Quarantined))
	}
	if !r.about.Seen.IsZero() {
		add(deviceHeardFamily, float64(r.about.Seen.UnixMilli())/1000)
	}
	if r.newest == nil {
		return
	}
	add(deviceSampleFamily, float64(r.newest.Time.UnixMilli())/1000)
	add(deviceAgeFamily, r.age.Seconds())
	for _, f := range deviceFields {
		if value := f.get(r.newest); value != nil && (coming || f.family.IsCounter()) {
			add(f.family, *value*f.scale)
		}
	}
}

func (f deviceField) get(s *wire.Sample) *float64 {
	i := slices.IndexFunc(wire.Fields, func(w wire.Field) bool { return w.Name == f.field })
	return wire.Fields[i].Get(s)
}
