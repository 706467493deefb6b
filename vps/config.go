package vps

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sunspool/health"
	"sunspool/settings"
	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/listener"
	"sunspool/vps/store/postgres"
	"sunspool/vps/store/redis"
	"sunspool/vps/tariff"
)

// Config is the settings of the vps: one line each = variable, flag, default, help. A setting that is empty or 0 where
// that makes no sense is its default.
type Config struct {
	DatabaseURL settings.Secret `name:"database-url" hidden:"" env:"DATABASE_URL" placeholder:"URL" help:"A PostgreSQL, 15 or later, that several processes may share: postgres://user:password@host/database; empty for a file in DATA_DIR. Environment only."`
	RedisURL    settings.Secret `name:"redis-url" hidden:"" env:"REDIS_URL" placeholder:"URL" help:"A Redis that several processes share: redis://[user:password@]host[:port][/database], or rediss:// for TLS. It keeps the newest sample of each device and carries new ones to every /v1/stream; empty for a cache in this process. Environment only."`
	DataDir     string          `name:"data-dir" env:"DATA_DIR" default:"/data" placeholder:"DIR" help:"Where samples are kept when DATABASE_URL is empty."`

	ListenAddr   string `name:"listen" env:"LISTEN_ADDR" default:"127.0.0.1:8000" placeholder:"HOST:PORT" help:"Where the API listens."`
	InternalAddr string `name:"internal" env:"INTERNAL_ADDR" empty:"off" default:"127.0.0.1:8001" placeholder:"HOST:PORT" help:"Where /metrics listens, beside /health and /ready; empty for nowhere."`
	AdminSocket  string `name:"admin-socket" env:"ADMIN_SOCKET" placeholder:"FILE" help:"Unix socket for sunspool token, for root and the user of the server alone. Default: vps.sock in DATA_DIR."`
	TLSCertFile  string `name:"tls-cert-file" env:"TLS_CERT_FILE" placeholder:"FILE" help:"Certificate chain, PEM, to serve https without a proxy; read again when it changes."`
	TLSKeyFile   string `name:"tls-key-file" env:"TLS_KEY_FILE" placeholder:"FILE" help:"Private key of the certificate, PEM."`
	TLSSelf      bool   `name:"tls-self" env:"TLS_SELF" help:"Serve https without a domain: an authority and a certificate of this server's own, in DATA_DIR, renewed by itself. Edges know it by VPS_FINGERPRINT."`

	DeviceTokens     settings.Secret `name:"device-tokens" hidden:"" env:"DEVICE_TOKENS" placeholder:"TOKEN:DEVICE,..." help:"Who may send and read: token:device or sha256:HEX:device, several per device if you like; a token has at least 16 characters. Or store, if sunspool token makes them all. Environment only."`
	DeviceTokensFile string          `name:"device-tokens-file" env:"DEVICE_TOKENS_FILE" placeholder:"FILE" help:"Entries of DEVICE_TOKENS in a file, one a line; read again on SIGHUP. Its mode is 0600, or below /run/secrets also that of a secret of Docker or Kubernetes. The systemd credential device-tokens is read too."`
	ViewerTokens     settings.Secret `name:"viewer-tokens" hidden:"" env:"VIEWER_TOKENS" placeholder:"TOKEN:DEVICE,..." help:"Who may only read: token:device, token:device+device for several, or token:* for every device. Environment only."`
	ViewerTokensFile string          `name:"viewer-tokens-file" env:"VIEWER_TOKENS_FILE" placeholder:"FILE" help:"Entries of VIEWER_TOKENS in a file, as DEVICE_TOKENS_FILE. The systemd credential viewer-tokens is read too."`

	TrustedProxies []string `name:"trusted-proxies" env:"TRUSTED_PROXIES" sep:"," placeholder:"NETWORK,..." help:"Networks of the proxies in front, such as 172.16.0.0/12: they are believed when they say in X-Forwarded-For for whom they ask. Nobody else is."`

	WebAuth        string   `name:"web-auth" env:"WEB_AUTH" default:"token" placeholder:"MODE" help:"Who may read without a token: nobody (token), or the network at home (open-lan)."`
	FrameAncestors []string `name:"frame-ancestors" env:"FRAME_ANCESTORS" sep:"," placeholder:"ORIGIN,..." help:"Sites that may show the page in a frame, such as https://ha.example.org for Home Assistant; self for pages of the same origin."`

	TariffFile string `name:"tariff-file" env:"TARIFF_FILE" placeholder:"FILE" help:"Prices of energy and from when they hold, JSON: the page then shows money. Read again when it changes. Empty for none."`

	MaxSamplesPerRequest int               `name:"max-samples-per-request" env:"MAX_SAMPLES_PER_REQUEST" default:"1000" help:"Samples that one request may hold."`
	MaxRequestBytes      int64             `name:"max-request-bytes" env:"MAX_REQUEST_BYTES" default:"1048576" help:"Bytes that one request may hold, unpacked."`
	CacheTTLS            float64           `name:"cache-ttl-s" env:"CACHE_TTL_S" default:"5" help:"Seconds that the newest sample of a device is kept in the cache; 0 for not at all."`
	RawRetentionDays     int               `name:"raw-retention-days" env:"RAW_RETENTION_DAYS" default:"0" help:"Days after which single samples are deleted; 0 keeps them. What hours, days, months and years hold is kept indefinitely."`
	SiteTZ               string            `name:"site-tz" env:"SITE_TZ" placeholder:"ZONE" help:"Time zone in which days are cut, such as Europe/Brussels; empty for the one that each edge names, else UTC."`
	CORSAllowOrigins     []string          `name:"cors-allow-origins" env:"CORS_ALLOW_ORIGINS" sep:"," placeholder:"ORIGIN,..." help:"Other origins whose pages may read, such as https://panel.example.org."`
	LogLevel             settings.LogLevel `name:"log-level" env:"LOG_LEVEL" default:"info" help:"debug, info, warn or error."`

	MigrateOnly bool `name:"migrate-only" help:"Only bring the tables of DATABASE_URL to this version, and end. The service does so itself when it starts."`

	// Unreadable are settings whose values are not of their type; Validate names them with the others.
	Unreadable []error `cmd:"-"`
	// Version is that of the program, for the log and the metrics.
	Version string `cmd:"-"`
	// Reload makes Run read the tokens and the certificate again: main gives the channel of SIGHUP here.
	Reload <-chan os.Signal `cmd:"-"`
	// Listening is called once both listeners are open: main then tells systemd. internal is nil when it is off.
	Listening func(public, internal net.Addr) `cmd:"-"`
}

