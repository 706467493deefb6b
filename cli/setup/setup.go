// Package setup makes a machine an edge, a server, or both: it asks what it needs, shows what it would change, writes the settings
// and starts the services. Run again it changes what was asked and nothing else.
//
//	flags, questions ──> plan: files, before and after ──> shown ──> yes ──> written, each whole ──> units ──> first sample
package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sunspool/edge/probe"
	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/internal/durable"
	"sunspool/packaging"
)

// Config is the command line of `sunspool setup`. What is missing is asked, on a terminal.
type Config struct {
	Role      string `enum:"edge,server,all" placeholder:"ROLE" help:"edge beside the inverter, server that stores and shows, or all on this machine: ${enum}."`
	Inverter  string `placeholder:"HOST" help:"Inverter or its dongle: HOST or HOST:PORT."`
	Scan      string `placeholder:"CIDR" help:"Without --inverter: look for it in this network, such as 192.168.1.0/24, as sunspool probe --scan does."`
	Unit      int    `default:"0" help:"Modbus unit id; default: what is set, else 1."`
	Server    string `placeholder:"URL" help:"The server, as https://solar.example.org. Of role all only if it is not the address that the server's settings show."`
	Pair      string `placeholder:"CODE" help:"Code of sunspool vps pair on the server: token and fingerprint then come by themselves."`
	TokenFile string `placeholder:"FILE" help:"A file with the device token, if there is no code; - for standard input."`
	Device    string `placeholder:"NAME" help:"Name of the inverter on the server. Default: that of the code, or inverter."`
	TZ        string `name:"tz" placeholder:"ZONE" help:"Time zone of the house, such as Europe/Brussels. Default: what is set, else that of this machine."`
	NoProbe   bool   `name:"no-probe" help:"Do not look at the inverter first."`
	Yes       bool   `short:"y" help:"Ask nothing: what is missing is an error."`
	Print     bool   `help:"Print what would be changed, and change nothing."`
}

// The roles.
const (
	roleEdge   = "edge"
	roleServer = "server"
	roleAll    = "all"
)

// Setup is one run.
type Setup struct {
	Version  string
	In       io.Reader
	Out      io.Writer
	Terminal bool // a person is at In and reads Out
	Style    checklist.Style

	Root     string                // before all paths; "" but in tests
	System   System                // nil is this machine
	Search   probe.Search          // for the inverter
	Networks func() []netip.Prefix // that may be looked through; nil is those of this machine

	cfg    Config
	read   func() (line string, ok bool) // what a person types
	plan   []change
	looked string // address of the inverter that was shown
	failed string // address that was named and did not answer
	moved  bool   // the edge has delivered to another server until now
}

// change is a file that is to be written.
type change struct {
	path          string
	before, after string
	mode          os.FileMode
	secret        bool
}

const homePort = "8443"

// Do sets up what cfg says.
func (s *Setup) Do(ctx context.Context, cfg Config) error {
	s.cfg, s.read = cfg, s.reader(ctx)
	if s.System == nil {
		s.System = thisMachine{}
	}
	if os.Geteuid() != 0 && s.Root == "" && !cfg.Print {
		return &health.Fault{Code: "not_root", Exit: health.ExitUsage, What: "setup writes to /etc/sunspool and starts services", Why: "this user is not root", Next: "sudo sunspool setup"}
	}
	role, err := s.choose("This machine is: edge (beside the inverter), server, or all (both)", "--role", cfg.Role, s.roleNow(), roleEdge, roleServer, roleAll)
	if err != nil {
		return err
	}
	if role != roleEdge { // first: its settings show where the edge of this machine delivers to
		if err := s.planServer(role); err != nil {
			return err
		}
	}
	if role != roleServer {
		if err := s.planEdge(ctx, role); err != nil {
			return err
		}
	}
	changed := s.show()
	if cfg.Print {
		return nil
	}
	if changed {
		if ok, err := s.confirm("Write this?"); err != nil || !ok {
			return cmp.Or(err, error(&health.Fault{Code: "interrupted", Exit: health.ExitInterrupted, What: "nothing was changed", Next: "sudo sunspool setup"}))
		}
	}
	for _, c := range s.plan { // before a code is used up
		if err := s.unchanged(c); err != nil {
			return err
		}
	}
	if role != roleEdge {
		if err := s.startServer(ctx); err != nil {
			return err
		}
	}
	if role != roleServer {
		if err := s.startEdge(ctx, role); err != nil {
			return err
		}
	}
	fmt.Fprintln(s.Out, "\nNext: sudo sunspool status")
	return nil
}

// roleNow is the role that this machine has already, "" for none.
func (s *Setup) roleNow() string {
	edge, server := s.exists(edgeEnv), s.exists(vpsEnv)
	switch {
	case edge && server:
		return roleAll
	case edge:
		return roleEdge
	case server:
		return roleServer
	}
	return ""
}

