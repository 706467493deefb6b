package edge

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sunspool/edge/clock"
	"sunspool/edge/config"
	"sunspool/edge/delivered"
	"sunspool/edge/donglelock"
	"sunspool/edge/inverter"
	"sunspool/edge/mdns"
	"sunspool/edge/night"
	"sunspool/edge/pace"
	"sunspool/edge/reading"
	"sunspool/edge/report"
	"sunspool/edge/spool"
	"sunspool/edge/upload"
	"sunspool/edge/zone"
	"sunspool/health"
	"sunspool/systemd"
)

// New builds the edge of one inverter from settings that Validate accepted. The spool is open when it returns.
func New(c config.Config, version string, log *slog.Logger) (*Edge, error) {
	edges, err := newEdges([]config.Config{c}, version, log)
	if err != nil {
		return nil, err
	}
	return edges[0], nil
}

// newEdges builds the edges of the inverters behind one dongle. Their spools are open when it returns.
func newEdges(each []config.Config, version string, log *slog.Logger) (edges []*Edge, err error) {
	first, host := each[0], clock.ThisHost()
	dongle := &inverter.Dongle{
		Pace: &pace.Pace{Interval: first.DongleInterval(), File: first.SpoolPath + ".last-poll", Up: host.Up, BootID: host.BootID},
		Link: inverter.Transport{
			Address: first.Address(),
			Dial:    new(mdns.Names).DialContext,
			Timeout: inverter.AnswerTime,
			Gap:     time.Duration(first.GapMS) * time.Millisecond,
			Settle:  inverter.SettleTime,
		},
	}
	turns := inverter.NewTurns(dongle, len(each))
	for i, c := range each {
		log := log
		if len(each) > 1 {
			log = log.With("inverter", c.DeviceID)
		}
		e, err := newEdge(c, dongle, turns[i], host, version, log)
		if err != nil {
			for _, e := range edges {
				e.Spool.Close()
			}
			return nil, err
		}
		e.Report.Others = config.OtherHealthFiles(each, i)
		edges = append(edges, e)
	}
	return edges, nil
}

// newEdge builds the edge of one inverter, whose turns at the dongle are turn.
func newEdge(c config.Config, dongle *inverter.Dongle, turn *inverter.Turn, host clock.Host, version string, log *slog.Logger) (*Edge, error) {
	own, err := c.OwnRegisters()
	if err = c.UnlessAwaited(err); err != nil {
		return nil, err
	}
	token, err := c.TokenSource()
	if err != nil {
		return nil, err
	}
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	spool, err := spool.Start(c.SpoolPath, c.Busy)
	if err != nil {
		return nil, err
	}
	clock := &clock.Clock{Host: host, Trust: c.ClockTrust == config.ClockAlways, Spool: spool, Log: log}
	verifyBy(client, clock)
	dongle.Pace.Committed(spool.LastTouch(host.BootID))
	spool.QuarantineCap = int(c.SpoolLimit() / 10)
	if err := spool.SetLimit(c.SpoolLimit()); err != nil {
		spool.Close()
		return nil, err
	}
	report := report.New(version, c.DeviceID, c.HealthPath, log)
	e := &Edge{
		DeviceID: c.DeviceID,
		Every:    seconds(c.UploadS),
		Commit:   seconds(c.CommitS),
		Log:      log,
		Pace:     dongle.Pace,
		turn:     turn,
		Spool:    spool,
		Clock:    clock,
		Report:   report,
		Inverter: &inverter.Inverter{
			Unit: byte(c.Unit), Own: own, Place: c.Place, Log: log, Serial: c.Serial,
			Changed: func(id inverter.Identity) error { return keepIdentity(spool, c.DeviceID, id) },
			Dongle:  dongle,
		},
		Uploader: &upload.Uploader{
			Spool: spool, Client: client, Clock: clock, URL: c.IngestURL(), Token: token,
			Agent: "sunspool/" + version, Zone: zone.OfProcess(), BatchSize: c.BatchSize, Fresh: seconds(c.UploadS),
			Backoff: pace.Backoff{Min: time.Second, Max: seconds(c.MaxBackoffS)},
		},
	}
	if name := zone.OfProcess(); name != "" {
		e.normal.Zone, _ = time.LoadLocation(name)
		e.night.Zone = night.SunZone(e.normal.Zone)
	}
	e.night.File = c.SpoolPath + ".night"
	e.night.Load()
	e.normal.Save = func(day reading.YieldDay) error { return keepYieldDay(spool, c.DeviceID, day) }
	if c.RawDebug {
		e.RawEach = c.RawDebugEach
	}
	e.Uploader.Describe, e.Uploader.Copies = report.Describe, copiesOf(c, spool, log)
	report.Watch(e.parts)
	e.awaitFiles(c)
	if err := e.takeOver(); err != nil { // the disk fails: see resume
		e.unresumed.Store(&err)
	}
	return e, nil
}

