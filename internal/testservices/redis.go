//go:build unix

package testservices

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RedisServer is a Redis server without persistence. Start, Stop, Kill, Pause and Resume are for one goroutine at a
// time.
type RedisServer struct {
	t      testing.TB
	server *process // nil for one that was there before us
	url    url.URL
}

// RedisOption changes how Redis starts its server.
type RedisOption func(*redisOptions)

type redisOptions struct {
	args     []string
	password string
}

// Password makes the server ask for one. URL has it.
func Password(password string) RedisOption {
	return func(o *redisOptions) {
		o.password = password
		o.args = append(o.args, "--requirepass", password)
	}
}

// MaxMemory limits the server to so many bytes and says what it does with a key beyond: allkeys-lru as a cache should
// be, noeviction for one that is full.
func MaxMemory(bytes int64, policy string) RedisOption {
	return func(o *redisOptions) {
		o.args = append(o.args, "--maxmemory", strconv.FormatInt(bytes, 10), "--maxmemory-policy", policy)
	}
}

// Redis starts a server of the test's own. With TEST_REDIS_URL it is that one, with whatever keys it has: a test takes
// names that no other has, and one that needs an option is skipped.
func Redis(t testing.TB, options ...RedisOption) *RedisServer {
	t.Helper()
	if outside := os.Getenv("TEST_REDIS_URL"); outside != "" {
		if len(options) > 0 {
			skip(t, "TEST_REDIS_URL names a server that this test cannot set up as it needs")
		}
		u, err := url.Parse(outside)
		if err != nil {
			t.Fatal("TEST_REDIS_URL is not a URL") // the error would show its password
		}
		return &RedisServer{t: t, url: *u}
	}
	var o redisOptions
	for _, option := range options {
		option(&o)
	}
	program := need(t, "redis-server", inPath("redis-server"))
	r := &RedisServer{t: t}
	for range 3 { // somebody may take the port between the choice and the start
		port := strconv.Itoa(FreePort(t))
		r.url = url.URL{Scheme: "redis", Host: "127.0.0.1:" + port}
		if o.password != "" {
			r.url.User = url.UserPassword("", o.password)
		}
		r.server = &process{
			t: t, name: "redis", dir: newDir(t, "redis"),
			argv:    append([]string{program, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"}, o.args...),
			quit:    syscall.SIGTERM,
			last:    syscall.SIGKILL,
			answers: func() error { return ping(r.Addr(), o.password) },
		}
		err := r.server.start()
		if err == nil {
			t.Cleanup(r.server.end)
			return r
		}
		if tail := r.server.tail(); !strings.Contains(tail, "already in use") {
			t.Fatalf("%v\n%s", err, tail)
		}
	}
	t.Fatal("three free ports in a row were taken by somebody else")
	return nil
}

// ping asks the server for a sign of life.
func ping(addr, password string) error {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	want := 1
	if password != "" {
		fmt.Fprintf(c, "AUTH %s\r\n", password)
		want++
	}
	fmt.Fprint(c, "PING\r\n")
	answers := bufio.NewReader(c)
	for range want {
		line, err := answers.ReadString('\n')
		if err != nil {
			return err
		}
		if line[0] != '+' {
			return fmt.Errorf("redis answers %q", line)
		}
	}
	return nil
}

// URL is for REDIS_URL.
func (r *RedisServer) URL() string { return r.url.String() }

// Addr is the server's host:port.
func (r *RedisServer) Addr() string { return r.url.Host }

// Start starts a server that was stopped or killed, on the same port and empty.
func (r *RedisServer) Start() { r.t.Helper(); r.own().Start() }

// Stop ends the server in good order.
func (r *RedisServer) Stop() { r.t.Helper(); r.own().Stop() }

// Kill ends the server with -9.
func (r *RedisServer) Kill() { r.t.Helper(); r.own().Kill() }

// Pause stops the server in its tracks, so that connections and commands hang, until Resume.
func (r *RedisServer) Pause() { r.t.Helper(); r.own().Pause() }

// Resume ends a Pause.
func (r *RedisServer) Resume() { r.t.Helper(); r.own().Resume() }

// own is the server's process, if it is the test's to stop.
func (r *RedisServer) own() *process {
	r.t.Helper()
	if r.server == nil {
		skip(r.t, "TEST_REDIS_URL names a server that this test cannot stop")
	}
	return r.server
}
