package doctor

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sunspool/edge/config"
	"sunspool/edge/report"
	"sunspool/settings"
	"sunspool/systemd"
	"sunspool/vps"
)

// Where the package has its settings.
const (
	settingsDir    = "/etc/sunspool"
	credentialsDir = "/etc/sunspool/credentials"
)

const (
	roleEdge = "edge"
	roleVPS  = "vps"
)

// service is an edge or a vps of this machine, with the settings that its process has.
type service struct {
	role, unit string
	file       string            // with the settings; "" for those of the environment, in a container
	files      []string          // the same, and those that the unit reads besides, in systemd's order: the last has the last word
	state      map[string]string // of the unit, as `systemctl show` has it; nil without systemd
	env        map[string]string
	denied     bool  // this user may not read the settings
	err        error // why the settings cannot be used

	misspelt []settings.Misspelling
	edges    []*edge // of role edge, one for each inverter
	vps      vps.Config
}

// edge is one inverter of a service.
type edge struct {
	config.Config
	service  *service
	token    string
	tokenErr error
	runs     bool // health is that of a process that answers
	health   report.Health
	silence  error // why it is not known
	proxied  bool
}

// name is what a check calls the inverter, where there are several.
func (e *edge) name() string { return e.DeviceID + ": " }

// commandLine is what the settings of both roles are read by.
type commandLine struct {
	Edge config.Config `cmd:"" help:"edge"`
	VPS  vpsSettings   `cmd:"" name:"vps" help:"vps"`
}

type vpsSettings vps.Config // without Validate, which is called for what is run

// services finds the services of this machine.
func (m *Machine) services(ctx context.Context) (all []*service) {
	files, _ := filepath.Glob(m.path(settingsDir + "/edge*.env"))
	slices.Sort(files)
	for _, file := range files {
		switch name := strings.TrimSuffix(filepath.Base(file), ".env"); {
		case name == roleEdge:
			all = append(all, &service{role: roleEdge, unit: "sunspool-edge", file: file})
		case strings.HasPrefix(name, "edge-"):
			all = append(all, &service{role: roleEdge, unit: "sunspool-edge@" + strings.TrimPrefix(name, "edge-"), file: file})
		}
	}
	if file := m.path(settingsDir + "/vps.env"); exists(file) {
		all = append(all, &service{role: roleVPS, unit: "sunspool-vps", file: file})
	}
	if all == nil {
		all = m.ofEnvironment()
	}
	for _, s := range all {
		m.read(ctx, s)
	}
	return all
}

// ofEnvironment are the services of a container, or of who starts them by hand: their settings are in the environment.
func (m *Machine) ofEnvironment() (all []*service) {
	for role, names := range map[string][]string{roleEdge: {"SUNGROW_HOST", "VPS_BASE_URL"}, roleVPS: {"DEVICE_TOKENS", "DEVICE_TOKENS_FILE", "DATABASE_URL"}} {
		if slices.ContainsFunc(m.Environ, func(line string) bool {
			name, value, _ := strings.Cut(line, "=")
			return value != "" && slices.Contains(names, name)
		}) {
			all = append(all, &service{role: role})
		}
	}
	slices.SortFunc(all, func(a, b *service) int { return strings.Compare(a.role, b.role) })
	return all
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// read finds the state and the settings of a service.
func (m *Machine) read(ctx context.Context, s *service) {
	s.env = map[string]string{}
	if s.file == "" {
		s.env = variables(m.Environ)
	} else {
		s.files = []string{s.file}
		m.show(ctx, s)
		for _, file := range s.files {
			set, err := systemd.ReadSettings(file)
			if errors.Is(err, fs.ErrPermission) {
				s.denied = true
				m.askEdges(ctx, s)
				return
			}
			if s.err = err; err != nil {
				return
			}
			maps.Copy(s.env, set)
		}
	}
	credentials, remove := m.credentials(s)
	defer remove()
	if credentials != "" {
		s.env["CREDENTIALS_DIRECTORY"] = credentials
	}
	withEnvironment(s.env, func() { s.parse() })
	m.askEdges(ctx, s)
}

// show asks systemd about the unit, and takes the settings that the unit itself has.
func (m *Machine) show(ctx context.Context, s *service) {
	dir := strings.TrimPrefix(strings.ReplaceAll(s.unit, "@", "-"), "sunspool-")
	if s.role == roleEdge {
		s.env["SPOOL_PATH"], s.env["HEALTH_PATH"], s.env["STATUS_SOCKET"] = "/var/lib/sunspool/"+dir+"/spool.db", "/run/sunspool/"+dir+"/health.json", "/run/sunspool/"+dir+"/edge.sock"
	} else {
		s.env["DATA_DIR"], s.env["ADMIN_SOCKET"] = "/var/lib/sunspool/vps", "/run/sunspool/vps/vps.sock"
	}
	text, err := m.Program(ctx, "systemctl", "show", s.unit, "--timestamp=unix", "--property="+strings.Join(shown, ","))
	if err != nil {
		return
	}
	s.state = map[string]string{}
	var files []string
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case ok && name == "EnvironmentFiles":
			files = append(files, m.environmentFiles(value)...)
		case ok:
			s.state[name] = value
		}
	}
	if files != nil {
		s.files = files
	}
	maps.Copy(s.env, variables(assignments(s.state["Environment"])))
}

