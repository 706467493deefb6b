package vps

import (
	"context"
	"net/http"
	"time"

	"sunspool/wire"
)

// Status is how the vps of this machine is, as far as a command needs it.
type Status struct {
	Ready   bool           `json:"ready"` // samples can be stored
	Why     string         `json:"why,omitempty"`
	Version string         `json:"version,omitempty"`
	Devices []DeviceStatus `json:"devices"`
}

// DeviceStatus is how a device is, as GET /v1/devices says it.
type DeviceStatus struct {
	ID         string     `json:"device_id"`
	State      string     `json:"state"` // live, delayed, stale, offline, asleep or never
	LastSample *time.Time `json:"last_sample"`
	AgeS       *float64   `json:"age_s"`
	Today      *Today     `json:"today,omitempty"` // see AddToday
}

// Today is the energy of a device since its midnight, kWh, nil where it is not known.
type Today struct {
	Date   string   `json:"date"`
	Zone   string   `json:"tz"`
	PV     *float64 `json:"pv_kwh"`
	Load   *float64 `json:"load_kwh"`
	Import *float64 `json:"import_kwh"`
	Export *float64 `json:"export_kwh"`
}

// AskStatus asks the vps that runs on this machine, by its socket. The error is a *health.Fault; no_server where none answers.
func AskStatus(ctx context.Context, m MachineConfig) (*Status, error) {
	var devices struct {
		Server struct {
			Version string `json:"version"`
		} `json:"server"`
		Devices []struct {
			ID         string     `json:"id"`
			State      string     `json:"state"`
			LastSample *time.Time `json:"last_sample"`
			AgeS       *float64   `json:"age_s"`
		} `json:"devices"`
	}
	s := &Status{Ready: true, Devices: []DeviceStatus{}}
	var ready struct{ Status string }
	err := m.ask(ctx, http.MethodGet, wire.ReadyPath, nil, &ready)
	if refused := asRefused(err); refused != nil {
		s.Ready, s.Why = false, refused.Why
	} else if err != nil {
		return nil, err
	}
	if err := m.ask(ctx, http.MethodGet, wire.DevicesPath+"?limit=1000", nil, &devices); err != nil {
		if s.Ready {
			return nil, err
		}
		return s, nil // the store is away
	}
	s.Version = devices.Server.Version
	for _, d := range devices.Devices {
		s.Devices = append(s.Devices, DeviceStatus{ID: d.ID, State: d.State, LastSample: d.LastSample, AgeS: d.AgeS})
	}
	return s, nil
}

// mostWithToday is of how many devices the energy of today is asked for: those of a household.
const mostWithToday = 5

// AddToday adds what the devices have produced and used today, if they are few and the vps can say it.
func (s *Status) AddToday(ctx context.Context, m MachineConfig) {
	if len(s.Devices) == 0 || len(s.Devices) > mostWithToday {
		return
	}
	var list struct {
		Devices []struct {
			ID    string `json:"id"`
			Today *Today `json:"today"`
		} `json:"devices"`
	}
	if err := m.ask(ctx, http.MethodGet, wire.DevicesPath+"?limit=1000&today=1", nil, &list); err != nil {
		return
	}
	for _, d := range list.Devices {
		for i := range s.Devices {
			if s.Devices[i].ID == d.ID {
				s.Devices[i].Today = d.Today
			}
		}
	}
}
