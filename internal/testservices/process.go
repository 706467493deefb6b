//go:build unix

package testservices

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a server that can be started again. Its methods are for one goroutine at a time; they report a failure as
// the test's error and go on, so that any goroutine may call them.
type process struct {
	t    testing.TB
	name string
	argv []string
	env  []string // beside this process's
	dir  string   // its current directory: the log is here, and the guard knows it by that
	user *syscall.Credential
	quit syscall.Signal // how it ends in good order
	last syscall.Signal // sent by the kernel when this process dies
	// answers asks whether it serves.
	answers func() error

	cmd    *exec.Cmd
	ended  chan struct{} // closed after Wait
	paused bool
}

// starter runs what it is given on one thread that never ends: the kernel takes the death of the thread that started a
// process for the death of its parent.
var starter = sync.OnceValue(func() chan<- func() {
	calls := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range calls {
			f()
		}
	}()
	return calls
})

// Start starts the server where it was before and waits until it answers.
func (p *process) Start() {
	p.t.Helper()
	if err := p.start(); err != nil {
		p.t.Errorf("%v\n%s", err, p.tail())
	}
}

func (p *process) start() error {
	if p.running() {
		return fmt.Errorf("%s runs already", p.name)
	}
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.Env = append(os.Environ(), p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.user, Setpgid: true}
	atDeathOfParent(cmd.SysProcAttr, p.last)
	started := make(chan error)
	starter() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.ended, p.paused = cmd, make(chan struct{}), false
	ended := p.ended
	go func() { cmd.Wait(); close(ended) }()

	timeout := time.After(Patience)
	for {
		err := p.answers()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended at its start: %v", p.name, cmd.ProcessState)
		case <-timeout:
			p.Kill()
			return fmt.Errorf("%s does not answer after %v: %w", p.name, Patience, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server in good order and waits for it.
func (p *process) Stop() {
	p.t.Helper()
	if !p.running() {
		return
	}
	p.Resume()
	p.cmd.Process.Signal(p.quit)
	select {
	case <-p.ended:
	case <-time.After(Patience):
		p.t.Errorf("%s does not stop within %v\n%s", p.name, Patience, p.tail())
		p.Kill()
	}
}

// Kill ends the server and its children with -9, like a crash, and waits until all are gone.
func (p *process) Kill() {
	p.t.Helper()
	if !p.running() {
		return
	}
	pids := p.freeze()
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	<-p.ended
	p.paused = false
	for _, pid := range pids[1:] {
		for began := time.Now(); parent(pid) != 0; time.Sleep(5 * time.Millisecond) {
			if time.Since(began) > Patience {
				p.t.Errorf("%s: its process %d survives kill -9", p.name, pid)
				return
			}
		}
	}
}

// Pause stops the server and its children in their tracks: it takes connections, as far as the kernel does that for it,
// and answers nothing.
func (p *process) Pause() {
	p.t.Helper()
	if !p.running() {
		p.t.Errorf("%s is to pause but does not run\n%s", p.name, p.tail())
		return
	}
	p.freeze()
	p.paused = true
}

// Resume lets what Pause stopped go on.
func (p *process) Resume() {
	if !p.paused || !p.running() {
		return
	}
	for _, pid := range p.family() {
		syscall.Kill(pid, syscall.SIGCONT)
	}
	p.paused = false
}

// PID is the server's process id while it runs.
func (p *process) PID() int { return p.cmd.Process.Pid }

func (p *process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// freeze stops the server first, so that it starts no further child, then its children, and returns all of them. Each stands
// still when it returns: a signal that is sent is not yet received, and on a busy machine the server may just be about to fork.
func (p *process) freeze() []int {
	stop(p.cmd.Process.Pid)
	pids := p.family()
	stop(pids[1:]...)
	return pids
}

// stop stops processes and waits until they stand still or are no more.
func stop(pids ...int) {
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGSTOP)
	}
	for _, pid := range pids {
		for began := time.Now(); time.Since(began) < Patience; time.Sleep(time.Millisecond) {
			if state := status(pid)[0]; state == "" || strings.Contains("TtZX", state) {
				break
			}
		}
	}
}

// family is the server's process id and those of its children, which have none themselves.
func (p *process) family() []int {
	pids := []int{p.cmd.Process.Pid}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range all {
		if pid, _ := strconv.Atoi(filepath.Base(path)); parent(pid) == pids[0] {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parent is the process id of pid's parent, 0 when pid is no more.
func parent(pid int) int {
	state := status(pid)
	if state[0] == "Z" { // dead, and its parent was not told yet
		return 0
	}
	ppid, _ := strconv.Atoi(state[1])
	return ppid
}

// status is the state of a process and the id of its parent, "" when it is no more.
func status(pid int) (stateAndParent [2]string) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stateAndParent
	}
	_, rest, _ := bytes.Cut(stat, []byte(") ")) // the name before it may hold anything
	copy(stateAndParent[:], strings.Fields(string(rest)))
	return stateAndParent
}

func (p *process) logFile() string { return filepath.Join(p.dir, p.name+".log") }

// tail is the end of what the server said.
func (p *process) tail() string {
	text, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-3000):])
}

// end stops the server with the test and shows what it said if the test failed.
func (p *process) end() {
	p.Stop()
	if p.t.Failed() {
		p.t.Logf("%s said last:\n%s", p.name, p.tail())
	}
}
