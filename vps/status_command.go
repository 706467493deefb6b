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
		s.Devices = append(s.Devices, DeviceStatus{d.ID, d.State, d.LastSample, d.AgeS})
	}
	return s, nil
}
