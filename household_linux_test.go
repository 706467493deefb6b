package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/spool"
	"sunspool/health"
	"sunspool/internal/testprogram"
	"sunspool/internal/testservices"
	"sunspool/wire"
)

// household is a simulated inverter, an edge and a vps, each the real program in a process of its own, with something of all
// that commands list: tokens, a site, a sample that is set aside, samples that the server refused, a backup.
type household struct {
	dir      string // of a fixed length
	inverter string // HOST:PORT
	server   string // URL
	internal string // HOST:PORT of its internal listener
	token    string // of the device roof
}

// env are the variables that lead commands to the services of the household.
func (h *household) env() []string {
	return []string{"DATA_DIR=" + h.dir + "/vps", "SPOOL_PATH=" + h.dir + "/edge/spool.db", "HEALTH_PATH=" + h.dir + "/edge/health.json", "DEVICE_TOKENS=store", "INTERNAL_ADDR=" + h.internal}
}

func newHousehold(t *testing.T) *household {
	t.Helper()
	h := &household{dir: shortDir(t)}
	for _, dir := range []string{"vps", "edge"} {
		if err := os.Mkdir(filepath.Join(h.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.inverter = startProgram(t, h.dir, regexp.MustCompile(`on (127\.0\.0\.1:\d+)`), nil, "simulate", "--listen=127.0.0.1:0", "--tz=UTC")[1]
	started := startProgram(t, h.dir, regexp.MustCompile(`"vps started".*"listen":"(127\.0\.0\.1:\d+)".*"internal":"(127\.0\.0\.1:\d+)"`),
		[]string{"DATA_DIR=" + h.dir + "/vps", "DEVICE_TOKENS=store", "TLS_SELF=1", "LISTEN_ADDR=127.0.0.1:0", "INTERNAL_ADDR=127.0.0.1:0"}, "vps")
	h.server, h.internal = "https://"+started[1], started[2]
	h.token = h.create(t, "device", "roof", "Edge of the roof")

	file := filepath.Join(h.dir, "token")
	if err := os.WriteFile(file, []byte(h.token), 0o600); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(h.inverter, ":")
	startProgram(t, h.dir, regexp.MustCompile(`(edge started)`), append(h.env(), "SUNGROW_HOST="+host, "SUNGROW_PORT="+port, "VPS_BASE_URL="+h.server,
		"VPS_CA_FILE="+h.dir+"/vps/authority.pem", "VPS_DEVICE_TOKEN_FILE="+file, "DEVICE_ID=roof", "CLOCK_TRUST=always"), "edge") // whether or not a time server keeps it
	h.until(t, "a sample is at the server", func() bool {
		text, _ := inPipe.typed(t, h.dir, h.env(), "status", "--json")
		return strings.Contains(text, `"state":"live"`) && strings.Contains(text, `"pv_power_w"`)
	})
	h.setAside(t)
	h.refuse(t)
	for _, line := range []string{"site set home --device=roof", "vps backup backup.db"} {
		if text, exit := inPipe.typed(t, h.dir, h.env(), strings.Fields(line)...); exit != 0 {
			t.Fatalf("sunspool %s: %s", line, text)
		}
	}
	return h
}

func (h *household) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testservices.Patience); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not even now: %s", what)
		}
	}
}

// create makes a token.
func (h *household) create(t *testing.T, role, device, name string) string {
	t.Helper()
	text, exit := inPipe.typed(t, h.dir, h.env(), "token", "create", "--role="+role, "--device="+device, "--name="+name, "--json")
	var made struct{ Secret string }
	if err := json.Unmarshal([]byte(text), &made); exit != 0 || err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return made.Secret
}

