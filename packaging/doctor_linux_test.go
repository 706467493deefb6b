package packaging

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sunspool/edge/spool"
	"sunspool/edge/spool/spooltest"
)

// diagnosis is what `sunspool doctor --json` prints.
type diagnosis struct {
	Status, Area, Code, Sentence, Why, Next string
	Exit                                    int
	TookS                                   float64 `json:"took_s"`
	Checks                                  []struct{ Area, State, What, Why, Next, Code string }
}

// examined runs the doctor.
func (a appliance) examined(area string) (d diagnosis, err error) {
	out, err := a.try("sh", "-c", "sunspool doctor --json "+area+" 2>/root/doctor.err; echo exit $?")
	if err != nil {
		return d, fmt.Errorf("%w: %s", err, out)
	}
	text, exit, _ := strings.Cut(out, "\nexit ")
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return d, fmt.Errorf("%w: %s", err, out)
	}
	if strings.TrimSpace(exit) != fmt.Sprint(d.Exit) {
		return d, fmt.Errorf("it exits %s and says %d", strings.TrimSpace(exit), d.Exit)
	}
	return d, nil
}

// names waits until the doctor names an area and a code.
func (a appliance) names(what, only, area, code, next string) (d diagnosis) {
	a.t.Helper()
	a.eventually("the doctor names "+code+" of "+area, func() error {
		var err error
		if d, err = a.examined(only); err == nil && (d.Area != area || d.Code != code || !strings.Contains(d.Next, next)) {
			err = fmt.Errorf("it is %s, area %s, code %s: %s, %s; next: %s", d.Status, d.Area, d.Code, d.Sentence, d.Why, d.Next)
		}
		return err
	})
	a.t.Logf("%-22s %-9s %-20s exit %d, %.1f s: %s; next: %s", what, d.Area, d.Code, d.Exit, d.TookS, d.Sentence, d.Next)
	return d
}

// well waits until nothing fails.
func (a appliance) well() (d diagnosis) {
	a.t.Helper()
	a.eventually("the doctor finds nothing that fails", func() error {
		var err error
		if d, err = a.examined(""); err == nil && (d.Exit != 0 || d.Status == "fail") {
			err = fmt.Errorf("area %s, code %s: %s, %s", d.Area, d.Code, d.Sentence, d.Why)
		}
		return err
	})
	return d
}

const simulated = "systemd-run --quiet --collect --unit=inverter /usr/bin/sunspool simulate --listen=127.0.0.1:1502 --tz=UTC"

// doctor breaks one hop after the other of a machine that is both edge and server, and has each named.
func (a appliance) doctor() {
	a.run("ip", "address", "add", "192.168.7.5/24", "dev", "lo") // of a network at home
	a.sh("sed -i s/^SUNGROW_HOST=.*/SUNGROW_HOST=127.0.0.1/ /etc/sunspool/edge.env && systemctl restart sunspool-edge && systemctl stop dongle")
	d := a.well()
	a.t.Logf("nothing fails: %s, %.1f s", d.Sentence, d.TookS)
	for _, area := range []string{"config", "service", "disk", "inverter", "clock", "spool", "upload", "vps", "package"} {
		found := false
		for _, c := range d.Checks {
			found = found || c.Area == area
		}
		if !found {
			a.t.Errorf("%s was not looked at", area)
		}
	}
	if said := a.run("sh", "-c", "runuser -u nobody -- sunspool doctor; echo exit $?"); !strings.Contains(said, "sudo sunspool doctor") || !strings.HasSuffix(said, "exit 0\n") {
		a.t.Errorf("another user is told\n%s", said)
	}
	for _, step := range []struct {
		claim string
		show  func()
	}{
		{"inverter", a.brokenInverter}, {"upload", a.brokenUpload}, {"bundle", a.bundle}, {"spool", a.fullQuarantine}, {"clock", a.unsetClock}, {"disk", a.brokenDisk}, {"service", a.brokenListen},
	} {
		t := a.t
		if !t.Run(step.claim, func(s *testing.T) { a.box.t = s; step.show() }) {
			a.box.t = t
			break
		}
		a.box.t = t
	}
}

