// Package demo is the whole product in one process, with an inverter that is not there: what runs in it is what runs
// in earnest.
//
//	simulator ──Modbus TCP──> edge ──spool──TLS──> vps ──http──> reader
//
// It needs no configuration and no rights, listens on the loopback unless it is told otherwise, and leaves nothing behind. The end-to-end
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
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"sunspool/edge/simulator"
	"sunspool/health"
	"sunspool/internal/portholder"
	"sunspool/vps/api"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/listener"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/vps/tariff"
)

// Device is the name of the demo's inverter.
const Device = "demo"

// Config is the flags of sunspool demo.
type Config struct {
	Listen   string  `placeholder:"HOST:PORT" help:"Where readers ask, on the loopback. Default: 127.0.0.1:8080, or the next free port."`
	LAN      bool    `name:"lan" help:"Listen on all addresses. Other hosts need the token of the link that is printed; it is a new one each time."`
	Open     bool    `help:"Open the page in a browser."`
	Days     int     `default:"400" help:"Days of history to begin with."`
	Model    string  `default:"SH10RT" enum:"SH10RT,SH4.0RS,SG5.0RS" help:"Inverter to simulate: ${enum}."`
	Scenario string  `default:"mixed" placeholder:"NAME" enum:"mixed,sunny,winter,outage,stale,dst,no-battery,no-meter,two-inverters,fleet" help:"What is shown: ${enum}. Some have a date or a time of day of their own."`
	Date     string  `placeholder:"DATE" help:"The demo's today, 2026-06-21 or 2026-06-21T14:00: its history ends there, and its clocks go on from there."`
	Seed     uint64  `default:"1" help:"Another seed is another weather and another family."`
	Speed    float64 `default:"1" help:"How much faster the sun moves; samples carry the time of the demo's clock all the same."`
	TZ       string  `name:"tz" default:"Europe/Brussels" placeholder:"ZONE" help:"Where the home is: its days begin there."`
	Keep     string  `placeholder:"DIR" help:"Keep the files here instead of throwing them away."`
	Log      string  `placeholder:"FILE" help:"Write the logs of edge and vps there."`
}

// Validate names what is wrong with the flags.
func (c *Config) Validate() error {
	var wrong []error
	host, port, err := net.SplitHostPort(cmp.Or(c.Listen, c.defaultListen()))
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 && port != "0" {
		wrong = append(wrong, fmt.Errorf("--listen %q is not host:port with a port up to 65535", c.Listen))
	} else if ip := net.ParseIP(host); !c.LAN && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		wrong = append(wrong, fmt.Errorf("--listen %s: the demo asks for no token, so it listens on the loopback only; --lan is for other addresses", c.Listen))
	}
	if c.Days < 0 || c.Days > 3660 {
		wrong = append(wrong, fmt.Errorf("--days %d: must be 0 to 3660", c.Days))
	}
	if c.Speed <= 0 || c.Speed > 3600 {
		wrong = append(wrong, fmt.Errorf("--speed %v: must be more than 0, at most 3600", c.Speed))
	}
	if zone, err := time.LoadLocation(c.TZ); err != nil {
		wrong = append(wrong, fmt.Errorf("--tz %q is not a time zone such as Europe/Brussels", c.TZ))
	} else if len(wrong) == 0 {
		if _, err := c.start(zone, time.Now()); err != nil {
			wrong = append(wrong, err)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: errors.Join(wrong...).Error(), Next: "sunspool demo --help"}
}

// prices are made up, so that the page has all that it can show.
var prices = tariff.Fixed(&tariff.Tariff{Currency: "EUR", Capacity: "be", Prices: tariff.Schedule{
	{From: "2010-01-01", Import: 0.28, Export: 0.04, CO2: new(150.0), Capacity: new(50.0), FeePerYear: 60,
		Windows: []tariff.Window{{Days: tariff.Workdays, From: 7 * 60, To: 22 * 60, Import: new(0.34)}}}}})

// show is a running demo.
type show struct {
	*plant    // of Device
	others    []*plant
	homes     map[string]*simulator.Home // of the other devices
	tokens    map[string]string          // of all devices
	viewer    string                     // token for other hosts; "" if none may read
	with      scenario
	version   string
	secret    *secrets
	public    net.Listener // for edges
	asked     net.Listener // for readers
	server    *api.Server
	store     store.Samples
	started   time.Time    // by the demo's clock
	recent    int          // samples of the last days, which are stored first
	ahead     atomic.Int64 // ns by which that is ahead of the host's
	addresses struct{ modbus, api, readers string }
}

