package setup

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/edge/mdns"
	"sunspool/edge/probe"
	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
	"sunspool/internal/paircode"
	"sunspool/wire"
)

const token = "ssd_0123456789abcdef0123456789abcdef01234567"

// noSystemd is a machine without systemd.
type noSystemd struct{}

func (noSystemd) Systemctl(context.Context, ...string) (bool, error) { return false, nil }

// machine is an empty machine.
type machine struct {
	*testing.T
	root     string
	search   *probe.Search // nil finds nothing
	probes   bool          // the inverter is looked at
	networks []netip.Prefix
}

func newMachine(t *testing.T) machine { return machine{T: t, root: t.TempDir()} }

// do runs setup with a person who types, or with nobody.
func (m machine) do(cfg Config, typed ...string) (string, error) {
	m.Helper()
	var out bytes.Buffer
	cfg.NoProbe = !m.probes
	s := Setup{Version: "test", In: strings.NewReader(strings.Join(typed, "\n") + "\n"), Out: &out, Terminal: typed != nil, Root: m.root, System: noSystemd{},
		Search: probe.Search{Find: func(context.Context) ([]mdns.Dongle, error) { return nil, nil }, Held: func() ([]string, bool) { return nil, false }}, Networks: func() []netip.Prefix { return m.networks }}
	if m.search != nil {
		s.Search = *m.search
	}
	err := s.Do(m.Context(), cfg)
	return out.String(), err
}

// files are all that is below the root, by name.
func (m machine) files() map[string]string {
	m.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(m.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() { // or a socket
			return err
		}
		text, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, m.root)] = string(text)
		return err
	})
	if err != nil {
		m.Fatal(err)
	}
	return all
}

func (m machine) secretFile(text string) string {
	m.Helper()
	file := filepath.Join(m.TempDir(), "token")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		m.Fatal(err)
	}
	return file
}

