package demo

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"sunspool/edge"
	"sunspool/edge/config"
	"sunspool/edge/simulator"
	"sunspool/settings"
)

// plant is a home with an inverter that is simulated, and the edge that reads it.
type plant struct {
	home     *simulator.Home
	inverter *simulator.Server
	edge     *edge.Edge
	cut      *uplink
	modbus   net.Listener
}

// plantOptions are what a plant is made of.
type plantOptions struct {
	device, token, caFile string
	url                   string // of the vps
	dir                   string
	home                  simulator.HomeOptions
	start                 time.Time
	speed                 float64
	now                   func() time.Time
	version               string
	log                   *slog.Logger
}

// newPlant makes a plant that is not started. It listens already.
func newPlant(o plantOptions) (p *plant, err error) {
	p = new(plant)
	if p.home, err = simulator.NewHome(o.home); err != nil {
		return nil, err
	}
	if p.inverter, err = simulator.New(simulator.Options{Home: p.home, Start: o.start, Speed: o.speed, Seed: o.home.Seed}); err != nil {
		return nil, err
	}
	if p.modbus, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	defer closeUnless(&err, p.modbus)
	prefix := ""
	if o.device != Device {
		prefix = o.device + "."
	}
	if p.edge, err = edge.New(config.Config{
		Host: "127.0.0.1", Port: p.modbus.Addr().(*net.TCPAddr).Port, Unit: 1, PollS: 5, GapMS: 20,
		URL: o.url, Token: settings.Secret(o.token), CAFile: o.caFile, DeviceID: o.device,
		BatchSize: 30, UploadS: 1, MaxBackoffS: 3, ClockTrust: "always",
		SpoolPath: filepath.Join(o.dir, prefix+"spool.db"), HealthPath: filepath.Join(o.dir, prefix+"health.json"),
	}, o.version, o.log.With("role", "edge")); err != nil {
		return nil, err
	}
	p.edge.Clock.Host.Wall = o.now
	p.edge.Uploader.Zone = o.home.Zone.String()
	p.edge.Inverter.Dongle.Link.Settle = 50 * time.Millisecond // a simulated dongle needs no rest,
	p.edge.Inverter.Dongle.Pauses = []time.Duration{time.Second, 2 * time.Second}
	p.cut = cutter(p.edge.Uploader.Client)
	return p, nil
}

// plants returns all plants, that of Device first.
func (s *show) plants() []*plant { return append([]*plant{s.plant}, s.others...) }

// devices returns the names of all devices, that of the first one first.
func (s *show) devices() []string {
	all := []string{Device}
	for _, n := range s.with.others {
		all = append(all, n.id)
	}
	return all
}

// addOthers makes the homes of the other devices, and the plants of those that are simulated, which are like o.
func (s *show) addOthers(c *Config, zone *time.Location, o plantOptions) error {
	s.homes = map[string]*simulator.Home{}
	for _, n := range s.with.others {
		if !n.simulated {
			home, err := simulator.NewHome(n.home(c, zone, s.started.AddDate(-1, 0, -fleetDays)))
			if err != nil {
				return err
			}
			s.homes[n.id] = home
			continue
		}
		o.device, o.token, o.home = n.id, s.tokens[n.id], n.home(c, zone, o.home.Since)
		p, err := newPlant(o)
		if err != nil {
			return err
		}
		s.others, s.homes[n.id] = append(s.others, p), p.home
	}
	return nil
}

// serve answers as the inverter until ctx ends.
func (p *plant) serve(ctx context.Context) error { return p.inverter.Serve(ctx, p.modbus) }

// read is the number of samples that the edge made.
func (p *plant) read() int {
	return p.delivered() + int(p.edge.Uploader.Rejected.Load()) + p.waiting()
}

func (p *plant) delivered() int { return int(p.edge.Uploader.Uploaded.Load()) }
func (p *plant) waiting() int   { return p.edge.Spool.Waiting() }

// breakInverter ends the connection to the inverter for good once a sample of it was delivered.
func (p *plant) breakInverter(ctx context.Context) error {
	each := time.NewTicker(100 * time.Millisecond)
	defer each.Stop()
	for p.delivered() == 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-each.C:
		}
	}
	p.inverter.SetFaults(simulator.Fault{Kind: "off"})
	return nil
}
