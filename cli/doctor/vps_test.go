package doctor

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/checklist"
	"sunspool/internal/testhost"
)

// withVPS gives the machine a vps that is well.
func withVPS(t *testing.T) *patient {
	t.Helper()
	p := newPatient(t)
	dir := filepath.Join(p.machine.Root, "vps")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o777)
	p.vpsUnit = maps.Clone(p.unit)
	p.vpsUnit["IPAddressAllow"], p.vpsUnit["IPAddressDeny"] = "127.0.0.0/8 ::1/128", "::/0 0.0.0.0/0"
	api := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(api.Close)
	internal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "# HELP x\nsunspool_link_up{link=\"store\"} 1\nsunspool_link_up{link=\"redis\"} 1\n")
	}))
	t.Cleanup(internal.Close)
	p.vpsEnv = map[string]string{"DATA_DIR": dir, "ADMIN_SOCKET": filepath.Join(dir, "s"), "DEVICE_TOKENS": "store",
		"LISTEN_ADDR": strings.TrimPrefix(api.URL, "http://"), "INTERNAL_ADDR": strings.TrimPrefix(internal.URL, "http://")}
	return p
}

// socket has the vps answer its operator.
func (p *patient) socket(ready int, devices string) *patient {
	p.t.Helper()
	l, err := net.Listen("unix", p.vpsEnv["ADMIN_SOCKET"])
	if err != nil {
		p.t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/ready" {
			w.WriteHeader(ready)
			io.WriteString(w, `{"status":"ready","detail":"the disk is full","code":"store_unavailable"}`)
			return
		}
		fmt.Fprintf(w, `{"server":{"version":"1.2.3"},"devices":[%s]}`, devices)
	})}
	go s.Serve(l)
	p.t.Cleanup(func() { s.Close() })
	return p
}

const liveRoof = `{"id":"roof","state":"live","age_s":3}`

func TestVPSIsWell(t *testing.T) {
	r, text := withVPS(t).socket(200, liveRoof).examine("")
	if r.Status != "ok" || !r.names("vps", "", checklist.OK) || !strings.Contains(text, "redis answers") || !strings.Contains(text, "it serves at") {
		t.Errorf("%s", text)
	}
}

func TestWhatIsWrongWithTheVPSIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		harm       func(p *patient)
		area, code string
		state      checklist.State
		exit       int
		next       string
	}{
		"wrong setting":   {func(p *patient) { p.vpsEnv["CACHE_TTL_S"] = "-1" }, "config", "config_invalid", checklist.Fail, 3, "sunspool env vps"},
		"another address": {func(p *patient) { p.vpsEnv["LISTEN_ADDR"] = "192.0.2.9:8443" }, "service", "listen_elsewhere", checklist.Fail, 6, "sudo sed -i 's|^LISTEN_ADDR=.*|LISTEN_ADDR=0.0.0.0:8443|'"},
		"unknown name":    {func(p *patient) { p.vpsEnv["LISTEN_ADDR"] = "pi.example.org:8443" }, "service", "listen_elsewhere", checklist.Fail, 6, "sudo sed"},
		"port of root":    {func(p *patient) { p.vpsEnv["LISTEN_ADDR"] = "0.0.0.0:443" }, "service", "port_privileged", checklist.Fail, 6, "LISTEN_ADDR=0.0.0.0:8443"},
		"port in use": {func(p *patient) {
			p.vpsUnit["ActiveState"], p.vpsEnv["LISTEN_ADDR"] = "failed", "127.0.0.1:8443"
			p.write("/proc/net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n")
			p.write("/proc/42/comm", "nginx\n")
			if err := os.MkdirAll(filepath.Join(p.machine.Root, "proc/42/fd"), 0o755); err != nil {
				p.t.Fatal(err)
			}
			if err := os.Symlink("socket:[4711]", filepath.Join(p.machine.Root, "proc/42/fd/3")); err != nil {
				p.t.Fatal(err)
			}
		}, "service", "port_in_use", checklist.Fail, 6, ""},
		"door is closed":           {func(p *patient) { p.vpsEnv["LISTEN_ADDR"] = "0.0.0.0:8443" }, "service", "sandbox_denies", checklist.Warn, 6, "sudo systemctl edit sunspool-vps"},
		"database behind the wall": {func(p *patient) { p.vpsEnv["DATABASE_URL"] = "postgres://u:geheim@192.0.2.5/sunspool" }, "service", "sandbox_denies", checklist.Fail, 6, "IPAddressAllow=192.0.2.5"},
		"silent":                   {func(p *patient) { p.vpsEnv["ADMIN_SOCKET"] += "none" }, "vps", "no_server", checklist.Fail, 5, "sudo systemctl restart sunspool-vps"},
		"serves nobody":            {func(p *patient) { p.vpsEnv["LISTEN_ADDR"] = testhost.Address(p.t) }, "vps", "unhealthy", checklist.Fail, 6, "sudo systemctl restart sunspool-vps"},
		"redis away": {func(p *patient) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, "sunspool_link_up{link=\"redis\"} 0\n")
			}))
			p.t.Cleanup(s.Close)
			p.vpsEnv["INTERNAL_ADDR"] = strings.TrimPrefix(s.URL, "http://")
		}, "vps", "link_broken", checklist.Warn, 0, "sudo journalctl -u sunspool-vps"},
		"certificate ended": {certified(-48*time.Hour, -time.Hour), "vps", "certificate_expired", checklist.Fail, 6, "TLS_CERT_FILE"},
		"certificate ends":  {certified(-48*time.Hour, 48*time.Hour), "vps", "certificate_expires", checklist.Warn, 6, "TLS_CERT_FILE"},
		"early certificate": {certified(time.Hour, 48*time.Hour), "vps", "certificate_early", checklist.Fail, 6, "sudo timedatectl set-ntp true"},
	} {
		t.Run(name, func(t *testing.T) {
			p := withVPS(t).socket(200, liveRoof)
			c.harm(p)
			r, text := p.examine("")
			if !r.names(c.area, c.code, c.state) || c.state == checklist.Fail && r.Exit != c.exit {
				t.Errorf("exit %d, want %s %s, exit %d:\n%s", r.Exit, c.area, c.code, c.exit, text)
			}
			if !strings.Contains(text, c.next) && !strings.Contains(strings.Join(strings.Fields(text), " "), c.next) {
				t.Errorf("%q is missing in\n%s", c.next, text)
			}
			if name == "port in use" && !strings.Contains(text, "process 42 (nginx)") {
				t.Errorf("who listens is not named:\n%s", text)
			}
			if strings.Contains(text, "geheim") {
				t.Error("it shows a password")
			}
		})
	}
}

// certified gives the vps a certificate of its own; what it serves is not looked at here.
func certified(from, to time.Duration) func(*patient) {
	return func(p *patient) {
		ca := uploadtest.NewAuthority(p.t)
		leaf := ca.Issue(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) })
		key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
		if err != nil {
			p.t.Fatal(err)
		}
		p.write("/etc/tls/cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]})))
		p.write("/etc/tls/key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
		for setting, name := range map[string]string{"TLS_CERT_FILE": "cert.pem", "TLS_KEY_FILE": "key.pem"} {
			p.vpsEnv[setting] = filepath.Join(p.machine.Root, "etc/tls", name)
			os.Chmod(p.vpsEnv[setting], 0o644)
		}
	}
}

func TestStoreThatTakesNothingIsNamed(t *testing.T) {
	r, text := withVPS(t).socket(503, "").examine("")
	if r.Area != "vps" || r.Code != "store_unavailable" || !strings.Contains(text, "the disk is full") {
		t.Errorf("%s", text)
	}
}

func TestDevicesThatAreSilentAreNamed(t *testing.T) {
	r, text := withVPS(t).socket(200, liveRoof+`,{"id":"barn","state":"offline","age_s":7200},{"id":"shed","state":"never","age_s":null}`).examine("vps")
	if !r.names("vps", "device_silent", checklist.Warn) || !strings.Contains(text, "barn is offline: its newest sample is 2 h 0 min old") || !strings.Contains(text, "shed has never sent") {
		t.Errorf("%s", text)
	}
}