func (a appliance) brokenInverter() {
	a.run("systemctl", "stop", "inverter")
	a.names("port closed", "", "inverter", "inverter_unreachable", "enable Modbus TCP")
	a.sh(simulated + " --fault=silent")
	a.names("second client", "", "inverter", "inverter_silent", "a dongle serves one client")
	a.run("systemctl", "stop", "inverter")
	a.edgeWith("SUNGROW_HOST=192.0.2.7")
	a.names("inverter off", "", "inverter", "inverter_unreachable", "check the address, the cable")
	a.run("systemctl", "stop", "sunspool-edge")
	a.names("stopped", "", "service", "unit_stopped", "sudo systemctl enable --now sunspool-edge")
	a.names("stopped, inverter off", "inverter", "inverter", "inverter_unreachable", "check the address, the cable")
	a.edgeAsBefore()
	a.sh(simulated)
}

// edgeWith appends to the settings of the edge, of which the last line counts, and starts it again.
func (a appliance) edgeWith(lines ...string) {
	a.t.Helper()
	a.setEdge(lines...)
	a.run("systemctl", "restart", "sunspool-edge")
}

func (a appliance) setEdge(lines ...string) {
	a.t.Helper()
	a.sh("test -e /root/edge.env || cp -p /etc/sunspool/edge.env /root/edge.env")
	text := string(read(a.t, a.path("/root/edge.env")))
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		text = regexp.MustCompile(`(?m)^`+name+`=.*\n`).ReplaceAllString(text, "")
	}
	a.write("/etc/sunspool/edge.env", text+strings.Join(lines, "\n")+"\n", 0o600)
}

func (a appliance) edgeAsBefore() { a.edgeWith() }

func (a appliance) brokenUpload() {
	token := string(read(a.t, a.path("/etc/sunspool/credentials/vps-device-token")))
	a.setEdge("VPS_BASE_URL=https://nowhere.example.org:8443")
	a.names("DNS", "", "upload", "vps_unreachable", "name")
	a.setEdge("VPS_FINGERPRINT=sha256:" + strings.Repeat("ab", 32))
	a.names("wrong fingerprint", "", "upload", "tls", "sudo sunspool vps fingerprint")
	cert, key := expired(a.t)
	a.write("/root/expired.pem", cert, 0o644)
	a.write("/root/key.pem", key, 0o600)
	a.run("systemd-run", "--quiet", "--collect", "--unit=expired", "openssl", "s_server", "-accept", "9443", "-cert", "/root/expired.pem", "-key", "/root/key.pem", "-www", "-quiet")
	a.setEdge("VPS_BASE_URL=https://localhost:9443", "VPS_FINGERPRINT=", "VPS_CA_FILE=/root/expired.pem")
	a.sh("cp /root/expired.pem /etc/sunspool/expired.pem")
	a.setEdge("VPS_BASE_URL=https://localhost:9443", "VPS_FINGERPRINT=", "VPS_CA_FILE=/etc/sunspool/expired.pem")
	if d := a.names("TLS expired", "", "upload", "tls", "renew the server's certificate"); !strings.Contains(d.Why, "was valid until") {
		a.t.Errorf("it says %s", d.Why)
	}
	a.run("systemctl", "stop", "expired")
	a.setEdge()
	a.write("/etc/sunspool/credentials/vps-device-token", "ssd_"+strings.Repeat("0", 40)+"\n", 0o600)
	a.names("wrong token", "", "upload", "credential", "sudo sunspool vps pair")
	a.run("systemctl", "restart", "sunspool-edge") // which has it now, too
	a.names("wrong token, running", "", "upload", "credential", "sudo sunspool vps pair")
	a.write("/etc/sunspool/credentials/vps-device-token", token, 0o600)
	a.edgeAsBefore()
}