// Configured reports whether a machine has settings of an edge or a server. root is before all paths. The error is that this user
// may not see it.
func Configured(root string) (bool, error) {
	for _, pattern := range []string{edgeEnv, vpsEnv, furtherEdges} {
		path := filepath.Join(root, pattern)
		if _, err := os.Stat(path); err == nil {
			return true, nil
		} else if errors.Is(err, fs.ErrPermission) {
			return false, err
		}
		if files, _ := filepath.Glob(path); len(files) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// changes reports whether the plan changes a file.
func (s *Setup) changes(path string) bool {
	return slices.ContainsFunc(s.plan, func(c change) bool { return c.path == path && c.before != c.after })
}

func (s *Setup) path(name string) string { return filepath.Join(s.Root, name) }

func (s *Setup) exists(name string) bool {
	_, err := os.Stat(s.path(name))
	return err == nil
}

// env returns the settings file of a role: the one that is there, else the template of the package.
func (s *Setup) env(name, role string) (*envFile, string, error) {
	text, err := os.ReadFile(s.path(name))
	before := string(text)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = []byte(packaging.Env(role)), nil
	}
	if err != nil {
		return nil, "", &health.Fault{Code: "file_not_read", What: "the settings in " + name + " cannot be read", Err: err, Next: "ls -l " + health.Quote(name)}
	}
	f, err := parseEnv(string(text))
	if err != nil {
		return nil, "", &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: "the settings in " + name + " cannot be changed", Why: err.Error(),
			Next: "mend that file, or set it aside and run `sudo sunspool setup` again"}
	}
	return f, before, nil
}

// show prints the plan as it differs from what is there, and reports whether it does.
func (s *Setup) show() (changed bool) {
	for _, c := range s.plan {
		if c.before == c.after {
			continue
		}
		changed = true
		fmt.Fprintf(s.Out, "\n%s\n", c.path)
		if c.secret {
			fmt.Fprintln(s.Out, "  + (a token, not shown)")
			continue
		}
		for _, line := range difference(c.before, c.after, isSecret) {
			if line = strings.TrimRight(line, " "); line[2:] != "" && !strings.HasPrefix(line[2:], "#") {
				fmt.Fprintln(s.Out, "  "+line)
			}
		}
	}
	if s.cfg.Pair != "" && !changed {
		fmt.Fprintf(s.Out, "\n%s\n  + (a token and what else the code brings)\n", tokenFile)
		return true
	}
	if !changed {
		fmt.Fprintln(s.Out, "\nThe settings are as they should be.")
	}
	return changed
}

func isSecret(line string) bool {
	name, value, _ := strings.Cut(line, "=")
	return value != "" && value != "store" && (strings.Contains(name, "TOKEN") && !strings.HasSuffix(name, "_FILE") || strings.Contains(name, "PROXY") || strings.HasSuffix(name, "_URL") && strings.Contains(value, "@"))
}

// write writes the planned files of which the path begins so, each whole or not at all.
func (s *Setup) write(which func(path string) bool) error {
	for _, c := range s.plan {
		if c.before == c.after || !which(c.path) {
			continue
		}
		if err := s.unchanged(c); err != nil {
			return err
		}
		path := s.path(c.path)
		if to, err := filepath.EvalSymlinks(path); err == nil {
			path = to // a link of the owner stays one
		}
		mode := os.FileMode(0o755)
		if c.secret {
			mode = 0o700
		}
		err := os.MkdirAll(filepath.Dir(path), mode)
		if err == nil {
			err = durable.Replace(path, []byte(c.after), c.mode, true)
		}
		if err != nil {
			return &health.Fault{Code: "file_not_written", What: "the file " + c.path + " was not written", Err: err, Next: "make room on the disk, or let root write there; then run `sudo sunspool setup` again: what was written stays as it is"}
		}
	}
	return nil
}

// unchanged returns an error if a file is no longer as it was when the plan was made, and shown.
func (s *Setup) unchanged(c change) error {
	text, err := os.ReadFile(s.path(c.path))
	if string(text) == c.before && (err == nil || errors.Is(err, fs.ErrNotExist)) {
		return nil
	}
	return &health.Fault{Code: "file_changed", What: "the file " + c.path + " is not as it was when setup read it", Why: "another setup, or an editor, has written it since then; it was left as it is", Err: err, Next: "sudo sunspool setup"}
}

// units makes systemd start a unit with what was written, or says how; it reports whether it was started.
func (s *Setup) units(ctx context.Context, unit string) (started bool, err error) {
	for _, args := range [][]string{{"daemon-reload"}, {"enable", unit}, {"restart", unit}} {
		there, err := s.System.Systemctl(ctx, args...)
		if err != nil {
			return false, err
		}
		if !there {
			fmt.Fprintf(s.Out, "There is no systemd here: start it yourself, with the settings of /etc/sunspool: sunspool %s\n", strings.TrimPrefix(unit, "sunspool-"))
			return false, nil
		}
	}
	fmt.Fprintf(s.Out, "Started %s.\n", unit)
	return true, nil
}