// setAside sends a sample with an impossible time, as a client that would send it again indefinitely.
func (h *household) setAside(t *testing.T) {
	t.Helper()
	body := `{"samples":[{"device_id":"roof","ts":"1970-01-01T00:00:12Z","pv_power_w":1,"battery_power_w":0,"battery_soc_pct":50,"load_power_w":1,"export_power_w":0}]}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.server+wire.IngestPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

// refuse makes refused.db, a spool of another edge, with a sample in quarantine.
func (h *household) refuse(t *testing.T) {
	t.Helper()
	kept, err := spool.Open(filepath.Join(h.dir, "refused.db"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)
	if err := kept.Append(&wire.Sample{DeviceID: "roof", Time: at, Count: 1}, spool.When{Quality: spool.Synced}); err != nil {
		t.Fatal(err)
	}
	if err := kept.Settle(nil, []spool.Rejection{{Seq: 1, Code: "out_of_range", Detail: "too much", First: at, Last: at}}); err != nil {
		t.Fatal(err)
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
}

// client speaks to the server as an edge does.
func (h *household) client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: h.trust(t)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// trust has the server's own authority.
func (h *household) trust(t *testing.T) *tls.Config {
	t.Helper()
	authority, err := os.ReadFile(filepath.Join(h.dir, "vps/authority.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &tls.Config{RootCAs: roots}
}

// startProgram starts a service, which ends with the test, and waits until its log has ready, whose groups it returns.
func startProgram(t *testing.T, dir string, ready *regexp.Regexp, env []string, args ...string) []string {
	t.Helper()
	log := filepath.Join(dir, args[0]+".log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(testprogram.Path(t), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append([]string{"HOME=" + dir, "LANG=C.UTF-8"}, env...), out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	for deadline := time.Now().Add(testservices.Patience); ; time.Sleep(10 * time.Millisecond) {
		text, _ := os.ReadFile(log)
		if found := ready.FindStringSubmatch(string(text)); found != nil {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("sunspool %s does not start:\n%s", args[0], text)
		}
	}
}

var changing = []struct {
	find *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`ss[dva]_[0-9a-f]{40}`), "TOKEN"},
	{regexp.MustCompile(`([0-9A-Z]{4}-){7}[0-9A-Z]{4}`), "CODE"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "ID          "},
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "sha256:HEX"},
	{regexp.MustCompile(`\x1b\[[0-9;]*m`), ""},
	{regexp.MustCompile(`(?m)^([█▀▄ ]*[█▀▄][█▀▄ ]*\n)+`), "(the same for a camera)\n"},
	{regexp.MustCompile(`( now +)PV [0-9.]+ kW[^\n]*(\n {12,}[^\n]+)*`), "$1(powers)"}, // of an edge that has just begun some are not known yet
	{regexp.MustCompile(`( today +)PV [0-9.]+ kWh[^\n]*(\n {12,}[^\n]+)*`), "$1(energies)"},
	{regexp.MustCompile(`[0-9]+(\.[0-9]+)*`), "N"},
	// A slow machine takes minutes for what another does in a second, and the widths of columns and the ends of lines follow
	// from the numbers in them.
	{regexp.MustCompile(`\bN (µs|us|ms|s|min|h)( N (s|min|h))*\b`), "TIME"},
	{regexp.MustCompile(`(never|N-N-N N:N)( +valid)`), "USED$2"},
	{regexp.MustCompile(`\n {12,}(\S)`), " $1"},
	{regexp.MustCompile(`(\S) {3,}`), "$1  "},
}

// steady is what the household's commands print, without what changes from run to run.
func (h *household) steady(text string) string {
	text = strings.ReplaceAll(text, h.dir, "DIR")
	for _, c := range changing {
		text = c.find.ReplaceAllString(text, c.as)
	}
	return text
}

// other is another inverter than that of the edge: it answers at noon of a day in June.
func (h *household) other(t *testing.T) string {
	t.Helper()
	return startProgram(t, shortDir(t), regexp.MustCompile(`on (127\.0\.0\.1:\d+)`), nil, "simulate", "--listen=127.0.0.1:0", "--tz=UTC", "--date=2026-06-21T12:00")[1]
}

// screens are what a person types in the household.
var screens = []string{
	"token list", "status", "status --check", "token revoke nobody", "site list", "vps aside list roof", "vps pair --device=garage", "vps fingerprint",
	"spool quarantine refused.db", "spool count refused.db", "vps verify backup.db", "vps backup backup.db",
	"token create --role=viewer --device=* --name=reader-PLACE --url=https://solar.example.org",
}

// passing are words of what commands show of a machine that was busy, and do not show when they are typed again: a sample that
// came late, a link that was slow, a reading during which the sun went behind a cloud.
var passing = map[string][]string{
	"status": {"delayed", "stale", "degraded", "broken", "nothing was delivered yet", "nothing has happened yet", " last  "},
	"probe":  {"not answered", "not believed", "no value", "when sun and load are steady"},
}

// printsAsWritten compares what a person sees with testdata/golden/household.*.txt.
func (h *household) printsAsWritten(t *testing.T) {
	as := ""
	for _, at := range places {
		text := h.shown(t, at, screens...)
		compare(t, filepath.Join("testdata/golden", "household."+at.name+".txt"), text, as)
		as = text
	}
}

// shown is what lines print at a place, without what changes from run to run.
func (h *household) shown(t *testing.T, at place, lines ...string) string {
	t.Helper()
	var all strings.Builder
	for _, line := range lines {
		typed := strings.ReplaceAll(line, "PLACE", at.name)
		var text string
		h.until(t, line+" shows what does not pass", func() bool {
			text, _ = at.typed(t, h.dir, h.env(), strings.Fields(typed)...)
			return !slices.ContainsFunc(passing[strings.Fields(line)[0]], func(word string) bool { return strings.Contains(text, word) })
		})
		at.mustBeReadable(t, line, text)
		all.WriteString("$ sunspool " + line + "\n" + h.steady(strings.ReplaceAll(text, "reader-"+at.name, "reader-PLACE")) + "\n")
	}
	return all.String()
}

// Every exit status that the manual names, by a real run that ends with it.
func (h *household) exitsAsDocumented(t *testing.T) {
	first, _ := byProgram.typed(t, h.dir, h.env(), "vps", "pair", "--json", "--url="+h.server)
	if _, exit := byProgram.typed(t, h.dir, h.env(), "vps", "pair", "--json"); exit != 0 {
		t.Fatal("no second code")
	}
	var replaced struct{ Code string }
	if err := json.Unmarshal([]byte(first), &replaced); err != nil {
		t.Fatal(err)
	}
	copied := strings.Fields("vps copy --from=backup.db --to=older")
	if text, exit := inPipe.typed(t, h.dir, h.env(), copied...); exit != 0 {
		t.Fatal(text)
	}
	h.until(t, "a backup has one sample more", func() bool {
		text, _ := inPipe.typed(t, h.dir, h.env(), "vps", "backup", "later.db", "--force")
		before, _ := inPipe.typed(t, h.dir, h.env(), "vps", "verify", "backup.db")
		samples := regexp.MustCompile(`samples: \d+`)
		then, now := samples.FindString(before), samples.FindString(text)
		return then != "" && now != "" && now != then
	})
	for _, c := range []struct {
		exit int
		line string
		says string
	}{
		{0, "status --check", ""},
		{1, "vps verify none.db", "cannot be read"},
		{health.ExitUsage, "stauts", `did you mean "status"?`},
		{health.ExitConfig, "check edge", "SUNGROW_HOST is missing"},
		{health.ExitAuth, "setup --role=edge --no-probe --inverter=192.0.2.7 --yes --server=" + h.server + " --pair=" + replaced.Code, "No such pairing code"},
		{health.ExitUnreachable, "probe 127.0.0.1:1", "refuses connections"},
		{health.ExitUnhealthy, "vps copy --compare --from=later.db --to=older", "roof"},
		{health.ExitBusy, "vps --tls-self", "another sunspool vps holds"},
	} {
		if c.exit == health.ExitAuth && os.Getuid() != 0 {
			t.Log("SKIPPED: only root can set up")
			continue
		}
		text, exit := onTerminal.typed(t, h.dir, h.env(), strings.Fields(c.line)...)
		if c.exit == 0 { // a link may be slow for a moment
			h.until(t, c.line+" exits 0", func() bool {
				text, exit = onTerminal.typed(t, h.dir, h.env(), strings.Fields(c.line)...)
				return exit == 0
			})
		}
		if exit != c.exit || !strings.Contains(text, c.says) {
			t.Errorf("sunspool %s exits %d, want %d:\n%s", c.line, exit, c.exit, text)
		}
	}
}

func TestCommandsOfAHousehold(t *testing.T) {
	h := newHousehold(t)
	t.Run("print what is written", h.printsAsWritten)
	beside := func(claim string, show func(t *testing.T)) {
		t.Run(claim, func(t *testing.T) { t.Parallel(); show(t) })
	}
	beside("print JSON as documented", h.printsAsDocumented)
	beside("exit as documented", h.exitsAsDocumented)
	for _, at := range places { // each at an inverter of its own, which is read every 5 s
		beside("probe as is written: "+at.name, func(t *testing.T) {
			inverter := h.other(t)
			text := strings.ReplaceAll(h.shown(t, at, "probe "+inverter+" --repeat=1"), inverter, "N:N")
			compare(t, filepath.Join("testdata/golden", "household-probe."+at.name+".txt"), text, "")
		})
	}
}