// expired is a certificate for localhost that ended yesterday, and its key.
func expired(t testing.TB) (cert, key string) {
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	about := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der := must(x509.CreateCertificate(rand.Reader, about, about, private.Public(), private))
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(private))}))
}

// bundle writes one on the machine, whose real tokens are not in it.
func (a appliance) bundle() {
	token := strings.TrimSpace(string(read(a.t, a.path("/etc/sunspool/credentials/vps-device-token"))))
	code := regexp.MustCompile(`--pair (\S+)`).FindStringSubmatch(a.run("sunspool", "vps", "pair", "--device=barn"))
	link := loginLink.FindStringSubmatch(a.run("sunspool", "token", "create", "--role=viewer", "--device=*", "--name=Bundle", "--url=https://localhost:8443"))
	if code == nil || link == nil {
		a.t.Fatal("no code or no link")
	}
	planted := "token " + token + " link " + link[1] + " code " + code[1]
	a.sh(`printf 'MESSAGE=` + planted + `\nOBJECT_PID=%s\n' "$(systemctl show -P MainPID sunspool-edge)" | logger --journald`)
	a.eventually("the journal of the edge has what was planted", func() error {
		if said := a.logged("-u", "sunspool-edge", "-n", "50", "-o", "cat"); !strings.Contains(said, planted) {
			return errors.New(said)
		}
		return nil
	})
	out, err := a.try("sunspool", "doctor", "--bundle", "/root/bundle.tar.gz")
	if err != nil || !strings.Contains(out, "contents.txt") {
		a.t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(a.path("/root/bundle.tar.gz"))
	if err != nil || info.Mode().Perm() != 0o600 {
		a.t.Errorf("%v, %v", info, err)
	}
	plain, err := gzip.NewReader(bytes.NewReader(read(a.t, a.path("/root/bundle.tar.gz"))))
	if err != nil {
		a.t.Fatal(err)
	}
	files := 0
	for archive := tar.NewReader(plain); ; files++ {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			a.t.Fatal(err)
		}
		text := must(io.ReadAll(archive))
		for what, secret := range map[string]string{"the token": token, "the viewer's token": link[1], "the code": code[1]} {
			if bytes.Contains(text, []byte(secret)) {
				a.t.Errorf("%s has %s", head.Name, what)
			}
		}
		if strings.HasSuffix(head.Name, "journal/sunspool-edge.txt") && !bytes.Contains(text, []byte("token ssd_(secret)")) && !bytes.Contains(text, []byte("token (secret)")) {
			a.t.Errorf("what was planted is not masked, but missing in\n%s", text)
		}
		if len(bytes.TrimSpace(text)) == 0 {
			a.t.Errorf("%s is empty", head.Name)
		}
	}
	if files < 9 {
		a.t.Errorf("it has %d files", files)
	}
}

