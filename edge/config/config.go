// Package config holds the settings of the edge: their names, their valid values, and what each of several inverters behind
// one dongle gets of them.
//
//	environment, flags ──> Config ── Validate: all errors at once ──> PerInverter ──> one Config for each inverter
package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/registers"
	"sunspool/edge/spool"
	"sunspool/edge/transport"
	"sunspool/health"
	"sunspool/settings"
	"sunspool/wire"
)

// Config is every setting of the edge: environment variable, flag, default, help. A setting that is secret has no flag
// that is taken: every user of a machine can read its command lines.
type Config struct {
	Host         string            `name:"sungrow-host" env:"SUNGROW_HOST" help:"Address or name of the inverter or its WiNet-S dongle, without port. Required."`
	Port         int               `name:"sungrow-port" env:"SUNGROW_PORT" default:"502" help:"Modbus TCP port."`
	Units        string            `name:"sungrow-slave-id" env:"SUNGROW_SLAVE_ID" default:"1" placeholder:"UNIT,..." help:"Modbus unit id, 1 to 247. Several inverters behind one dongle: all their ids, such as 1,2."`
	Serial       string            `name:"sungrow-serial" env:"SUNGROW_SERIAL" help:"Serial number of the inverter, to confirm that another one replaced it. Of several in their order, such as ,A22B1234567 for the second alone. Default: that of the first inverter read under this DEVICE_ID."`
	PollS        float64           `name:"poll-interval-s" env:"POLL_INTERVAL_S" default:"5" help:"Seconds from one poll of an inverter to the next, at least 5. Several inverters behind one dongle take at least 5 each."`
	GapMS        int               `name:"inter-register-delay-ms" env:"INTER_REGISTER_DELAY_MS" default:"20" help:"Milliseconds between an answer and the next read, at least 20."`
	URL          string            `name:"vps-base-url" env:"VPS_BASE_URL" help:"The server, https://host or https://host:port, without a path. Required."`
	Token        settings.Secret   `name:"vps-device-token" env:"VPS_DEVICE_TOKEN" hidden:"" help:"Token of this device, at least 16 characters; of several inverters one each, in their order with commas. Required, here, in VPS_DEVICE_TOKEN_FILE, or as the systemd credential vps-device-token."`
	TokenFile    string            `name:"vps-device-token-file" env:"VPS_DEVICE_TOKEN_FILE" help:"File that holds the token, readable by its owner only, or a secret of Docker or Kubernetes below /run/secrets; of several inverters one each, in their order, one a line. Read again when it changes."`
	CAFile       string            `name:"vps-ca-file" env:"VPS_CA_FILE" help:"PEM file of the certificate authority, for a server with a private one. Read again when it changes."`
	Fingerprint  string            `name:"vps-fingerprint" env:"VPS_FINGERPRINT" placeholder:"sha256:HEX" help:"Of the certificate authority of a server that made its own (TLS_SELF), as sunspool vps fingerprint prints it there. Only that server is trusted then, under whatever address."`
	HTTPSProxy   settings.Secret   `name:"https-proxy" env:"HTTPS_PROXY" placeholder:"URL" hidden:"" help:"Forward proxy for uploads: http://host:port or http://user:password@host:port, with special characters as %XX; also https:// and socks5://. Environment only."`
	NoProxy      string            `name:"no-proxy" env:"NO_PROXY" placeholder:"HOST,..." hidden:"" help:"Names, .domains, addresses and networks that HTTPS_PROXY is not used for. Environment only."`
	DeviceID     string            `name:"device-id" env:"DEVICE_ID" help:"Name of the inverter on the server; of several one each, such as roof,garage. Default, of one alone: SUNGROW_HOST, with - for : of an IPv6 address."`
	BatchSize    int               `name:"batch-size" env:"BATCH_SIZE" default:"30" help:"Samples per upload, 1 to 1000; more while there is a backlog."`
	UploadS      float64           `name:"upload-interval-s" env:"UPLOAD_INTERVAL_S" default:"10" help:"Seconds between uploads while there is no backlog."`
	MaxBackoffS  float64           `name:"max-backoff-s" env:"MAX_BACKOFF_S" default:"300" help:"The longest wait between attempts while the server is away, seconds."`
	SpoolPath    string            `name:"spool-path" env:"SPOOL_PATH" default:"/data/spool.db" help:"File that keeps samples until the server has them. Each further inverter has one of its own beside it, such as garage.db."`
	HealthPath   string            `name:"health-path" env:"HEALTH_PATH" help:"File with the state of the edge. Default: health.json beside the spool."`
	Socket       string            `name:"status-socket" env:"STATUS_SOCKET" placeholder:"FILE" help:"Unix socket for status and metrics. Default: edge.sock beside the spool."`
	MetricsAddr  string            `name:"metrics-addr" env:"METRICS_ADDR" placeholder:"[HOST:]PORT" help:"Where /metrics for Prometheus listens: a port of this host alone, such as 9517, or 0.0.0.0:9517 for other hosts, too. Default: nowhere but the status socket."`
	RegisterMap  string            `name:"register-map" env:"REGISTER_MAP" placeholder:"FILE" help:"CSV file of registers that replace or extend the built-in map."`
	RawDebug     bool              `name:"raw-debug-enabled" env:"RAW_DEBUG_ENABLED" help:"Log the raw words of a poll from time to time."`
	RawDebugEach int               `name:"raw-debug-every-n-polls" env:"RAW_DEBUG_EVERY_N_POLLS" default:"60" help:"How often: every so many polls."`
	LogLevel     settings.LogLevel `name:"log-level" env:"LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
	ClockTrust   string            `name:"clock-trust" env:"CLOCK_TRUST" default:"auto" enum:"auto,always" help:"auto keeps samples until a time server or our own server confirms the time; always trusts this host's clock."`
	SpoolMaxMB   int               `name:"spool-max-mb" env:"SPOOL_MAX_MB" help:"The most that the spool of each inverter may use, MiB, from 16. From 70 % on the inverter is read less often, nothing is deleted. Default: 1024, or 512 on a 32-bit system."`
	KeepDays     int               `name:"keep-delivered-days" env:"KEEP_DELIVERED_DAYS" default:"7" help:"Days for which copies of delivered samples are kept, beside the spool and in what it leaves of its limit, up to 31: a server that was restored from a backup gets them again. 0 keeps none."`
	CommitS      float64           `name:"spool-commit-interval-s" env:"SPOOL_COMMIT_INTERVAL_S" default:"0" help:"Seconds for which samples are collected in memory before they are written, up to 300: spares a memory card, but a power cut loses as many seconds. 0 writes each poll; a normal stop loses nothing."`

	// Of the settings of one inverter of several, see PerInverter: its unit id, while Units is empty, and which it is.
	Unit  int            `cmd:"-"`
	Place inverter.Place `cmd:"-"`
	// Unreadable are settings whose values are not of their type; Validate names them with the others.
	Unreadable []error `cmd:"-"`
	// Busy is called before work that takes long on a spool that is damaged or that has become too large, with how long at most.
	Busy func(most time.Duration) `cmd:"-"`
	// Complete makes a file that is missing an error; else it may come after the start, see edge/awaited.go.
	Complete bool `cmd:"-"`
	// AtSecondSignal makes a second signal call f in place of ending the process; may be nil.
	AtSecondSignal func(f func()) `cmd:"-"`
}

const (
	minPollS = 5
	minGapMS = 20

	ClockAlways = "always"
	minSpoolMB  = 16
	maxCommitS  = 300
	maxKeepDays = 31 // which wire.MaxKeptHours covers
)

// Validate completes the defaults that depend on other settings and names everything that is wrong, in one *health.Fault.
func (c *Config) Validate() error {
	several := strings.Contains(c.Units+c.DeviceID, ",")
	named := c.DeviceID != "" || several // several inverters cannot all have the name of their dongle
	if !named {
		c.DeviceID = defaultDeviceID(c.Host)
	}
	c.HealthPath = cmp.Or(c.HealthPath, c.Beside("health.json"))
	c.Socket = cmp.Or(c.Socket, c.Beside("edge.sock"))

	var wrong []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	between := func(name string, v, low, high float64) {
		must(v >= low && v <= high, "%s is %v: must be %v to %v", name, v, low, high)
	}
	refuse := func(errs ...error) {
		wrong = append(wrong, slices.DeleteFunc(errs, func(err error) bool { return err == nil })...)
	}
	refuse(c.Unreadable...)
	if c.Host == "" {
		refuse(required("SUNGROW_HOST", "the address of the inverter"))
	} else if err := checkHost(c.Host); err != nil {
		refuse(err)
	} else if !named && !wire.ValidDeviceID(c.DeviceID) {
		refuse(fmt.Errorf("DEVICE_ID is missing: SUNGROW_HOST cannot be the name of the inverter, which has %s", deviceIDForm))
	}
	must(!named || several || wire.ValidDeviceID(c.DeviceID), "DEVICE_ID is %q: must be %s", c.DeviceID, deviceIDForm)
	between("SUNGROW_PORT", float64(c.Port), 1, 65535)
	between("POLL_INTERVAL_S", c.PollS, minPollS, 3600)
	between("INTER_REGISTER_DELAY_MS", float64(c.GapMS), minGapMS, 5000)
	between("BATCH_SIZE", float64(c.BatchSize), 1, wire.MaxSamples)
	between("UPLOAD_INTERVAL_S", c.UploadS, 1, 3600)
	between("MAX_BACKOFF_S", c.MaxBackoffS, 1, 86400)
	between("RAW_DEBUG_EVERY_N_POLLS", float64(c.RawDebugEach), 1, 1e6)
	must(c.ClockTrust == "" || c.ClockTrust == "auto" || c.ClockTrust == ClockAlways, "CLOCK_TRUST is %q: must be auto or always", c.ClockTrust)
	if c.MetricsAddr != "" {
		_, err := MetricsAddr(c.MetricsAddr)
		refuse(err)
	}
	must(c.SpoolPath != "", "SPOOL_PATH is empty")
	must(c.SpoolMaxMB == 0 || c.SpoolMaxMB >= minSpoolMB && c.SpoolMaxMB <= spool.MaxMB(spool.WordBits), "SPOOL_MAX_MB is %d: must be %d to %d", c.SpoolMaxMB, minSpoolMB, spool.MaxMB(spool.WordBits))
	between("KEEP_DELIVERED_DAYS", float64(c.KeepDays), 0, maxKeepDays)
	between("SPOOL_COMMIT_INTERVAL_S", c.CommitS, 0, maxCommitS)
	each, errs := c.PerInverter()
	refuse(errs...)
	refuse(checkInverters(each)...)
	refuse(checkFiles(each)...)
	refuse(checkURL(c.URL), checkProxy())
	_, exempt := firstSet(exemptVariables)
	must(c.NoProxy == "" || c.NoProxy == exempt, "NO_PROXY is not taken from the command line: set it in the environment")
	must(c.CAFile == "" || c.Fingerprint == "", "VPS_CA_FILE and VPS_FINGERPRINT are both set: a server is known by one of them")
	_, err := transport.NewClient(c.trust())
	refuse(c.UnlessAwaited(err))
	_, err = c.OwnRegisters()
	refuse(c.UnlessAwaited(err))
	if len(wrong) == 0 {
		return nil
	}
	return &health.Fault{
		Code: "config_invalid", Exit: health.ExitConfig,
		What: "the edge cannot start with these settings",
		Why:  errors.Join(wrong...).Error(),
		Next: "sunspool env edge   # every setting with its default and meaning",
	}
}

// Beside returns the path of a file that belongs to the spool: beside spool.db it has that name, and beside another.db it is
// another.name, so that two edges may share a directory.
func (c *Config) Beside(name string) string {
	if base := strings.TrimSuffix(filepath.Base(c.SpoolPath), ".db"); base != "spool" {
		name = base + "." + name
	}
	return filepath.Join(filepath.Dir(c.SpoolPath), name)
}

// defaultDeviceID returns the name of an inverter without DEVICE_ID: its host, in the characters that a name may have.
func defaultDeviceID(host string) string {
	return strings.NewReplacer(":", "-", "%", "-").Replace(host)
}

const deviceIDForm = "1 to 64 characters of A-Z a-z 0-9 . _ ~ -"

// OwnRegisters reads REGISTER_MAP. It returns nil if there is none.
func (c *Config) OwnRegisters() (*registers.Map, error) {
	if c.RegisterMap == "" {
		return nil, nil
	}
	f, err := os.Open(c.RegisterMap)
	if err != nil {
		return nil, fmt.Errorf("REGISTER_MAP: %w", err)
	}
	defer f.Close()
	m, err := registers.Parse(f)
	if err != nil {
		return nil, fmt.Errorf("REGISTER_MAP %s: %w", c.RegisterMap, err)
	}
	return m, nil
}

func (c *Config) Address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

func (c *Config) IngestURL() string { return strings.TrimRight(c.URL, "/") + wire.IngestPath }

func (c *Config) SpoolLimit() int64 {
	return int64(cmp.Or(c.SpoolMaxMB, spool.DefaultMB(spool.WordBits))) << 20
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
