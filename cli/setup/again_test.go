package setup

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/health"
	"sunspool/packaging"
)

// A server that somebody set up by hand keeps its door: without LISTEN_ADDR it is behind a proxy on this machine.
func TestServerThatIsThereStaysAsItIs(t *testing.T) {
	for name, c := range map[string]struct {
		env, credential string
		changed         bool
	}{
		"tokens in the settings": {env: "DEVICE_TOKENS=0123456789abcdef:roof\n"},
		"tokens in a file":       {env: "DEVICE_TOKENS_FILE=/etc/sunspool/tokens\n"},
		"tokens as a credential": {env: "SITE_TZ=Europe/Brussels\n", credential: "0123456789abcdef:roof\n"},
		"of the store":           {env: "DEVICE_TOKENS=store\nPUBLIC_URL=https://solar.example.org\n"},
		"only the example":       {env: packaging.Env("vps"), changed: true},
	} {
		m := newMachine(t)
		m.put(vpsEnv, c.env)
		if c.credential != "" {
			m.put(deviceTokens, c.credential)
		}
		out, err := m.do(Config{Role: roleServer, Yes: true})
		if _, drop := m.files()[homeDrop]; err != nil || (m.files()[vpsEnv] != c.env) != c.changed || drop != c.changed {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// An edge of several inverters has lists, which setup leaves alone: what is not a list can be changed, and what is one is refused.
func TestSettingsOfSeveralInvertersStay(t *testing.T) {
	const own = "SUNGROW_HOST=192.168.1.9\nSUNGROW_SLAVE_ID=1,2\nDEVICE_ID=roof,garage\nVPS_BASE_URL=https://x.example.org\nVPS_DEVICE_TOKEN=0123456789abcdef,1123456789abcdef\n"
	m := newMachine(t)
	m.put(edgeEnv, own)
	if out, err := m.do(Config{Yes: true}); err != nil || m.files()[edgeEnv] != own {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := m.do(Config{Inverter: "192.168.1.77", Yes: true}); err != nil || m.files()[edgeEnv] != strings.Replace(own, "1.9", "1.77", 1) {
		t.Errorf("%v\n%s", err, out)
	}
	before := m.files()[edgeEnv]
	for _, cfg := range []Config{{Unit: 3}, {Device: "barn"}, {Pair: "ABCD-EFGH"}, {TokenFile: m.secretFile(token)}} {
		cfg.Yes = true
		_, err := m.do(cfg)
		if f, ok := errors.AsType[*health.Fault](err); !ok || f.Exit != health.ExitUsage || !strings.Contains(f.Next, edgeEnv) || m.files()[edgeEnv] != before {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// A token in a file of the owner's is one; a new one takes its place.
func TestTokenFileOfTheOwnerIsUsed(t *testing.T) {
	const own = "SUNGROW_HOST=192.168.1.9\nDEVICE_ID=roof\nVPS_BASE_URL=https://x.example.org\nVPS_DEVICE_TOKEN_FILE=/root/token\n"
	m := newMachine(t)
	m.put(edgeEnv, own)
	if out, err := m.do(Config{Yes: true}); err != nil || m.files()[edgeEnv] != own {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := m.do(Config{TokenFile: m.secretFile(token), Yes: true})
	if err != nil || strings.Contains(m.files()[edgeEnv], "TOKEN_FILE") || m.files()[tokenFile] != token+"\n" {
		t.Errorf("%v\n%s\n%s", err, out, m.files()[edgeEnv])
	}
}

// The inverter that is set may sleep, or be off, when something else is changed.
func TestSleepingInverterKeepsNobodyFromAChange(t *testing.T) {
	const own = "SUNGROW_HOST=127.0.0.1\nSUNGROW_PORT=1\nDEVICE_ID=roof\nVPS_BASE_URL=https://x.example.org\n"
	const moved = "https://y.example.org"
	for name, c := range map[string]struct {
		cfg   Config
		typed []string
		host  string
		exit  int
	}{
		"nobody":                   {Config{Server: moved, Yes: true}, nil, "127.0.0.1", 0},
		"a person":                 {Config{Role: roleEdge, TZ: "Europe/Brussels", Server: moved}, []string{"", "y", "y"}, "127.0.0.1", 0},
		"a person has another":     {Config{Role: roleEdge, TZ: "Europe/Brussels", Server: moved}, []string{"", "n", "127.0.0.2:1", "127.0.0.2:1", "y", "y"}, "127.0.0.2", 0},
		"a flag names another one": {Config{Inverter: "127.0.0.2:1", Server: moved, Yes: true}, nil, "127.0.0.1", health.ExitUnreachable},
	} {
		m := newMachine(t)
		m.probes = true
		m.put(edgeEnv, own)
		m.put(tokenFile, token+"\n")
		out, err := m.do(c.cfg, c.typed...)
		f, _ := errors.AsType[*health.Fault](err)
		env, _ := parseEnv(m.files()[edgeEnv])
		if c.exit == 0 && (err != nil || env.get("VPS_BASE_URL") != moved) || c.exit != 0 && (f == nil || f.Exit != c.exit || !strings.Contains(f.Next, "--no-probe")) || env.get("SUNGROW_HOST") != c.host {
			t.Errorf("%s: %v\n%s\n%s", name, err, out, m.files()[edgeEnv])
		}
	}
}

// What another setup, or an editor, writes while a person thinks is not overwritten.
func TestFileThatHasChangedIsLeft(t *testing.T) {
	m := newMachine(t)
	const own, theirs = "SUNGROW_HOST=192.168.1.9\nDEVICE_ID=roof\nVPS_BASE_URL=https://x.example.org\n", "SUNGROW_HOST=192.168.1.10\n"
	m.put(edgeEnv, own)
	m.put(tokenFile, token+"\n")
	typing := answersWhen(func() { m.put(edgeEnv, theirs) })
	var out strings.Builder
	s := Setup{In: typing, Out: &out, Terminal: true, Root: m.root, System: noSystemd{}}
	err := s.Do(t.Context(), Config{Role: roleEdge, NoProbe: true, Inverter: "192.168.1.77", TZ: "Europe/Brussels", Server: "https://x.example.org"})
	if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "file_changed" || m.files()[edgeEnv] != theirs {
		t.Errorf("%v\n%s\n%s", err, &out, m.files()[edgeEnv])
	}
}

// A code is for one use: it is not used up for settings that cannot be written, and what it brings is whole or nothing.
func TestACodeIsNotUsedForNothing(t *testing.T) {
	const theirs = "SUNGROW_HOST=192.168.1.10\n"
	for name, when := range map[string]string{"before the code is used": "thinking", "after it": "pairing"} {
		m := newMachine(t)
		url, code, _ := sunspoolServer(t, http.StatusOK, func() {
			if when == "thinking" {
				t.Error("the code was used")
			}
			m.put(edgeEnv, theirs)
		})
		typing := answersWhen(func() {
			if when == "thinking" {
				m.put(edgeEnv, theirs)
			}
		})
		var out strings.Builder
		s := Setup{In: typing, Out: &out, Terminal: true, Root: m.root, System: noSystemd{}}
		err := s.Do(t.Context(), Config{Role: roleEdge, NoProbe: true, Inverter: "192.168.1.77", TZ: "Europe/Brussels", Server: url, Pair: code})
		if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "file_changed" || m.files()[edgeEnv] != theirs || m.files()[tokenFile] != "" {
			t.Errorf("%s: %v\n%s\n%v", name, err, &out, m.files())
		}
	}
}

// answersWhen is a person who does something, and then says yes.
type answersWhen func()

func (a answersWhen) Read(p []byte) (int, error) {
	a()
	return copy(p, "y\n"), nil
}

// A settings file that is a link to where its owner keeps it stays one.
func TestLinkOfTheOwnerStays(t *testing.T) {
	m := newMachine(t)
	m.put("/srv/edge.env", "SUNGROW_HOST=192.168.1.9\nDEVICE_ID=roof\nVPS_BASE_URL=https://x.example.org\n")
	m.put(tokenFile, token+"\n")
	link := filepath.Join(m.root, edgeEnv)
	if err := os.Symlink(filepath.Join(m.root, "srv/edge.env"), link); err != nil {
		t.Fatal(err)
	}
	out, err := m.do(Config{Inverter: "192.168.1.77", Yes: true})
	if info, wrong := os.Lstat(link); err != nil || wrong != nil || info.Mode()&os.ModeSymlink == 0 || !strings.Contains(m.files()["/srv/edge.env"], "192.168.1.77") {
		t.Errorf("%v, %v\n%s\n%v", err, wrong, out, m.files())
	}
}

// A code brings a token also where nothing else changes: that is shown, and asked.
func TestNewTokenIsShownAndAsked(t *testing.T) {
	m := newMachine(t)
	url, code, fingerprint := sunspoolServer(t, http.StatusOK)
	m.put(edgeEnv, "SUNGROW_HOST=192.168.1.9\nDEVICE_ID=roof\nVPS_BASE_URL="+url+"\nTZ=Europe/Brussels\nVPS_FINGERPRINT="+fingerprint+"\n")
	m.put(tokenFile, "0123456789abcdef\n")
	for answer, want := range map[string]string{"n": "0123456789abcdef\n", "y": token + "\n"} {
		out, err := m.do(Config{Role: roleEdge, Inverter: "192.168.1.9", TZ: "Europe/Brussels", Server: url, Pair: code}, answer)
		if (err == nil) != (answer == "y") || strings.Contains(out, "as they should be") || !strings.Contains(out, "Write this?") || m.files()[tokenFile] != want {
			t.Errorf("%s: %v\n%s", answer, err, out)
		}
		m.put(tokenFile, "0123456789abcdef\n")
	}
}
