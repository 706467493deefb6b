package packaging

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sunspool/internal/testservices"
)

// engine is a Docker engine of the test's own. It sees no network but its own loopback and bridges, and none of the
// machine's containers; its images and volumes are in a folder that goes with the test.
type engine struct {
	t     testing.TB
	dir   string
	pid   int      // of the first process in its namespaces: all others end with that one
	env   []string // of the docker command
	ended chan struct{}
}

// first is the first process of an engine, which has namespaces for its network, its mounts and its processes. Not even
// what it leaves in /run is seen from outside.
const first = `set -e
mount --make-rprivate /
mount -t proc proc /proc
for dir in /run/containerd /run/docker; do
	mkdir -p $dir
	mount -t tmpfs tmpfs $dir
done
ip link set lo up
exec docker-init -- dockerd "$@"`

// startEngine starts an engine that ends with the test, or with the test binary, however that ends.
func startEngine(t testing.TB) *engine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED, NOTHING IS SHOWN: only root can start a Docker engine")
	}
	testservices.Need(t, "docker.io", "dockerd")
	testservices.Need(t, "docker.io", "docker")
	testservices.Need(t, "docker.io", "docker-init")
	testservices.Need(t, "iptables", "iptables")
	testservices.Need(t, "iproute2", "ip")

	e := &engine{t: t, dir: testservices.Dir(t, "engine"), ended: make(chan struct{})}
	socket := "unix://" + filepath.Join(e.dir, "sock")
	e.env = append(os.Environ(), "DOCKER_HOST="+socket, "DOCKER_CONFIG="+e.plugins(), "DOCKER_BUILDKIT=1", "BUILDKIT_PROGRESS=plain")
	config := filepath.Join(e.dir, "daemon.json") // else the machine's own is read
	if err := os.WriteFile(config, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(e.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()

	cmd := exec.Command("sh", "-c", first, "dockerd", "--config-file", config, "--data-root", filepath.Join(e.dir, "data"),
		"--exec-root", filepath.Join(e.dir, "exec"), "--pidfile", filepath.Join(e.dir, "pid"), "--host", socket,
		"--cgroup-parent", "/"+filepath.Base(e.dir), "--oom-score-adjust", "0")
	cmd.Dir, cmd.Stdout, cmd.Stderr = e.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // its end is the parent's death to the kernel
		started <- cmd.Start()
		cmd.Wait()
		close(e.ended)
	}()
	if err := <-started; err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: no namespaces for a Docker engine: %v", err)
	}
	e.pid = cmd.Process.Pid
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-e.ended
		if t.Failed() {
			t.Logf("the engine said last:\n%s", e.log())
		}
		removeGroups()
	})
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		_, err := e.try("version")
		if err == nil {
			break
		}
		select {
		case <-e.ended:
			t.Skipf("SKIPPED, NOTHING IS SHOWN: no Docker engine can run here:\n%s", e.log())
		default:
		}
		if time.Since(began) > testservices.Patience {
			t.Fatalf("the Docker engine does not answer: %v", err)
		}
	}
	return e
}

// of is the same engine for a part of the test.
func (e *engine) of(t testing.TB) *engine {
	part := *e
	part.t = t
	return &part
}

// plugins returns a folder with the plugins of the docker command that a new one needs to build and to compose. The
// Debian that has the engine may have none, or one that is too old for our files.
func (e *engine) plugins() string {
	e.t.Helper()
	from := filepath.Join(unpacked(e.t, "trixie", "docker-buildx", "docker-compose"), "usr/libexec/docker/cli-plugins")
	config := filepath.Join(e.dir, "config")
	if err := os.Mkdir(config, 0o755); err != nil {
		e.t.Fatal(err)
	}
	if err := os.Symlink(from, filepath.Join(config, "cli-plugins")); err != nil {
		e.t.Fatal(err)
	}
	return config
}

// removeGroups removes the control groups that engines leave when they are killed. The kernel keeps those that are in use.
func removeGroups() {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		for _, group := range []string{"/engine-*/*", "/engine-*"} {
			dirs, _ := filepath.Glob(root + group)
			for _, dir := range dirs {
				syscall.Rmdir(dir)
			}
		}
	}
}

func (e *engine) log() string {
	text, err := os.ReadFile(filepath.Join(e.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-3000):])
}

// command is docker with args, to be run with this engine.
func (e *engine) command(args ...string) *exec.Cmd {
	cmd := exec.Command("docker", args...)
	cmd.Env = e.env
	return cmd
}

// try runs docker with args and returns what it prints.
func (e *engine) try(args ...string) (string, error) { return output(e.command(args...)) }

// docker is try where an error is the test's end.
func (e *engine) docker(args ...string) string {
	e.t.Helper()
	out, err := e.try(args...)
	if err != nil {
		e.t.Fatal(err)
	}
	return out
}

// output runs cmd and returns what it prints on stdout; the error has the rest.
func output(cmd *exec.Cmd) (string, error) {
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		said := complaints.String()
		return string(out), fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, said[max(0, len(said)-3000):])
	}
	return strings.TrimSpace(string(out)), nil
}

// inspect is one field of a container, such as .State.Health.Status.
func (e *engine) inspect(container, field string) string {
	e.t.Helper()
	return e.docker("inspect", "--format", "{{"+field+"}}", container)
}

// awaitHealth waits until a container is what its health check is to call it.
func (e *engine) awaitHealth(container, want string) time.Duration {
	e.t.Helper()
	return e.await(container+" is "+want, func() error {
		if got := e.inspect(container, ".State.Health.Status"); got != want {
			said := e.inspect(container, "range .State.Health.Log}}{{.Output}}{{end")
			return fmt.Errorf("it is %s: %s", got, said[max(0, len(said)-500):])
		}
		return nil
	})
}

// await waits until done returns nil and returns how long that took.
func (e *engine) await(what string, done func() error) time.Duration {
	e.t.Helper()
	for began := time.Now(); ; time.Sleep(250 * time.Millisecond) {
		err := done()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > testservices.Patience {
			e.t.Fatalf("not so after %v: %s: %v", testservices.Patience, what, err)
		}
	}
}

// process is the folder in /proc of a container's first process, seen from here.
func (e *engine) process(container string) string {
	e.t.Helper()
	return fmt.Sprintf("/proc/%d/root/proc/%s", e.pid, e.inspect(container, ".State.Pid"))
}

// volume is the folder of a volume.
func (e *engine) volume(name string) string {
	return filepath.Join(e.dir, "data", "volumes", name, "_data")
}

// dial connects from inside the engine's network, where published ports are those of localhost.
func (e *engine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	dialled := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlock it: the thread, which is in another network now, ends with this function
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", e.pid))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			dialled <- result{err: fmt.Errorf("enter the engine's network: %w", err)}
			return
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil || host != "localhost" {
			dialled <- result{err: errors.Join(err, fmt.Errorf("only localhost is in the engine's network, not %s", address))}
			return
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port)) // one address: this very thread connects
		dialled <- result{conn, err}
	}()
	r := <-dialled
	return r.conn, r.err
}
