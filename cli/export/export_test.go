package export

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/edge/transport"
	"sunspool/health"
	"sunspool/settings"
	"sunspool/vps"
	"sunspool/wire"
)

const (
	sender = "t1-0123456789abcdef"
	reader = "v1-0123456789abcdef"
)

// serving is a vps with two hours of samples of a device, at home: by its socket, and by https with its own authority.
func serving(t *testing.T) (server, fingerprint, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "x") // sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	at := make(chan string, 1)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	cfg := vps.Config{DataDir: dir, ListenAddr: "127.0.0.1:0", TLSSelf: true, DeviceTokens: sender + ":roof", ViewerTokens: reader + ":roof", CacheTTLS: 1, MaxSamplesPerRequest: 1000, MaxRequestBytes: 1 << 20,
		WebAuth: "token", SiteTZ: "Europe/Brussels", Version: "test", Listening: func(public, _ net.Addr) { at <- public.String() }}
	go func() { ended <- vps.Run(ctx, cfg, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case address := <-at:
		server = "https://" + address
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := vps.Fingerprint(vps.Config{DataDir: dir}, vps.FingerprintConfig{}, &out); err != nil {
		t.Fatal(err)
	}
	fingerprint = strings.TrimSpace(out.String())
	var batch wire.Batch
	for i := range 120 {
		batch.Samples = append(batch.Samples, wire.Sample{DeviceID: "roof", Time: time.Date(2026, 6, 21, 8, i, 0, 0, time.UTC), PVPowerW: 3000, LoadPowerW: new(500.0), ExportPowerW: new(2500.0), Count: 1})
	}
	body, _ := json.Marshal(batch)
	client, err := transport.NewClient(transport.Trust{Fingerprint: fingerprint})
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server+wire.IngestPath, bytes.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+sender)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
	client.CloseIdleConnections()
	return server, fingerprint, dir
}

func do(t *testing.T, c Config) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Export{Out: &out, Err: io.Discard, Version: "test"}.Do(t.Context(), c)
	return out.String(), err
}

func codeOf(err error) string {
	if f, ok := errors.AsType[*health.Fault](err); ok {
		return f.Code
	}
	return fmt.Sprint(err)
}

