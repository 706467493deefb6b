// Package wire is what crosses from the edge to the vps and from the vps to its readers: the sample, the batch that
// carries samples, the receipt that lets the edge forget them, and the bucket that a reader asks for.
//
//	edge ── Batch{Samples} ──> POST /v1/ingest ──> vps
//	edge <──── Receipt ──────────────────────────── vps ── Sample, Bucket ──> reader
//
// The JSON names are a contract with edges and readers that are older than this program: a field may be added, never
// renamed, and absent is not zero.
package wire

import (
	"maps"
	"time"
)

// Paths of the API. The edge appends them to VPS_BASE_URL.
const (
	IngestPath     = "/v1/ingest"
	PairPath       = "/v1/pair"
	RealtimePath   = "/v1/realtime"
	SeriesPath     = "/v1/series"
	StreamPath     = "/v1/stream"
	EnergyPath     = "/v1/energy"
	DevicesPath    = "/v1/devices"
	PeaksPath      = "/v1/capacity"
	CapacityPath   = "/v1/capacity/month/" // and the month, YYYY-MM
	ContinuityPath = "/v1/continuity"
	ExportPath     = "/v1/export.csv"
	HealthPath     = "/health"
	ReadyPath      = "/ready"
	MetricsPath    = "/metrics"
	AsidePath      = "/aside"
	BackupPath     = "/backup"
	OpenAPIPath    = "/openapi.yaml"
	SessionPath    = "/v1/session"
	TokensPath     = "/v1/tokens" // and the id of one
	SitesPath      = "/v1/sites"  // and the name of one
	LastBackupPath = "/v1/backup"
	FilesPath      = "/a/"   // of the page, and a hash of them
	LitePath       = "/lite" // the page without scripts

	DeviceMetricsPath = "/metrics/devices" // of the newest sample of each device
)

// What a server of this API accepts in one request unless its operator says otherwise.
// Pairing is the body of POST /v1/pair, and Paired its answer: what an edge needs beside the address of the server.
type (
	Pairing struct {
		Code string `json:"code"` // its first 16 characters; the rest is for the edge
	}
	Paired struct {
		DeviceID string `json:"device_id"`
		Token    string `json:"token"`
	}
)

// SelfName is what a server with an authority of its own is called in its certificate, whatever its address.
const SelfName = "vps.sunspool.internal"

const (
	MaxSamples = 1000    // samples per request
	MaxBytes   = 1 << 20 // bytes per request, after decompression
)

// ShortestToken is how many characters a token has at least, so that it cannot be guessed and no answer has it in it by
// accident.
const ShortestToken = 16

// Lenient, sent as the Prefer header of an ingest, asks for a verdict per sample instead of all or nothing.
const Lenient = "handling=lenient"

// VersionHeader carries the version of the server in its answers to a valid token. Proxies replace or
// remove Server by habit; this one passes.
const VersionHeader = "Sunspool-Version"

// Sample is one reading of one inverter, in the units and signs of the API. A pointer that is nil means that the
// inverter cannot measure the value (no battery, no meter) or did not give a plausible one; it is never a zero.
type Sample struct {
	DeviceID string    `json:"device_id"`
	Time     time.Time `json:"ts"` // of the poll; UTC, whole milliseconds

	PVPowerW      float64  `json:"pv_power_w"`      // DC side
	PVDailyKWh    *float64 `json:"pv_daily_kwh"`    // since local midnight
	BatteryPowerW *float64 `json:"battery_power_w"` // > 0 charging, < 0 discharging
	BatterySOCPct *float64 `json:"battery_soc_pct"`
	BatteryTempC  *float64 `json:"battery_temp_c"`
	LoadPowerW    *float64 `json:"load_power_w"`   // < 0 when another generator feeds in behind the meter
	ExportPowerW  *float64 `json:"export_power_w"` // > 0 to the grid, < 0 from it
	Count         int      `json:"sample_count"`   // raw samples aggregated in this one

	// Lifetime counters, kWh. Energy is their difference, which survives any gap.
	PVTotalKWh        *float64 `json:"pv_total_kwh,omitempty"`
	ImportTotalKWh    *float64 `json:"import_total_kwh,omitempty"`
	ExportTotalKWh    *float64 `json:"export_total_kwh,omitempty"`
	ChargeTotalKWh    *float64 `json:"charge_total_kwh,omitempty"`
	DischargeTotalKWh *float64 `json:"discharge_total_kwh,omitempty"`
	DirectTotalKWh    *float64 `json:"direct_total_kwh,omitempty"` // PV used in the house at once

	// Values is every other register of the map by its name, in the register's own unit.
	Values map[string]float64 `json:"values,omitempty"`

	// Interval is how far apart the edge that sent the sample takes them; 0 when it did not name that. It is no part of
	// what was measured: two samples that differ only in it are equal.
	Interval time.Duration `json:"-"`
}

