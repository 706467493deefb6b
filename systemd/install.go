package systemd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/kardianos/service"

	"sunspool/health"
)

// Service is a role as a service of a machine that has the program from an archive, not from a package. Where systemd
// manages services it is the package's own unit. Elsewhere (launchd, OpenRC, Windows) the manager runs
// `sunspool service run ROLE`, which takes its settings from the same file.
type Service struct {
	Role     string // edge or vps
	Settings string // text of the file to fill in
	Sysusers string // the system user, for systemd-sysusers
	Out      io.Writer
}

// folders of this kind of machine.
func folders() (settings, state string) {
	switch runtime.GOOS {
	case "windows":
		base := filepath.Join(os.Getenv("ProgramData"), "sunspool")
		return base, base
	case "darwin":
		return "/usr/local/etc/sunspool", "/usr/local/var/sunspool"
	}
	return "/etc/sunspool", "/var/lib/sunspool"
}

func (s Service) settingsFile() string {
	dir, _ := folders()
	return filepath.Join(dir, s.Role+".env")
}

func (s Service) stateDir() string {
	_, dir := folders()
	return filepath.Join(dir, s.Role)
}

// underSystemd reports whether this machine's services are systemd's.
func underSystemd() bool { return service.Platform() == "linux-systemd" }

// Do does what a person asked for: install, uninstall, start, stop, status. The error is a *health.Fault.
func (s Service) Do(action string) error {
	if s.shipped() && (action == "install" || action == "uninstall") {
		return &health.Fault{Code: "packaged", What: "this machine has sunspool from a package, which brings its own service",
			Next: "systemctl enable --now sunspool-" + s.Role + "   # once there is " + s.settingsFile()}
	}
	if os.Geteuid() > 0 && action != "status" {
		return &health.Fault{Code: "not_root", What: "only root can " + action + " a service", Next: "sudo sunspool service " + action + " " + s.Role}
	}
	manager, err := s.manager()
	if err != nil {
		return err
	}
	switch action {
	case "install":
		err = s.install(manager)
	case "uninstall":
		err = s.uninstall(manager)
	case "start":
		err = manager.Start()
	case "stop":
		err = manager.Stop()
	default:
		return s.status(manager)
	}
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*health.Fault](err); ok {
		return f
	}
	return &health.Fault{Code: "service", What: fmt.Sprintf("the service manager (%s) would not %s sunspool-%s", service.Platform(), action, s.Role),
		Err: err, Next: "sunspool service status " + s.Role}
}

// shipped reports whether a package has installed the units.
func (s Service) shipped() bool {
	_, err := os.Stat("/usr/lib/systemd/system/sunspool-" + s.Role + ".service")
	return err == nil
}

// manager is this machine's service manager, for this service.
func (s Service) manager() (service.Service, error) {
	c := &service.Config{
		Name: "sunspool-" + s.Role, DisplayName: "sunspool " + s.Role,
		Description: "sunspool " + s.Role, Arguments: []string{"service", "run", s.Role},
		Option: service.KeyValue{"OnFailure": "restart", "OnFailureDelayDuration": "2s"}, // of Windows
	}
	if underSystemd() {
		path, err := program()
		if err != nil {
			return nil, err
		}
		text, err := unit(s.Role, path)
		if err != nil {
			return nil, err
		}
		c.Option["SystemdScript"] = text
	}
	return service.New(nothing{}, c)
}

// program is the path of this program, if a unit can name it and its sandbox can see it.
func program() (string, error) {
	path, err := os.Executable()
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", err
	}
	if why := unfit(path); why != "" {
		return "", &health.Fault{Code: "misplaced", What: "a service cannot run " + path, Why: why,
			Next: "sudo install " + health.Quote(path) + " /usr/local/bin/sunspool   # then again with that one"}
	}
	return path, nil
}

var plainPath = regexp.MustCompile(`^/[A-Za-z0-9/._+-]+$`)

func unfit(path string) string {
	for _, hidden := range []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"} {
		if strings.HasPrefix(path, hidden) {
			return "its sandbox does not see what is in " + hidden
		}
	}
	if !plainPath.MatchString(path) {
		return "its path has other characters than A-Z a-z 0-9 . _ + -"
	}
	return ""
}

