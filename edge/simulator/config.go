package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sunspool/health"
	"sunspool/internal/portholder"
)

// Config is the flags of sunspool simulate: one line = flag, default, help.
type Config struct {
	Listen     string   `default:"127.0.0.1:5020" placeholder:"HOST:PORT" help:"Where to answer Modbus TCP."`
	Model      string   `default:"SH10RT" enum:"SH10RT,SH4.0RS,SG5.0RS" help:"Inverter to simulate: ${enum}."`
	Image      string   `placeholder:"ID|FILE" help:"Serve the words of a real inverter instead, as they are."`
	Seed       uint64   `default:"1" help:"Another seed is another weather and another family."`
	Speed      float64  `default:"1" help:"Simulated seconds in a second."`
	Date       string   `placeholder:"DATE" help:"Start at this date, 2026-10-25 or 2026-10-25T14:00, instead of now."`
	TZ         string   `name:"tz" default:"Europe/Brussels" placeholder:"ZONE" help:"Where its days begin."`
	Unit       uint8    `default:"1" help:"Modbus unit id."`
	Also       []string `sep:"none" placeholder:"UNIT=MODEL|IMAGE" help:"A further inverter behind the same dongle, such as 2=SG5.0RS. Repeatable."`
	NoBattery  bool     `help:"No battery is connected."`
	NoMeter    bool     `help:"No grid meter is connected."`
	Fault      []Fault  `sep:"none" placeholder:"FAULT" help:"What goes wrong, such as slow=2s, exception=6@0.1 or refuse=5213-5241. Repeatable."`
	ListImages bool     `help:"List the images that --image knows."`
}

// Run simulates an inverter until ctx ends. It says on stdout where, once it can be reached.
func Run(ctx context.Context, c Config, stdout io.Writer, log *slog.Logger) error {
	if c.ListImages {
		for _, image := range Images() {
			if _, err := fmt.Fprintf(stdout, "%-42s %s: %s\n", image.ID, image.Model, image.Situation); err != nil {
				return err
			}
		}
		return nil
	}
	server, err := c.Server(time.Now(), log)
	if err != nil {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "cannot simulate that", Why: err.Error(), Next: "sunspool simulate --help"}
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			holder, _ := portholder.Of("", c.Listen)
			return &health.Fault{Code: "port_in_use", Exit: health.ExitBusy, What: "cannot listen on " + c.Listen, Why: holder + " listens there", Err: err,
				Next: "choose another address with --listen; port 0 is any free one"}
		}
		return &health.Fault{Code: "listen", What: "cannot listen on " + c.Listen, Err: err, Next: "choose another address with --listen; port 0 is any free one"}
	}
	units := strings.Join(append([]string{fmt.Sprint("unit ", c.Unit)}, c.Also...), ", and ")
	if _, err := fmt.Fprintf(stdout, "simulated %s on %v (%s)\n", server.Name(), l.Addr(), units); err != nil {
		return errors.Join(err, l.Close())
	}
	return server.Serve(ctx, l)
}

// Server makes the server that the flags describe. A date without a time starts at the time of day of now.
func (c Config) Server(now time.Time, log *slog.Logger) (*Server, error) {
	if !(c.Speed > 0) || math.IsInf(c.Speed, 0) {
		return nil, fmt.Errorf("speed %v: must be above 0", c.Speed)
	}
	if c.Unit == 0 {
		return nil, errors.New("unit 0: it is everybody's, choose 1 to 255")
	}
	o := Options{Unit: c.Unit, Speed: c.Speed, Seed: c.Seed, Faults: c.Fault, Log: log}
	zone, err := time.LoadLocation(c.TZ)
	if err != nil {
		return nil, fmt.Errorf("time zone: %w", err)
	}
	if o.Start, err = StartAt(c.Date, now.In(zone)); err != nil {
		return nil, err
	}
	home := HomeOptions{Model: c.Model, Seed: c.Seed, Zone: zone, Since: Since(o.Start), NoBattery: c.NoBattery, NoMeter: c.NoMeter}
	if c.Image != "" {
		o.Image, err = LoadImage(c.Image)
	} else {
		o.Home, err = NewHome(home)
	}
	if err != nil {
		return nil, err
	}
	for _, text := range c.Also {
		home.Seed++
		u, err := also(text, home)
		if err != nil {
			return nil, err
		}
		o.Others = append(o.Others, u)
	}
	return New(o)
}

// also is the unit that text describes: its id, and a model, whose other settings are those of home, or an image.
func also(text string, home HomeOptions) (Unit, error) {
	number, what, ok := strings.Cut(text, "=")
	id, err := strconv.ParseUint(number, 10, 8)
	if !ok || err != nil || id == 0 {
		return Unit{}, fmt.Errorf("another inverter %q: write it as UNIT=MODEL or UNIT=IMAGE, such as 2=SG5.0RS", text)
	}
	u := Unit{ID: byte(id)}
	home.Model = what
	if slices.ContainsFunc(sites, func(s site) bool { return s.model == what }) {
		u.Home, err = NewHome(home)
	} else {
		u.Image, err = LoadImage(what)
	}
	return u, err
}

// StartAt returns the time that date means: a date without a time has the time of day of now, an empty one is now.
func StartAt(date string, now time.Time) (time.Time, error) {
	if date == "" {
		return now, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.DateOnly} {
		t, err := time.ParseInLocation(layout, date, now.Location())
		if err != nil {
			continue
		}
		if layout == time.DateOnly {
			y, m, d := t.Date()
			t = time.Date(y, m, d, now.Hour(), now.Minute(), now.Second(), 0, now.Location())
		}
		return t, nil
	}
	return time.Time{}, fmt.Errorf("date %q: write it as 2026-10-25 or 2026-10-25T14:00", date)
}

// Since is when a home that is to be shown at t, with a year and a month of history, was commissioned: as usual, or
// earlier if t is early.
func Since(t time.Time) time.Time {
	if t.Sub(Commissioned) > 400*24*time.Hour {
		return Commissioned
	}
	return time.Date(t.Year()-2, 1, 1, 0, 0, 0, 0, time.UTC)
}
