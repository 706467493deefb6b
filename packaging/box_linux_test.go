package packaging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sunspool/internal/testhost"
	"sunspool/internal/testservices"
)

// box is a Debian with a real systemd as its process 1, in a container with a network of its own that has nothing but a
// loopback. What it writes goes to a folder of the test's; the Debian below stays as it is.
//
//	systemd-nspawn ──> process 1 of the box <── nsenter, to run something in it
type box struct {
	t      *testing.T
	dir    string // up, work and disk: the overlay
	cgroup string
	leader int // process 1, as this machine numbers it
	ended  chan struct{}
}

// boot starts a box of a Debian suite, or skips the test where that cannot be done.
func boot(t *testing.T, suite string) *box {
	t.Helper()
	b := build(t, suite)
	b.start()
	return b
}

// build is a box that was not started yet.
func build(t *testing.T, suite string) *box {
	t.Helper()
	below := debian(t, suite, "systemd", "systemd-sysv", "dbus", "procps", "iproute2", "netbase", "curl", "ca-certificates")
	testservices.Need(t, "systemd-container", "systemd-nspawn")
	dir := testservices.Dir(t, "box")
	b := &box{t: t, dir: dir, cgroup: "sunspool-" + filepath.Base(dir)}
	t.Cleanup(b.remove)
	for _, name := range []string{"up", "work", "disk"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/up,workdir=%s/work", below, dir, dir)
	if err := syscall.Mount("overlay", b.path(""), "overlay", 0, options); err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: no overlay can be mounted here: %v", err)
	}
	return b
}

// path is where this machine sees a file of the box.
func (b *box) path(name string) string { return filepath.Join(b.dir, "disk", name) }

// cgroups are the folders of the box's own control group, one in each hierarchy that a systemd may use. Without one of
// its own it would sort this machine's processes.
func (b *box) cgroups() (all []string) {
	for _, hierarchy := range []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(hierarchy); err == nil {
			all = append(all, filepath.Join(hierarchy, b.cgroup))
		}
	}
	return all
}

// start boots, and waits until systemd has done what there is to do.
func (b *box) start() {
	b.t.Helper()
	console, err := os.OpenFile(filepath.Join(b.dir, "console"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	defer console.Close()
	for _, dir := range b.cgroups() {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.t.Skipf("SKIPPED, NOTHING IS SHOWN: no control group can be made here: %v", err)
		}
	}
	const script = `for dir in $1; do echo $$ >"$dir/cgroup.procs"; done; shift; exec systemd-nspawn "$@"`
	cmd := exec.Command("sh", "-c", script, "box", strings.Join(b.cgroups(), " "), "--quiet", "--directory="+b.path(""),
		"--machine="+b.cgroup, "--boot", "--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off",
		"--timezone=off", "--private-network", "--console=pipe")
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, console, console
	cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	b.ended = make(chan struct{})
	ended := b.ended
	go func() {
		runtime.LockOSThread() // the kernel takes the end of this thread for ours
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		b.t.Fatal(err)
	}
	b.leader = 0
	b.eventually("the box boots", func() error {
		select {
		case <-b.ended:
			text, _ := os.ReadFile(console.Name())
			b.t.Skipf("SKIPPED, NOTHING IS SHOWN: a systemd cannot be booted in a container here:\n%s", text)
		default:
		}
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
		if err != nil || len(strings.Fields(string(children))) == 0 {
			return fmt.Errorf("no process 1 yet: %w", err)
		}
		b.leader, _ = strconv.Atoi(strings.Fields(string(children))[0])
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", b.leader)); err != nil || string(comm) != "systemd\n" {
			return fmt.Errorf("process 1 is %q: %w", comm, err)
		}
		switch out, err := b.try("systemctl", "is-system-running"); strings.TrimSpace(out) {
		case "running", "degraded":
			return nil
		default:
			return fmt.Errorf("it is %q: %w", out, err)
		}
	})
}

// stop powers the box off, in good order.
func (b *box) stop() {
	b.t.Helper()
	syscall.Kill(b.leader, syscall.Signal(34+4)) // SIGRTMIN+4 asks systemd to power off
	select {
	case <-b.ended:
	case <-time.After(testservices.Patience):
		b.t.Errorf("the box does not power off within %v", testservices.Patience)
		syscall.Kill(b.leader, syscall.SIGKILL)
		<-b.ended
	}
}

func (b *box) reboot() {
	b.t.Helper()
	b.stop()
	b.start()
}

func (b *box) remove() {
	if b.ended != nil {
		select {
		case <-b.ended:
		default:
			if b.t.Failed() {
				out, _ := b.try("journalctl", "--no-pager", "-o", "short-monotonic", "-n", "120", "-u", "sunspool-*")
				b.t.Logf("the journal of the box ends with\n%s", out)
			}
			b.stop()
		}
	}
	syscall.Unmount(b.path(""), syscall.MNT_DETACH)
	for _, dir := range b.cgroups() {
		exec.Command("find", dir, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run()
	}
}

// try runs a command in the box and returns what it printed.
func (b *box) try(argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), testservices.Patience)
	defer cancel()
	enter := []string{"--target", strconv.Itoa(b.leader), "--all", "--root", "--wd", "env", "-i",
		"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", "SYSTEMD_PAGER="}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, argv...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// run is try for a command that must succeed.
func (b *box) run(argv ...string) string {
	b.t.Helper()
	out, err := b.try(argv...)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return out
}

// sh runs a line of shell that must succeed.
func (b *box) sh(line string) string {
	b.t.Helper()
	return b.run("sh", "-c", line)
}

// logged is what the journal has, with all that was logged until now.
func (b *box) logged(argv ...string) string {
	b.t.Helper()
	b.run("journalctl", "--sync")
	return b.run(append([]string{"journalctl", "--no-pager"}, argv...)...)
}

// simulates starts a simulated inverter as a unit, and waits until it listens.
func (b *box) simulates(unit, listen string, argv ...string) {
	b.t.Helper()
	b.run(append([]string{"systemd-run", "--quiet", "--collect", "--unit=" + unit, "/usr/bin/sunspool", "simulate", "--listen=" + listen}, argv...)...)
	b.eventually("the simulator listens at "+listen, func() error {
		if said := b.run("ss", "-ltn"); !strings.Contains(said, listen) {
			return errors.New(said)
		}
		return nil
	})
}

// show is a property of a unit.
func (b *box) show(unit, property string) string {
	b.t.Helper()
	return strings.TrimSpace(b.run("systemctl", "show", "--value", "-p", property, unit))
}

// write puts a file into the box.
func (b *box) write(name, text string, mode os.FileMode) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(name)), 0o755); err != nil {
		b.t.Fatal(err)
	}
	testhost.WriteProgram(b.t, b.path(name), []byte(text), mode) // which some are
	if err := os.Chmod(b.path(name), mode); err != nil {
		b.t.Fatal(err)
	}
}

// eventually waits until what returns nil.
func (b *box) eventually(claim string, what func() error) {
	b.t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < testservices.Patience; time.Sleep(50 * time.Millisecond) {
		if err = what(); err == nil {
			return
		}
	}
	b.t.Fatalf("not within %v: %s: %v", testservices.Patience, claim, err)
}

// is waits until a property of a unit has a value.
func (b *box) is(unit, property, want string) {
	b.t.Helper()
	b.eventually(fmt.Sprintf("%s of %s is %q", property, unit, want), func() error {
		if got := b.show(unit, property); got != want {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
}
