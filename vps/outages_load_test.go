//go:build unix

package vps_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"sunspool/wire"
)

// Tokens of the houses and of whoever reads all of them.
const viewerToken = "outage-viewer-0123456789abcdef"

func tokenOf(device string) string { return "outage-" + device + "-0123456789abcdef" }

// attempt is one request and how it ended, by the clock of who asked.
type attempt struct {
	vps          int
	what         string // ingest, ready, realtime, series, energy or devices
	began, ended time.Time
	status       int // 0 without an answer
	code         string
	retryAfter   string
	err          error
	gaveUp       bool // who asked did not wait for the answer, on purpose
}

func (a *attempt) stored() bool { return a.what == "ingest" && a.status == http.StatusOK }

// storeFailed reports whether the store could not take what was sent.
func (a *attempt) storeFailed() bool { return a.what == "ingest" && a.code == "store_unavailable" }

func (a *attempt) String() string {
	return fmt.Sprintf("%s of vps %d at %s: %d %s after %v (%v)", a.what, a.vps, a.began.Format("05.000"), a.status, a.code,
		a.ended.Sub(a.began).Round(time.Millisecond), a.err)
}

// load is what the clients of a sequence did and what they saw that must not be.
type load struct {
	bases  []string // URLs of the servers
	houses []*house

	mu       sync.Mutex
	attempts []attempt
	wrong    []string
}

func (l *load) wrongf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

// ask sends one request and keeps how it ended. The body is that of a 200.
func (l *load) ask(ctx context.Context, client *http.Client, vps int, what, method, target, token string, body []byte) (attempt, []byte) {
	a := attempt{vps: vps, what: what}
	r, err := http.NewRequestWithContext(ctx, method, l.bases[vps]+target, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Prefer", wire.Lenient)
	a.began = time.Now()
	w, err := client.Do(r)
	var text []byte
	if err == nil {
		text, err = io.ReadAll(w.Body)
		w.Body.Close()
	}
	a.ended, a.err, a.gaveUp = time.Now(), err, err != nil && ctx.Err() != nil
	if err == nil {
		a.status, a.retryAfter = w.StatusCode, w.Header.Get("Retry-After")
		if a.status != http.StatusOK {
			var p wire.Problem
			json.Unmarshal(text, &p)
			a.code = p.Code
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = append(l.attempts, a)
	return a, text
}

// since returns the attempts that began after t, in the order in which they ended.
func (l *load) since(t time.Time) []attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []attempt
	for _, a := range l.attempts {
		if a.began.After(t) {
			all = append(all, a)
		}
	}
	return all
}

func newClient() *http.Client {
	return &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableCompression: true}}
}

// house is an edge and its inverter. Its batches never share a sample: each is stored whole or not at all, so what an
// answer calls new is all of a batch or nothing.
type house struct {
	*load
	device string
	client *http.Client
	random *rand.Rand
	next   int      // number of the next sample that was never sent
	late   []*Batch // held back: what comes after them is sent before

	mu     sync.Mutex
	sent   int     // samples in batches that were sent at least once
	newest []known // what a reader must see
	done   []*Batch
}

// known is what was acknowledged by a time.
type known struct {
	at      time.Time
	newest  time.Time
	samples int
}

// Batch is some samples and what the answers said of them.
type Batch struct {
	samples  []wire.Sample
	ID       string
	body     []byte
	inserted int  // in all answers together
	unsure   bool // the outcome of an attempt is not known
	acked    bool
}

var firstSample = time.Date(2025, 3, 30, 0, 0, 0, 0, time.UTC)

