package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"sunspool/edge/simulator"
	"sunspool/vps/store"
	"sunspool/wire"
)

// neighbor is a device beside the first one. One that is simulated has a plant of its own, as the first has. Of the others
// the history is stored, and what they measure from then on is uploaded for them.
type neighbor struct {
	id, model string
	noBattery bool
	noMeter   bool
	simulated bool
	never     bool          // nothing was ever received from it
	sleeps    bool          // it is silent while it has no sun, and sends nothing now
	silent    time.Duration // how long ago its last sample was; 0 if it is still sending
	backlog   time.Duration // before the start, of which the samples still wait on its edge

	version     string // of its edge, the demo's if empty
	quarantined int
}

// fleetDays is how long the history of a neighbor is at most.
const fleetDays = 40

// fleet has each state that a list of devices shows.
var fleet = []neighbor{
	{id: "bakery", model: "SH10RT"},
	{id: "barn", model: "SH4.0RS", simulated: true},
	{id: "chapel", model: "SG5.0RS", sleeps: true},
	{id: "dairy", model: "SH10RT", noBattery: true},
	{id: "farm", model: "SH10RT", backlog: 3 * time.Hour},
	{id: "garage", model: "SG5.0RS", sleeps: true},
	{id: "harbour", model: "SH4.0RS", silent: 9 * 24 * time.Hour, version: "0.9.2"},
	{id: "inn", model: "SH10RT", silent: 5 * time.Minute},
	{id: "mill", model: "SH4.0RS", quarantined: 3},
	{id: "office", model: "SH10RT", noMeter: true},
	{id: "school", model: "SH4.0RS", never: true},
}

// uploads reports whether samples of the present are uploaded for n.
func (n neighbor) uploads() bool { return !n.simulated && !n.never && !n.sleeps && n.silent == 0 }

// home returns the options of the home of n, which has a weather and a family of its own.
func (n *neighbor) home(c *Config, zone *time.Location, since time.Time) simulator.HomeOptions {
	seed := c.Seed
	for _, letter := range n.id {
		seed = seed*31 + uint64(letter)
	}
	return simulator.HomeOptions{Model: n.model, Seed: seed, Zone: zone, Since: since, NoBattery: n.noBattery, NoMeter: n.noMeter}
}

// about is what the edge of n reports of itself, with so many samples that wait.
func (n *neighbor) about(version string, waiting int) *wire.Edge {
	if n.version != "" {
		version = n.version
	}
	return &wire.Edge{Version: version, Model: n.model, PollIntervalS: pollStep.Seconds(), SpoolCount: waiting, Quarantined: n.quarantined}
}

// describeOthers stores what the edges of the devices without a plant report of themselves.
func (s *show) describeOthers(ctx context.Context, zone string) error {
	for _, n := range s.with.others {
		if n.simulated || n.never {
			continue
		}
		if err := s.store.Describe(ctx, n.id, store.About{Zone: zone, Edge: n.about(s.version, 0)}); err != nil {
			return err
		}
	}
	return nil
}

// courier uploads what neighbors without a plant measure, as their edges would.
type courier struct {
	client  *http.Client
	url     string
	zone    string
	version string
	homes   map[string]*simulator.Home
	tokens  map[string]string
	waiting map[string][]time.Time // of the backlogs, the newest sample last
}

func newCourier(s *show, c *Config) (*courier, error) {
	authority, err := os.ReadFile(s.secret.caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	v := &courier{url: "https://" + s.addresses.api + wire.IngestPath, zone: c.TZ, version: s.version, homes: s.homes, tokens: s.tokens,
		client:  &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, Time: s.now}}},
		waiting: map[string][]time.Time{}}
	for _, n := range s.with.others {
		for t := s.started.Add(-n.backlog).Truncate(pollStep); n.backlog > 0 && t.Before(s.started); t = t.Add(pollStep) {
			v.waiting[n.id] = append(v.waiting[n.id], t)
		}
	}
	return v, nil
}

// carry uploads for all neighbors without a plant every pollStep until ctx ends. What cannot be uploaded is left out: the next
// sample shows the same device.
func (s *show) carry(ctx context.Context, c *Config) error {
	if !slices.ContainsFunc(s.with.others, neighbor.uploads) {
		return nil
	}
	v, err := newCourier(s, c)
	if err != nil {
		return err
	}
	defer v.client.CloseIdleConnections()
	each := time.NewTicker(pollStep)
	defer each.Stop()
	for {
		for i := range s.with.others {
			if n := &s.with.others[i]; n.uploads() {
				_ = v.upload(ctx, n, s.now())
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-each.C:
		}
	}
}

// upload sends the sample of n at now, and some of those that wait, the newest first.
func (v *courier) upload(ctx context.Context, n *neighbor, now time.Time) error {
	const some = 29
	waiting := v.waiting[n.id]
	rest := waiting[:max(0, len(waiting)-some)]
	batch := wire.Batch{Zone: v.zone, Edge: n.about(v.version, len(rest))}
	for _, t := range append([]time.Time{now}, waiting[len(rest):]...) {
		plant := v.homes[n.id].At(t)
		batch.Samples = append(batch.Samples, sampleOf(&plant, n.id))
	}
	body, err := json.Marshal(batch)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+v.tokens[n.id])
	r.Header.Set("Content-Type", "application/json")
	resp, err := v.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("upload for %s: %s", n.id, resp.Status)
	}
	v.waiting[n.id] = rest
	return nil
}
