package packaging

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var withSystem = flag.String("system", "", "Debian suites, separated by commas, on which the package is installed and run")

// What the box is set up with. The token is looked for wherever it must not be.
const (
	canary = "canary-0123456789abcdef0123456789abcdef"
	older  = "1.0.0"
	newer  = "1.1.0"

	serverSettings = `DEVICE_TOKENS=` + canary + `:roof,` + canary + `-2:garage
LISTEN_ADDR=127.0.0.1:8443
TLS_CERT_FILE=/etc/sunspool/tls/cert.pem
TLS_KEY_FILE=/etc/sunspool/tls/key.pem
`
	edgeSettings = `SUNGROW_HOST=127.0.0.1
SUNGROW_PORT=1502
VPS_BASE_URL=https://localhost:8443
VPS_CA_FILE=/etc/sunspool/tls/cert.pem
UPLOAD_INTERVAL_S=1
`
)

// appliance is a box with the package, through the life of an owner.
type appliance struct{ *box }

// TestSystem installs the package of this commit on a Debian with a real systemd and lives with it: set up wrongly, set
// up, at work, hung, killed, rebooted, upgraded, removed, purged.
func TestSystem(t *testing.T) {
	if *withSystem == "" {
		t.Skip("SKIPPED, NOTHING IS SHOWN: this boots a Debian and takes two minutes: make test-system")
	}
	t.Parallel() // it mostly waits
	first, second := deb(t, older), deb(t, newer)
	for suite := range strings.SplitSeq(*withSystem, ",") {
		t.Run(suite, func(t *testing.T) {
			a := appliance{boot(t, suite)}
			a.write("/root/first.deb", string(read(t, first)), 0o644)
			a.write("/root/second.deb", string(read(t, second)), 0o644)
			for _, step := range []struct {
				claim string
				show  func()
			}{
				{"installs without a question and waits for settings", a.installs},
				{"units are sound and confined", a.confined},
				{"a settings file is read as its unit gets it", a.settingsFiles},
				{"a wrong setting is one clear line and no loop", a.refuses},
				{"is ready when the spool is open, without the inverter", a.ready},
				{"delivers", a.delivers},
				{"files have the modes they should", a.modes},
				{"the journal is JSON and has no secret", a.journal},
				{"kill -9 costs three seconds", a.killed},
				{"a process that hangs is ended and started again", a.hangs},
				{"the sandbox forbids nothing that is needed", a.needs},
				{"a further inverter has a service of its own", a.further},
				{"a reboot keeps the spool", a.reboots},
				{"an upgrade keeps settings, and a stopped service stopped", a.upgrades},
				{"removal says what is unsent and keeps it", a.removed},
				{"purge leaves nothing", a.purged},
				{"the program of an archive installs the same service", a.archive},
			} {
				if !t.Run(step.claim, func(s *testing.T) { a.t = s; step.show() }) {
					break // what follows builds on it
				}
			}
			a.t = t
			t.Run("an image that has the package from its making boots with services that wait", func(t *testing.T) { imaged(t, suite, first) })
		})
	}
}

// imaged installs the package where no systemd runs, as who makes an image for memory cards does, and boots that.
func imaged(t *testing.T, suite, deb string) {
	a := appliance{build(t, suite)}
	a.write("/root/sunspool.deb", string(read(t, deb)), 0o644)
	if out, err := exec.Command("chroot", a.path(""), "dpkg", "--install", "/root/sunspool.deb").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	a.start()
	for _, unit := range []string{"sunspool-edge", "sunspool-vps"} {
		if got := strings.TrimSpace(a.run("systemctl", "is-enabled", unit)); got != "enabled" {
			t.Errorf("%s is %s", unit, got)
		}
		if state, why := a.show(unit, "ActiveState"), a.show(unit, "ConditionResult"); state != "inactive" || why != "no" {
			t.Errorf("%s is %s, its condition says %s", unit, state, why)
		}
	}
	a.run("id", "sunspool")
	a.stop()
	if out, err := exec.Command("chroot", a.path(""), "dpkg", "--purge", "sunspool").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, left := range []string{"/etc/sunspool", "/var/lib/sunspool", "/etc/systemd/system/multi-user.target.wants/sunspool-edge.service"} {
		if _, err := os.Lstat(a.path(left)); err == nil {
			t.Errorf("%s is left behind", left)
		}
	}
}