// sampleOf is sample i of a device, a pure function. The powers are whole watts and the counters quarters of a kWh: sums
// of them are the same in any order.
func sampleOf(device string, i int) wire.Sample {
	r := rand.New(rand.NewPCG(uint64(i), uint64(len(device))<<8|uint64(device[len(device)-1])))
	watts := func(from, to int) *float64 { return new(float64(from + r.IntN(to-from))) }
	counter := func(every int) *float64 { return new(float64(i/every) / 4) }
	s := wire.Sample{DeviceID: device, Time: firstSample.Add(time.Duration(i) * 7 * time.Second), PVPowerW: *watts(0, 9000), Count: 1 + r.IntN(3),
		LoadPowerW: watts(100, 5000), ExportPowerW: watts(-4000, 6000), PVTotalKWh: counter(70), ImportTotalKWh: counter(110), ExportTotalKWh: counter(90)}
	if device != "house-0" { // which has no battery
		s.BatteryPowerW, s.BatterySOCPct, s.BatteryTempC = watts(-3000, 3000), watts(5, 100), watts(-10, 40)
		s.ChargeTotalKWh, s.DischargeTotalKWh = counter(130), counter(150)
	}
	if i%5 == 0 {
		s.Values = map[string]float64{"grid_frequency_hz": 50 + float64(r.IntN(64)-32)/256, "inverter_temp_c": *watts(-20, 70)}
	}
	return s
}

// take makes the next batch: mostly the next samples in their order, sometimes shuffled, sometimes only every other one,
// the rest of which comes later.
func (h *house) take() *Batch {
	n := min(1+int(h.random.ExpFloat64()*40), 200)
	if h.random.IntN(20) == 0 {
		n = 200
	}
	var now, later []wire.Sample
	interleave := h.random.IntN(8) == 0
	for i := range n {
		s := sampleOf(h.device, h.next+i)
		if interleave && i%2 == 1 {
			later = append(later, s)
			continue
		}
		now = append(now, s)
	}
	h.next += n
	if h.random.IntN(8) == 0 {
		h.random.Shuffle(len(now), func(i, k int) { now[i], now[k] = now[k], now[i] })
	}
	if later != nil {
		h.late = append(h.late, h.newBatch(later))
	}
	return h.newBatch(now)
}

func (h *house) newBatch(samples []wire.Sample) *Batch {
	b := &Batch{samples: samples, ID: fmt.Sprintf("%s/%d", h.device, samples[0].Time.UnixMilli())}
	edge := &wire.Edge{Version: "outage", PollIntervalS: 7, SpoolCount: h.random.IntN(100)}
	body, err := json.Marshal(wire.Batch{Samples: samples, ID: b.ID, Zone: "Europe/Brussels", Edge: edge})
	if err != nil {
		panic(err)
	}
	b.body = body
	return b
}

// run sends new batches until ctx ends, and then whatever was held back.
func (h *house) run(ctx context.Context) {
	home := int(h.device[len(h.device)-1]) % len(h.bases)
	for ctx.Err() == nil {
		b := h.take()
		switch {
		case h.random.IntN(10) == 0:
			h.late = append(h.late, b)
		case len(h.late) > 0 && h.random.IntN(3) == 0:
			i := h.random.IntN(len(h.late))
			h.late[i], b = b, h.late[i]
			h.deliver(b, home)
		default:
			h.deliver(b, home)
		}
		if len(h.done) > 0 && h.random.IntN(10) == 0 {
			h.replay(h.done[h.random.IntN(len(h.done))], home)
		}
		time.Sleep(time.Duration(20+h.random.IntN(60)) * time.Millisecond)
	}
	for _, b := range h.late {
		h.deliver(b, home)
	}
	h.client.CloseIdleConnections()
}

// deliver sends a batch until a server says that it has it. Some answers are not waited for, some are lost on the way,
// and some batches go to two servers at once: then the edge sends again what was stored.
func (h *house) deliver(b *Batch, home int) {
	h.mu.Lock()
	h.sent += len(b.samples)
	h.mu.Unlock()
	for end := time.Now().Add(40 * time.Second); ; {
		vps := home
		if h.random.IntN(8) == 0 {
			vps = h.random.IntN(len(h.bases))
		}
		limit := time.Duration(0)
		if h.random.IntN(16) == 0 {
			limit = time.Duration(1+h.random.IntN(150)) * time.Millisecond
		}
		if h.random.IntN(32) == 0 {
			var twin sync.WaitGroup
			twin.Go(func() { h.send(b, (vps+1)%len(h.bases), 0) })
			h.send(b, vps, limit)
			twin.Wait()
		} else {
			h.send(b, vps, limit)
		}
		lost := h.random.IntN(20) == 0
		if b.acked && !lost {
			break
		}
		if time.Now().After(end) {
			h.wrongf("%s: batch %s was not taken within 40 s", h.device, b.ID)
			return
		}
		if !b.acked {
			time.Sleep(time.Duration(50+h.random.IntN(150)) * time.Millisecond)
		}
	}
	h.done = append(h.done, b)
}