// now is the demo's clock, which is that of its edges and its server.
func (s *show) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

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
	s := new(show)
	g, ctx := errgroup.WithContext(ctx)
	if err := s.start(ctx, g, c, dir, version, log); err != nil {
		quit()
		return errors.Join(err, g.Wait())
	}
	defer s.store.Close()
	for _, p := range s.plants() {
		defer p.edge.Spool.Close()
	}

	p := newPanel(stdin, stdout, s)
	p.greet(c, version)
	if c.Open {
		if err := openBrowser(ctx, s.page()); err != nil {
			p.line("  --open: %v", err)
		}
	}
	g.Go(func() error { return s.remember(ctx, &c, p) })
	g.Go(func() error { return s.carry(ctx, &c) })
	if s.with.breaks {
		g.Go(func() error { return s.breakInverter(ctx) })
	}
	g.Go(func() error { return p.run(ctx, quit) })
	err = g.Wait()
	p.farewell(c)
	return err
}

// start opens everything and runs it until ctx ends.
func (s *show) start(ctx context.Context, g *errgroup.Group, c Config, dir, version string, log *slog.Logger) error {
	if err := s.open(ctx, c, dir, version, log); err != nil {
		return err
	}
	// The servers outlive the edges, which deliver what they still have when they are told to stop.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var edges sync.WaitGroup
	for _, p := range s.plants() {
		edges.Add(1)
		g.Go(func() error { return p.serve(serving) })
		g.Go(func() error {
			defer edges.Done()
			return p.edge.Run(ctx)
		})
	}
	g.Go(func() error {
		return listener.Serve(serving, s.public, s.secret.tls, s.dated(s.server.Handler()), log)
	})
	g.Go(func() error { return listener.Serve(serving, s.asked, nil, s.dated(s.readers()), log) })
	g.Go(func() error {
		edges.Wait()
		stop()
		return nil
	})
	return nil
}

// open makes everything, from the reader to the inverter, so that each finds the next, with the last days of the past. It
// listens already.
func (s *show) open(ctx context.Context, c Config, dir, version string, log *slog.Logger) (err error) {
	zone, err := time.LoadLocation(c.TZ)
	if err != nil {
		return err
	}
	host := time.Now()
	if s.started, err = c.start(zone, host); err != nil {
		return err
	}
	s.ahead.Store(int64(s.started.Sub(host)))
	s.with, s.version = scenarios[c.Scenario], version
	if s.asked, err = c.listen(); err != nil {
		return err
	}
	defer closeUnless(&err, s.asked)
	if s.public, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	defer closeUnless(&err, s.public)
	s.addresses.api, s.addresses.readers = s.public.Addr().String(), s.asked.Addr().String()

	if s.secret, err = newSecrets(dir); err != nil {
		return err
	}
	tokens, err := s.makeTokens(c.LAN)
	if err != nil {
		return err
	}
	disk, err := bolt.Open(filepath.Join(dir, "vps.db"))
	if err != nil {
		return err
	}
	s.store = store.NewCached(disk, 5*time.Second)
	defer closeUnless(&err, s.store)
	s.server = &api.Server{Gate: request.Gate{Tokens: tokens, Version: version, Log: log.With("role", "vps"), Now: s.now}, Devices: deviceinfo.Devices{Store: s.store, Zone: zone},
		Conflicts: disk.Conflicts, Tariff: prices}

	o := plantOptions{device: Device, token: s.secret.token, caFile: s.secret.caFile, url: "https://" + s.addresses.api, dir: dir,
		home: c.home(zone, simulator.Since(s.started.AddDate(0, 0, -c.Days))), start: s.started, speed: c.Speed, now: s.now, version: version, log: log}
	if s.plant, err = newPlant(o); err != nil {
		return err
	}
	s.addresses.modbus = s.modbus.Addr().String()
	if err := s.addOthers(&c, zone, o); err != nil {
		return err
	}
	if err := s.describeOthers(ctx, c.TZ); err != nil {
		return err
	}
	s.recent, err = s.rememberRecent(ctx, &c)
	return err
}

// listen listens where readers ask: where they were told, else on the default address or the next free port after it.
func (c *Config) listen() (net.Listener, error) {
	given := c.Listen != ""
	address := cmp.Or(c.Listen, c.defaultListen())
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	if given {
		return nil, listenFault(address, err)
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

func listenFault(address string, err error) *health.Fault {
	if errors.Is(err, syscall.EADDRINUSE) {
		holder, _ := portholder.Of("", address)
		return &health.Fault{Code: "port_in_use", Exit: health.ExitBusy, What: "cannot listen on " + address, Why: holder + " listens there", Err: err,
			Next: "choose another port with --listen, or none: then a free one is found"}
	}
	return &health.Fault{Code: "listen", What: "cannot listen on " + address, Err: err, Next: "choose another address with --listen"}
}

func (c *Config) defaultListen() string {
	if c.LAN {
		return ":8080"
	}
	return "127.0.0.1:8080"
}

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
