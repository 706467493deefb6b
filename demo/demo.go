// Package demo is the whole product in one process, with an inverter that is not there: what runs in it is what runs
// In earnest.
//
//	simulator ──Modbus TCP──> edge ──spool──TLS──> vps ──http──> reader
//
// It needs no configuration and no rights, listens on the loopback only, and leaves nothing behind. The end-to-end
// tests are here too, because only this package sees both sides of the wire.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"sunspool/edge"
	"sunspool/edge/config"
	"sunspool/edge/simulator"
	"sunspool/health"
	"sunspool/settings"
	"sunspool/vps/api"
	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/listener"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/vps/tariff"
	"sunspool/wire"
)

// Device is the name of the demo's inverter.
const Device = "demo"

// Config is the flags of sunspool demo.
type Config struct {
	Listen   string  `placeholder:"HOST:PORT" help:"Where readers ask, on the loopback. Default: 127.0.0.1:8080, or the next free port."`
	Open     bool    `help:"Open the page in a browser."`
	Days     int     `default:"400" help:"Days of history to begin with."`
	Model    string  `default:"SH10RT" enum:"SH10RT,SH4.0RS,SG5.0RS" help:"Inverter to simulate: ${enum}."`
	Scenario string  `default:"mixed" enum:"mixed,no-battery,no-meter" help:"What the home has: ${enum}."`
	Seed     uint64  `default:"1" help:"Another seed is another weather and another family."`
	Speed    float64 `default:"1" help:"How much faster the sun moves; samples carry this host's time all the same."`
	TZ       string  `name:"tz" default:"Europe/Brussels" placeholder:"ZONE" help:"Where the home is: its days begin there."`
	Keep     string  `placeholder:"DIR" help:"Keep the files here instead of throwing them away."`
	Log      string  `placeholder:"FILE" help:"Write the logs of edge and vps there."`
}

// Validate names what is wrong with the flags.
func (c *Config) Validate() error {
	var wrong []error
	host, port, err := net.SplitHostPort(cmp.Or(c.Listen, defaultListen))
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 && port != "0" {
		wrong = append(wrong, fmt.Errorf("--listen %q is not host:port with a port up to 65535", c.Listen))
	} else if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		wrong = append(wrong, fmt.Errorf("--listen %s: the demo asks for no token, so it listens on the loopback only", c.Listen))
	}
	if c.Days < 0 || c.Days > 3660 {
		wrong = append(wrong, fmt.Errorf("--days %d: must be 0 to 3660", c.Days))
	}
	if c.Speed <= 0 || c.Speed > 3600 {
		wrong = append(wrong, fmt.Errorf("--speed %v: must be more than 0, at most 3600", c.Speed))
	}
	if _, err := time.LoadLocation(c.TZ); err != nil {
		wrong = append(wrong, fmt.Errorf("--tz %q is not a time zone such as Europe/Brussels", c.TZ))
	}
	if len(wrong) == 0 {
		return nil
	}
	return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: errors.Join(wrong...).Error(), Next: "sunspool demo --help"}
}

// prices are made up, so that the page has all that it can show.
var prices = &tariff.Tariff{Currency: "EUR", Capacity: "be", Prices: []tariff.Prices{
	{From: "2010-01-01", Import: 0.32, Export: 0.04, CO2: new(150.0), Capacity: new(41.2)}}}

// show is a running demo.
type show struct {
	home      *simulator.Home
	inverter  *simulator.Server
	server    *api.Server
	store     store.Samples
	edge      *edge.Edge
	cut       *uplink
	started   time.Time
	addresses struct{ modbus, api, readers string }
}

// Run shows the demo until ctx ends or somebody presses q.
func Run(ctx context.Context, c Config, version string, stdin *os.File, stdout io.Writer) (err error) {
	if err := c.Validate(); err != nil {
		return err
	}
	dir := c.Keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "sunspool-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	log, closeLog, err := openLog(c.Log)
	if err != nil {
		return err
	}
	defer closeLog()

	ctx, quit := context.WithCancel(ctx)
	defer quit()
	s := &show{started: time.Now()}
	g, ctx := errgroup.WithContext(ctx)
	if err := s.start(ctx, g, c, dir, version, log); err != nil {
		quit()
		return errors.Join(err, g.Wait())
	}
	defer s.store.Close()
	defer s.edge.Spool.Close()

	p := newPanel(stdin, stdout, s)
	p.greet(c, version)
	if c.Open {
		if err := openBrowser(ctx, s.page()); err != nil {
			p.line("  --open: %v", err)
		}
	}
	g.Go(func() error { return s.remember(ctx, c, p) })
	g.Go(func() error { return p.run(ctx, quit) })
	err = g.Wait()
	p.farewell(c)
	return err
}

