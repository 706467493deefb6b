package vps

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"sunspool/health"
	"sunspool/internal/localsocket"
	"sunspool/vps/request"
	"sunspool/wire"
)

const (
	socketFile = "vps.sock" // in DATA_DIR

	// packageSocket is where the package's unit has the socket: its DATA_DIR is not that of who types a command.
	packageSocket = "/run/sunspool/vps/" + socketFile
)

// listenMachine opens the socket for the operator. The server works without one, so where there can be none, because its path
// is too long or beside a DATABASE_URL there is no DATA_DIR, that is a line of the log.
func (c *Config) listenMachine(log *slog.Logger) net.Listener {
	path, err := cmp.Or(c.AdminSocket, filepath.Join(c.DataDir, socketFile)), error(nil)
	if c.AdminSocket == "" {
		_, err = os.Stat(c.DataDir) // it is not made for that
	}
	var l net.Listener
	if err == nil {
		l, err = localsocket.Listen(path, 0o600)
	}
	if err != nil {
		log.Warn("no socket for `sunspool token` and `sunspool site`: set ADMIN_SOCKET to a file that can be made", "path", path, "error", err.Error())
		return nil
	}
	return localsocket.OwnUser(l)
}

// MachineConfig is where the vps of this machine has its socket.
type MachineConfig struct {
	DataDir     string `name:"data-dir" env:"DATA_DIR" default:"/data" placeholder:"DIR" help:"DATA_DIR of the vps, which has the socket unless ADMIN_SOCKET names another."`
	AdminSocket string `name:"admin-socket" env:"ADMIN_SOCKET" placeholder:"FILE" help:"Socket of the vps. Default: vps.sock in DATA_DIR, else that of the package's vps."`
}

// sockets are where the vps of this machine may have its socket.
func (m MachineConfig) sockets() []string {
	if m.AdminSocket != "" {
		return []string{m.AdminSocket}
	}
	return []string{filepath.Join(m.DataDir, socketFile), packageSocket}
}

// ask asks the vps that answers at the first of the sockets about what only the operator may.
func (m MachineConfig) ask(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*request.StoreTimeout)
	defer cancel()
	var text io.Reader
	if body != nil {
		text = bytes.NewReader(request.ToJSON(body))
	}
	answer, err := m.begin(ctx, method, path, text)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return fmt.Errorf("read the answer of the vps: %w", err)
	}
	return nil
}

// Get asks the vps of this machine. The answer is a 200, and its body is to be closed; the error is a *health.Fault.
func (m MachineConfig) Get(ctx context.Context, path string) (*http.Response, error) {
	return m.begin(ctx, http.MethodGet, path, nil)
}

// begin is ask that leaves it to its caller to read the answer, which is a 200.
func (m MachineConfig) begin(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	conn, err := m.connect(ctx)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, body)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}).Do(r)
	if err != nil {
		conn.Close()
		return nil, noServer("it hung up without an answer, as it does to other users than root and its own: "+err.Error(), true)
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		return nil, RefusedBy(answer, path)
	}
	return answer, nil
}

func (m MachineConfig) connect(ctx context.Context) (net.Conn, error) {
	var why []string
	denied := false
	for _, socket := range m.sockets() {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err == nil {
			return conn, nil
		}
		denied = denied || errors.Is(err, fs.ErrPermission)
		why = append(why, err.Error())
	}
	return nil, noServer(strings.Join(why, "; "), denied)
}

func noServer(why string, denied bool) error {
	fault := &health.Fault{Code: "no_server", Exit: health.ExitUnreachable, What: "no vps of this machine answers", Why: why,
		Next: "start the vps, or name its socket: ADMIN_SOCKET, or DATA_DIR as the vps has it"}
	if denied {
		fault.Next = "do it as root, or as the user of the vps"
	}
	return fault
}

// RefusedBy is what a vps answered that is not a 200.
func RefusedBy(answer *http.Response, path string) *health.Fault {
	help := "sunspool token create --help"
	switch {
	case strings.HasPrefix(path, wire.SitesPath):
		help = "sunspool site set --help"
	case strings.HasPrefix(path, wire.ExportPath), strings.HasPrefix(path, wire.EnergyPath):
		help = "sunspool export --help"
	}
	var p struct {
		Detail any
		Next   string
	}
	_ = json.NewDecoder(answer.Body).Decode(&p) // without one the status is all there is
	fault := &health.Fault{Code: "vps_refused", What: "the vps did not do it", Why: answer.Status, Next: p.Next}
	switch detail := p.Detail.(type) {
	case string:
		fault.Why = detail
	case []any:
		for _, one := range detail[:min(len(detail), 1)] {
			if first, ok := one.(map[string]any); ok {
				fault.Why = placeOf(first["loc"]) + " " + fmt.Sprint(first["msg"])
			}
		}
		fault.Exit, fault.Next = health.ExitUsage, help
	}
	if answer.StatusCode == http.StatusServiceUnavailable && p.Next == "" {
		fault.Next = "see the log of the vps, and try again when /ready is 200"
	}
	return fault
}

// asRefused returns the fault of a vps that answers and does not do it, nil if err is another.
func asRefused(err error) *health.Fault {
	if f, ok := errors.AsType[*health.Fault](err); ok && f.Code == "vps_refused" {
		return f
	}
	return nil
}

// placeOf is the last part of where something is wrong.
func placeOf(loc any) string {
	if parts, ok := loc.([]any); ok && len(parts) > 1 {
		return fmt.Sprint(parts[len(parts)-1])
	}
	return "the request"
}