// sunspoolServer takes any code, and is known by the fingerprint of its authority.
func sunspoolServer(t *testing.T, status int, asked ...func()) (url, code, fingerprint string) {
	t.Helper()
	leaf, sum := uploadtest.NewAuthority(t).Own(nil)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, do := range asked {
			do()
		}
		w.WriteHeader(status)
		if status == http.StatusOK {
			json.NewEncoder(w).Encode(wire.Paired{DeviceID: "roof", Token: token})
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, paircode.Code{Secret: paircode.NewSecret(), Pin: sum[:paircode.PinBytes]}.String(), fmt.Sprintf("sha256:%x", sum)
}

func TestEdgeByACode(t *testing.T) {
	m := newMachine(t)
	url, code, fingerprint := sunspoolServer(t, http.StatusOK)
	out, err := m.do(Config{Role: roleEdge, Inverter: "192.168.1.9:1502", Server: url, Pair: code, Yes: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files := m.files()
	env, err := parseEnv(files[edgeEnv])
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"SUNGROW_HOST": "192.168.1.9", "SUNGROW_PORT": "1502", "VPS_BASE_URL": url, "DEVICE_ID": "roof", "VPS_FINGERPRINT": fingerprint, "VPS_DEVICE_TOKEN": ""} {
		if got := env.get(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	if files[tokenFile] != token+"\n" {
		t.Errorf("the token file has %q", files[tokenFile])
	}
	if strings.Contains(out+files[edgeEnv], token) {
		t.Error("the token is printed, or in the settings")
	}
	for name, mode := range map[string]os.FileMode{edgeEnv: 0o600, tokenFile: 0o600, filepath.Dir(tokenFile): 0o700} {
		if info, err := os.Stat(filepath.Join(m.root, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if !strings.Contains(files[edgeEnv], "# Seconds from one poll") {
		t.Error("the comments of the template are gone")
	}
}

// Run again it changes what was asked, and nothing else: not a line that the owner wrote.
func TestAgainItChangesWhatWasAskedAlone(t *testing.T) {
	m := newMachine(t)
	file := m.secretFile(token)
	if _, err := m.do(Config{Role: roleEdge, Inverter: "192.168.1.9", Server: "https://solar.example.org", TokenFile: file, Device: "roof", Yes: true}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(m.root, edgeEnv)
	own := m.files()[edgeEnv] + "# mine\nPOLL_INTERVAL_S=30\nMY_OWN=\"a b\"\n"
	if err := os.WriteFile(path, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	before := m.files()
	out, err := m.do(Config{Yes: true})
	if err != nil || !strings.Contains(out, "as they should be") {
		t.Errorf("%v\n%s", err, out)
	}
	for name, text := range m.files() {
		if text != before[name] {
			t.Errorf("%s has changed:\n%s", name, text)
		}
	}
	out, err = m.do(Config{Inverter: "192.168.1.77", Yes: true})
	if err != nil {
		t.Fatal(err)
	}
	if after := m.files(); after[edgeEnv] != strings.Replace(own, "SUNGROW_HOST=192.168.1.9", "SUNGROW_HOST=192.168.1.77", 1) || after[tokenFile] != before[tokenFile] {
		t.Errorf("after another inverter:\n%s", after[edgeEnv])
	}
	if !strings.Contains(out, "- SUNGROW_HOST=192.168.1.9") || !strings.Contains(out, "+ SUNGROW_HOST=192.168.1.77") || strings.Count(out, "\n  + ")+strings.Count(out, "\n  - ") != 2 {
		t.Errorf("the difference is\n%s", out)
	}
}

// A person may answer wrongly, and is told so; what was written before stays until all is known and confirmed.
func TestWrongAnswersAreAskedAgain(t *testing.T) {
	m := newMachine(t)
	url, code, _ := sunspoolServer(t, http.StatusOK)
	out, err := m.do(Config{}, "toaster", "edge", "http://x", "", "192.168.1.9", "Europe/Brussel", "", "Europe/Brussels", "http://solar", "solar.example.org", "https://solar.example.org/path", url, code, "perhaps", "y")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"toaster" is none of edge, server, all`, `"http://x" is not the address of an inverter`, `"http://solar" is not the address of a server`, `"Europe/Brussel" is no time zone`, "None does", "Paired with " + url + " as roof"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Count(out, "Write this?") != 2 {
		t.Errorf("it was not asked again:\n%s", out)
	}
}

// A code that is none is asked again at once, and one that the server does not take after it was tried: nothing that was answered is
// lost.
func TestWrongCodesAreAskedAgain(t *testing.T) {
	m := newMachine(t)
	url, code, _ := sunspoolServer(t, http.StatusOK)
	_, other, _ := sunspoolServer(t, http.StatusOK)
	out, err := m.do(Config{Role: roleEdge, Inverter: "192.168.1.9", TZ: "Europe/Brussels", Server: url}, "1234", other, "y", "5678", code)
	if err != nil || strings.Count(out, codeQuestion) != 4 || !strings.Contains(out, "Paired with "+url+" as roof") || !strings.Contains(out, "that is no pairing code") {
		t.Errorf("%v\n%s", err, out)
	}
	ended := newMachine(t)
	if _, err := ended.do(Config{Role: roleEdge, Inverter: "192.168.1.9", TZ: "Europe/Brussels", Server: url, Pair: other}, "y"); err == nil || len(ended.files()) > 0 {
		t.Errorf("who gives up has written %v, %v", ended.files(), err)
	}
}

// Who says no, ends the input, or only wants to see it, has changed nothing. Neither has a code that is refused.
func TestNothingIsWrittenUnlessAllIsRight(t *testing.T) {
	url, code, _ := sunspoolServer(t, http.StatusOK)
	refusing, refused, _ := sunspoolServer(t, http.StatusUnauthorized)
	edge := Config{Role: roleEdge, Inverter: "192.168.1.9", Server: url, Pair: code}
	with := func(change func(*Config)) Config { c := edge; change(&c); return c }
	for name, c := range map[string]struct {
		cfg   Config
		typed []string
		exit  int
	}{
		"no":                 {edge, []string{"n"}, health.ExitInterrupted},
		"the input ends":     {Config{}, []string{"edge"}, health.ExitInterrupted},
		"nobody confirms":    {edge, nil, health.ExitUsage},
		"print":              {with(func(c *Config) { c.Print = true }), nil, 0},
		"refused":            {with(func(c *Config) { c.Server, c.Pair, c.Yes = refusing, refused, true }), nil, health.ExitAuth},
		"code of another":    {with(func(c *Config) { c.Server, c.Yes = refusing, true }), nil, health.ExitUnreachable},
		"no code":            {with(func(c *Config) { c.Pair, c.Yes = "hello", true }), nil, health.ExitUsage},
		"no inverter":        {with(func(c *Config) { c.Inverter, c.Yes = "", true }), nil, health.ExitUsage},
		"no token":           {with(func(c *Config) { c.Pair, c.Yes = "", true }), nil, health.ExitUsage},
		"impossible name":    {with(func(c *Config) { c.Device, c.Yes = "ro of", true }), nil, health.ExitUsage},
		"unencrypted server": {with(func(c *Config) { c.Server, c.Yes = "http://solar", true }), nil, health.ExitUsage},
		"short token":        {with(func(c *Config) { c.Pair, c.TokenFile, c.Yes = "", "-", true }), nil, health.ExitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			out, err := m.do(c.cfg, c.typed...)
			exit := 0
			if f, ok := errors.AsType[*health.Fault](err); ok {
				if exit = f.Exit; f.Next == "" {
					t.Errorf("no way out: %+v", f)
				}
			}
			if exit != c.exit || (err != nil) != (c.exit != 0) {
				t.Errorf("exit %d, not %d: %v\n%s", exit, c.exit, err, out)
			}
			if exit == health.ExitInterrupted && !strings.HasSuffix(out, "\n") && name != "no" {
				t.Errorf("the error follows the question in its line:\n%s", out)
			}
			if files := m.files(); len(files) > 0 {
				t.Errorf("written: %v", files)
			}
		})
	}
}

// A settings file that cannot be changed without guessing stays as it is.
func TestSettingsThatAreNoSettingsAreLeft(t *testing.T) {
	m := newMachine(t)
	path := filepath.Join(m.root, edgeEnv)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"this is no setting\n", "export DEVICE_ID=roof\n", "DEVICE_ID=\"roof\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := m.do(Config{Role: roleEdge, Inverter: "192.168.1.9", Server: "https://x.example.org", TokenFile: m.secretFile(token), Yes: true})
		if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "config_invalid" || !strings.Contains(f.Why, "line 1") || m.files()[edgeEnv] != text {
			t.Errorf("%q: %v\n%v", text, err, m.files())
		}
	}
}

// A server gets what is missing; one that has a certificate and an address already keeps them.
func TestServerIsForTheHomeUnlessItIsSetUpOtherwise(t *testing.T) {
	m := newMachine(t)
	if _, err := m.do(Config{Role: roleServer, Yes: true}); err != nil {
		t.Fatal(err)
	}
	files := m.files()
	env, _ := parseEnv(files[vpsEnv])
	if env.get("TLS_SELF") != "1" || env.get("LISTEN_ADDR") != "0.0.0.0:8443" || env.get("DEVICE_TOKENS") != "store" || !strings.Contains(files[homeDrop], "IPAddressAllow=") {
		t.Errorf("%v", files)
	}
	other := newMachine(t)
	path := filepath.Join(other.root, vpsEnv)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	own := "DEVICE_TOKENS=0123456789abcdef:roof\nLISTEN_ADDR=127.0.0.1:8000\n"
	if err := os.WriteFile(path, []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := other.do(Config{Yes: true}); err != nil || other.files()[vpsEnv] != own || len(other.files()) != 1 {
		t.Errorf("%v\n%v", err, other.files())
	}
}

func TestLinesOfSettings(t *testing.T) {
	f, err := parseEnv("# a\nA=1\n#B=2\nA=3\n")
	if err != nil {
		t.Fatal(err)
	}
	f.set("A", "4")
	f.set("B", "5")
	f.set("C", "6")
	if got, want := f.String(), "# a\nA=4\n#B=2\nB=5\nC=6\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	f.unset("A")
	if f.get("A") != "" || f.get("B") != "5" {
		t.Errorf("%q", f)
	}
	several, err := parseEnv("A='1\n2'\r\nB=3\r\n A = 4\r\n")
	if err != nil {
		t.Fatal(err)
	}
	several.set("A", "5")
	if got, want := several.String(), "A=5\r\nB=3\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	empty, _ := parseEnv("")
	empty.set("A", "1")
	if empty.String() != "A=1\n" {
		t.Errorf("%q", empty)
	}
	for _, line := range difference("VPS_DEVICE_TOKEN=hush\nA=1\n", "VPS_DEVICE_TOKEN=hush2\nHTTPS_PROXY=http://u:hush@x\nA=1\n", isSecret) {
		if strings.Contains(line, "hush") {
			t.Error(line)
		}
	}
}