// Validate names everything that is wrong with the settings at once, as a *health.Fault, or returns nil.
func (c *Config) Validate() error {
	var wrong []string
	next := ""
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	for _, err := range c.Unreadable {
		check(false, "%v", err)
	}
	for _, text := range c.texts() {
		err := settings.CheckText(text.name, text.value, text.secret)
		check(err == nil, "%v", err)
	}
	if c.DatabaseURL != "" {
		why := postgres.WrongURL(string(c.DatabaseURL))
		check(why == "", "DATABASE_URL %s", why)
	}
	if c.MigrateOnly {
		check(c.DatabaseURL != "", "--migrate-only is for a DATABASE_URL, and there is none")
		return invalidConfig(wrong)
	}
	if c.RedisURL != "" {
		why := redis.WrongURL(string(c.RedisURL))
		check(why == "", "REDIS_URL %s", why)
	}
	check(c.DataDir != "" || c.DatabaseURL != "", "DATA_DIR is empty")
	if info, err := os.Stat(c.DataDir); err == nil && c.DatabaseURL == "" {
		check(info.IsDir(), "DATA_DIR %q is not a directory", c.DataDir)
	}
	check(isAddr(c.ListenAddr), "LISTEN_ADDR %q is not host:port", c.ListenAddr)
	check(c.InternalAddr == "" || isAddr(c.InternalAddr), "INTERNAL_ADDR %q is not host:port", c.InternalAddr)
	check(c.InternalAddr != c.ListenAddr || strings.HasSuffix(c.ListenAddr, ":0"), "INTERNAL_ADDR is the same as LISTEN_ADDR: /metrics is not for the public")
	check((c.TLSCertFile == "") == (c.TLSKeyFile == ""), "TLS_CERT_FILE and TLS_KEY_FILE need each other")
	check(!c.TLSSelf || c.TLSCertFile == "", "TLS_SELF and TLS_CERT_FILE are both set: a server has one certificate")
	check(!c.TLSSelf || c.DataDir != "", "TLS_SELF needs a DATA_DIR for its authority")
	if c.TLSCertFile != "" && c.TLSKeyFile != "" {
		err := listener.CheckCertificate(c.TLSCertFile, c.TLSKeyFile)
		check(err == nil, "TLS_CERT_FILE and TLS_KEY_FILE: %v", err)
	}
	if _, err := c.tokens(); err != nil {
		check(false, "%v", cause(err))
		if f, ok := errors.AsType[*health.Fault](err); ok {
			next = f.Next
		}
	}
	check(c.MaxSamplesPerRequest >= 0 && c.MaxSamplesPerRequest <= 100_000, "MAX_SAMPLES_PER_REQUEST %d is not 1 to 100000", c.MaxSamplesPerRequest)
	check(c.MaxRequestBytes == 0 || c.MaxRequestBytes >= 1024 && c.MaxRequestBytes <= 64<<20, "MAX_REQUEST_BYTES %d is not 1024 to 67108864", c.MaxRequestBytes)
	check(c.CacheTTLS >= 0 && c.CacheTTLS <= 3600, "CACHE_TTL_S %v is not 0 to 3600", c.CacheTTLS)
	check(c.RawRetentionDays == 0 || c.RawRetentionDays >= minRetentionDays && c.RawRetentionDays <= 36500,
		"RAW_RETENTION_DAYS %d is neither 0, to keep all, nor %d to 36500", c.RawRetentionDays, minRetentionDays)
	if _, err := c.zone(); err != nil {
		check(false, "SITE_TZ %q is not a time zone, such as Europe/Brussels", c.SiteTZ)
	}
	if _, err := auth.ParseProxies(c.TrustedProxies); err != nil {
		check(false, "TRUSTED_PROXIES: %v", err)
	}
	check(c.WebAuth == "" || c.WebAuth == "token" || c.WebAuth == "open-lan", "WEB_AUTH %q is neither token nor open-lan", c.WebAuth)
	if _, err := c.tariff(); err != nil {
		check(false, "TARIFF_FILE: %v", err)
		if f, ok := errors.AsType[*health.Fault](err); ok {
			next = f.Next
		}
	}
	for _, origin := range c.FrameAncestors {
		check(origin == "self" || isOrigin(origin), "FRAME_ANCESTORS has %q, which is neither self nor one exact origin such as https://ha.example.org", origin)
	}
	for _, origin := range c.CORSAllowOrigins {
		check(isOrigin(origin), "CORS_ALLOW_ORIGINS has %q, which is not one exact origin such as https://panel.example.org", origin)
	}
	err := invalidConfig(wrong)
	if f, ok := errors.AsType[*health.Fault](err); ok && len(wrong) == 1 && next != "" {
		f.Next = next // nothing else is wrong
	}
	return err
}

