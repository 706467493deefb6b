package edge

import (
	"encoding/json"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sunspool/health"
	"sunspool/wire"
)

// Report is what the edge tells of itself: the health file after every poll, the status and the metrics on a socket,
// a few words with each upload. All of it comes from the same few facts. Its methods may be called from any goroutine.
type Report struct {
	Chain *health.Chain

	version, device, path string
	started               time.Time
	log                   *slog.Logger
	edge                  *Edge // whose counters are shown

	mu         sync.Mutex
	sample     wire.Sample // the last one that is durable
	lastUpload time.Time
	model      string
	serial     string
	facts      Findings
	polls      int
	missing    map[string]int // samples that were not made, by reason
	gone       map[string]int // samples that were made and lost, by reason
	wear       wear
	writeErr   string
}

// NewReport returns a report that writes its health file to path.
func NewReport(version, device, path string, log *slog.Logger) *Report {
	return &Report{
		Chain: health.New(now, log), version: version, device: device, path: path,
		started: now(), log: log, missing: make(map[string]int), gone: make(map[string]int),
	}
}

// watch tells whose counters to show.
func (r *Report) watch(e *Edge) { r.edge = e }

// Health is the content of health.json and of /status. The first four fields are those of the system that this one
// replaces.
type Health struct {
	LastPoll   *time.Time `json:"last_poll_ts"` // of the last poll that gave a sample
	LastUpload *time.Time `json:"last_upload_ts"`
	SpoolCount int        `json:"spool_count"`
	UptimeS    float64    `json:"uptime_s"`

	Status      string          `json:"status"`   // ok or degraded
	Sentence    string          `json:"sentence"` // how the edge is, for people
	Version     string          `json:"version"`
	DeviceID    string          `json:"device_id"`
	Model       string          `json:"model,omitempty"`
	Serial      string          `json:"serial,omitempty"` // shortened
	Written     time.Time       `json:"written_ts"`
	SpoolBytes  int64           `json:"spool_bytes"`
	SpoolShare  float64         `json:"spool_used_pct"`                 // of what it may use
	RAMOnly     int             `json:"ram_only"`                       // samples that are not on the disk yet
	WrittenDay  int64           `json:"written_bytes_per_day,omitzero"` // to disks, by this process, at the present rate
	Quarantined int             `json:"quarantined"`
	NoBattery   bool            `json:"no_battery,omitempty"`
	NoMeter     bool            `json:"no_meter,omitempty"`
	BatteryBy   string          `json:"battery_power_from,omitempty"`
	Implausible []string        `json:"implausible,omitempty"` // registers left out of the last sample
	Polls       int             `json:"polls"`
	Missing     map[string]int  `json:"samples_not_made,omitempty"` // by reason
	Lost        map[string]int  `json:"samples_lost,omitempty"`     // made, but never on the disk, by reason
	Links       []health.Status `json:"links"`
	Sample      *wire.Sample    `json:"sample,omitempty"` // the last one; in /status only
}

// Now returns the present state.
func (r *Report) Now() Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := Health{
		LastPoll: timeOrNil(r.sample.Time), LastUpload: timeOrNil(r.lastUpload),
		SpoolCount: r.edge.Spool.Waiting(), UptimeS: now().Sub(r.started).Round(time.Millisecond).Seconds(),
		Status: "ok", Sentence: r.Chain.Sentence(), Version: r.version, DeviceID: r.device, Model: r.model,
		Serial: mask(r.serial), Written: timestamp(now()), SpoolBytes: r.edge.Spool.Bytes(),
		Quarantined: r.edge.Spool.InQuarantine(), NoBattery: r.facts.NoBattery, NoMeter: r.facts.NoMeter,
		BatteryBy: r.facts.Battery, Implausible: r.facts.Nulled, Polls: r.polls, Missing: maps.Clone(r.missing),
		Links: r.Chain.Status(), SpoolShare: math.Round(r.edge.Spool.Room().Share()*1000) / 10,
		RAMOnly: r.edge.ring.Len(), Lost: maps.Clone(r.gone), WrittenDay: r.wear.perDay(now(), bytesWritten()),
	}
	if !r.sample.Time.IsZero() {
		h.Sample = new(r.sample)
	}
	if slices.ContainsFunc(h.Links, func(s health.Status) bool { return s.State == health.Broken }) {
		h.Status = "degraded"
	}
	return h
}

// Write replaces the health file. A reader sees the old one or the new one, never half of one.
func (r *Report) Write() {
	if r.path == "" {
		return
	}
	h := r.Now()
	h.Sample = nil
	err := writeFile(r.path, h)
	r.mu.Lock()
	defer r.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != r.writeErr && err != nil {
		r.log.Warn("health file not written", "error", text)
	}
	r.writeErr = text
}

func writeFile(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	fresh := path + ".new"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(fresh, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// describe is what goes with each upload.
func (r *Report) describe(poll time.Duration) *wire.Edge {
	h := r.Now()
	state := h.Sentence
	if i := strings.IndexByte(state, '\n'); i >= 0 {
		state = state[:i]
	}
	return &wire.Edge{
		Version: h.Version, Model: h.Model, PollIntervalS: poll.Seconds(),
		SpoolCount: h.SpoolCount, Quarantined: h.Quarantined, State: clip(state),
	}
}

func (r *Report) polled(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.polls++
	if f, ok := err.(*health.Fault); ok && f.Exit == health.ExitUnreachable {
		r.missing[f.Code]++
	}
}

func (r *Report) read(reading Reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.model, r.serial = reading.Model.Name, reading.Serial
}

// found logs what is new about the unit, once.
func (r *Report) found(f Findings) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.facts
	r.facts = f
	if f.NoMeter && !was.NoMeter {
		r.log.Warn("no grid meter", "means", "load and grid power are not known and are left empty")
	}
	if f.NoBattery != was.NoBattery {
		r.log.Info("battery", "connected", !f.NoBattery)
	}
	if !slices.Equal(f.Nulled, was.Nulled) {
		r.log.Warn("implausible registers left out", "registers", f.Nulled)
	}
}

// lost counts a sample that was not made.
func (r *Report) lost(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missing[why]++
}

func (r *Report) sampled(s wire.Sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sample = s
}

func (r *Report) uploaded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastUpload = timestamp(now())
}

func (r *Report) lastSample() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sample.Time
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// gaveUp counts a sample that was made and is lost.
func (r *Report) gaveUp(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone[why]++
}
