package testhost

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Programs are written and started by many goroutines at once: none is busy.
func TestWrittenProgramsCanBeStarted(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		all.Go(func() {
			program := filepath.Join(dir, name)
			for range 100 {
				WriteProgram(t, program, []byte("#!/bin/sh\n"), 0o700)
				if err := exec.Command(program).Run(); err != nil {
					t.Error(err)
				}
				os.Remove(program)
			}
		})
	}
	all.Wait()
}

// An address refuses connections, may be listened at again and again, and is given to nothing that takes any port.
func TestAddressIsTheTestsOwn(t *testing.T) {
	if os.Getenv("SUNSPOOL_TEST_FEW_PORTS") == "" {
		const few = `ip link set lo up && echo "40000 40040" >/proc/sys/net/ipv4/ip_local_port_range && exec "$0" -test.run='^TestAddressIsTheTestsOwn$'`
		cmd := exec.CommandContext(t.Context(), "sh", "-c", few, os.Args[0])
		cmd.Env = append(os.Environ(), "SUNSPOOL_TEST_FEW_PORTS=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if os.Getuid() != 0 {
			t.Skip("SKIPPED, NOTHING IS SHOWN: only root can have a network with few ports")
		}
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "SKIPPED") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	own := Address(t)
	for range 2 {
		if conn, err := net.Dial("tcp", own); err == nil {
			conn.Close()
			t.Fatalf("%s takes connections", own)
		}
		l, err := net.Listen("tcp", own)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", own)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		l.Close()
	}
	server, err := net.Listen("tcp", "127.0.0.1:39000")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for what, taken := range map[string]func() (string, io.Closer, error){
		"listeners": func() (string, io.Closer, error) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return "", nil, err
			}
			return l.Addr().String(), l, nil
		},
		"connections": func() (string, io.Closer, error) {
			conn, err := net.Dial("tcp", server.Addr().String())
			if err != nil {
				return "", nil, err
			}
			return conn.LocalAddr().String(), conn, nil
		},
	} {
		var all []io.Closer
		for {
			address, open, err := taken()
			if err != nil {
				break // all ports are taken
			}
			if all = append(all, open); address == own {
				t.Errorf("one of the %s has the test's address", what)
			}
		}
		if len(all) < 30 {
			t.Errorf("only %d %s", len(all), what)
		}
		for _, open := range all {
			open.Close()
		}
	}
}