// IntervalS returns the whole seconds of Interval, as they are stored; 0 for none.
func (s *Sample) IntervalS() int32 {
	return int32(min(max(s.Interval/time.Second, 0), maxInterval))
}

// Equal reports whether s and o say the same.
func (s *Sample) Equal(o *Sample) bool {
	if s.DeviceID != o.DeviceID || !s.Time.Equal(o.Time) || s.Count != o.Count || !maps.Equal(s.Values, o.Values) {
		return false
	}
	for _, f := range Fields {
		a, b := f.Get(s), f.Get(o)
		if (a == nil) != (b == nil) || a != nil && *a != *b {
			return false
		}
	}
	return true
}

// Batch is the body of an ingest. Everything but Samples is ours and may be absent.
type Batch struct {
	Samples []Sample `json:"samples"`
	ID      string   `json:"batch_id,omitempty"` // opaque, echoed in the receipt
	Zone    string   `json:"tz,omitempty"`       // IANA name, where the inverter's days begin and end
	Edge    *Edge    `json:"edge,omitempty"`
	Kept    *Kept    `json:"kept,omitempty"` // only to a server that asked for it, see Receipt.Compare
}

// Kept is what an edge keeps of the samples that it has delivered of a device: pairs of where an hour of UTC begins, in
// milliseconds since 1970, and how many samples it has of that hour, ascending. They are at most MaxKeptHours apart.
type Kept struct {
	DeviceID string     `json:"device_id"`
	Hours    [][2]int64 `json:"hours"`
}

// MaxKeptHours is how many hours a Kept may span.
const MaxKeptHours = 32 * 24

// Edge is what the edge says of itself with each batch.
type Edge struct {
	Version       string    `json:"version"`
	Time          time.Time `json:"time,omitzero"` // when the batch was sent, by the clock that dates samples; zero while that is not known
	Model         string    `json:"model,omitempty"`
	Serial        string    `json:"serial,omitempty"`   // of the inverter, shortened
	Firmware      string    `json:"firmware,omitempty"` // of the inverter
	PollIntervalS float64   `json:"poll_interval_s,omitempty"`
	SpoolCount    int       `json:"spool_count"`
	Quarantined   int       `json:"quarantined,omitempty"`
	State         string    `json:"state,omitempty"` // one sentence, as in health.json
}

// Receipt is the answer 200 to an ingest. The Python server returns only Inserted; a lenient answer has all fields, and then
// Accepted + Duplicates + len(Rejected) is the number of samples sent.
type Receipt struct {
	Inserted   int         `json:"inserted"`            // rows really new
	SetAside   int         `json:"set_aside,omitempty"` // samples of a strict batch with impossible times, taken but in no answer
	Accepted   *int        `json:"accepted,omitempty"`
	Duplicates *int        `json:"duplicates,omitempty"`
	Rejected   []Rejection `json:"rejected,omitempty"`
	BatchID    string      `json:"batch_id,omitempty"`
	Version    string      `json:"server_version,omitempty"` // of the server, as in VersionHeader
	Compare    bool        `json:"compare,omitempty"`        // the edge may send a Kept with a next batch
	Missing    [][2]int64  `json:"missing,omitempty"`        // of a Kept: spans [from, to) of whole hours of which the server has fewer samples
}

// Rejection is the verdict on one sample of a lenient batch that was not stored.
type Rejection struct {
	Index  int    `json:"index"` // in Batch.Samples
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Problem is the body of every answer that is not 200. Detail is a string, or a list of FieldError for a 422.
type Problem struct {
	Detail any    `json:"detail"`
	Code   string `json:"code,omitempty"` // ours: for programs
	Next   string `json:"next,omitempty"` // ours: what the caller can do
}

// FieldError names one field that a server refused, in the form of the Python server.
type FieldError struct {
	Type string `json:"type"`
	Loc  []any  `json:"loc"` // "samples", 3, "pv_power_w"
	Msg  string `json:"msg"`
}

// Bucket is one period of a series. Averages are weighted by sample_count; nil where no sample had the value.
type Bucket struct {
	Start            time.Time `json:"bucket"` // UTC
	AvgPVPowerW      *float64  `json:"avg_pv_power_w"`
	MaxPVPowerW      *float64  `json:"max_pv_power_w"`
	AvgBatteryPowerW *float64  `json:"avg_battery_power_w"`
	AvgBatterySOCPct *float64  `json:"avg_battery_soc_pct"`
	AvgLoadPowerW    *float64  `json:"avg_load_power_w"`
	AvgExportPowerW  *float64  `json:"avg_export_power_w"`
	SampleCount      int       `json:"sample_count"`
}

// Series is the answer to a series query.
type Series struct {
	DeviceID string   `json:"device_id"`
	Frame    string   `json:"frame"`
	Buckets  []Bucket `json:"series"`
}