var packaged = struct {
	sync.Mutex
	versions map[string]bool
}{versions: map[string]bool{}}

// deb builds the package as `make deb` does, once for all tests, and returns its path.
func deb(t testing.TB, version string) string {
	t.Helper()
	packaged.Lock()
	defer packaged.Unlock()
	if !packaged.versions[version] {
		out, err := exec.Command("make", "-C", "..", "deb-amd64", "DEB_VERSION="+version).CombinedOutput()
		if err != nil {
			t.Fatalf("make deb-amd64: %v\n%s", err, out)
		}
		packaged.versions[version] = true
	}
	return filepath.Join("..", "dist", "sunspool_"+version+"_amd64.deb")
}

func (a appliance) apt(argv ...string) string {
	a.t.Helper()
	return a.run(append([]string{"apt-get", "-y"}, argv...)...) // no terminal, and standard input is nothing: a question would fail
}

func (a appliance) installs() {
	a.apt("install", "/root/first.deb")
	for _, unit := range []string{"sunspool-edge", "sunspool-vps"} {
		if got := strings.TrimSpace(a.run("systemctl", "is-enabled", unit)); got != "enabled" {
			a.t.Errorf("%s is %s", unit, got)
		}
		if state, why := a.show(unit, "ActiveState"), a.show(unit, "ConditionResult"); state != "inactive" || why != "no" {
			a.t.Errorf("%s is %s, its condition says %s: it should wait for its settings", unit, state, why)
		}
	}
	if failed := a.run("systemctl", "--failed", "--plain", "--no-legend"); strings.Contains(failed, "sunspool") {
		a.t.Errorf("failed: %s", failed)
	}
	if got := a.run("sunspool", "version"); got != "sunspool "+older+"\n" {
		a.t.Errorf("it is %s", got)
	}
}

