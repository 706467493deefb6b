//go:build unix

package testservices

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// CaddyServer is a Caddy with a certificate authority of its own.
type CaddyServer struct{ server *process }

// Caddy starts a Caddy with a Caddyfile, given by its path or as its text, and what that asks of the environment
// ("NAME=value"). It returns once Caddy listens; its own certificates may take a
// moment longer.
func Caddy(t testing.TB, caddyfile string, env ...string) *CaddyServer {
	t.Helper()
	program := CaddyProgram(t)
	dir := newDir(t, "caddy")
	path := filepath.Join(dir, "Caddyfile")
	if strings.Contains(caddyfile, "\n") {
		if err := os.WriteFile(path, []byte(caddyfile), 0o644); err != nil {
			t.Fatal(err)
		}
	} else {
		path = absolute(t, caddyfile)
	}
	c := &CaddyServer{}
	c.server = &process{
		t: t, name: "caddy", dir: dir,
		argv: []string{program, "run", "--config", path, "--adapter", "caddyfile"},
		env:  append([]string{"XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, env...),
		quit: syscall.SIGTERM,
		last: syscall.SIGKILL,
		answers: func() error {
			log, err := os.ReadFile(c.server.logFile())
			if err == nil && !bytes.Contains(log, []byte("serving initial configuration")) {
				err = errors.New("it does not say that it serves")
			}
			return err
		},
	}
	if err := c.server.start(); err != nil {
		t.Fatalf("%v\n%s", err, c.server.tail())
	}
	t.Cleanup(c.server.end)
	return c
}

// CaddyProgram is the path of Caddy, installed if it is missing.
func CaddyProgram(t testing.TB) string {
	t.Helper()
	return need(t, "caddy", inPath("caddy"))
}

// Root is the certificate, PEM, of the authority that signs what a site gets by "tls internal".
func (c *CaddyServer) Root() []byte {
	c.server.t.Helper()
	root, err := os.ReadFile(filepath.Join(c.server.dir, "caddy", "pki", "authorities", "local", "root.crt"))
	if err != nil {
		c.server.t.Fatal(err)
	}
	return root
}
