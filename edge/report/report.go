// Package report shows how an edge is, from the same few facts everywhere: in the health file, on the status socket, as
// metrics, in the log, to the service manager and with each upload.
//
//	polls, samples, uploads ──> Report ─┬─ Write: health.json ──> Check (HEALTHCHECK), the log, the service manager
//	Parts: spool, clock, uploader ───┘  ├─ Serve: /status, /metrics, /quarantine on a unix socket
//	                                    ├─ MetricsListener: /metrics on TCP
//	                                    └─ Describe: a few words with each upload
package report

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"sunspool/edge/clock"
	"sunspool/edge/inverter"
	"sunspool/edge/pace"
	"sunspool/edge/reading"
	"sunspool/edge/spool"
	"sunspool/edge/upload"
	"sunspool/health"
	"sunspool/wire"
)

// Report writes the health file after every poll, serves the status and the metrics on a socket, and sends a few words with
// each upload. All of it comes from the same few facts. Its methods may be called from any goroutine.
type Report struct {
	Chain  *health.Chain
	Notify func(status string) // called with each new Status; may be nil

	version, device string
	file            healthFile
	started         time.Time
	Log             *slog.Logger
	parts           func() Parts // whose counters are shown
	Others          []string     // health files of the other inverters that this process reads

	mu          sync.Mutex
	written     time.Time   // when Write was called last
	sample      wire.Sample // the last one that is durable
	lastUpload  time.Time
	model       string
	serial      string
	firmware    string
	facts       reading.Findings
	off         int // polls in a row whose registers do not agree
	findings    findingsLog
	polledAt    time.Time      // of the last poll that gave a sample
	gave        bool           // the present poll gave a sample
	missing     map[string]int // samples that were not made, by reason
	gone        map[string]int // samples that were made and lost, by reason
	wear        wear
	writeErr    string
	bound       health.Bound // of its log
	lastStatus  string       // that Notify got
	stateLogger stateLogger
	uploads     map[string]int // tried, by result
	oldest      oldestAsk

	polls, made atomic.Int64
}

// New returns a report that writes its health file to path.
func New(version, device, path string, log *slog.Logger) *Report {
	return &Report{
		Chain: health.New(now, log), version: version, device: device, file: healthFile{path: path},
		started: now(), Log: log, missing: make(map[string]int), gone: make(map[string]int), stateLogger: stateLogger{logger: log},
	}
}

// Parts are the parts of an edge whose states and counters are shown.
type Parts struct {
	Inverter *inverter.Inverter
	Pace     *pace.Pace
	Spool    *spool.Spool
	Clock    *clock.Clock
	Uploader *upload.Uploader
	InMemory int           // samples that are not on the disk yet
	Interval time.Duration // between polls while the spool has room,
	Slowed   time.Duration // and at present
}

// Watch makes r show the parts that parts returns.
func (r *Report) Watch(parts func() Parts) { r.parts = parts }

// Health is the content of health.json and of /status. The first four fields are those of the Python edge.
type Health struct {
	LastPoll   *time.Time `json:"last_poll_ts"` // of the last poll that gave a sample
	LastUpload *time.Time `json:"last_upload_ts"`
	SpoolCount int        `json:"spool_count"`
	UptimeS    float64    `json:"uptime_s"`

	Status      string            `json:"status"`           // ok, degraded or blocked
	Reason      string            `json:"reason,omitempty"` // code of what is wrong first
	Sentence    string            `json:"sentence"`         // how the edge is, for people
	Next        string            `json:"next,omitempty"`   // what they can do about it
	Reasons     []string          `json:"reasons,omitempty"`
	PollS       float64           `json:"poll_interval_s,omitzero"`     // while the spool has room
	Others      []string          `json:"other_health_files,omitempty"` // of the other inverters of the same process, in the same directory
	Version     string            `json:"version"`
	DeviceID    string            `json:"device_id"`
	Model       string            `json:"model,omitempty"`
	Serial      string            `json:"serial,omitempty"` // shortened
	Written     time.Time         `json:"written_ts"`
	SpoolBytes  int64             `json:"spool_bytes"`
	SpoolShare  float64           `json:"spool_used_pct"`                 // of what it may use
	RAMOnly     int               `json:"ram_only"`                       // samples that are not on the disk yet
	WrittenDay  int64             `json:"written_bytes_per_day,omitzero"` // to disks, by this process, at the present rate
	Quarantined int               `json:"quarantined"`
	Salvaged    int               `json:"salvaged,omitempty"`   // samples found in a spool that was damaged
	Unreadable  int               `json:"unreadable,omitempty"` // and those not found
	SetAside    string            `json:"damaged_spool,omitempty"`
	Damaged     int64             `json:"damaged_bytes,omitempty"` // of damaged spools that are kept
	Clock       string            `json:"clock"`                   // the source of the time: synced, server, believed, or unsynced for none
	Held        int               `json:"held"`                    // samples that wait until the time is known
	Estimated   int               `json:"estimated"`               // samples whose time was estimated, ever
	NoBattery   bool              `json:"no_battery,omitempty"`
	NoMeter     bool              `json:"no_meter,omitempty"`
	BatteryBy   string            `json:"battery_power_from,omitempty"`
	Implausible []string          `json:"implausible,omitempty"`      // registers left out of the last sample
	Unknown     map[string]string `json:"unknown,omitempty"`          // fields that the last sample does not have, and why
	Polls       int64             `json:"polls"`                      // that were due: tried, or left out because the spool fills up
	Missing     map[string]int    `json:"samples_not_made,omitempty"` // of these polls, by reason
	Lost        map[string]int    `json:"samples_lost,omitempty"`     // made, but never on the disk, by reason
	Counts      map[string]int64  `json:"counts"`
	Links       []health.Status   `json:"links"`
	Sample      *wire.Sample      `json:"sample,omitempty"` // the last one; in /status only
}

