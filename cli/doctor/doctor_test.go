package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	edgeinverter "sunspool/edge/inverter"
	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/internal/testhost"
)

func TestAllIsWell(t *testing.T) {
	r, text := newPatient(t).examine("")
	if r.Status != "ok" || r.Exit != 0 || r.Sentence != "all is well" {
		t.Errorf("%+v\n%s", r, text)
	}
	for _, area := range []string{"config", "service", "disk", "inverter", "clock", "spool", "upload"} {
		if !r.names(area, "", checklist.OK) {
			t.Errorf("%s was not looked at:\n%s", area, text)
		}
	}
	if first, _, _ := strings.Cut(text, "\n"); !strings.Contains(first, "ok") || !strings.HasSuffix(first, "all is well") {
		t.Errorf("the first line is %q", first)
	}
}

// Whatever breaks, the first line names the hop, and says what to do.
func TestTheFailingHopIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		harm       func(p *patient)
		area, code string
		exit       int
		says, next string
	}{
		"wrong setting": {func(p *patient) { p.env["POLL_INTERVAL_S"] = "1" }, "config", "config_invalid", 3, "POLL_INTERVAL_S is 1", "sunspool env edge"},
		"not a number":  {func(p *patient) { p.env["POLL_INTERVAL_S"] = "soon" }, "config", "config_invalid", 3, "soon", "sunspool env edge"},
		"no host":       {func(p *patient) { p.env["SUNGROW_HOST"] = "" }, "config", "config_invalid", 3, "SUNGROW_HOST is missing", ""},
		"no token":      {func(p *patient) { p.env["VPS_DEVICE_TOKEN"] = "" }, "config", "config_invalid", 3, "VPS_DEVICE_TOKEN", ""},
		"stopped":       {stopped, "service", "unit_stopped", 5, "does not run", "sudo systemctl enable --now sunspool-edge"},
		"no unit":       {func(p *patient) { p.unit["LoadState"] = "not-found" }, "service", "no_unit", 6, "there is no unit", "sudo sunspool service install edge"},
		"failed":        {failed, "service", "unit_failed", 5, "the spool is gone", "look for it"},
		"restarts": {func(p *patient) {
			p.unit["ActiveState"], p.unit["SubState"], p.unit["NRestarts"] = "activating", "auto-restart", "7"
		}, "service", "unit_restarts", 5, "7 times", "sudo journalctl -u sunspool-edge"},
		"spool of root":     {func(p *patient) { os.Chmod(filepath.Dir(p.env["SPOOL_PATH"]), 0o700) }, "service", "not_permitted", 6, "may not write", "sudo chown -R nobody"},
		"read-only":         {func(p *patient) { p.disk(func(d *Disk) { d.ReadOnly, d.Mount = true, "/mnt" }) }, "disk", "disk_readonly", 6, "read-only", "sudo mount -o remount,rw /mnt"},
		"made read-only":    {func(p *patient) { p.machine.Write = func(string) error { return syscall.EROFS } }, "disk", "disk_readonly", 6, "read-only", "sudo mount"},
		"disk full":         {func(p *patient) { p.machine.Write = func(string) error { return syscall.ENOSPC } }, "disk", "disk_full", 6, "is full", "sudo journalctl --vacuum-size"},
		"full but for root": {func(p *patient) { p.disk(func(d *Disk) { d.Free = 0 }) }, "disk", "disk_full", 6, "is full", "sudo journalctl --vacuum-size"},
		"no inodes": {func(p *patient) {
			p.disk(func(d *Disk) { d.Left = 0 })
			p.machine.Write = func(string) error { return syscall.ENOSPC }
		}, "disk", "disk_no_files", 6, "no more files", "sudo du --inodes"},
		"disk fails": {func(p *patient) { p.machine.Write = func(string) error { return syscall.EIO } }, "disk", "disk_error", 6, "fails", "sudo dmesg"},
		"inverter off": {func(p *patient) {
			p.breakLink("inverter", "inverter_unreachable", "inverter 192.0.2.7:502: no route to the host", "check the address, the cable and the Wi-Fi of the dongle")
		}, "inverter", "inverter_unreachable", 5, "no route", "check the address"},
		"second client": {func(p *patient) {
			p.breakLink("inverter", "inverter_silent", "inverter 192.0.2.7:502: connected, but it does not answer", "a dongle serves one client: stop other programs")
		}, "inverter", "inverter_silent", 5, "does not answer", "one client"},
		"meter lost": {func(p *patient) {
			p.health.Status, p.health.Reason, p.health.Reasons, p.health.Sentence, p.health.Next = "blocked", "inverter_changed", []string{"inverter_changed"}, "inverter changed: another one", "give it back"
		}, "inverter", "inverter_changed", 6, "inverter changed", "give it back"},
		"stopped, port closed":   {dials(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), "inverter", "inverter_unreachable", 5, "refuses", "enable Modbus TCP"},
		"stopped, no route":      {dials(&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}), "inverter", "inverter_unreachable", 5, "no route", "the cable"},
		"stopped, no such name":  {dials(&net.DNSError{Err: "no such host", IsNotFound: true}), "inverter", "inverter_unreachable", 5, "cannot be resolved", "SUNGROW_HOST"},
		"stopped, silent":        {dials(&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}), "inverter", "inverter_unreachable", 5, "does not answer", "power"},
		"comment behind a value": {func(p *patient) { p.env["SUNGROW_HOST"] = "192.0.2.7 # roof" }, "config", "config_invalid", 3, "SUNGROW_HOST", "every setting"},
		"export in a setting":    {func(p *patient) { p.env["export BATCH_SIZE"] = "30" }, "config", "config_invalid", 3, "begins with export", "each line"},
		"year unset":             {func(p *patient) { p.machine.Now = func() time.Time { return time.Unix(90, 0) }; p.silent() }, "clock", "clock_unset", 6, "1970-01-01", "sudo timedatectl set-ntp true"},
		"clock behind the server": {func(p *patient) {
			p.answer = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
				wellServer(w, r)
			}
		}, "clock", "clock_wrong", 6, "behind the server's", "sudo timedatectl set-ntp true"},
		"samples without a time": {func(p *patient) {
			p.breakLink("clock", "clock_unsynced", "the time is not known: samples are kept until it is: no time server", "timedatectl   # is NTP on?")
		}, "clock", "clock_unsynced", 6, "the time is not known", "timedatectl"},
		"quarantine full": {func(p *patient) { p.health.Reasons, p.health.Quarantined = []string{"quarantine_full"}, 812 }, "spool", "quarantine_full", 6, "812", "sudo sunspool spool quarantine"},
		"spool broken": {func(p *patient) {
			p.breakLink("spool", "spool_unusable", "cannot open the spool: it is a picture", "check the disk and the file")
		}, "spool", "spool_unusable", 6, "cannot open the spool", "check the disk"},
		"damaged spool of a stopped edge": {func(p *patient) {
			p.silent()
			os.WriteFile(p.env["SPOOL_PATH"], make([]byte, 1<<16), 0o666)
			os.Chmod(p.env["SPOOL_PATH"], 0o666)
		}, "spool", "spool_unreadable", 6, "cannot be read", "start the edge"},
		"no such server": {func(p *patient) { p.env["VPS_BASE_URL"] = "https://solar.example.org" }, "upload", "vps_unreachable", 5, `there is no name "solar.example.org"`, "check the name in VPS_BASE_URL"},
		"server away":    {func(p *patient) { p.env["VPS_BASE_URL"] = "https://" + testhost.Address(p.t) }, "upload", "vps_unreachable", 5, "refuses connections", "the samples wait"},
		"expired":        {dated(-48*time.Hour, -24*time.Hour), "upload", "tls", 6, "was valid until", "renew the server's certificate"},
		"not valid yet":  {dated(24*time.Hour, 48*time.Hour), "upload", "tls", 6, "by this host's clock it is", "check the date of this host"},
		"another name": {func(p *patient) {
			p.serve(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example.org"} })
		}, "upload", "tls", 6, "another name", "VPS_BASE_URL must use a name"},
		"another authority": {func(p *patient) {
			leaf, _ := uploadtest.NewAuthority(p.t).Own(nil)
			p.env["VPS_BASE_URL"], _ = uploadtest.Serve(p.t, &tls.Config{Certificates: []tls.Certificate{leaf}}, wellServer)
			p.env["VPS_FINGERPRINT"] = "sha256:" + strings.Repeat("ab", 32)
		}, "upload", "tls", 6, "VPS_FINGERPRINT", "sudo sunspool vps fingerprint"},
		"unknown token":   {func(p *patient) { p.answer = refusing(401, "unauthorized") }, "upload", "credential", 6, "does not know the token", "sudo sunspool vps pair"},
		"token of others": {func(p *patient) { p.answer = refusing(403, "forbidden") }, "upload", "credential", 6, "not as one of this device", "sudo sunspool vps pair"},
		"a login page": {func(p *patient) {
			p.answer = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://login.example.org/", http.StatusFound)
			}
		}, "upload", "", 6, "login.example.org", ""},
		"the edge alone is refused": {func(p *patient) {
			p.breakLink("vps", "credential", "the server does not know the token: it answered 401", "check")
		}, "upload", "credential", 6, "the edge itself", "sudo systemctl restart sunspool-edge"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t)
			c.harm(p)
			r, text := p.examine("")
			if r.Status != "fail" || r.Area != c.area || c.code != "" && r.Code != c.code || r.Exit != c.exit {
				t.Errorf("%s: %s %s, exit %d; want %s %s, exit %d", r.Status, r.Area, r.Code, r.Exit, c.area, c.code, c.exit)
			}
			if said := r.Sentence + r.Why; !strings.Contains(said, c.says) || !strings.Contains(r.Next, c.next) || r.Next == "" {
				t.Errorf("it says %q, next %q; want %q, %q", said, r.Next, c.says, c.next)
			}
			if t.Failed() {
				t.Log(text)
			}
			if strings.Contains(text, deviceToken) {
				t.Error("it shows the token")
			}
		})
	}
}

