package check

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/edge/config"
	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/settings"
	"sunspool/vps"
)

const token = "canary-0123456789abcdef"

// server takes empty batches with the token.
func server(t *testing.T) (address, caFile string) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"detail":"Invalid token"}`)
			return
		}
		var batch struct {
			ID      string `json:"batch_id"`
			Samples []any
		}
		if err := json.NewDecoder(r.Body).Decode(&batch); err != nil || len(batch.Samples) > 0 {
			t.Errorf("it was sent %+v, %v", batch, err)
		}
		fmt.Fprintf(w, `{"inserted":0,"accepted":0,"duplicates":0,"batch_id":%q}`, batch.ID)
	}))
	t.Cleanup(s.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.URL, caFile
}

// asked runs the check of a role with what the environment has.
func asked(t *testing.T, c Config) (found, string, error) {
	t.Helper()
	var line struct {
		Edge config.Config `cmd:""`
		VPS  vps.Config    `cmd:"" name:"vps"`
	}
	sel, err := settings.NewLine("test", "", &line).Parse([]string{c.Role})
	if err == nil && c.Role == "edge" {
		line.Edge.Complete = true
		err = line.Edge.Validate()
	}
	var out bytes.Buffer
	err = c.Do(t.Context(), Service{Settings: sel, Err: err, Edge: line.Edge, VPS: line.VPS, Version: "test"}, &out, checklist.Style{Plain: true})
	var f found
	if c.JSON {
		if err := json.Unmarshal(out.Bytes(), &f); err != nil {
			t.Fatal(err)
		}
	}
	return f, out.String(), err
}

func TestOnlineFindsTheHopThatIsBroken(t *testing.T) {
	address, caFile := server(t)
	inverter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inverter.Close()
	at, _ := url.Parse("tcp://" + inverter.Addr().String())
	for name, value := range map[string]string{"SUNGROW_HOST": "127.0.0.1", "SUNGROW_PORT": at.Port(), "DEVICE_ID": "roof", "VPS_BASE_URL": address, "VPS_CA_FILE": caFile, "VPS_DEVICE_TOKEN": token, "SPOOL_PATH": filepath.Join(t.TempDir(), "new", "spool.db")} {
		t.Setenv(name, value)
	}
	look := func() (states map[string]string, code string) {
		f, text, err := asked(t, Config{Role: "edge", Online: true, JSON: true, Explain: true})
		if strings.Contains(text, "canary") {
			t.Errorf("a secret is shown: %s", text)
		}
		states = map[string]string{}
		for _, c := range f.Checks {
			if states[c.Area] = string(c.State); code == "" {
				code = c.Code
			}
		}
		if fault, ok := errors.AsType[*health.Fault](err); ok != (code != "") || ok && (fault.Code != "unhealthy" || fault.Exit != health.ExitUnhealthy) {
			t.Errorf("%s, and the command ends with %v", code, err)
		}
		return states, code
	}
	if states, code := look(); fmt.Sprint(states) != "map[inverter:ok server:ok spool:ok]" || code != "" {
		t.Errorf("all is well: %v, %s", states, code)
	}
	for name, c := range map[string]struct{ setting, value, area, code string }{
		"token":     {"VPS_DEVICE_TOKEN", "canary-another-0123456789", "server", "credential"},
		"authority": {"VPS_CA_FILE", "", "server", "tls"},
		"server":    {"VPS_BASE_URL", "https://127.0.0.1:1", "server", "vps_unreachable"},
		"inverter":  {"SUNGROW_PORT", "1", "inverter", "inverter_unreachable"},
		"spool":     {"SPOOL_PATH", "/proc/none/spool.db", "spool", "directory_unwritable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(c.setting, c.value)
			if states, code := look(); states[c.area] != "fail" || code != c.code {
				t.Errorf("%v, %s, want %s", states, code, c.code)
			}
		})
	}
}

func TestExplainSaysWhereAValueIsFrom(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://u:canary@h/d")
	t.Setenv("DEVICE_TOKENS", token+":roof")
	t.Setenv("LISTEN_ADDR", "127.0.0.1:9")
	f, text, _ := asked(t, Config{Role: "vps", Explain: true, JSON: true})
	from := map[string]settings.Explained{}
	for _, e := range f.Settings {
		from[e.Env] = e
	}
	for _, want := range []settings.Explained{{Env: "DATABASE_URL", Value: "(secret)", From: "environment"}, {Env: "DEVICE_TOKENS", Value: "(secret)", From: "environment"},
		{Env: "LISTEN_ADDR", Value: "127.0.0.1:9", From: "environment"}, {Env: "DATA_DIR", Value: "/data", From: "default"}, {Env: "REDIS_URL", From: "not set"}} {
		if from[want.Env] != want {
			t.Errorf("%+v, want %+v", from[want.Env], want)
		}
	}
	if strings.Contains(text, "canary") {
		t.Errorf("a secret is shown: %s", text)
	}
	file := filepath.Join(t.TempDir(), "vps.env")
	if err := os.WriteFile(file, []byte("LISTEN_ADDR=127.0.0.1:9\nDATABASE_URL=other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var line struct {
		VPS vps.Config `cmd:"" name:"vps"`
	}
	sel, err := settings.NewLine("test", "", &line).Parse([]string{"vps"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range explained(sel, file) {
		if want := map[string]string{"LISTEN_ADDR": file, "DATABASE_URL": "environment"}[e.Env]; want != "" && e.From != want {
			t.Errorf("%+v, want from %s", e, want)
		}
	}
}

func TestStoreAndRedisAreReached(t *testing.T) {
	t.Setenv("DEVICE_TOKENS", token+":roof")
	t.Setenv("DATA_DIR", t.TempDir())
	t.Setenv("REDIS_URL", "redis://:canary@127.0.0.1:1")
	f, text, err := asked(t, Config{Role: "vps", Online: true, JSON: true})
	if len(f.Checks) != 2 || f.Checks[0].State != "ok" || f.Checks[1].Code != "redis_unavailable" || err == nil || strings.Contains(text, "canary") {
		t.Errorf("%s, %v", text, err)
	}
	t.Setenv("DATABASE_URL", "postgres://u:canary@127.0.0.1:1/d")
	if f, text, err = asked(t, Config{Role: "vps", Online: true, JSON: true}); f.Checks[0].Code != "database_unreachable" || err == nil || strings.Contains(text, "canary") {
		t.Errorf("%s, %v", text, err)
	}
}