// environmentFiles are the files of one EnvironmentFile=, as systemd shows it: a path or a pattern, and whether there may be none.
func (m *Machine) environmentFiles(shown string) []string {
	path, mayMiss := strings.CutSuffix(shown, " (ignore_errors=yes)")
	path = m.path(strings.TrimSuffix(path, " (ignore_errors=no)"))
	if found, _ := filepath.Glob(path); found != nil || mayMiss {
		return found
	}
	return []string{path}
}

// assignments splits what systemd shows of Environment=: words, of which some are quoted as a whole.
func assignments(text string) (all []string) {
	var word strings.Builder
	quoted, escaped := false, false
	for _, r := range text + " " {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case r == ' ' && !quoted:
			if word.Len() > 0 {
				all = append(all, word.String())
			}
			word.Reset()
		default:
			word.WriteRune(r)
		}
	}
	return all
}

func variables(lines []string) map[string]string {
	all := map[string]string{}
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, "="); ok {
			all[name] = value
		}
	}
	return all
}

// credentials makes a directory that has the credentials of the service under the names by which systemd passes them. They are
// links to the files that root wrote: the next start of the service has these.
func (m *Machine) credentials(s *service) (dir string, remove func()) {
	sources := map[string]string{}
	instance := ""
	if _, name, ok := strings.Cut(s.unit, "@"); ok {
		instance = "-" + name
	}
	for _, name := range map[string][]string{roleEdge: {"vps-device-token"}, roleVPS: {"device-tokens", "viewer-tokens"}}[s.role] {
		for _, file := range []string{m.path(credentialsDir + "/" + name + instance), m.path("/run/credentials/" + s.unit + ".service/" + name)} {
			if exists(file) {
				sources[name] = file
				break
			}
		}
	}
	if s.file == "" || len(sources) == 0 {
		return "", func() {}
	}
	dir, err := os.MkdirTemp("", "sunspool-doctor-")
	if err != nil {
		return m.path(credentialsDir), func() {}
	}
	for name, file := range sources {
		_ = os.Symlink(file, filepath.Join(dir, name)) // one that cannot be made is a token that is missing
	}
	return dir, func() { os.RemoveAll(dir) }
}

// withEnvironment calls f with env alone as the environment of this process.
func withEnvironment(env map[string]string, f func()) {
	before := os.Environ()
	defer func() {
		os.Clearenv()
		for name, value := range variables(before) {
			os.Setenv(name, value)
		}
	}()
	os.Clearenv()
	for name, value := range env {
		os.Setenv(name, value)
	}
	f()
}

// parse reads the settings out of the environment, as the service does.
func (s *service) parse() {
	var c commandLine
	line := settings.NewLine("sunspool", "", &c)
	sel, err := line.Parse([]string{s.role})
	s.misspelt = line.Misspelt()
	if err != nil {
		s.err = err
		return
	}
	if s.role == roleVPS {
		s.vps = vps.Config(c.VPS)
		s.vps.Unreadable = sel.Unreadable
		s.err = s.vps.Validate()
		return
	}
	c.Edge.Complete, c.Edge.Unreadable = true, sel.Unreadable
	s.err = c.Edge.Validate()
	each, _ := c.Edge.PerInverter()
	for _, one := range each {
		e := &edge{Config: one, service: s}
		if source, err := one.TokenSource(); err != nil {
			e.tokenErr = err
		} else {
			e.token, e.tokenErr = source.Get()
		}
		if u, err := url.Parse(one.URL); err == nil {
			if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
				e.proxied = true
			}
		}
		s.edges = append(s.edges, e)
	}
}

// askEdges asks the process of each inverter how it is, by its socket.
func (m *Machine) askEdges(ctx context.Context, s *service) {
	if s.role != roleEdge {
		return
	}
	if s.edges == nil { // the settings cannot be read: what everybody may know is in the health file
		s.edges = []*edge{{Config: config.Config{DeviceID: s.unit, HealthPath: s.env["HEALTH_PATH"]}, service: s}}
	}
	for _, e := range s.edges {
		if e.HealthPath == "" {
			continue
		}
		file := m.path(e.HealthPath)
		e.health, e.silence = report.Look(ctx, file, m.Now())
		e.runs = e.silence == nil && (s.state == nil || s.state["ActiveState"] != "inactive" && s.state["ActiveState"] != "failed")
	}
}
