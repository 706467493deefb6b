package edge

import (
	"context"
	"log/slog"
	"net"
	"time"

	"sunspool/health"
	"sunspool/systemd"
	"sunspool/wire"
)

// New puts an edge together from settings that Validate accepted. The spool is open when it returns.
func New(c Config, version string, log *slog.Logger) (*Edge, error) {
	own, err := c.ownRegisters()
	if err != nil {
		return nil, err
	}
	token, err := NewToken(string(c.Token), c.TokenFile)
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
	host := thisHost()
	clock := &Clock{Host: host, Trust: c.ClockTrust == clockAlways, Spool: spool, Log: log}
	verifyBy(client, clock)
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
	pace := &Pace{Interval: seconds(c.PollS), File: c.SpoolPath + ".last-poll", Up: host.Up, BootID: host.BootID}
	e := &Edge{
		DeviceID: c.DeviceID,
		Every:    seconds(c.UploadS),
		Commit:   seconds(c.CommitS),
		Log:      log,
		Pace:     pace,
		Spool:    spool,
		Clock:    clock,
		Report:   report,
		Inverter: &Inverter{
			Unit: byte(c.Unit), Own: own, Log: log, Serial: c.Serial, Known: known,
			Changed: func(id Identity) error { return spool.SetIdentity(c.DeviceID, id) },
			Dongle: &Dongle{Pace: pace, Link: transport{
				Address: c.address(),
				Dial:    (&net.Dialer{}).DialContext,
				Timeout: answerTime,
				Gap:     time.Duration(c.GapMS) * time.Millisecond,
				Settle:  settleTime,
			}},
		},
		Uploader: &Uploader{
			Spool: spool, Client: client, Clock: clock, URL: c.ingestURL(), Token: token,
			Agent: "sunspool/" + version, Zone: hostZone(), BatchSize: c.BatchSize, Fresh: seconds(c.UploadS),
			Backoff: Backoff{Min: time.Second, Max: seconds(c.MaxBackoffS)},
		},
	}
	e.night.File = c.SpoolPath + ".night"
	e.night.load()
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

// Run is the edge as a service: it runs until ctx ends and leaves the spool closed and whole. The service manager, if
// there is one, hears that it is ready when the spool is open: whether the inverter answers is told by its status.
func Run(ctx context.Context, c Config, version string, log *slog.Logger) error {
	if err := c.Validate(); err != nil {
		return err
	}
	pulses := new(health.Pulses)
	c.Busy = func(most time.Duration) {
		pulses.Allow(most)
		systemd.Extend(most)
	}
	e, err := New(c, version, log)
	if err != nil {
		return err
	}
	defer e.Spool.Close()
	e.Pulses, e.Report.Tell = pulses, systemd.Status
	status, err := e.Report.Serve(c.Socket)
	if err != nil {
		log.Warn("no status socket", "path", c.Socket, "error", err.Error()) // a convenience, not the job
	} else {
		defer status.Shutdown(context.WithoutCancel(ctx))
	}
	log.Info("edge started", "version", version, "device", c.DeviceID, "host", c.Host, "port", c.Port, "unit", c.Unit,
		"poll_interval_s", c.PollS, "upload_interval_s", c.UploadS, "server", c.URL, "spool", c.SpoolPath, "waiting", e.Spool.Waiting())

	defer systemd.Attend(ctx, pulses.Still, log)()
	systemd.Ready()
	return e.Run(ctx)
}
