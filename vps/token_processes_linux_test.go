package vps

import (
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/internal/testprogram"
	"sunspool/internal/testservices"
	"sunspool/wire"
)

// revokedWithin is how long a token may be accepted by another process after it was revoked, see docs/security.md.
const revokedWithin = 5 * time.Second

// Two real processes have one PostgreSQL, and a Redis, none, or one that dies: a token that one makes is valid at the other, and
// one that is revoked is refused by both within 5 s, and longer only by as much as this machine was late. Its stream ends.
func TestTokensOfTwoRealProcesses(t *testing.T) {
	race.Skip(t, "the program is in processes of its own")
	pg, program := testservices.SharedPostgres(t), testprogram.Path(t)
	for _, redis := range []string{"without Redis", "with Redis", "a Redis that dies", "a Redis that hangs"} {
		t.Run(redis, func(t *testing.T) {
			env := []string{"DATABASE_URL=" + pg.NewDatabase(t), "DEVICE_TOKENS=store"}
			var server *testservices.RedisServer
			if redis != "without Redis" {
				server = testservices.Redis(t)
				env = append(env, "REDIS_URL="+server.URL())
			}
			here, there := startProcess(t, program, env...), startProcess(t, program, env...)
			asks := func(p *process, method, path, token string) int {
				return status(t, http.DefaultClient, method, "http://"+p.public+path, token)
			}
			both := func(what string, is func(p *process) bool) {
				t.Helper()
				testservices.Await(t, what, func() bool { return is(here) && is(there) })
			}
			both("the database is there", func(p *process) bool { return asks(p, "GET", wire.ReadyPath, "") == 200 })
			edge := createToken(t, here.dir, TokenCreateConfig{Role: "device", Name: "Edge", Devices: []string{"inv-1"}})
			family := createToken(t, there.dir, TokenCreateConfig{Role: "viewer", Name: "Family", Devices: []string{"inv-1", "inv-2"}})
			both("each has the tokens of the other", func(p *process) bool {
				return asks(p, "POST", wire.IngestPath, edge.Secret) == 200 && asks(p, "GET", wire.DevicesPath, family.Secret) == 200
			})
			conn, err := net.Dial("tcp", there.public)
			if err != nil {
				t.Fatal(err)
			}
			stream := follow(t, conn, "inv-1", family.Secret)
			if first := <-stream; first.Name != "hello" {
				t.Fatalf("the stream begins with %+v", first)
			}
			switch redis {
			case "a Redis that dies":
				server.Kill()
			case "a Redis that hangs":
				server.Pause()
				defer server.Resume()
			}

			late := testservices.Stalls(t)
			revokeToken(t, here.dir, "Family")
			revokeToken(t, here.dir, "Edge")
			began := time.Now()
			refused := func(status int) bool { return status == 401 || status == 429 }
			both("it is refused everywhere", func(p *process) bool {
				return refused(asks(p, "GET", wire.DevicesPath, family.Secret)) && refused(asks(p, "POST", wire.IngestPath, edge.Secret))
			})
			var last event
			for e := range stream {
				last = e
			}
			took := time.Since(began)
			if _, worst := late(); took > revokedWithin+10*worst {
				t.Errorf("after %v, while this machine was late by at most %v", took, worst)
			}
			if last.Name != "bye" || last.Data != `{"reason":"token_revoked"}` {
				t.Errorf("its stream ends with %+v", last)
			}
			for _, p := range []*process{here, there} {
				if err := p.end(syscall.SIGTERM); err != nil {
					t.Error(err)
				}
				for _, secret := range []string{edge.Secret, family.Secret} {
					if strings.Contains(p.said(), secret[4:]) {
						t.Errorf("the log has a secret:\n%s", p.said())
					}
				}
			}
			t.Logf("refused everywhere after %v", took.Round(time.Millisecond))
		})
	}
}