// start brings everything up, from the reader to the inverter, so that each finds the next.
func (s *show) start(ctx context.Context, g *errgroup.Group, c Config, dir, version string, log *slog.Logger) (err error) {
	zone, err := time.LoadLocation(c.TZ)
	if err != nil {
		return err
	}
	readers, err := listen(c.Listen)
	if err != nil {
		return err
	}
	defer closeUnless(&err, readers)
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer closeUnless(&err, public)
	modbus, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer closeUnless(&err, modbus)
	s.addresses.modbus, s.addresses.api, s.addresses.readers = modbus.Addr().String(), public.Addr().String(), readers.Addr().String()

	s.home, err = simulator.NewHome(simulator.HomeOptions{Model: c.Model, Seed: c.Seed, Zone: zone,
		Since: simulator.Since(time.Now().AddDate(0, 0, -c.Days)), NoBattery: c.Scenario == "no-battery", NoMeter: c.Scenario == "no-meter"})
	if err != nil {
		return err
	}
	if s.inverter, err = simulator.New(simulator.Options{Home: s.home, Speed: c.Speed, Seed: c.Seed}); err != nil {
		return err
	}
	secret, err := newSecrets(dir)
	if err != nil {
		return err
	}
	tokens, err := auth.ParseTokens(secret.token+":"+Device, "")
	if err != nil {
		return err
	}
	disk, err := bolt.Open(filepath.Join(dir, "vps.db"))
	if err != nil {
		return err
	}
	s.store = store.NewCached(disk, 5*time.Second)
	s.server = &api.Server{Gate: request.Gate{Tokens: tokens, Log: log.With("role", "vps")}, Devices: deviceinfo.Devices{Store: s.store, Zone: zone}, Conflicts: disk.Conflicts,
		Tariff: prices}
	if s.edge, err = edge.New(config.Config{
		Host: "127.0.0.1", Port: modbus.Addr().(*net.TCPAddr).Port, Unit: 1, PollS: 5, GapMS: 20,
		URL: "https://" + s.addresses.api, Token: settings.Secret(secret.token), CAFile: secret.caFile, DeviceID: Device,
		BatchSize: 30, UploadS: 1, MaxBackoffS: 3, ClockTrust: "always",
		SpoolPath: filepath.Join(dir, "spool.db"), HealthPath: filepath.Join(dir, "health.json"),
	}, version, log.With("role", "edge")); err != nil {
		s.store.Close()
		return err
	}
	s.edge.Uploader.Zone = c.TZ
	s.edge.Inverter.Dongle.Link.Settle = 50 * time.Millisecond // a simulated dongle needs no rest,
	s.edge.Inverter.Dongle.Pauses = []time.Duration{time.Second, 2 * time.Second}
	s.cut = cutter(s.edge.Uploader.Client)

	// The servers outlive the edge, which delivers what it still has when it is told to stop.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error { return s.inverter.Serve(serving, modbus) })
	g.Go(func() error { return listener.Serve(serving, public, secret.tls, s.server.Handler(), log) })
	g.Go(func() error { return listener.Serve(serving, readers, nil, s.server.Readers(Device), log) })
	g.Go(func() error {
		defer stop()
		return s.edge.Run(ctx)
	})
	return nil
}

// page is where a browser sees the demo.
func (s *show) page() string { return "http://" + s.addresses.readers + "/" }

// remember puts the past into the store, as an edge would have delivered it in the days before: five minutes a sample.
func (s *show) remember(ctx context.Context, c Config, p *panel) error {
	const step = 5 * time.Minute
	begun, n := time.Now(), 0
	end := s.started.Truncate(step)
	var batch []wire.Sample
	flush := func() error {
		if _, err := s.store.Insert(ctx, Device, batch); err != nil {
			return fmt.Errorf("history: %w", err)
		}
		n, batch = n+len(batch), batch[:0]
		return nil
	}
	for plant := range s.home.History(end.AddDate(0, 0, -c.Days), end, step) {
		sample := plant.Sample(Device)
		sample.Count = int(step / (5 * time.Second))
		if batch = append(batch, sample); len(batch) < 20*wire.MaxSamples {
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	if err := flush(); err != nil {
		return err
	}
	p.remembered(n, time.Since(begun))
	return nil
}

// listen listens on address, or, if none is given, on the default one or the next free port after it.
func listen(address string) (net.Listener, error) {
	given := address != ""
	address = cmp.Or(address, defaultListen)
	l, err := net.Listen("tcp", address)
	if err == nil || given {
		if err != nil {
			err = &health.Fault{Code: "port_in_use", Exit: health.ExitBusy, What: "cannot listen on " + address, Err: err,
				Next: "choose another port with --listen, or none: then a free one is found"}
		}
		return l, err
	}
	host, text, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(text)
	for next := port + 1; next < port+100; next++ {
		if l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(next))); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}

const defaultListen = "127.0.0.1:8080"

func closeUnless(err *error, c io.Closer) {
	if *err != nil {
		c.Close()
	}
}

// openLog opens the log file, or throws the logs away: the panel says what matters.
func openLog(path string) (*slog.Logger, func(), error) {
	if path == "" {
		return slog.New(slog.DiscardHandler), func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewJSONHandler(f, nil)), func() { f.Close() }, nil
}