func (a appliance) confined() {
	for unit, most := range map[string]float64{"sunspool-edge": 1.5, "sunspool-edge@": 1.5, "sunspool-vps": 0.9} {
		path := "/usr/lib/systemd/system/" + unit + ".service"
		if unit != "sunspool-edge@" { // a template alone cannot be verified
			if said := a.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=one", path); said != "" {
				a.t.Errorf("%s: %s", unit, said)
			}
		}
		said := a.run("systemd-analyze", "security", "--offline=true", path)
		m := regexp.MustCompile(`exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(said)
		if m == nil {
			a.t.Fatalf("%s: %s", unit, said)
		}
		level, err := strconv.ParseFloat(m[1], 64)
		if err != nil || level > most {
			a.t.Errorf("%s is exposed by %s, want at most %v:\n%s", unit, m[1], most, said)
		}
		a.t.Logf("%s: exposure %v", unit, level)
	}
}

func (a appliance) refuses() {
	a.write("/etc/sunspool/edge.env", edgeSettings+"POLL_INTERVAL_S=1\nVPS_DEVICE_TOKEN="+canary+"\n", 0o600)
	if said, err := a.try("systemctl", "start", "sunspool-edge"); err == nil {
		a.t.Errorf("it starts: %s", said)
	}
	a.is("sunspool-edge", "ActiveState", "failed")
	time.Sleep(3 * time.Second) // longer than RestartSec
	if status, n := a.show("sunspool-edge", "ExecMainStatus"), a.show("sunspool-edge", "NRestarts"); status != "3" || n != "0" {
		a.t.Errorf("exit status %s, started again %s times", status, n)
	}
	said := a.logged("-t", "sunspool", "-o", "cat")
	if strings.Count(said, "\n") != 1 || !strings.Contains(said, "POLL_INTERVAL_S is 1: must be 5 to 3600") {
		a.t.Errorf("the journal does not say in one line what is wrong:\n%s", said)
	}
}

func (a appliance) ready() {
	certs := filepath.Join(a.t.TempDir(), "tls")
	certify(a.t, "localhost", certs)
	for _, name := range []string{"cert.pem", "key.pem"} {
		a.write("/etc/sunspool/tls/"+name, string(read(a.t, filepath.Join(certs, name))), 0o644)
	}
	a.sh("chown sunspool /etc/sunspool/tls/key.pem && chmod 600 /etc/sunspool/tls/key.pem")
	a.write("/etc/sunspool/vps.env", serverSettings, 0o600)
	a.run("systemctl", "start", "sunspool-vps")

	// The token as a credential, that another user than root cannot read.
	a.write("/etc/sunspool/credentials/vps-device-token", canary+"\n", 0o600)
	a.write("/etc/sunspool/edge.env", edgeSettings+"DEVICE_ID=roof\nMETRICS_ADDR=9517\n", 0o600)
	a.run("systemd-run", "--quiet", "--unit=holder", "--uid=sunspool", "--property=UMask=0077", "--property=StateDirectory=sunspool/edge",
		"flock", "/var/lib/sunspool/edge/spool.db", "sleep", "infinity") // as another process has it
	a.eventually("the other process has it", func() error {
		_, err := a.try("sh", "-c", "test -e /var/lib/sunspool/edge/spool.db && ! flock --nonblock /var/lib/sunspool/edge/spool.db true")
		return err
	})
	if said, err := a.try("systemctl", "start", "sunspool-edge"); err == nil {
		a.t.Errorf("it is ready while its spool is another's: %s", said)
	}
	a.run("systemctl", "stop", "holder")
	a.is("sunspool-edge", "ActiveState", "active")
	a.eventually("the status says that the inverter does not answer", func() error {
		if said := a.show("sunspool-edge", "StatusText"); !strings.Contains(said, "127.0.0.1:1502") {
			return errors.New(said)
		}
		return nil
	})
}

// stored is how many samples of a device the vps has, and when the newest was made.
func (a appliance) newest(token, device string) (ts time.Time, err error) {
	out, err := a.try("curl", "-sS", "--cacert", "/etc/sunspool/tls/cert.pem", "-H", "Authorization: Bearer "+token,
		"https://localhost:8443/v1/realtime?device_id="+device)
	if err != nil {
		return ts, fmt.Errorf("%w: %s", err, out)
	}
	var answer struct{ TS time.Time }
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		return ts, err
	}
	if answer.TS.IsZero() {
		return ts, errors.New(out)
	}
	return answer.TS, nil
}

// delivers waits for a sample that was made after now.
func (a appliance) delivers() { a.deliversOf(canary, "roof") }

func (a appliance) deliversOf(token, device string) {
	a.t.Helper()
	if _, err := a.try("systemctl", "is-active", "inverter"); err != nil {
		a.simulates("inverter", "127.0.0.1:1502")
	}
	began := time.Now()
	a.eventually("a sample arrives", func() error {
		ts, err := a.newest(token, device)
		if err == nil && ts.Before(began) {
			err = fmt.Errorf("the newest is of %v", ts)
		}
		return err
	})
}

func (a appliance) modes() {
	want := map[string]string{
		"/run/sunspool/edge":              "755 sunspool:sunspool",
		"/run/sunspool/edge/health.json":  "644 sunspool:sunspool",
		"/run/sunspool/edge/edge.sock":    "660 sunspool:sunspool",
		"/run/sunspool/vps/vps.sock":      "600 sunspool:sunspool",
		"/var/lib/sunspool/edge":          "700 sunspool:sunspool",
		"/var/lib/sunspool/edge/spool.db": "600 sunspool:sunspool",
		"/var/lib/sunspool/vps":           "700 sunspool:sunspool",
		"/var/lib/sunspool/vps/vps.db":    "600 sunspool:sunspool",
		"/etc/sunspool":                   "755 root:root",
		"/etc/sunspool/credentials":       "700 root:root",
	}
	for path, mode := range want {
		if got := strings.TrimSpace(a.run("stat", "-c", "%a %U:%G", path)); got != mode {
			a.t.Errorf("%s is %s, want %s", path, got, mode)
		}
	}
	a.eventually("sunspool health edge says ok", func() error {
		if said, err := a.try("sunspool", "health", "edge"); err != nil || !strings.HasPrefix(said, "ok") {
			return fmt.Errorf("%w: %s", err, said)
		}
		return nil
	})
	a.shows(`sunspool_edge_status{device="roof",status="ok"} 1`, "curl", "-sS", "http://127.0.0.1:9517/metrics")
	a.shows(`"status":"ok"`, "curl", "-sS", "--unix-socket", "/run/sunspool/edge/edge.sock", "http://edge/status")
	if said := a.run("sunspool", "token", "list"); !strings.Contains(said, "no token was made") {
		a.t.Errorf("root asks the vps for its tokens: %s", said)
	}
	if said, err := a.try("runuser", "-u", "nobody", "--", "sunspool", "token", "list"); err == nil || !strings.Contains(said+err.Error(), "no vps of this machine answers") {
		a.t.Errorf("nobody asks the vps for its tokens: %v, %s", err, said)
	}
	if got := a.show("sunspool-edge", "WatchdogUSec"); got != "2min" {
		a.t.Errorf("the watchdog of the edge waits %s", got)
	}
	a.shows("StatusText=ok: reads the SH10RT every 5s", "systemctl", "show", "-p", "StatusText", "sunspool-edge")
	a.is("sunspool-vps", "StatusText", "ok: serving on 127.0.0.1:8443")
}

// shows waits until a command succeeds and prints want: what a service reports of itself follows a moment after what it does.
func (a appliance) shows(want string, argv ...string) {
	a.t.Helper()
	a.eventually(fmt.Sprintf("%q shows %s", argv, want), func() error {
		if said, err := a.try(argv...); err != nil || !strings.Contains(said, want) {
			return fmt.Errorf("%w: %s", err, said)
		}
		return nil
	})
}

func (a appliance) journal() {
	lines := 0
	for line := range strings.Lines(a.logged("-u", "sunspool-edge", "-u", "sunspool-vps", "-o", "json")) {
		var entry struct {
			Message any    `json:"MESSAGE"`
			Comm    string `json:"_COMM"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			a.t.Fatal(err)
		}
		text, ok := entry.Message.(string)
		if !ok {
			a.t.Errorf("not a line of text: %v", entry.Message)
		}
		if strings.Contains(text, canary) {
			a.t.Errorf("the token is in the journal: %s", text)
		}
		if entry.Comm != "sunspool" { // systemd's own
			continue
		}
		lines++
		if !json.Valid([]byte(text)) {
			a.t.Errorf("not JSON: %s", text)
		}
	}
	if lines < 5 {
		a.t.Errorf("only %d lines of sunspool", lines)
	}
	for _, path := range []string{"/run/sunspool/edge/health.json", "/proc/" + a.show("sunspool-edge", "MainPID") + "/cmdline", "/proc/" + a.show("sunspool-edge", "MainPID") + "/environ"} {
		if strings.Contains(a.run("cat", path), canary) {
			a.t.Errorf("the token is in %s", path)
		}
	}
}