// replay sends what was acknowledged long ago, as an edge whose spool was restored from a backup does.
func (h *house) replay(b *Batch, vps int) {
	h.mu.Lock()
	before := b.inserted
	h.mu.Unlock()
	h.send(b, vps, 0)
	h.mu.Lock()
	defer h.mu.Unlock()
	if b.inserted != before {
		h.wrongf("%s: %d samples of batch %s were new again", h.device, b.inserted-before, b.ID)
	}
}

// send is one attempt to deliver a batch. A limit of 0 is none.
func (h *house) send(b *Batch, vps int, limit time.Duration) {
	ctx := context.Background()
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	a, text := h.ask(ctx, h.client, vps, "ingest", "POST", wire.IngestPath, tokenOf(h.device), b.body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if a.status != http.StatusOK {
		b.unsure = true
		return
	}
	n := len(b.samples)
	var r wire.Receipt
	switch err := json.Unmarshal(text, &r); {
	case err != nil || r.Accepted == nil || r.Duplicates == nil || r.BatchID != b.ID:
		h.wrongf("%s: the receipt of batch %s is %s", h.device, b.ID, text)
	case r.Inserted != *r.Accepted || *r.Accepted+*r.Duplicates != n || len(r.Rejected) != 0:
		h.wrongf("%s: the receipt of batch %s of %d samples does not add up: %s", h.device, b.ID, n, text)
	case r.Inserted != 0 && r.Inserted != n:
		h.wrongf("%s: %d of the %d samples of batch %s were new: a part of it was stored before", h.device, r.Inserted, n, b.ID)
	}
	b.inserted += r.Inserted
	if b.acked {
		return
	}
	b.acked = true
	k := known{at: a.ended, samples: n}
	if len(h.newest) > 0 {
		last := h.newest[len(h.newest)-1]
		k.newest, k.samples = last.newest, last.samples+n
	}
	for _, s := range b.samples {
		if s.Time.After(k.newest) {
			k.newest = s.Time
		}
	}
	h.newest = append(h.newest, k)
}

// knownAt returns what was acknowledged before t.
func (h *house) knownAt(t time.Time) (k known) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, _ := slices.BinarySearchFunc(h.newest, t, func(k known, t time.Time) int { return k.at.Compare(t) })
	if i > 0 {
		k = h.newest[i-1]
	}
	return k
}

func (h *house) samplesSent() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sent
}

// cacheTTL is CACHE_TTL_S of the servers: an answer of a process that was cut off from Redis may be so old.
const cacheTTL = time.Second

// read asks about all houses in turn until ctx ends, and holds the answers against what was
// acknowledged before.
func (l *load) read(ctx context.Context, random *rand.Rand) {
	client := newClient()
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		h := l.houses[random.IntN(len(l.houses))]
		vps := random.IntN(len(l.bases))
		switch random.IntN(8) {
		case 0:
			h.readSeries(client, vps)
		case 1:
			h.readDevices(client, vps)
		case 2:
			h.ask(context.Background(), client, vps, "energy", "GET", wire.EnergyPath+"?resolution=hour&from=2025-03-30&to=2025-03-31&device_id="+h.device, viewerToken, nil)
		default:
			h.readRealtime(client, vps)
		}
		time.Sleep(time.Duration(5+random.IntN(30)) * time.Millisecond)
	}
}

