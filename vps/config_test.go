package vps

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/health"
	"sunspool/settings"
)

// parse reads the settings as main does.
func parse(t *testing.T, args ...string) (Config, error) {
	t.Helper()
	var c Config
	sel, err := settings.NewLine("vps", "", &c).Parse(args)
	if err == nil {
		err = sel.Validate()
	}
	return c, err
}

func TestDefaultsNeedOnlyATokenToBeValid(t *testing.T) {
	t.Setenv("DEVICE_TOKENS", token1+":inv-1")
	c, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	if c.ListenAddr != "127.0.0.1:8000" || c.InternalAddr != "127.0.0.1:8001" || c.DataDir != "/data" ||
		c.MaxSamplesPerRequest != 1000 || c.MaxRequestBytes != 1<<20 || c.CacheTTLS != 5 || string(c.DeviceTokens) != token1+":inv-1" {
		t.Errorf("%+v", c)
	}
	t.Setenv("INTERNAL_ADDR", "")
	t.Setenv("CORS_ALLOW_ORIGINS", "https://a.example,http://b.example:8080")
	t.Setenv("LOG_LEVEL", "WARNING")
	if c, err = parse(t); err != nil || c.InternalAddr != "" || len(c.CORSAllowOrigins) != 2 {
		t.Errorf("%+v %v", c, err)
	}
	if c.LogLevel.Level != slog.LevelWarn {
		t.Errorf("level %v", c.LogLevel)
	}
}

func TestSecretsAreNeverPrintedNorTakenFromTheCommandLine(t *testing.T) {
	const canary = "canary-of-a-setting"
	if _, err := parse(t, "--device-tokens="+canary+":inv-1"); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("a secret on the command line: %v", err)
	}
	t.Setenv("DEVICE_TOKENS", canary+":in v")
	t.Setenv("DATABASE_URL", "postgres://u:"+canary+"@db/x")
	c, validate := parse(t) // Validate as well
	if validate == nil {
		t.Fatal("valid")
	}
	c.DeviceTokens, c.DatabaseURL = canary+":in v", canary
	text, _ := json.Marshal(struct{ A, B settings.Secret }{c.DeviceTokens, c.DatabaseURL})
	said := fmt.Sprintf("%v %+v %#v %s %v %v", c, c, c, text, validate, c.Validate())
	if strings.Contains(said, canary) {
		t.Errorf("the secret is printed: %s", said)
	}
}

func TestEverythingWrongIsNamedAtOnce(t *testing.T) {
	c := Config{DatabaseURL: "mysql://u:p@x/y", RedisURL: "redis://", ListenAddr: "8000", InternalAddr: "nowhere:99999", TLSCertFile: "/nowhere",
		MaxSamplesPerRequest: -1, MaxRequestBytes: 1, CacheTTLS: -1, SiteTZ: "Mars/Base", CORSAllowOrigins: []string{"*"},
		WebAuth: "open", TariffFile: "/none", FrameAncestors: []string{"self", "https://a.example;script-src *"}}
	fault, ok := errors.AsType[*health.Fault](c.Validate())
	if !ok || fault.Exit != health.ExitConfig || fault.Next == "" {
		t.Fatalf("%#v", c.Validate())
	}
	for _, name := range []string{"DATABASE_URL", "REDIS_URL", "LISTEN_ADDR", "INTERNAL_ADDR", "TLS_KEY_FILE", "DEVICE_TOKENS",
		"MAX_SAMPLES_PER_REQUEST", "MAX_REQUEST_BYTES", "CACHE_TTL_S", "SITE_TZ", "CORS_ALLOW_ORIGINS", "WEB_AUTH", "FRAME_ANCESTORS", "TARIFF_FILE"} {
		if !strings.Contains(fault.Why, name) {
			t.Errorf("%s is not named in: %s", name, fault.Why)
		}
	}
	for _, origin := range []string{"https://a.example/", "https://*.example", "*", "a.example", "https://u@a.example", "ftp://a", "null", "https://", "https://:443", "https://a.example:x", "//a.example",
		"https://a.example;script-src", "https://a.example script-src", "https://a.example,b", "https://a'b", `https://a"b`, "https://<b>", "https://h\u00f6st.example", "https://a.example\u2028x",
		"https://a.example%3b", "https://HA.example", "HTTPS://a.example", "https://a.example?x", "https://a.example#x", "https://a.example\r\nX: y", "data:x", "javascript:x", "'self'", "self"} {
		if isOrigin(origin) {
			t.Errorf("%q passes for an origin", origin)
		}
	}
	for _, origin := range []string{"https://ha.example.org", "http://homeassistant.local:8123", "http://192.168.1.2:8123", "https://[fd00::1]:8443", "https://xn--hst-sna.example", "http://my_nas"} {
		if !isOrigin(origin) {
			t.Errorf("%q does not pass for an origin", origin)
		}
	}
	for name, c := range map[string]Config{"--migrate-only": {MigrateOnly: true}, "DATA_DIR": {DeviceTokens: "t-0123456789abcdef:inv-1", ListenAddr: "127.0.0.1:8000"}} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("nowhere to store: %v", err)
		}
	}
	if err := (&Config{MigrateOnly: true, DatabaseURL: "postgres://u@h/d"}).Validate(); err != nil {
		t.Errorf("tables are made without tokens: %v", err)
	}
	file := filepath.Join(t.TempDir(), "vps.db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	quoted := Config{DataDir: file, DeviceTokens: `"t-0123456789abcdef":inv-1`, ListenAddr: `"127.0.0.1:8000"`, SiteTZ: "Europe/Brussels\r"}
	why := fmt.Sprint(quoted.Validate())
	for _, name := range []string{"DATA_DIR", "DEVICE_TOKENS entry 1", "write LISTEN_ADDR=127.0.0.1:8000", "write SITE_TZ=Europe/Brussels"} {
		if !strings.Contains(why, name) {
			t.Errorf("%s is not named in: %s", name, why)
		}
	}
	same := Config{DataDir: "/d", DeviceTokens: "t-0123456789abcdef:inv-1", ListenAddr: "127.0.0.1:8000", InternalAddr: "127.0.0.1:8000"}
	if err := same.Validate(); err == nil || !strings.Contains(err.Error(), "/metrics") {
		t.Errorf("metrics in public: %v", err)
	}
}
