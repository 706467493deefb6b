package packaging

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSetup is the first day of an owner on a Debian with a real systemd: the package, one command, the page's link; the same
// command again; then another edge by a pairing code.
func TestSetup(t *testing.T) {
	if *withSystem == "" {
		t.Skip("SKIPPED, NOTHING IS SHOWN: this boots a Debian and takes a minute: make test-system")
	}
	t.Parallel() // it mostly waits
	suite, _, _ := strings.Cut(*withSystem, ",")
	a := appliance{boot(t, suite)}
	a.write("/root/first.deb", string(read(t, deb(t, older))), 0o644)
	a.apt("install", "/root/first.deb")
	a.simulates("inverter", "127.0.0.1:1502", "--tz=UTC")
	for _, step := range []struct {
		claim string
		show  func()
	}{
		{"one command makes it all, and its link opens the page", a.setUpAll},
		{"the same command again changes nothing", a.setUpAgain},
		{"a status that is healthy, and no secret where others read", a.statusAfterSetup},
		{"an edge with a code needs no token and no certificate", a.setUpByCode},
		{"a code that was used gives nothing, and what is set stays", a.codeTwice},
		{"a dongle is found by its name, from within the sandbox, too", a.byItsName},
		{"the doctor names each hop that breaks", a.doctor},
	} {
		if !t.Run(step.claim, func(s *testing.T) { a.t = s; step.show() }) {
			break
		}
	}
	a.t = t
}

var loginLink = regexp.MustCompile(`https://\S+/#t=(ssv_[0-9a-f]+)`)

func (a appliance) setUpAll() {
	out := a.run("sunspool", "setup", "--role=all", "--inverter=127.0.0.1:1502", "--device=roof", "--yes")
	link := loginLink.FindStringSubmatch(out)
	if link == nil {
		a.t.Fatalf("no link in\n%s", out)
	}
	for _, want := range []string{"Usable.", "Sungrow SH10RT", "Paired with https://localhost:8443 as roof", "The first samples of roof are at the server", "Next: sudo sunspool status"} {
		if !strings.Contains(out, want) {
			a.t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	a.sh("mkdir -p /etc/sunspool/tls && sunspool vps fingerprint --certificate > /etc/sunspool/tls/cert.pem")
	if _, err := a.newest(link[1], "roof"); err != nil {
		a.t.Errorf("the page's link shows nothing: %v", err)
	}
	for name, mode := range map[string]os.FileMode{"/etc/sunspool/edge.env": 0o600, "/etc/sunspool/vps.env": 0o600, "/etc/sunspool/credentials/vps-device-token": 0o600, "/etc/sunspool/credentials": 0o700} {
		if info, err := os.Stat(a.path(name)); err != nil || info.Mode().Perm() != mode {
			a.t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if settings := string(read(a.t, a.path("/etc/sunspool/edge.env"))); !strings.Contains(settings, "VPS_FINGERPRINT=sha256:") || strings.Contains(settings, "ssd_") {
		a.t.Errorf("the settings of the edge are\n%s", settings)
	}
}

// settingsNow are all files below /etc that setup may write.
func (a appliance) settingsNow() string {
	var all strings.Builder
	for _, name := range []string{"/etc/sunspool/edge.env", "/etc/sunspool/vps.env", "/etc/sunspool/credentials/vps-device-token", "/etc/systemd/system/sunspool-vps.service.d/home.conf"} {
		text, err := os.ReadFile(a.path(name))
		fmt.Fprintln(&all, name, string(text), err)
	}
	return all.String()
}

func (a appliance) setUpAgain() {
	before := a.settingsNow()
	out := a.run("sunspool", "setup", "--yes")
	if !strings.Contains(out, "The settings are as they should be.") || a.settingsNow() != before {
		a.t.Errorf("it changed something:\n%s", out)
	}
}

func (a appliance) statusAfterSetup() {
	a.eventually("the status is healthy", func() error {
		out, err := a.try("sunspool", "status", "--check")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	a.eventually("and has an edge and a device", func() error {
		var status struct {
			Status string
			Edges  []struct{ Status string }
			VPS    struct{ Devices []struct{ State string } }
		}
		out, _ := a.try("sunspool", "status", "--json")
		if err := json.Unmarshal([]byte(out), &status); err != nil || status.Status != "ok" || len(status.Edges) != 1 || len(status.VPS.Devices) != 1 {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	token := strings.TrimSpace(string(read(a.t, a.path("/etc/sunspool/credentials/vps-device-token"))))
	if journal := a.logged("-u", "sunspool-edge", "-u", "sunspool-vps"); strings.Contains(journal, token) {
		a.t.Error("the journal has the token")
	}
}

var pairCommand = regexp.MustCompile(`(?m)^  sudo sunspool (setup --server \S+ --pair \S+)$`)

// setUpByCode sets the edge up anew as one beside another inverter: all that is typed is what the server printed.
func (a appliance) setUpByCode() {
	a.run("systemctl", "stop", "sunspool-edge")
	for _, name := range []string{"/etc/sunspool/edge.env", "/etc/sunspool/credentials/vps-device-token"} {
		if err := os.Remove(a.path(name)); err != nil {
			a.t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(a.path("/var/lib/sunspool/edge"))); err != nil {
		a.t.Fatal(err)
	}
	printed := a.run("sunspool", "vps", "pair", "--device=garage")
	command := pairCommand.FindStringSubmatch(printed)
	if command == nil {
		a.t.Fatalf("no command in\n%s", printed)
	}
	typed := regexp.MustCompile(`https://[^ ]*:8443`).ReplaceAllString(command[1], "https://localhost:8443") // this box has no network but its own
	out := a.sh("sunspool " + typed + " --role edge --inverter 127.0.0.1:1502 --yes")
	if !strings.Contains(out, "as garage.") || !strings.Contains(out, "The first samples of garage are at the server") {
		a.t.Errorf("%s", out)
	}
	a.write("/root/pair", typed, 0o600)
}

func (a appliance) codeTwice() {
	before := a.settingsNow()
	out, err := a.try("sh", "-c", "sunspool "+string(read(a.t, a.path("/root/pair")))+" --role edge --inverter 127.0.0.1:1502 --no-probe --yes")
	if err == nil || !strings.Contains(out, "No such pairing code") || a.settingsNow() != before {
		a.t.Errorf("%v\n%s", err, out)
	}
}