// install puts down the user, the settings to fill in, and the service, which begins with the next start of the machine.
func (s Service) install(manager service.Service) error {
	if underSystemd() {
		sysusers := exec.Command("systemd-sysusers", "-")
		sysusers.Stdin = strings.NewReader(s.Sysusers)
		if out, err := sysusers.CombinedOutput(); err != nil {
			return fmt.Errorf("systemd-sysusers: %w: %s", err, out)
		}
	}
	file := s.settingsFile()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // it will hold a token
	if err == nil {
		_, err = f.WriteString(s.Settings)
		err = errors.Join(err, f.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := manager.Install(); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "Installed as sunspool-%s. Fill in %s, then:\n  sunspool service start %s\n", s.Role, file, s.Role)
	return nil
}

// uninstall leaves settings and data where they are.
func (s Service) uninstall(manager service.Service) error {
	manager.Stop() // it may not be running
	if err := manager.Uninstall(); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "Removed. Kept are %s and %s: delete them if you want neither settings nor samples any more.\n", s.settingsFile(), s.stateDir())
	return nil
}

func (s Service) status(manager service.Service) error {
	state, err := manager.Status()
	switch {
	case err != nil:
		return &health.Fault{Code: "service", Exit: health.ExitUnhealthy, What: "sunspool-" + s.Role + " does not run", Err: err,
			Next: "sudo sunspool service install " + s.Role}
	case state != service.StatusRunning:
		return &health.Fault{Code: "stopped", Exit: health.ExitUnhealthy, What: "sunspool-" + s.Role + " is installed and does not run",
			Next: "sudo sunspool service start " + s.Role + "   # once " + s.settingsFile() + " is filled in"}
	}
	line := "running"
	if underSystemd() {
		if status, err := exec.Command("systemctl", "show", "--value", "-p", "StatusText", "sunspool-"+s.Role).Output(); err == nil {
			line += ": " + strings.TrimSpace(string(status))
		}
	}
	fmt.Fprintln(s.Out, line)
	return nil
}

// Run runs work under the service manager of a machine without systemd, with the settings of the service's file in the
// environment. A service that ends by itself ends the process, so that the manager notices.
func (s Service) Run(work func(ctx context.Context) (exit int)) error {
	if err := s.loadSettings(s.settingsFile()); err != nil {
		return err
	}
	r := &running{work: work}
	manager, err := service.New(r, &service.Config{Name: "sunspool-" + s.Role})
	if err != nil {
		return err
	}
	return manager.Run()
}

// loadSettings puts the settings of a file into the environment, where those that are there already stay.
func (s Service) loadSettings(file string) error {
	set, err := ReadSettings(file)
	if _, wrong := errors.AsType[*health.Fault](err); err != nil && !wrong {
		return &health.Fault{Code: "config_missing", Exit: health.ExitConfig, What: "there are no settings", Err: err,
			Next: "sudo sunspool service install " + s.Role + "   # writes a file to fill in"}
	}
	if err != nil {
		return err
	}
	defaults := map[string]string{"SPOOL_PATH": filepath.Join(s.stateDir(), "spool.db"), "DATA_DIR": s.stateDir()}
	for _, from := range []map[string]string{set, defaults} {
		for name, value := range from {
			if os.Getenv(name) == "" {
				os.Setenv(name, value)
			}
		}
	}
	return nil
}

// ReadSettings reads a settings file of a service. The error is a *health.Fault unless the file cannot be read.
func ReadSettings(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all, err := ParseSettings(string(text))
	if err != nil {
		return nil, &health.Fault{Code: "config_invalid", Exit: health.ExitConfig, What: "the settings in " + file + " cannot be read", Err: err,
			Next: "each line is NAME=value or a comment that begins with #"}
	}
	set := map[string]string{}
	for _, one := range all {
		set[one.Name] = one.Value
	}
	return set, nil
}

// running is a service at work.
type running struct {
	work func(ctx context.Context) (exit int)
	stop context.CancelFunc
	done chan struct{}
}

func (r *running) Start(service.Service) error {
	ctx, stop := context.WithCancel(context.Background())
	r.stop, r.done = stop, make(chan struct{})
	go func() {
		exit := r.work(ctx)
		if ctx.Err() == nil { // it was not asked to end
			os.Exit(exit)
		}
		close(r.done)
	}()
	return nil
}

func (r *running) Stop(service.Service) error {
	r.stop()
	<-r.done
	return nil
}

// nothing takes the place of the work where a service is only installed, started or stopped.
type nothing struct{}

func (nothing) Start(service.Service) error { return nil }
func (nothing) Stop(service.Service) error  { return nil }
