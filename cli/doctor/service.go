package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sunspool/health"
	"sunspool/internal/durable"
)

// shown are the properties of a unit that are asked for.
var shown = []string{"LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "MainPID", "User", "UnitFileState", "NeedDaemonReload",
	"Environment", "EnvironmentFiles", "ActiveEnterTimestamp", "IPAddressAllow", "IPAddressDeny", "AmbientCapabilities"}

// service looks at the units: whether they run, and whether their sandbox and their user can do what the settings ask for.
func (e *examination) service(ctx context.Context) (all []Check) {
	for _, s := range e.services {
		if s.file == "" {
			all = append(all, skip(areaService, "the "+s.role+" has its settings of the environment: what starts it is not looked at", ""))
			continue
		}
		var unit, causes []Check
		if s.state == nil {
			unit = []Check{skip(areaService, "there is no systemd that could be asked about "+s.unit, "sunspool service status "+s.role)}
		} else {
			unit = e.unit(ctx, s)
		}
		if !s.denied && s.err == nil {
			causes = append(e.sandbox(ctx, s), e.owners(s)...)
		}
		if slices.ContainsFunc(causes, Check.fails) { // which explains why the unit does not run
			unit, causes = causes, unit
		}
		all = append(append(all, unit...), causes...)
	}
	return all
}

// unit says whether a unit runs, and why not.
func (e *examination) unit(ctx context.Context, s *service) (all []Check) {
	started := since(s.state["ActiveEnterTimestamp"])
	switch active := s.state["ActiveState"]; {
	case s.state["LoadState"] == "not-found":
		return []Check{fail(areaService, &health.Fault{Code: "no_unit", What: "there is no unit " + s.unit, Why: "there are settings for it in " + s.where(), Next: "sudo sunspool service install " + s.role})}
	case s.state["LoadState"] == "masked":
		return []Check{fail(areaService, &health.Fault{Code: "unit_masked", What: s.unit + " is masked: nothing may start it", Next: "sudo systemctl unmask " + health.Quote(s.unit)})}
	case active == "failed":
		f := &health.Fault{Code: "unit_failed", Exit: health.ExitUnreachable, What: fmt.Sprintf("%s has failed (%s, exit status %s)", s.unit, s.state["Result"], s.state["ExecMainStatus"]), Next: "sudo systemctl restart " + health.Quote(s.unit)}
		all = append(all, e.explained(ctx, s, f))
	case active == "activating" && s.state["SubState"] == "auto-restart" || active == "activating" && atLeast(s.state["NRestarts"], 3):
		f := &health.Fault{Code: "unit_restarts", Exit: health.ExitUnreachable, What: fmt.Sprintf("%s ends and is started again, %s times until now (exit status %s)", s.unit, s.state["NRestarts"], s.state["ExecMainStatus"]), Next: "sudo journalctl -u " + health.Quote(s.unit) + " -n 30"}
		all = append(all, e.explained(ctx, s, f))
	case active == "activating" || active == "reloading":
		all = append(all, warn(areaService, &health.Fault{Code: "unit_starting", What: s.unit + " is just starting", Next: "sudo systemctl status " + health.Quote(s.unit)}))
	case active != "active":
		all = append(all, fail(areaService, &health.Fault{Code: "unit_stopped", Exit: health.ExitUnreachable, What: s.unit + " does not run", Why: "it was stopped, or never started", Next: "sudo systemctl enable --now " + health.Quote(s.unit)}))
	default:
		all = append(all, pass(areaService, "%s runs, for %s now", s.unit, health.Span(e.Now().Sub(started))))
		all = append(all, e.outdated(s, started)...)
	}
	if s.state["UnitFileState"] == "disabled" && s.state["ActiveState"] == "active" {
		all = append(all, warn(areaService, &health.Fault{Code: "unit_disabled", What: s.unit + " does not start with this machine", Next: "sudo systemctl enable " + health.Quote(s.unit)}))
	}
	if s.state["NeedDaemonReload"] == "yes" {
		all = append(all, warn(areaService, &health.Fault{Code: "unit_changed", What: "the unit " + s.unit + " was changed, and systemd has the one before", Next: "sudo systemctl daemon-reload   # and then: sudo systemctl restart " + health.Quote(s.unit)}))
	}
	return all
}