// copiesOf returns the copies of delivered samples of a spool, nil if none are to be kept.
func copiesOf(c config.Config, spool *spool.Spool, log *slog.Logger) *delivered.Copies {
	dir := delivered.DirOf(c.SpoolPath)
	if c.KeepDays == 0 {
		delivered.Remove(dir)
		return nil
	}
	return &delivered.Copies{Dir: dir, Device: c.DeviceID, Keep: time.Duration(c.KeepDays) * 24 * time.Hour, Log: log,
		Room: func() int64 { r := spool.Capacity(); return r.Limit - r.Size }}
}

// parts returns what the report shows. The fields of e may be changed until Run.
func (e *Edge) parts() report.Parts {
	return report.Parts{Inverter: e.Inverter, Pace: e.Pace, Spool: e.Spool, Clock: e.Clock, Uploader: e.Uploader,
		InMemory: e.buffer.Len(), Interval: e.turn.Interval(), Slowed: e.interval()}
}

// Run runs the edge as a service until ctx ends, and leaves every spool closed and whole. It reports to the service manager,
// if there is one, that it is ready when the spools are open, or when it waits for a disk that fails: that, and whether the
// inverters answer, is in its status.
func Run(ctx context.Context, c config.Config, version string, log *slog.Logger) error {
	if err := c.Validate(); err != nil {
		return err
	}
	each, _ := c.PerInverter() // which Validate has accepted
	var devices []string
	for _, one := range each {
		devices = append(devices, one.DeviceID)
	}
	release, err := donglelock.Claim(c.Host, c.Port, devices, log)
	if err != nil {
		return err
	}
	defer release()
	pulses := new(health.Pulses)
	for i := range each {
		each[i].Busy = func(most time.Duration) {
			pulses.Extend(most)
			systemd.Extend(most)
		}
	}
	edges, err := newEdges(each, version, log)
	if err != nil {
		return err
	}
	addresses := donglelock.NewAddresses(c.Host, c.Port, devices)
	defer addresses.Release()
	edges[0].Inverter.Dongle.Link.Dial = (&mdns.Names{Dial: addresses.DialContext}).DialContext // of all of them
	board := report.NewBoard(devices, systemd.Status)
	for i, e := range edges {
		defer e.Spool.Close()
		e.Pulses, e.Report.Notify = pulses, func(line string) { board.Set(e.DeviceID, e.Report.State().Status, line) }
		defer e.serveStatus(each[i].Socket)(context.WithoutCancel(ctx))
		log.Info("edge started", "version", version, "device", e.DeviceID, "host", c.Host, "port", c.Port, "unit", each[i].Unit,
			"poll_interval_s", e.turn.Interval().Seconds(), "upload_interval_s", c.UploadS, "server", c.URL, "spool", each[i].SpoolPath, "waiting", e.Spool.Waiting())
	}
	if route := c.Route(); route != "" {
		log.Info("proxy", "route", route)
	}
	if c.MetricsAddr != "" {
		addr, _ := config.MetricsAddr(c.MetricsAddr) // which Validate has accepted
		var reports []*report.Report
		for _, e := range edges {
			reports = append(reports, e.Report)
		}
		metrics, stop := context.WithCancel(context.WithoutCancel(ctx))
		var served sync.WaitGroup
		served.Go(func() { (&report.MetricsListener{Addr: addr, Reports: reports, Log: log}).Run(metrics) })
		defer served.Wait()
		defer stop()
	}
	defer systemd.Notify(ctx, pulses.Stalled, log)()
	if c.AtSecondSignal != nil {
		hurry, hurried := context.WithCancel(context.Background())
		for _, e := range edges {
			e.Hurry = hurry.Done()
		}
		c.AtSecondSignal(hurried)
	}
	systemd.Ready()
	return runAll(ctx, edges)
}

// serveStatus serves the status socket until stop is called. If the disk does not allow the socket to be made, it is made
// when the spool can be opened.
func (e *Edge) serveStatus(path string) (stop func(context.Context)) {
	var server *http.Server
	serve := func() (err error) {
		if server, err = e.Report.Serve(path); err != nil {
			e.Log.Warn("no status socket", "path", path, "error", err.Error()) // a convenience: the edge works without it
		}
		return err
	}
	if serve() != nil {
		e.opened = func() { serve() }
	}
	return func(ctx context.Context) {
		if server != nil {
			server.Shutdown(ctx)
		}
	}
}

// runAll runs the edges until ctx ends. If one of them ends with an error, it ends them all.
func runAll(ctx context.Context, edges []*Edge) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, e := range edges {
		all.Go(func() error { return e.Run(ctx) })
	}
	return all.Wait()
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
