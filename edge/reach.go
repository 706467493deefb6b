package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"sunspool/edge/config"
	"sunspool/edge/donglelock"
	"sunspool/edge/mdns"
	"sunspool/edge/upload"
	"sunspool/health"
	"sunspool/internal/checklist"
)

// dialTime is how long a dongle may take to accept a connection.
const dialTime = 5 * time.Second

// Reach looks at what settings lead to that Validate accepted: the server by a batch of no samples, the inverter by a connection
// if no edge of this machine has the one that a dongle bears, and the directories of the spool. Nothing is stored.
func Reach(ctx context.Context, c config.Config, version string) (all []checklist.Check) {
	each, _ := c.PerInverter() // which Validate has accepted
	asked := map[string]bool{}
	for _, one := range each {
		if check := server(ctx, one, version, asked); check != nil {
			all = append(all, *check)
		}
	}
	all = append(all, dongle(ctx, c, each))
	dirs := map[string]bool{}
	for _, one := range each {
		if dir := filepath.Dir(one.SpoolPath); !dirs[dir] {
			dirs[dir] = true
			all = append(all, checklist.Writable("spool", dir))
		}
	}
	return all
}

// server asks whether the server would take samples with the token of an inverter. One token is asked about once.
func server(ctx context.Context, c config.Config, version string, asked map[string]bool) *checklist.Check {
	source, err := c.TokenSource()
	if err == nil && asked[source.Value] {
		return nil
	}
	var reply upload.Reply
	if err == nil {
		asked[source.Value] = true
		var client, wrong = c.Client()
		if err = wrong; err == nil {
			reply, err = upload.Try(ctx, client, c.IngestURL(), source.Value, "sunspool/"+version)
			err = upload.Explain(err)
			client.CloseIdleConnections()
		}
	}
	if err != nil {
		return new(checklist.Of("server", err))
	}
	return &checklist.Check{Area: "server", State: checklist.OK, What: fmt.Sprintf("%s takes samples with the token of %s, in %v", c.URL, c.DeviceID, reply.Took.Round(time.Millisecond))}
}

var errDongleInUse = errors.New("the dongle is read by another name")

// dongle connects to the inverter, and asks it nothing.
func dongle(ctx context.Context, c config.Config, each []config.Config) checklist.Check {
	var devices []string
	for _, one := range each {
		devices = append(devices, one.DeviceID)
	}
	release, err := donglelock.Claim(c.Host, c.Port, devices, slog.New(slog.DiscardHandler))
	names := new(mdns.Names)
	if err == nil && donglelock.SameHost(ctx, c.Host, names.Resolve) != "" {
		release()
		err = errDongleInUse
	}
	if err != nil {
		return checklist.Check{Area: "inverter", State: checklist.Skip, What: "an edge of this machine reads " + c.Address() + ", and a dongle bears one connection", Next: "sunspool status"}
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := names.DialContext(ctx, "tcp", c.Address())
	if err != nil {
		return checklist.Of("inverter", &health.Fault{Code: "inverter_unreachable", What: c.Address() + " accepts no connection", Why: err.Error(), Next: "sunspool probe " + health.Quote(c.Host)})
	}
	conn.Close()
	return checklist.Check{Area: "inverter", State: checklist.OK, What: c.Address() + " accepts a connection, for " + strings.Join(devices, " and ")}
}