func atLeast(text string, n int) bool {
	number, err := strconv.Atoi(text)
	return err == nil && number >= n
}

// since reads a time as systemd prints it with --timestamp=unix.
func since(text string) time.Time {
	n, err := strconv.ParseInt(strings.TrimPrefix(text, "@"), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// explained adds what the service itself said last, which it does in one line.
func (e *examination) explained(ctx context.Context, s *service, f *health.Fault) Check {
	c := fail(areaService, f)
	text, err := e.Program(ctx, "journalctl", "--unit="+s.unit, "--lines=60", "--output=cat", "--no-pager")
	if err != nil {
		return c
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Reverse(lines)
	for _, line := range lines {
		var said struct{ Level, Msg, Why, Error, Next, Code string }
		if json.Unmarshal([]byte(line), &said) != nil || said.Level != "ERROR" {
			continue
		}
		c.Why = join(said.Msg, cmp.Or(said.Why, said.Error))
		if said.Next != "" {
			c.Next = said.Next
		}
		break
	}
	return c
}

// outdated says what changed since the service read it.
func (e *examination) outdated(s *service, started time.Time) []Check {
	var newer []string
	credential := e.path(credentialsDir + "/vps-device-token")
	if _, name, ok := strings.Cut(s.unit, "@"); ok {
		credential += "-" + name
	}
	files := slices.Clone(s.files)
	if s.role == roleEdge {
		files = append(files, credential)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.ModTime().After(started.Add(time.Second)) && !started.IsZero() {
			newer = append(newer, filepath.Base(file))
		}
	}
	if newer == nil {
		return nil
	}
	return []Check{warn(areaService, &health.Fault{Code: "settings_newer", What: strings.Join(newer, " and ") + " changed after " + s.unit + " started, which still has what was there before",
		Next: "sudo systemctl restart " + health.Quote(s.unit)})}
}

// owners says whether the user of the service may write where it has to, and read what its settings name.
func (e *examination) owners(s *service) (all []Check) {
	who, err := user.Lookup(s.state["User"])
	if err != nil {
		return nil
	}
	uid, err := strconv.Atoi(who.Uid)
	if err != nil || uid == 0 {
		return nil
	}
	var written, read []string
	if s.role == roleVPS {
		read = []string{s.vps.TLSCertFile, s.vps.TLSKeyFile, s.vps.DeviceTokensFile, s.vps.ViewerTokensFile, s.vps.TariffFile}
		if s.vps.DatabaseURL == "" {
			written = append(filesIn(s.vps.DataDir), s.vps.DataDir)
		}
	}
	for _, one := range s.edges {
		written = append(written, filepath.Dir(one.SpoolPath), one.SpoolPath, one.SpoolPath+".lock")
		read = append(read, one.TokenFile, one.CAFile, one.RegisterMap)
	}
	for i, path := range append(written, read...) {
		info, err := os.Stat(path)
		if path == "" || err != nil {
			continue
		}
		owner, known := durable.OwnerOf(info)
		own, others := os.FileMode(0o200), os.FileMode(0o022)
		what := "write"
		if i >= len(written) {
			own, others, what = 0o400, 0o044, "read"
		}
		if !known || owner == uid && info.Mode()&own != 0 || owner != uid && info.Mode()&others != 0 {
			continue
		}
		all = append(all, fail(areaService, &health.Fault{Code: "not_permitted", What: fmt.Sprintf("%s runs as %s, which may not %s %s", s.unit, who.Username, what, path), Why: fmt.Sprintf("it belongs to user %d and has mode %04o", owner, info.Mode().Perm()),
			Next: "sudo chown -R " + health.Quote(who.Username) + " " + health.Quote(path)}))
		break
	}
	return all
}

// filesIn are the files of a store.
func filesIn(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "*.db"))
	return files
}
