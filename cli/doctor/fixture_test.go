package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/edge/report"
	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
	"sunspool/internal/checklist"
)

const deviceToken = "ssd_0123456789abcdef0123456789abcdef01234567"

// patient is a machine with an edge that is well, as far as a test does not change it.
type patient struct {
	t       *testing.T
	machine *Machine
	env     map[string]string // of edge.env
	vpsEnv  map[string]string // of vps.env; nil for no vps
	unit    map[string]string // of the edge
	vpsUnit map[string]string
	journal string
	printed map[string]string // what other programs print
	health  *report.Health    // nil for an edge that is silent
	answer  http.HandlerFunc  // of the server
}

// wellServer takes an empty batch, and has a sample that is 3 s old.
func wellServer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Sunspool-Version", "1.2.3")
	if r.Method == http.MethodGet {
		io.WriteString(w, `{"device_id":"roof","age_s":3,"state":"live"}`)
		return
	}
	io.WriteString(w, `{"inserted":0}`)
}

// refusing answers as the server does.
func refusing(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"detail":"no","code":%q}`, code)
	}
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	now := time.Now()
	p := &patient{t: t, printed: map[string]string{"timedatectl": "NTP=yes\nNTPSynchronized=yes\n"}, answer: wellServer}
	root := t.TempDir()
	state := filepath.Join(root, "state")
	p.machine = &Machine{
		Root: root, Now: time.Now, Synced: func() (bool, error) { return true, nil }, Write: func(string) error { return nil },
		Disk: func(string) (Disk, error) {
			return Disk{Mount: "/", Free: 20 << 30, Size: 30 << 30, Files: 1000, Left: 900}, nil
		},
		Dial:    func(context.Context, string, string) (net.Conn, error) { ours, _ := net.Pipe(); return ours, nil },
		Program: p.program,
		Lookup: func(_ context.Context, _, host string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		},
		Find: func(_ context.Context, host string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		},
		Local: func() ([]net.Addr, error) {
			return []net.Addr{&net.IPNet{IP: net.IPv4(127, 0, 0, 1), Mask: net.CIDRMask(8, 32)}, &net.IPNet{IP: net.IPv4(192, 168, 1, 7), Mask: net.CIDRMask(24, 32)}}, nil
		},
	}
	p.env = map[string]string{"SUNGROW_HOST": "192.0.2.7", "DEVICE_ID": "roof", "VPS_DEVICE_TOKEN": deviceToken,
		"SPOOL_PATH": filepath.Join(state, "spool.db"), "HEALTH_PATH": filepath.Join(state, "health.json"), "STATUS_SOCKET": filepath.Join(state, "edge.sock")}
	p.unit = map[string]string{"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "UnitFileState": "enabled", "NeedDaemonReload": "no",
		"ActiveEnterTimestamp": fmt.Sprint("@", now.Add(time.Hour).Unix()), "Environment": `GOMEMLIMIT=100MiB "A=b c"`, "User": "nobody", "NRestarts": "0", "Result": "success", "ExecMainStatus": "0"}
	p.health = &report.Health{Version: "1.2.3", DeviceID: "roof", Status: report.StateOK, Sentence: "ok", Model: "SH10RT", Serial: "A22…856", LastPoll: new(now.Add(-3 * time.Second)),
		LastUpload: new(now.Add(-7 * time.Second)), Written: now, PollS: 5, Clock: "synced", WrittenDay: 300 << 20, Counts: map[string]int64{"spool_used_bytes": 1 << 20},
		Links: []health.Status{{Name: "inverter", State: health.OK}, {Name: "spool", State: health.OK}, {Name: "clock", State: health.OK}, {Name: "vps", State: health.OK}}}
	if err := os.MkdirAll(state, 0o777); err != nil {
		t.Fatal(err)
	}
	os.Chmod(state, 0o777)
	return p
}

func (p *patient) program(_ context.Context, name string, args ...string) (string, error) {
	switch {
	case name == "systemctl" && len(args) > 1:
		unit := p.unit
		if args[1] == "sunspool-vps" {
			unit = p.vpsUnit
		}
		if unit == nil {
			return "", errNoProgram
		}
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(unit)) {
			fmt.Fprintf(&b, "%s=%s\n", name, unit[name])
		}
		return b.String(), nil
	case name == "journalctl":
		return p.journal, nil
	}
	if text, ok := p.printed[name]; ok {
		return text, nil
	}
	return "", errNoProgram
}

// breakLink makes a link of the edge one that is broken.
func (p *patient) breakLink(name, code, lastError, next string) {
	for i := range p.health.Links {
		if l := &p.health.Links[i]; l.Name == name {
			*l = health.Status{Name: name, State: health.Broken, Since: time.Now().Add(-5 * time.Minute), LastErrTS: time.Now(), Code: code, LastError: lastError, Next: next}
		}
	}
	p.health.Status, p.health.Reasons = report.StateDegraded, append(p.health.Reasons, code)
}

// serve is the server of the edge; certificate changes that which it has.
func (p *patient) serve(certificate func(*x509.Certificate)) {
	ca := uploadtest.NewAuthority(p.t)
	address, _ := uploadtest.Serve(p.t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(certificate)}}, func(w http.ResponseWriter, r *http.Request) { p.answer(w, r) })
	os.Chmod(ca.File, 0o644)
	p.env["VPS_BASE_URL"], p.env["VPS_CA_FILE"] = address, ca.File
}

func (p *patient) file(name string, set map[string]string) {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(set)) {
		fmt.Fprintf(&b, "%s=%s\n", key, set[key])
	}
	p.write(settingsDir+"/"+name, b.String())
}

func (p *patient) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.machine.Root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// prepare writes what the machine has.
func (p *patient) prepare() {
	p.t.Helper()
	if p.env["VPS_BASE_URL"] == "" {
		p.serve(nil)
	}
	p.file("edge.env", p.env)
	if p.vpsEnv != nil {
		p.file("vps.env", p.vpsEnv)
	}
	if p.health != nil {
		text, err := json.Marshal(p.health)
		if err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(p.env["HEALTH_PATH"], text, 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
}

// examine runs the doctor and returns what it found and what it printed.
func (p *patient) examine(area string) (Result, string) {
	p.t.Helper()
	p.prepare()
	var out bytes.Buffer
	d := Doctor{Version: "1.2.3", Out: &out, Machine: p.machine}
	err := d.Do(p.t.Context(), Config{Area: area, JSON: true})
	var r Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		p.t.Fatalf("%v in\n%s", err, &out)
	}
	exit := 0
	if f, ok := errors.AsType[*health.Fault](err); ok {
		exit = f.Exit
	}
	if exit != r.Exit {
		p.t.Errorf("it exits %d and says %d", exit, r.Exit)
	}
	return r, r.text(checklist.Style{})
}

// names says whether a result has a check of that area, code and state.
func (r Result) names(area, code string, state checklist.State) bool {
	return slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Area == area && c.Code == code && c.State == state })
}