// plainText is a setting that is taken as it is written.
type plainText struct {
	name, value string
	secret      bool
}

// texts are those in which quotes and invisible characters have no place. Tokens are looked at one by one.
func (c *Config) texts() []plainText {
	return []plainText{
		{"DATABASE_URL", string(c.DatabaseURL), true}, {"REDIS_URL", string(c.RedisURL), true},
		{"DATA_DIR", c.DataDir, false}, {"LISTEN_ADDR", c.ListenAddr, false}, {"INTERNAL_ADDR", c.InternalAddr, false}, {"ADMIN_SOCKET", c.AdminSocket, false},
		{"TLS_CERT_FILE", c.TLSCertFile, false}, {"TLS_KEY_FILE", c.TLSKeyFile, false},
		{"DEVICE_TOKENS_FILE", c.DeviceTokensFile, false}, {"VIEWER_TOKENS_FILE", c.ViewerTokensFile, false}, {"SITE_TZ", c.SiteTZ, false}, {"TARIFF_FILE", c.TariffFile, false},
	}
}

// invalidConfig returns nil when nothing is wrong.
func invalidConfig(wrong []string) error {
	if wrong == nil {
		return nil
	}
	what := "1 setting of the vps is wrong"
	if len(wrong) > 1 {
		what = fmt.Sprintf("%d settings of the vps are wrong", len(wrong))
	}
	return &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: what, Why: strings.Join(wrong, "; "),
		Next: "sunspool env vps   # every setting with its default and meaning"}
}

