//go:build unix

package testservices

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// Need returns the path of a program, after installing the Debian package if it is missing and we may. Without it the
// test is skipped.
func Need(t testing.TB, pkg, program string) string {
	t.Helper()
	return need(t, pkg, inPath(program))
}

// need returns what find finds, after installing the Debian package if it finds nothing and we may. Without it the test
// is skipped.
func need(t testing.TB, pkg string, find func() (path string, ok bool)) string {
	t.Helper()
	if path, ok := find(); ok {
		return path
	}
	err := installed(pkg)
	if path, ok := find(); ok {
		return path
	}
	skip(t, "no %s on this machine: apt-get install %s (%v)", pkg, pkg, err)
	return ""
}

// inPath finds a program by its name.
func inPath(name string) func() (string, bool) {
	return func() (string, bool) {
		path, err := exec.LookPath(name)
		return path, err == nil
	}
}

var (
	installing sync.Mutex
	tried      = map[string]error{}
)

// installLock is held by who installs something for tests, vps/web/test/run, too. TMPDIR may be another one for each process.
const installLock = "/tmp/sunspool-services.lock"

// installed tries once per test binary to install pkg. One process at a time does: the lock is a file.
func installed(pkg string) error {
	installing.Lock()
	defer installing.Unlock()
	if err, done := tried[pkg]; done {
		return err
	}
	tried[pkg] = install(pkg)
	return tried[pkg]
}

func install(pkg string) error {
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		return fmt.Errorf("only root on Debian can install it by itself")
	}
	lock, err := os.OpenFile(installLock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	undo, err := startNothing()
	if err != nil {
		return err
	}
	defer undo()
	if err = aptGet("install", pkg); err != nil { // its lists may be old
		if err = aptGet("update"); err == nil {
			err = aptGet("install", pkg)
		}
	}
	return err
}

func aptGet(args ...string) error {
	args = append([]string{"-y", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends"}, args...)
	apt := exec.Command("apt-get", args...)
	apt.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := apt.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", apt.Args, err, out[max(0, len(out)-500):])
	}
	return nil
}

// startNothing keeps packages from starting their services while they are installed: Debian's maintainer scripts ask
// policy-rc.d first, and 101 is no.
func startNothing() (undo func(), err error) {
	const policy = "/usr/sbin/policy-rc.d"
	f, err := os.OpenFile(policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if os.IsExist(err) {
		return func() {}, nil // the machine has a policy of its own
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_, err = f.WriteString("#!/bin/sh\nexit 101\n")
	return func() { os.Remove(policy) }, err
}