func TestSamplesAndPeriodsAreExported(t *testing.T) {
	server, fingerprint, dir := serving(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(reader+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ways := map[string]Config{
		"by its socket": {Machine: vps.MachineConfig{DataDir: dir}},
		"by https":      {Server: server, TokenFile: token, Fingerprint: fingerprint},
	}
	for way, base := range ways {
		base.From, base.To, base.Format = "2026-06-21", "2026-06-21", "csv"
		for resolution, rows := range map[string]int{"raw": 120, "5m": 24, "hour": 2, "day": 1, "month": 1} {
			c := base
			c.Resolution, c.Output = resolution, filepath.Join(t.TempDir(), "out")
			if _, err := do(t, c); err != nil {
				t.Fatalf("%s, %s: %v", way, resolution, err)
			}
			text, err := os.ReadFile(c.Output)
			if err != nil {
				t.Fatal(err)
			}
			cells, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
			if err != nil || len(cells) != rows+1 {
				t.Errorf("%s, %s: %d lines, %v", way, resolution, len(cells), err)
			}
			c.Format, c.Output = "json", ""
			said, err := do(t, c)
			var objects []map[string]any
			if err != nil || json.Unmarshal([]byte(said), &objects) != nil || len(objects) != rows || len(objects[0]) != len(cells[0]) {
				t.Errorf("%s, %s as JSON: %d objects, %v\n%s", way, resolution, len(objects), err, said[:min(len(said), 300)])
			}
			if pv, ok := objects[0][map[bool]string{true: "pv_power_w", false: "pv_kwh"}[resolution == "raw"]].(float64); !ok || pv <= 0 {
				t.Errorf("%s, %s: %v", way, resolution, objects[0])
			}
		}
	}
}

func TestWhatCannotBeExportedIsNotWritten(t *testing.T) {
	server, fingerprint, dir := serving(t)
	base := Config{From: "2026-06-21", To: "2026-06-21", Resolution: "day", Format: "csv", Machine: vps.MachineConfig{DataDir: dir}}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"a file that is there":  {func(c *Config) { os.WriteFile(c.Output, []byte("x"), 0o600) }, "file_exists"},
		"a site's samples":      {func(c *Config) { c.Site, c.Resolution = "home", "raw" }, "usage"},
		"no such device":        {func(c *Config) { c.Device = "a b" }, "vps_refused"},
		"no date":               {func(c *Config) { c.From = "soon" }, "vps_refused"},
		"no server here":        {func(c *Config) { c.Machine.AdminSocket = filepath.Join(dir, "none") }, "no_server"},
		"plain http":            {func(c *Config) { c.Server = "http" + strings.TrimPrefix(server, "https") }, "usage"},
		"no token":              {func(c *Config) { c.Server = server }, "token_missing"},
		"a certificate unknown": {func(c *Config) { c.Server, c.Token = server, settings.Secret(reader) }, "tls"},
		"another token":         {func(c *Config) { c.Server, c.Token, c.Fingerprint = server, "x1-0123456789abcdef", fingerprint }, "token_refused"},
	} {
		config := base
		config.Output = filepath.Join(t.TempDir(), "out")
		c.change(&config)
		_, err := do(t, config)
		if text, wrong := os.ReadFile(config.Output); codeOf(err) != c.want || wrong == nil && string(text) != "x" {
			t.Errorf("%s: %v, want %s; the file has %q", name, err, c.want, text)
		}
	}
}

// A server that ends an answer in the middle, and Ctrl-C, leave no file.
func TestExportThatIsCutOffLeavesNoFile(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	for name, c := range map[string]struct {
		ctx  context.Context
		body func() io.ReadCloser
		want string
	}{
		"cut off": {t.Context(), func() io.ReadCloser {
			return io.NopCloser(io.MultiReader(strings.NewReader("ts_utc,pv_w\n2026-06-21T08:00:00Z,1\n2026-"), failing{}))
		}, "export_cut_off"},
		"half a line": {t.Context(), func() io.ReadCloser { return io.NopCloser(strings.NewReader("ts_utc,pv_w\n2026-06")) }, "export_cut_off"},
		"Ctrl-C": {ctx, func() io.ReadCloser {
			interrupt()
			return io.NopCloser(io.MultiReader(strings.NewReader("ts_utc,pv_w\n"), failing{}))
		}, "interrupted"},
	} {
		file := filepath.Join(t.TempDir(), "out")
		e := Export{Out: io.Discard, Err: io.Discard}
		err := e.write(c.ctx, Config{From: "2026-06-21", To: "2026-06-21", Resolution: "day", Format: "json", Device: "roof", Output: file},
			func(context.Context, string) (*http.Response, error) { return &http.Response{Body: c.body()}, nil })
		left, _ := os.ReadDir(filepath.Dir(file))
		if codeOf(err) != c.want || len(left) > 0 {
			t.Errorf("%s: %v, want %s; %v is left", name, err, c.want, left)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A server to which nothing was sent yet has no inverter to name.
func TestServerWithoutSamplesHasNothingToName(t *testing.T) {
	for list, want := range map[string]string{`{"devices":[]}`: "no_devices", `{"devices":[{"device_id":"roof"},{"device_id":"garage"}]}`: "usage", `{"devices":[{"device_id":"roof"}]}`: "<nil>"} {
		ask := func(context.Context, string) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(list))}, nil
		}
		if err := (Config{}).name(t.Context(), ask, url.Values{}); codeOf(err) != want {
			t.Errorf("%s: %v, want %s", list, err, want)
		}
	}
}