func stopped(p *patient) {
	p.unit["ActiveState"] = "inactive"
}

// silent makes the edge one that does not say how it is, though systemd knows nothing of it.
func (p *patient) silent() { p.unit, p.health = nil, nil }

func failed(p *patient) {
	p.unit["ActiveState"], p.unit["Result"], p.unit["ExecMainStatus"] = "failed", "exit-code", "1"
	p.journal = `{"level":"ERROR","msg":"older","next":"no"}` + "\n" + `{"level":"ERROR","msg":"the spool is gone","why":"so it is","next":"look for it"}` + "\nnot JSON\n" + `{"level":"INFO","msg":"end"}`
}

func (p *patient) disk(change func(*Disk)) {
	of := p.machine.Disk
	p.machine.Disk = func(path string) (Disk, error) {
		d, err := of(path)
		change(&d)
		return d, err
	}
}

// dials is an edge that does not run, and an inverter to which connecting gives err.
func dials(err error) func(*patient) {
	return func(p *patient) {
		p.silent()
		p.machine.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, err }
	}
}

func dated(from, to time.Duration) func(*patient) {
	return func(p *patient) {
		p.serve(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) })
	}
}

// What works and needs a look is no failure, and is said.
func TestWhatNeedsALookIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		harm       func(p *patient)
		area, code string
	}{
		"unknown setting":    {func(p *patient) { p.env["SUNGROW_HSOT"] = "x" }, "config", "setting_unknown"},
		"settings are newer": {func(p *patient) { p.unit["ActiveEnterTimestamp"] = fmt.Sprint("@", time.Now().Add(-time.Hour).Unix()) }, "service", "settings_newer"},
		"disabled":           {func(p *patient) { p.unit["UnitFileState"] = "disabled" }, "service", "unit_disabled"},
		"changed unit":       {func(p *patient) { p.unit["NeedDaemonReload"] = "yes" }, "service", "unit_changed"},
		"little room":        {func(p *patient) { p.disk(func(d *Disk) { d.Free = 20 << 20 }) }, "disk", "disk_little_room"},
		"few inodes":         {func(p *patient) { p.disk(func(d *Disk) { d.Left = 5 }) }, "disk", "disk_few_files"},
		"in memory":          {func(p *patient) { p.disk(func(d *Disk) { d.Memory = true }) }, "disk", "disk_is_memory"},
		"wears":              {func(p *patient) { p.health.WrittenDay = 9 << 30 }, "disk", "disk_wear"},
		"no time server":     {func(p *patient) { p.machine.Synced = func() (bool, error) { return false, nil } }, "clock", "clock_unkept"},
		"a minute off": {func(p *patient) {
			p.answer = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", time.Now().Add(-time.Minute).UTC().Format(http.TimeFormat))
				wellServer(w, r)
			}
		}, "clock", "clock_wrong"},
		"some in quarantine": {func(p *patient) { p.health.Quarantined = 3 }, "spool", "poison_quarantined"},
		"was damaged":        {func(p *patient) { p.health.SetAside, p.health.Unreadable = "spool.db.damaged-1", 4 }, "spool", "spool_salvaged"},
		"some were lost":     {func(p *patient) { p.health.Lost = map[string]int{"memory": 2} }, "spool", "samples_lost"},
		"server has old ones": {func(p *patient) {
			p.answer = func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprint(w, `{"age_s":9000,"state":"offline"}`)
					return
				}
				wellServer(w, r)
			}
		}, "upload", "sample_old"},
		"version differs": {func(p *patient) { p.health.Version = "1.0.0" }, "package", "version_differs"},
		"newer package": {func(p *patient) {
			p.printed["dpkg-query"] = "ii  1.2.3"
			p.printed["apt-cache"] = "sunspool:\n  Installed: 1.2.3\n  Candidate: 1.3.0\n  Version table:\n     1.3.0 500\n        500 https://deb.example.org/ stable/main amd64 Packages\n *** 1.2.3 100\n        100 /var/lib/dpkg/status\n"
		}, "package", "newer_version"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t)
			c.harm(p)
			r, text := p.examine("")
			if r.Status != "warn" || r.Exit != 0 || !r.names(c.area, c.code, checklist.Warn) {
				t.Errorf("%s, exit %d, want %s %s:\n%s", r.Status, r.Exit, c.area, c.code, text)
			}
		})
	}
}