// fullQuarantine gives the edge a spool whose quarantine takes no more.
func (a appliance) fullQuarantine() {
	file := filepath.Join(a.t.TempDir(), "spool.db")
	s, err := spool.Open(file)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, part := range [][2]string{{"edge", "sunspool/" + older}, {"server", older}} { // so that nothing is tried again
		if _, err := s.RequeueOnce(part[0], part[1]); err != nil {
			a.t.Fatal(err)
		}
	}
	for full := false; !full; {
		s.QuarantineCap = (16 << 20) / 10
		spooltest.Fill(a.t, s, 500)
		var refused []spool.Rejection
		for _, r := range spooltest.Peek(a.t, s, 500) {
			refused = append(refused, spool.Rejection{Seq: r.Seq, Code: "ts", Detail: strings.Repeat("x", 2000)}) // a few are soon enough
		}
		if err := s.Settle(nil, refused); err != nil {
			a.t.Fatal(err)
		}
		if full, err = s.QuarantineFull(); err != nil {
			a.t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		a.t.Fatal(err)
	}
	a.run("systemctl", "stop", "sunspool-edge")
	a.sh("mkdir /root/edge && mv /var/lib/sunspool/edge/* /root/edge/")
	a.write("/var/lib/sunspool/edge/spool.db", string(read(a.t, file)), 0o600)
	a.sh("chown -R sunspool: /var/lib/sunspool/edge")
	a.edgeWith("SPOOL_MAX_MB=16")
	a.names("full quarantine", "", "spool", "quarantine_full", "sudo sunspool spool quarantine")
	a.run("systemctl", "stop", "sunspool-edge")
	a.sh("rm -rf /var/lib/sunspool/edge/* && mv /root/edge/* /var/lib/sunspool/edge/ && rmdir /root/edge")
	a.edgeAsBefore()
}

// unsetClock starts an edge that no time server and no server of its own tells the time.
func (a appliance) unsetClock() {
	var clock unix.Timex
	if _, err := unix.Adjtimex(&clock); err != nil || clock.Maxerror < 16_000_000 {
		a.t.Skip("SKIPPED: a time server keeps the clock of this machine, whose kernel is the box's, too")
	}
	a.run("systemctl", "stop", "sunspool-edge")
	a.sh("mkdir /root/edge && mv /var/lib/sunspool/edge/* /root/edge/") // which know what time it was since the machine started
	a.edgeWith("VPS_BASE_URL=https://nowhere.example.org:8443")
	a.names("clock unset", "", "clock", "clock_unsynced", "timedatectl")
	a.run("systemctl", "stop", "sunspool-edge")
	a.sh("rm -rf /var/lib/sunspool/edge/* && mv /root/edge/* /var/lib/sunspool/edge/ && rmdir /root/edge")
	a.edgeAsBefore()
}

func (a appliance) brokenDisk() {
	a.run("systemctl", "stop", "sunspool-edge")
	a.sh("mount -t tmpfs -o size=3m,mode=700 none /var/lib/sunspool/edge && chown sunspool: /var/lib/sunspool/edge")
	a.sh("dd if=/dev/zero of=/var/lib/sunspool/edge/filler bs=4k 2>/dev/null || true")
	a.run("systemctl", "start", "sunspool-edge")
	a.names("disk full", "", "disk", "disk_full", "sudo journalctl --vacuum-size=100M")
	a.run("mount", "-o", "remount,ro", "/var/lib/sunspool/edge")
	d := a.names("disk read-only", "", "disk", "disk_readonly", "sudo mount -o remount,rw /var/lib/sunspool/edge")
	a.pasted(d.Next)
	a.run("systemctl", "stop", "sunspool-edge")
	a.run("umount", "/var/lib/sunspool/edge")
	a.run("systemctl", "start", "sunspool-edge")
}

// pasted does what the doctor says, as root.
func (a appliance) pasted(next string) {
	a.t.Helper()
	a.write("/usr/local/bin/sudo", "#!/bin/sh\nexec \"$@\"\n", 0o755)
	a.sh(next)
}

func (a appliance) brokenListen() {
	settings := string(read(a.t, a.path("/etc/sunspool/vps.env")))
	a.write("/etc/sunspool/vps.env", regexp.MustCompile(`(?m)^LISTEN_ADDR=.*$`).ReplaceAllString(settings, "LISTEN_ADDR=192.168.9.9:8443"), 0o600)
	a.try("systemctl", "restart", "sunspool-vps") // which fails
	d := a.names("wrong LISTEN_ADDR", "", "service", "listen_elsewhere", "sudo sed -i")
	a.pasted(d.Next)
	a.run("systemctl", "restart", "sunspool-vps")
	a.well()
	a.write("/etc/sunspool/vps.env", regexp.MustCompile(`(?m)^LISTEN_ADDR=.*$`).ReplaceAllString(settings, "LISTEN_ADDR=0.0.0.0:443"), 0o600)
	a.try("systemctl", "restart", "sunspool-vps")
	d = a.names("port of root", "", "service", "port_privileged", "sudo sed -i")
	a.pasted(d.Next)
	a.run("systemctl", "restart", "sunspool-vps")
	a.well()
}