// cause is the part of a fault that describes what is wrong.
func cause(err error) string {
	if f, ok := errors.AsType[*health.Fault](err); ok {
		return cmp.Or(f.Why, f.What)
	}
	return err.Error()
}

func isAddr(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// isOrigin reports whether origin is one as a browser writes it, who compares it letter by letter. In a policy, another character
// could begin something else.
func isOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.Scheme+"://"+u.Host == origin &&
		strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]") == ""
}

// zone returns nil when there is none for all devices.
func (c *Config) zone() (*time.Location, error) {
	if c.SiteTZ == "" {
		return nil, nil
	}
	return new(deviceinfo.Zones).Load(c.SiteTZ)
}

// tariff returns nil without a file.
func (c *Config) tariff() (*tariff.File, error) {
	if c.TariffFile == "" {
		return nil, nil
	}
	return tariff.Open(c.TariffFile)
}

func (c *Config) cacheTTL() time.Duration {
	return time.Duration(math.Round(c.CacheTTLS*1000)) * time.Millisecond
}

// tokens reads the tokens from every place that may hold some.
func (c *Config) tokens() (*auth.Tokens, error) {
	t := &auth.Tokens{Misspelt: func() string { return settings.Instead("DEVICE_TOKENS", Config{}) }}
	return t, c.readTokens(t)
}

// readTokens replaces t with what the settings, the files and the systemd credentials hold now.
func (c *Config) readTokens(t *auth.Tokens) error {
	devices, err := entries(string(c.DeviceTokens), "DEVICE_TOKENS_FILE", c.DeviceTokensFile, "device-tokens")
	if err != nil {
		return err
	}
	viewers, err := entries(string(c.ViewerTokens), "VIEWER_TOKENS_FILE", c.ViewerTokensFile, "viewer-tokens")
	if err != nil {
		return err
	}
	return t.Replace(devices, viewers)
}

// entries returns what stands in text, in the file that a setting names, and in a systemd credential, one below the other.
func entries(text, setting, file, credential string) (string, error) {
	all := []string{text}
	if file != "" {
		text, err := settings.ReadSecretFile(file)
		if exposed, ok := errors.AsType[*settings.Exposed](err); ok {
			return "", &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: setting + " " + exposed.Error(),
				Next: "chmod 600 " + health.Quote(file)}
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", setting, err)
		}
		all = append(all, text)
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		text, err := os.ReadFile(filepath.Join(dir, credential))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("read the credential %s: %w", credential, err)
		}
		all = append(all, string(text))
	}
	return strings.Join(all, "\n"), nil
}