func (a appliance) killed() {
	before := a.show("sunspool-edge", "MainPID")
	began := time.Now()
	a.run("kill", "-9", before)
	a.eventually("it is back", func() error {
		if pid := a.show("sunspool-edge", "MainPID"); pid == before || pid == "0" || a.show("sunspool-edge", "ActiveState") != "active" {
			return fmt.Errorf("process %s", pid)
		}
		return nil
	})
	a.t.Logf("back after %v", time.Since(began).Round(time.Millisecond))
	if wait := a.show("sunspool-edge", "RestartUSec"); wait != "2s" { // the rest is up to the machine
		a.t.Errorf("the service manager waits %s before it starts it again, want 2 s", wait)
	}
}

func (a appliance) hangs() {
	units := []string{"sunspool-edge", "sunspool-vps"}
	before := a.watched(units)
	since := strings.TrimSpace(a.run("date", "+%s"))
	for _, unit := range units {
		a.run("kill", "-STOP", before[unit])
	}
	began := time.Now()
	for _, unit := range units {
		a.eventually(unit+" is another process", func() error {
			if pid := a.show(unit, "MainPID"); pid == before[unit] || pid == "0" || a.show(unit, "ActiveState") != "active" {
				return fmt.Errorf("process %s", pid)
			}
			return nil
		})
		a.t.Logf("%s: another process after %v", unit, time.Since(began).Round(time.Millisecond))
		if said := a.logged("-u", unit, "-o", "cat", "--since=@"+since); !strings.Contains(said, "Watchdog timeout") {
			a.t.Errorf("%s was not ended by the watchdog:\n%s", unit, said)
		}
		a.run("rm", "/etc/systemd/system/"+unit+".service.d/quick.conf")
	}
	a.run("systemctl", "daemon-reload")
	a.run("systemctl", "restart", "sunspool-edge", "sunspool-vps")
	a.delivers()
}