// Now returns the present state.
func (r *Report) Now() Health { return r.at(r.State()) }

// at returns what the report shows beside state.
func (r *Report) at(state State) Health {
	tally, parts := r.values(), r.parts()
	r.mu.Lock()
	defer r.mu.Unlock()
	found := parts.Spool.Opening()
	h := Health{
		LastPoll: timeOrNil(r.polledAt), LastUpload: timeOrNil(r.lastUpload),
		SpoolCount: parts.Spool.Waiting(), UptimeS: now().Sub(r.started).Round(time.Millisecond).Seconds(),
		Status: state.Status, Sentence: state.Sentence, Next: state.Next, Reasons: state.Reasons, Counts: tally, Version: r.version, DeviceID: r.device, Model: r.model,
		Serial: inverter.MaskSerial(r.serial), Written: timestamp(now()), SpoolBytes: parts.Spool.Bytes(),
		Quarantined: parts.Spool.InQuarantine(), Salvaged: found.Salvaged, Unreadable: found.Unreadable, SetAside: found.Aside, Damaged: parts.Spool.DamagedBytes(),
		NoBattery: r.facts.NoBattery, NoMeter: r.facts.NoMeter,
		BatteryBy: r.facts.Battery, Implausible: r.facts.Nulled, Unknown: r.facts.Unknown, Polls: r.polls.Load(), Missing: maps.Clone(r.missing),
		SpoolShare: math.Round(parts.Spool.Capacity().Share()*1000) / 10,
		RAMOnly:    parts.InMemory, Lost: maps.Clone(r.gone), WrittenDay: r.wear.perDay(now(), tally[writtenBytes]),
		PollS: parts.Interval.Seconds(), Others: r.Others,
		Links: r.Chain.Status(), Clock: parts.Clock.State(), Held: parts.Spool.Undated(), Estimated: parts.Spool.Estimated(),
	}
	if !r.sample.Time.IsZero() {
		h.Sample = new(r.sample)
	}
	if len(state.Reasons) > 0 {
		h.Reason = state.Reasons[0]
	}
	return h
}

// Write refreshes the health file, if there is one, logs what changed and reports the state to the service manager.
func (r *Report) Write() {
	state := r.State()
	h := r.at(state)
	h.Sample = nil
	r.notify(state)
	var err error
	if r.file.path != "" {
		var text []byte
		if text, err = json.MarshalIndent(h, "", "  "); err == nil {
			err = r.file.write(append(text, '\n'))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written = now()
	r.stateLogger.log(state, h.Links)
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != r.writeErr && err != nil && !r.bound.Allow(now(), "health file") {
		return // it is tried again
	}
	if text != r.writeErr && err != nil {
		r.Log.Warn("health file not written", "error", text)
	}
	r.writeErr = text
}

// freshFor is how old the health file gets during a poll.
const freshFor = 15 * time.Second

// Refresh writes the health file when it gets old. It is called in the middle of a poll: a dongle may be so slow that
// one poll takes minutes, and that is not a stall.
func (r *Report) Refresh() {
	r.mu.Lock()
	old := now().Sub(r.written) >= freshFor
	r.mu.Unlock()
	if old {
		r.Write()
	}
}

// Describe returns what is sent with each upload.
func (r *Report) Describe() *wire.Edge {
	state, parts := shorten(r.State().Line()), r.parts()
	sent, _ := parts.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	return &wire.Edge{
		Version: r.version, Time: sent, Model: r.model, Serial: inverter.MaskSerial(r.serial), Firmware: r.firmware, PollIntervalS: parts.Slowed.Seconds(),
		SpoolCount: parts.Spool.Waiting(), Quarantined: parts.Spool.InQuarantine(), State: state,
	}
}

// Polled counts a poll. One that gave no sample is counted by its reason as well, so that polls are always the samples that
// were made and those that were not.
func (r *Report) Polled(err error) {
	r.polls.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.polledAt = timestamp(now())
	}
	if !r.gave && err != nil {
		r.missing[notMade(err)]++
	}
	r.gave = false
}

// notMade returns the reason why a poll that ended with err gave no sample.
func notMade(err error) string {
	if u, ok := errors.AsType[*reading.Unusable](err); ok {
		return u.Code
	}
	if f, ok := errors.AsType[*health.Fault](err); ok {
		return f.Code
	}
	return "other"
}

// Skipped counts a poll that was left out, and why.
func (r *Report) Skipped(why string) {
	r.polls.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missing[why]++
}

// Measured records that the present poll gave a sample, which may not be on the disk yet.
func (r *Report) Measured() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.polledAt, r.gave = timestamp(now()), true
}

// HasSample reports whether the present poll gave a sample.
func (r *Report) HasSample() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gave
}

func (r *Report) Read(reading inverter.Reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.model, r.serial, r.firmware = reading.Model.Name, reading.Serial, reading.Firmware
}

// Found logs what is new about the unit.
func (r *Report) Found(f reading.Findings) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts = f
	if r.off++; f.Adds() {
		r.off = 0
	}
	r.findings.log(f, r.Log)
}

func (r *Report) Sampled(s wire.Sample) {
	r.made.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sample = s
}

func (r *Report) Uploaded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastUpload = timestamp(now())
}

func (r *Report) lastSample() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sample.Time
}

const maxLine = 200 // bytes of the line that goes with an upload

func shorten(line string) string { return line[:min(len(line), maxLine)] }

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Lost counts a sample that was made and is lost.
func (r *Report) Lost(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone[why]++
}

// timestamp returns t as in a sample: UTC, in whole milliseconds, the resolution of every store.
func timestamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
