package packaging

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPairing is two machines at home, each a Debian with a real systemd, and nothing between them but a cable: one becomes the
// server, the other the edge beside an inverter, by what the server prints. No token and no certificate is carried.
//
//	inverter ──> edge 192.168.77.2 ──cable──> server 192.168.77.1
func TestPairing(t *testing.T) {
	if *withSystem == "" {
		t.Skip("SKIPPED, NOTHING IS SHOWN: this boots two Debians and takes half a minute: make test-system")
	}
	t.Parallel() // it mostly waits
	suite, _, _ := strings.Cut(*withSystem, ",")
	p := pair{server: appliance{boot(t, suite)}, edge: appliance{boot(t, suite)}}
	p.cable()
	p.install()
	for _, step := range []struct {
		claim string
		show  func()
	}{
		{"one command makes the server", p.makeServer},
		{"what it prints makes the edge, and the first sample arrives", p.makeEdge},
		{"what is between them is secret, and no more than it must be", p.secrets},
		{"a code that was used gives nothing to a third machine", p.usedCode},
		{"an edge that cannot reach the server keeps what it reads", p.cut},
	} {
		if !t.Run(step.claim, func(s *testing.T) { p.server.t, p.edge.t = s, s; step.show() }) {
			break
		}
	}
	p.server.t, p.edge.t = t, t
}

// pair are two machines.
type pair struct {
	server, edge appliance
	viewer       string // token
	printed      string // what the server printed to type at the edge
}

const (
	serverAddress = "192.168.77.1"
	edgeAddress   = "192.168.77.2"
)

// cable connects the two.
func (p *pair) cable() {
	t := p.server.t
	t.Helper()
	ends := []string{fmt.Sprintf("sun%da", os.Getpid()), fmt.Sprintf("sun%db", os.Getpid())}
	ip := func(argv ...string) {
		if out, err := exec.Command("ip", argv...).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED, NOTHING IS SHOWN: ip %v: %v: %s", argv, err, out)
		}
	}
	ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
	for i, m := range []struct {
		appliance
		address string
	}{{p.server, serverAddress}, {p.edge, edgeAddress}} {
		ip("link", "set", ends[i], "netns", strconv.Itoa(m.leader), "name", "cable")
		m.run("ip", "address", "add", m.address+"/24", "dev", "cable")
		m.run("ip", "link", "set", "cable", "up")
	}
}

// install is the same package on both.
func (p *pair) install() {
	file := string(read(p.server.t, deb(p.server.t, older)))
	for _, m := range []appliance{p.server, p.edge} {
		m.write("/root/first.deb", file, 0o644)
		m.apt("install", "/root/first.deb")
	}
	p.edge.simulates("inverter", "127.0.0.1:1502", "--tz=UTC")
}

func (p *pair) makeServer() {
	out := p.server.run("sunspool", "setup", "--role=server", "--yes")
	link := loginLink.FindStringSubmatch(out)
	if link == nil || !strings.Contains(out, "https://"+serverAddress+":8443/") {
		p.server.t.Fatalf("no link of the page at home in\n%s", out)
	}
	p.viewer = link[1]
	printed := p.server.run("sunspool", "vps", "pair", "--device=roof")
	command := pairCommand.FindStringSubmatch(printed)
	if command == nil || !strings.Contains(printed, "https://"+serverAddress+":8443") {
		p.server.t.Fatalf("no command in\n%s", printed)
	}
	p.printed = command[1]
}

