//go:build unix

package testservices

import (
	"syscall"
	"testing"
)

// ProgramServer is a server that is none of the services: the program under test. Its methods are for one goroutine at a
// time.
type ProgramServer struct{ server *process }

// Program starts argv with env beside this process's environment, waits until answers returns nil, and ends it with the
// test. Like the services it does not outlive the test binary.
func Program(t testing.TB, name string, argv, env []string, answers func() error) *ProgramServer {
	t.Helper()
	p := &ProgramServer{&process{
		t: t, name: name, argv: argv, env: env, dir: newDir(t, name), answers: answers,
		quit: syscall.SIGTERM, last: syscall.SIGKILL,
	}}
	t.Cleanup(p.server.end)
	p.server.Start()
	return p
}

// Start starts the program again after Stop or Kill.
func (p *ProgramServer) Start() { p.server.t.Helper(); p.server.Start() }

// Stop ends the program with SIGTERM, waits, and returns its exit status.
func (p *ProgramServer) Stop() int {
	p.server.t.Helper()
	p.server.Stop()
	return p.server.cmd.ProcessState.ExitCode()
}

// Kill ends the program with -9.
func (p *ProgramServer) Kill() { p.server.t.Helper(); p.server.Kill() }

// Signal sends the program itself a signal, as for a reload.
func (p *ProgramServer) Signal(sig syscall.Signal) {
	p.server.t.Helper()
	if err := p.server.cmd.Process.Signal(sig); err != nil {
		p.server.t.Errorf("%s: signal %v: %v\n%s", p.server.name, sig, err, p.server.tail())
	}
}

// Log is the end of what the program said.
func (p *ProgramServer) Log() string { return p.server.tail() }