func (h *house) readRealtime(client *http.Client, vps int) {
	a, text := h.ask(context.Background(), client, vps, "realtime", "GET", wire.RealtimePath+"?device_id="+h.device, viewerToken, nil)
	must := h.knownAt(a.began.Add(-cacheTTL))
	if a.status == http.StatusNotFound && must.samples > 0 {
		h.wrongf("%s: realtime knows nothing, %d samples were acknowledged", h.device, must.samples)
	}
	if a.status != http.StatusOK {
		return
	}
	var s wire.Sample
	if err := json.Unmarshal(text, &s); err != nil {
		h.wrongf("%s: realtime is %s", h.device, text)
		return
	}
	i := int(s.Time.Sub(firstSample) / (7 * time.Second))
	want := sampleOf(h.device, max(i, 0))
	want.PVDailyKWh = s.PVDailyKWh // null in the samples, derived in the answer
	if !same(&s, &want) {
		h.wrongf("%s: realtime was never sent: %s", h.device, text)
	}
	if s.Time.Before(must.newest) {
		h.wrongf("%s: realtime of vps %d shows %v, %v before %v was acknowledged as %v", h.device, vps, s.Time, a.began.Sub(must.at), must.at, must.newest)
	}
}

func (h *house) readSeries(client *http.Client, vps int) {
	a, text := h.ask(context.Background(), client, vps, "series", "GET", wire.SeriesPath+"?frame=all&tz=UTC&device_id="+h.device, viewerToken, nil)
	if a.status != http.StatusOK {
		return
	}
	var answer wire.Series
	if err := json.Unmarshal(text, &answer); err != nil {
		h.wrongf("%s: series is %s", h.device, text)
		return
	}
	raw := 0
	for _, b := range answer.Buckets {
		raw += b.SampleCount
	}
	if must := h.knownAt(a.began).samples; raw < must || raw > 3*h.samplesSent() {
		h.wrongf("%s: the series counts %d, %d samples were acknowledged, %d sent", h.device, raw, must, h.samplesSent())
	}
}

func (h *house) readDevices(client *http.Client, vps int) {
	a, text := h.ask(context.Background(), client, vps, "devices", "GET", wire.DevicesPath, tokenOf(h.device), nil)
	must := h.knownAt(a.began.Add(-cacheTTL))
	if a.status != http.StatusOK || must.samples == 0 {
		return
	}
	var answer struct {
		Devices []struct {
			Last time.Time `json:"last_sample"`
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Devices) != 1 || answer.Devices[0].Last.Before(must.newest) {
		h.wrongf("%s: %v was acknowledged, devices is %s", h.device, must.newest, text)
	}
}

// watch asks a server whether it is ready, as a load balancer does, until ctx ends.
func (l *load) watch(ctx context.Context, vps int) {
	client := newClient()
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		l.ask(context.Background(), client, vps, "ready", "GET", wire.ReadyPath, "", nil)
		time.Sleep(50 * time.Millisecond)
	}
}

// same reports whether two samples have the same values to the bit.
func same(a, b *wire.Sample) bool { return bytes.Equal(a.AppendPacked(nil), b.AppendPacked(nil)) }

// start starts the clients. The function that it returns stops them, after the houses have delivered all they took.
func (l *load) start(random *rand.Rand) (stop func()) {
	houses, endHouses := context.WithCancel(context.Background())
	others, endOthers := context.WithCancel(context.Background())
	var delivering, asking sync.WaitGroup
	for _, h := range l.houses {
		delivering.Go(func() { h.run(houses) })
	}
	for range 2 {
		r := rand.New(rand.NewPCG(random.Uint64(), 1))
		asking.Go(func() { l.read(others, r) })
	}
	for vps := range l.bases {
		asking.Go(func() { l.watch(others, vps) })
	}
	return func() {
		endHouses()
		delivering.Wait()
		endOthers()
		asking.Wait()
	}
}

func newLoad(random *rand.Rand, houses int, bases ...string) *load {
	l := &load{bases: bases}
	for i := range houses {
		l.houses = append(l.houses, &house{load: l, device: fmt.Sprint("house-", i), client: newClient(), random: rand.New(rand.NewPCG(random.Uint64(), 2))})
	}
	return l
}