// watched gives units a watchdog that waits for seconds instead of 2 minutes, and returns their processes once they have lived longer
// than it waits. On a machine that is so busy that they are ended all the same it waits longer.
func (a appliance) watched(units []string) map[string]string {
	a.t.Helper()
	for wait := 6; ; wait *= 2 {
		for _, unit := range units {
			a.write("/etc/systemd/system/"+unit+".service.d/quick.conf", fmt.Sprintf("[Service]\nWatchdogSec=%d\n", wait), 0o644)
		}
		a.run("systemctl", "daemon-reload")
		a.run(append([]string{"systemctl", "restart"}, units...)...)
		pids, ended := map[string]string{}, ""
		for _, unit := range units {
			pids[unit] = a.show(unit, "MainPID")
		}
		a.eventually(fmt.Sprintf("the watchdog of %d s was fed for longer than it waits", wait), func() error {
			for _, unit := range units {
				if a.show(unit, "MainPID") != pids[unit] {
					ended = unit
					return nil
				}
				fed, err := strconv.Atoi(a.show(unit, "WatchdogTimestampMonotonic"))
				began, wrong := strconv.Atoi(a.show(unit, "ExecMainStartTimestampMonotonic"))
				if err := errors.Join(err, wrong); err != nil || fed < began+(wait+1)*1_000_000 {
					return fmt.Errorf("%s was fed at %d, and began at %d: %w", unit, fed, began, err)
				}
			}
			return nil
		})
		if ended == "" {
			return pids
		}
		if wait > 40 {
			a.t.Fatalf("%s is ended although it is well", ended)
		}
		a.t.Logf("%s was not in time for a watchdog of %d s", ended, wait)
	}
}

// needs makes a system call that the sandbox forbids deadly, instead of an error that might go unnoticed, and lives a
// whole life under it: start, polls, uploads, status, reload, stop.
func (a appliance) needs() {
	since := strings.TrimSpace(a.run("date", "+%s"))
	for _, unit := range []string{"sunspool-edge", "sunspool-vps"} {
		a.write("/etc/systemd/system/"+unit+".service.d/deadly.conf", "[Service]\nSystemCallErrorNumber=kill\n", 0o644)
	}
	a.run("systemctl", "daemon-reload")
	a.run("systemctl", "restart", "sunspool-edge", "sunspool-vps")
	a.delivers()
	for _, unit := range []string{"sunspool-edge", "sunspool-vps"} {
		pid := a.show(unit, "MainPID")
		a.run("systemctl", "reload", unit)
		a.run("sunspool", "health", strings.TrimPrefix(unit, "sunspool-"), "--listen=127.0.0.1:8443", "--tls-cert-file=/etc/sunspool/tls/cert.pem")
		if got := a.show(unit, "MainPID"); got != pid {
			a.t.Errorf("%s is another process after a reload", unit)
		}
		a.run("systemctl", "stop", unit)
		if result, n := a.show(unit, "Result"), a.show(unit, "NRestarts"); result != "success" || n != "0" {
			a.t.Errorf("%s ended with %s after %s restarts", unit, result, n)
		}
		said := a.logged("-u", unit, "-o", "cat", "--since=@"+since)
		if m := regexp.MustCompile(`(?i).*(operation not permitted|permission denied|read-only file system|status=31/SYS).*`).FindString(said); m != "" {
			a.t.Errorf("%s is denied something: %s", unit, m)
		}
		a.run("rm", "/etc/systemd/system/"+unit+".service.d/deadly.conf")
	}
	a.run("systemctl", "daemon-reload")
	a.run("systemctl", "start", "sunspool-edge", "sunspool-vps")
}