func TestSleepIsNoFault(t *testing.T) {
	p := newPatient(t)
	p.health.Links[0] = health.Status{Name: "inverter", State: health.Resting, Since: time.Now().Add(-time.Hour)}
	p.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"age_s":9000,"state":"offline"}`)
			return
		}
		wellServer(w, r)
	}
	if r, text := p.examine(""); r.Status != "ok" || !strings.Contains(text, "it sleeps since") {
		t.Errorf("%s", text)
	}
}

// An area alone is looked at without the others.
func TestOneAreaAlone(t *testing.T) {
	p := newPatient(t)
	p.answer = refusing(401, "unauthorized")
	p.breakLink("inverter", "inverter_silent", "inverter: silent", "wait")
	r, text := p.examine("upload")
	if r.Area != "upload" || r.Code != "credential" || strings.Contains(text, "inverter  ") {
		t.Errorf("%s", text)
	}
	if r, _ := p.examine("vps"); r.Exit != 0 || !strings.Contains(r.Sentence, "nothing to look at") {
		t.Errorf("%+v", r)
	}
}

// A dongle bears one connection: while an edge has it, the doctor makes none.
func TestNothingConnectsToAnInverterThatIsRead(t *testing.T) {
	p := newPatient(t)
	p.machine.Dial = func(context.Context, string, string) (net.Conn, error) {
		t.Error("it connects")
		return nil, errors.New("no")
	}
	p.breakLink("inverter", "inverter_silent", "inverter: silent", "wait")
	p.examine("")
}

// Why an inverter that no edge reads cannot be connected to is explained in the words of the edge.
func TestUnreadInvertersAreExplainedAsTheEdgeDoes(t *testing.T) {
	for _, err := range []error{
		&net.DNSError{Err: "no such host", Name: "winet.lan", IsNotFound: true},
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, &net.OpError{Op: "dial", Err: context.DeadlineExceeded},
	} {
		p := newPatient(t)
		dials(err)(p)
		want := new(health.Fault)
		if !edgeinverter.ExplainDial(want, err) {
			t.Fatalf("the edge does not explain %v", err)
		}
		r, text := p.examine("inverter")
		if !slices.ContainsFunc(r.Checks, func(c Check) bool {
			return c.Code == "inverter_unreachable" && c.Why == want.Why && c.Next == want.Next
		}) {
			t.Errorf("%v: want %q and %q in\n%s", err, want.Why, want.Next, text)
		}
	}
}

// An empty batch alone is sent, and no sample.
func TestTheServerIsSentNothingToStore(t *testing.T) {
	p := newPatient(t)
	asked := map[string]int{}
	p.answer = func(w http.ResponseWriter, r *http.Request) {
		asked[r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")]++
		wellServer(w, r)
	}
	p.examine("")
	want := map[string]int{"POST /v1/ingest Bearer " + deviceToken: 1, "GET /v1/realtime Bearer " + deviceToken: 1}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked %v", asked)
	}
}

// Two services of the package, the second by its own files.
func TestFurtherInvertersAreLookedAt(t *testing.T) {
	p := newPatient(t)
	p.prepare()
	p.write("/etc/sunspool/edge-garage.env", "SUNGROW_HOST=192.0.2.8\nDEVICE_ID=garage\nVPS_BASE_URL="+p.env["VPS_BASE_URL"]+"\nVPS_CA_FILE="+p.env["VPS_CA_FILE"]+"\n")
	p.write("/etc/sunspool/credentials/vps-device-token-garage", deviceToken+"\n")
	p.machine.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	r, text := p.examine("inverter")
	if r.Area != "inverter" || !strings.Contains(text, "roof: SH10RT") || !strings.Contains(text, "garage: the inverter 192.0.2.8:502") {
		t.Errorf("%s", text)
	}
}

// A container has its settings in the environment.
func TestSettingsOfTheEnvironment(t *testing.T) {
	p := newPatient(t)
	p.prepare()
	for name, value := range p.env {
		p.machine.Environ = append(p.machine.Environ, name+"="+value)
	}
	os.RemoveAll(filepath.Join(p.machine.Root, "etc"))
	var out strings.Builder
	if err := (Doctor{Version: "1.2.3", Out: &out, Machine: p.machine}).Do(t.Context(), Config{}); err != nil || !strings.Contains(out.String(), "the settings of the edge in the environment can be used") {
		t.Errorf("%v\n%s", err, &out)
	}
	p.machine.Environ = nil
	err := (Doctor{Out: &out, Machine: p.machine}).Do(t.Context(), Config{})
	if f, ok := errors.AsType[*health.Fault](err); !ok || f.Exit != health.ExitUnreachable || f.Next != "sudo sunspool setup" {
		t.Errorf("without a service: %v", err)
	}
}

// The settings of a service do not leak into this process.
func TestTheEnvironmentIsAsBefore(t *testing.T) {
	t.Setenv("SUNGROW_HOST", "mine")
	newPatient(t).examine("config")
	if os.Getenv("SUNGROW_HOST") != "mine" || os.Getenv("VPS_DEVICE_TOKEN") != "" {
		t.Error("it is not")
	}
}