func (p *pair) makeEdge() {
	out := p.edge.sh("sunspool " + p.printed + " --role edge --inverter 127.0.0.1:1502 --yes")
	for _, want := range []string{"Usable.", "Paired with https://" + serverAddress + ":8443 as roof.", "The first samples of roof are at the server"} {
		if !strings.Contains(out, want) {
			p.edge.t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if age := p.age(); age > time.Minute {
		p.edge.t.Errorf("the newest sample is %v old", age)
	}
	p.edge.eventually("the edge is healthy", func() error {
		out, err := p.edge.try("sunspool", "status", "--check")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// age is how old the newest sample is, as a reader in the network at home gets it from the server's API.
func (p *pair) age() time.Duration {
	p.edge.t.Helper()
	p.edge.write("/root/server.pem", p.server.run("sunspool", "vps", "fingerprint", "--certificate"), 0o644)
	out := p.edge.run("curl", "-sS", "--cacert", "/root/server.pem", "-H", "Authorization: Bearer "+p.viewer, "https://"+serverAddress+":8443/v1/realtime?device_id=roof")
	var answer struct {
		AgeS *float64 `json:"age_s"`
		PV   *float64 `json:"pv_power_w"`
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.AgeS == nil || answer.PV == nil {
		p.edge.t.Fatalf("%v: %s", err, out)
	}
	return time.Duration(*answer.AgeS * float64(time.Second))
}

func (p *pair) secrets() {
	token := strings.TrimSpace(string(read(p.edge.t, p.edge.path("/etc/sunspool/credentials/vps-device-token"))))
	if !strings.HasPrefix(token, "ssd_") {
		p.edge.t.Errorf("the token is %.4s…", token)
	}
	settings := string(read(p.edge.t, p.edge.path("/etc/sunspool/edge.env")))
	for _, want := range []string{"VPS_BASE_URL=https://" + serverAddress + ":8443\n", "DEVICE_ID=roof\n", "VPS_FINGERPRINT=sha256:"} {
		if !strings.Contains(settings, want) {
			p.edge.t.Errorf("the settings have no %s:\n%s", want, settings)
		}
	}
	for name, m := range map[string]appliance{"server": p.server, "edge": p.edge} {
		if all := settings + m.logged(); strings.Contains(all, token) {
			m.t.Errorf("the token is in the settings or the journal of the %s", name)
		}
	}
	// It is a token of this device, which neither reads another nor manages anything.
	for path, want := range map[string]string{"/v1/realtime?device_id=roof": "200", "/v1/realtime?device_id=other": "403", "/v1/tokens": "403"} {
		got := p.edge.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", "/root/server.pem", "-H", "Authorization: Bearer "+token, "https://"+serverAddress+":8443"+path)
		if got != want {
			p.edge.t.Errorf("GET %s with the edge's token is %s, want %s", path, got, want)
		}
	}
}

func (p *pair) usedCode() {
	before := p.edge.settingsNow()
	out, err := p.edge.try("sh", "-c", "sunspool "+p.printed+" --role edge --inverter 127.0.0.1:1502 --no-probe --yes")
	if err == nil || !strings.Contains(out, "No such pairing code") || p.edge.settingsNow() != before {
		p.edge.t.Errorf("%v\n%s", err, out)
	}
}

// cut pulls the cable and puts it back.
func (p *pair) cut() {
	p.edge.run("ip", "link", "set", "cable", "down")
	waiting := func() (n int, err error) {
		var status struct {
			Edges []struct {
				Status  string
				Waiting int `json:"spool_count"`
			}
		}
		out, _ := p.edge.try("sunspool", "status", "--json")
		if err := json.Unmarshal([]byte(out), &status); err != nil || len(status.Edges) != 1 || status.Edges[0].Status == "silent" {
			return 0, fmt.Errorf("%w: %s", err, out)
		}
		return status.Edges[0].Waiting, nil
	}
	p.edge.eventually("samples wait", func() error {
		if n, err := waiting(); err != nil || n < 2 {
			return fmt.Errorf("%d wait, %w", n, err)
		}
		return nil
	})
	p.edge.run("ip", "link", "set", "cable", "up")
	p.edge.eventually("they are delivered", func() error {
		if n, err := waiting(); err != nil || n > 1 {
			return fmt.Errorf("%d wait, %w", n, err)
		}
		return nil
	})
	if age := p.age(); age > time.Minute {
		p.edge.t.Errorf("the newest sample is %v old", age)
	}
}