func (a appliance) further() {
	a.run("systemd-run", "--quiet", "--unit=inverter-2", "sunspool", "simulate", "--listen", "127.0.0.1:1503", "--seed", "2")
	a.write("/etc/sunspool/edge-garage.env", strings.Replace(edgeSettings, "1502", "1503", 1)+"DEVICE_ID=garage\nVPS_DEVICE_TOKEN="+canary+"-2\n", 0o600)
	a.run("systemctl", "enable", "--now", "sunspool-edge@garage")
	a.deliversOf(canary+"-2", "garage")
	a.run("stat", "/var/lib/sunspool/edge-garage/spool.db", "/run/sunspool/edge-garage/health.json")
}

// waiting fills the spool while the vps is away and returns how many samples are in it once the edge is stopped.
func (a appliance) waiting() int {
	a.t.Helper()
	a.run("systemctl", "stop", "sunspool-vps")
	a.eventually("two samples wait", func() error {
		var h struct {
			N int `json:"spool_count"`
		}
		if err := json.Unmarshal([]byte(a.run("cat", "/run/sunspool/edge/health.json")), &h); err != nil || h.N < 2 {
			return fmt.Errorf("%d samples, %w", h.N, err)
		}
		return nil
	})
	a.run("systemctl", "stop", "sunspool-edge")
	return a.unsent()
}

func (a appliance) unsent() (n int) {
	a.t.Helper()
	said := a.run("sunspool", "spool", "count")
	if _, err := fmt.Sscanf(said, "/var/lib/sunspool/edge/spool.db: %d samples", &n); err != nil {
		a.t.Fatalf("%v: %s", err, said)
	}
	return n
}

func (a appliance) reboots() {
	n := a.waiting()
	a.run("systemctl", "mask", "sunspool-vps")
	a.reboot()
	a.is("sunspool-edge", "ActiveState", "active")
	a.is("sunspool-edge@garage", "ActiveState", "active")
	a.run("systemctl", "stop", "sunspool-edge")
	if now := a.unsent(); now < n {
		a.t.Errorf("%d samples waited before the reboot, %d do after it", n, now)
	}
	a.run("systemctl", "unmask", "sunspool-vps")
	a.run("systemctl", "start", "sunspool-vps", "sunspool-edge")
	a.delivers()
	a.eventually("what waited is delivered", func() error {
		a.run("systemctl", "stop", "sunspool-edge") // which delivers what it has
		defer a.run("systemctl", "start", "sunspool-edge")
		if n := a.unsent(); n > 0 {
			return fmt.Errorf("%d samples wait", n)
		}
		return nil
	})
}

func (a appliance) upgrades() {
	a.run("systemctl", "stop", "sunspool-vps")
	settings := a.sh("cat /etc/sunspool/*.env | sha256sum")
	before, garage := a.show("sunspool-edge", "MainPID"), a.show("sunspool-edge@garage", "MainPID")
	// The garage is set up wrongly since it was started: the new program would not start.
	a.sh("cp -p /etc/sunspool/edge-garage.env /root/right.env && echo POLL_INTERVAL_S=1 >>/etc/sunspool/edge-garage.env")
	said := a.apt("install", "/root/second.deb")
	if !strings.Contains(said, "sunspool-edge@garage.service was not restarted") || !strings.Contains(said, "POLL_INTERVAL_S is 1") {
		a.t.Errorf("the upgrade does not say that a service is set up wrongly:\n%s", said)
	}
	if now := a.show("sunspool-edge@garage", "MainPID"); now != garage {
		a.t.Error("a service whose settings the new program does not take was ended")
	}
	a.sh("cp -p /root/right.env /etc/sunspool/edge-garage.env")
	if now := a.sh("cat /etc/sunspool/*.env | sha256sum"); now != settings {
		a.t.Error("the upgrade changed the settings")
	}
	a.is("sunspool-edge", "ActiveState", "active")
	if now := a.show("sunspool-edge", "MainPID"); now == before {
		a.t.Error("the edge is still the old process")
	}
	a.shows(newer, "cat", "/run/sunspool/edge/health.json") // which is written once it polls
	if got := a.show("sunspool-vps", "ActiveState"); got != "inactive" {
		a.t.Errorf("the vps was stopped and is %s", got)
	}
	a.run("systemctl", "start", "sunspool-vps")
	a.delivers()
	// Back to the older version, and a service that was disabled stays so.
	a.run("systemctl", "disable", "sunspool-vps")
	a.apt("install", "--allow-downgrades", "/root/first.deb")
	if got, _ := a.try("systemctl", "is-enabled", "sunspool-vps"); strings.TrimSpace(got) != "disabled" {
		a.t.Errorf("the vps was disabled and is %s", got)
	}
	a.delivers()
}

