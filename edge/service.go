package edge

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"sunspool/health"
	"sunspool/systemd"
	"sunspool/wire"
)

// New puts the edge of one inverter together from settings that Validate accepted. The spool is open when it returns.
func New(c Config, version string, log *slog.Logger) (*Edge, error) {
	edges, err := newEdges([]Config{c}, version, log)
	if err != nil {
		return nil, err
	}
	return edges[0], nil
}

// newEdges puts the edges of the inverters behind one dongle together. Their spools are open when it returns.
func newEdges(each []Config, version string, log *slog.Logger) (edges []*Edge, err error) {
	first, host := each[0], thisHost()
	dongle := &Dongle{
		Pace: &Pace{Interval: first.beat(), File: first.SpoolPath + ".last-poll", Up: host.Up, BootID: host.BootID},
		Link: transport{
			Address: first.address(),
			Dial:    (&net.Dialer{}).DialContext,
			Timeout: answerTime,
			Gap:     time.Duration(first.GapMS) * time.Millisecond,
			Settle:  settleTime,
		},
	}
	round := newTurns(dongle, len(each))
	for i, c := range each {
		log := log
		if len(each) > 1 {
			log = log.With("inverter", c.DeviceID)
		}
		e, err := newEdge(c, round.all[i], host, version, log)
		if err != nil {
			for _, e := range edges {
				e.Spool.Close()
			}
			return nil, err
		}
		e.Report.others = others(each, i)
		edges = append(edges, e)
	}
	return edges, nil
}

// newEdge puts the edge of one inverter together, whose turns at the dongle are turn.
func newEdge(c Config, turn *turn, host Host, version string, log *slog.Logger) (*Edge, error) {
	own, err := c.ownRegisters()
	if err != nil {
		return nil, err
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	client, err := NewClient(c.CAFile)
	if err != nil {
		return nil, err
	}
	spool, err := startSpool(c.SpoolPath, c.Busy)
	if err != nil {
		return nil, err
	}
	clock := &Clock{Host: host, Trust: c.ClockTrust == clockAlways, Spool: spool, Log: log}
	verifyBy(client, clock)
	turn.of.dongle.Pace.committed(spool.lastTouch(host.BootID))
	for _, text := range spool.Opening().Warnings {
		log.Warn("spool", "mended", text)
	}
	spool.QuarantineCap = int(c.spoolLimit() / 10)
	if err := spool.Limit(c.spoolLimit()); err != nil {
		spool.Close()
		return nil, err
	}
	known, err := spool.Identity(c.DeviceID)
	if err != nil {
		spool.Close()
		return nil, err
	}
	report := NewReport(version, c.DeviceID, c.HealthPath, log)
	e := &Edge{
		DeviceID: c.DeviceID,
		Every:    seconds(c.UploadS),
		Commit:   seconds(c.CommitS),
		Log:      log,
		Pace:     turn.of.dongle.Pace,
		turn:     turn,
		Spool:    spool,
		Clock:    clock,
		Report:   report,
		Inverter: &Inverter{
			Unit: byte(c.Unit), Own: own, Place: c.Place, Log: log, Serial: c.Serial, Known: known,
			Changed: func(id Identity) error { return spool.SetIdentity(c.DeviceID, id) },
			Dongle:  turn.of.dongle,
		},
		Uploader: &Uploader{
			Spool: spool, Client: client, Clock: clock, URL: c.ingestURL(), Token: token,
			Agent: "sunspool/" + version, Zone: hostZone(), BatchSize: c.BatchSize, Fresh: seconds(c.UploadS),
			Backoff: Backoff{Min: time.Second, Max: seconds(c.MaxBackoffS)},
		},
	}
	e.night.File = c.SpoolPath + ".night"
	e.night.load()
	if zone := hostZone(); zone != "" {
		e.normal.Zone, _ = time.LoadLocation(zone)
	}
	if day, err := spool.yieldDay(c.DeviceID); err == nil {
		e.normal.Resume(day)
	}
	e.normal.Save = func(day yieldDay) error { return spool.setYieldDay(c.DeviceID, day) }
	if c.RawDebug {
		e.RawEach = c.RawDebugEach
	}
	e.Uploader.Describe = func() *wire.Edge { return report.describe(e.interval()) }
	report.watch(e)
	return e, nil
}

// Run is the edge as a service: it runs until ctx ends and leaves every spool closed and whole. The service manager, if
// there is one, is told that it is ready when the spools are open: whether the inverters answer is in its status.
func Run(ctx context.Context, c Config, version string, log *slog.Logger) error {
	if err := c.Validate(); err != nil {
		return err
	}
	each, _ := c.perInverter() // which Validate has accepted
	var devices []string
	for _, one := range each {
		devices = append(devices, one.DeviceID)
	}
	release, err := claimDongle(c.Host, c.Port, devices, log)
	if err != nil {
		return err
	}
	defer release()
	pulses := new(health.Pulses)
	for i := range each {
		each[i].Busy = func(most time.Duration) {
			pulses.Allow(most)
			systemd.Extend(most)
		}
	}
	edges, err := newEdges(each, version, log)
	if err != nil {
		return err
	}
	board := newBoard(devices, systemd.Status)
	for i, e := range edges {
		defer e.Spool.Close()
		e.Pulses, e.Report.Tell = pulses, func(line string) { board.set(e.DeviceID, e.Report.State().Status, line) }
		if status := e.serveStatus(each[i].Socket); status != nil {
			defer status.Shutdown(context.WithoutCancel(ctx))
		}
		log.Info("edge started", "version", version, "device", e.DeviceID, "host", c.Host, "port", c.Port, "unit", each[i].Unit,
			"poll_interval_s", e.turn.interval().Seconds(), "upload_interval_s", c.UploadS, "server", c.URL, "spool", each[i].SpoolPath, "waiting", e.Spool.Waiting())
	}
	defer systemd.Attend(ctx, pulses.Still, log)()
	systemd.Ready()
	return runAll(ctx, edges)
}

// serveStatus answers on the status socket; nil where that cannot be had.
func (e *Edge) serveStatus(path string) *http.Server {
	server, err := e.Report.Serve(path)
	if err != nil {
		e.Log.Warn("no status socket", "path", path, "error", err.Error()) // a convenience, not the job
		return nil
	}
	return server
}

// runAll runs the edges until ctx ends, or one of them ends with an error: then it ends them all.
func runAll(ctx context.Context, edges []*Edge) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, e := range edges {
		all.Go(func() error { return e.Run(ctx) })
	}
	return all.Wait()
}