func (a appliance) removed() {
	n := a.waiting()
	a.run("systemctl", "start", "sunspool-edge")
	said := a.apt("remove", "sunspool")
	var told int
	if m := regexp.MustCompile(`/var/lib/sunspool/edge/spool.db: (\d+) samples are unsent`).FindStringSubmatch(said); m == nil {
		a.t.Errorf("removal does not say what is unsent:\n%s", said)
	} else if told, _ = strconv.Atoi(m[1]); told < n {
		a.t.Errorf("%d samples were unsent, removal says %d", n, told)
	}
	a.run("stat", "/var/lib/sunspool/edge/spool.db", "/etc/sunspool/edge.env", "/etc/sunspool/credentials/vps-device-token")
	for _, unit := range []string{"sunspool-edge", "sunspool-edge@garage", "sunspool-vps"} {
		if got := a.show(unit, "ActiveState"); got != "inactive" {
			a.t.Errorf("%s is %s", unit, got)
		}
	}
	// Installed again it goes on where it was.
	a.apt("install", "/root/first.deb")
	a.run("systemctl", "start", "sunspool-vps") // which was disabled
	a.delivers()
	a.is("sunspool-edge@garage", "ActiveState", "active")
	a.apt("remove", "sunspool")
}

func (a appliance) purged() {
	a.apt("purge", "sunspool")
	left, _ := a.try("sh", "-c", "find / -xdev -name '*sunspool*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/var/log/*' -not -path '/root/*' -not -path '/var/lib/systemd/*'; ls -d /run/sunspool 2>/dev/null")
	if left = strings.TrimSpace(left); left != "" {
		a.t.Errorf("left behind:\n%s", left)
	}
	a.run("id", "sunspool") // stays, files may still be its own
}

func (a appliance) archive() {
	a.write("/usr/local/bin/sunspool", string(read(a.t, program(a.t, target{goarch: "amd64"}))), 0o755)
	if said := a.run("sunspool", "service", "install", "vps"); !strings.Contains(said, "/etc/sunspool/vps.env") {
		a.t.Errorf("it says %s", said)
	}
	if _, err := a.try("sunspool", "service", "start", "vps"); err == nil {
		a.t.Error("it starts without settings")
	}
	a.write("/etc/sunspool/vps.env", "DEVICE_TOKENS="+canary+":roof\n", 0o600)
	a.run("sunspool", "service", "start", "vps")
	a.is("sunspool-vps", "ActiveState", "active")
	a.eventually("its status is one line", func() error { // it is ready a moment before it has looked at itself
		if said := a.run("sunspool", "service", "status", "vps"); said != "running: ok: serving on 127.0.0.1:8000\n" {
			return fmt.Errorf("%q", said)
		}
		return nil
	})
	a.run("sunspool", "health", "vps")
	if said := a.run("sunspool", "service", "uninstall", "vps"); !strings.Contains(said, "/var/lib/sunspool/vps") {
		a.t.Errorf("it says %s", said)
	}
	if _, err := a.try("systemctl", "cat", "sunspool-vps"); err == nil {
		a.t.Error("the unit is still there")
	}
}
