//go:build unix

package vps_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/rueidis"

	"sunspool/internal/testservices"
)

// target is what a fault hits.
type target int

const (
	onPostgres target = 1 << iota
	onRedis
	onVPS   // the second server, which is a process of its own
	byTurns // what it hits is well in between, again and again
)

// fault is a way in which a service fails. play begins it, waits, and ends it: when it returns the service is as before.
type fault struct {
	name string
	on   target
	play func(s *site, d time.Duration)
}

// faults are all of them. A sequence plays two, one after another.
var faults = []fault{
	{"postgres stopped", onPostgres, func(s *site, d time.Duration) { s.pg.Stop(); time.Sleep(d); s.pg.Start() }},
	{"redis stopped", onRedis, func(s *site, d time.Duration) { s.redis.Stop(); time.Sleep(d); s.redis.Start() }},
	{"postgres hung", onPostgres, func(s *site, d time.Duration) { s.pg.Pause(); time.Sleep(d); s.pg.Resume() }},
	{"redis hung", onRedis, func(s *site, d time.Duration) { s.redis.Pause(); time.Sleep(d); s.redis.Resume() }},
	{"postgres killed", onPostgres, func(s *site, d time.Duration) { s.pg.Kill(); time.Sleep(d); s.pg.Start() }},
	{"redis killed", onRedis, func(s *site, d time.Duration) { s.redis.Kill(); time.Sleep(d); s.redis.Start() }},
	{"disk of postgres full", onPostgres, fullDisk},
	{"redis full", onRedis, fullRedis},
	{"connections to postgres cut", onPostgres | byTurns, cutPostgres},
	{"connections to redis cut", onRedis, repeatedly("CLIENT", "KILL", "TYPE", "normal")},
	{"a backend of postgres killed", onPostgres | byTurns, killBackends},
	{"redis poisoned", onRedis, poisonRedis},
	{"postgres read-only", onPostgres, readOnlyPostgres},
	{"redis flushed", onRedis, repeatedly("FLUSHALL")},
	{"no connection to postgres left", onPostgres | byTurns, crowdPostgres},
	{"both hung", onPostgres | onRedis, func(s *site, d time.Duration) {
		s.pg.Pause()
		s.redis.Pause()
		time.Sleep(d)
		s.redis.Resume()
		s.pg.Resume()
	}},
	{"tables locked", onPostgres, lockTables},
	{"both killed", onPostgres | onRedis, func(s *site, d time.Duration) {
		s.redis.Kill()
		s.pg.Kill()
		time.Sleep(d)
		s.pg.Start()
		s.redis.Start()
	}},
	{"vps killed", onVPS, func(s *site, d time.Duration) { s.program.Kill(); time.Sleep(d / 4); s.program.Start() }},
	{"vps restarted", onVPS, func(s *site, d time.Duration) { s.stopProgram(); s.program.Start() }},
	{"vps killed while postgres hangs", onPostgres | onVPS, func(s *site, d time.Duration) {
		s.pg.Pause()
		time.Sleep(d / 2)
		s.program.Kill()
		time.Sleep(d / 2)
		s.pg.Resume()
		s.program.Start()
	}},
	{"vps restarted while postgres is down", onPostgres | onVPS, func(s *site, d time.Duration) {
		s.pg.Stop()
		time.Sleep(d / 2)
		s.stopProgram()
		s.program.Start()
		time.Sleep(d / 2)
		s.pg.Start()
	}},
}

// fullDisk leaves no byte on the disk of Postgres. A server that cannot write its log ends itself, and on a disk that is
// still full also when it starts again.
func fullDisk(s *site, d time.Duration) {
	s.pg.Full()
	time.Sleep(d)
	s.pg.Free()
}

const ourSessions = `from pg_stat_activity where application_name = 'sunspool'`

func cutPostgres(s *site, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		s.must(s.admin(`select pg_terminate_backend(pid) ` + ourSessions))
	}
}

// killBackends kills single backends with -9, upon which the server throws out all others and recovers.
func killBackends(s *site, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); s.awaitPostgres() {
		c, err := s.connect()
		if err != nil {
			continue
		}
		var pid int
		err = c.QueryRow(context.Background(), `select pid `+ourSessions+` order by random() limit 1`).Scan(&pid)
		c.Close(context.Background())
		if err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func readOnlyPostgres(s *site, d time.Duration) {
	s.must(s.admin(`alter system set default_transaction_read_only = on`, `select pg_reload_conf()`))
	time.Sleep(d)
	s.must(s.admin(`alter system reset default_transaction_read_only`, `select pg_reload_conf()`))
}

// crowdPostgres takes every connection that the server has, also those of the vps.
func crowdPostgres(s *site, d time.Duration) {
	var mine []*pgx.Conn
	defer func() {
		for _, c := range mine {
			c.Close(context.Background())
		}
	}()
	end := time.Now().Add(d)
	for time.Now().Before(end) {
		c, err := s.connect()
		if err == nil {
			mine = append(mine, c)
			continue
		}
		if mine == nil {
			continue // it is not crowded: the machine is busy
		}
		if _, err := mine[0].Exec(context.Background(), `select pg_terminate_backend(pid) `+ourSessions); err != nil {
			s.t.Error(err)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// lockTables is an administrator who changes a table and then thinks about it.
func lockTables(s *site, d time.Duration) {
	c, err := s.connect()
	if err != nil {
		s.t.Error(err)
		return
	}
	defer c.Close(context.Background())
	for {
		_, err = c.Exec(context.Background(), `begin; lock table samples, rollups in access exclusive mode`)
		if deadlock, ok := errors.AsType[*pgconn.PgError](err); !ok || deadlock.Code != "40P01" {
			break // else with a transaction of a vps that had the second table first
		}
		_, err = c.Exec(context.Background(), `rollback`)
		s.must(err)
	}
	s.must(err)
	time.Sleep(d)
	_, err = c.Exec(context.Background(), `rollback`)
	s.must(err)
}

func fullRedis(s *site, d time.Duration) {
	s.redisAdmin(func(_ rueidis.Client, do func(...string)) {
		do("CONFIG", "SET", "maxmemory", "1")
		time.Sleep(d)
		do("CONFIG", "SET", "maxmemory", "0")
	})
}

// repeatedly sends one command to Redis again and again.
func repeatedly(args ...string) func(*site, time.Duration) {
	return func(s *site, d time.Duration) {
		s.redisAdmin(func(_ rueidis.Client, do func(...string)) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				do(args...)
			}
		})
	}
}

// poisonRedis writes to the keys of the answers what no server of ours wrote.
func poisonRedis(s *site, d time.Duration) {
	s.redisAdmin(func(_ rueidis.Client, do func(...string)) {
		for i, end := 0, time.Now().Add(d); time.Now().Before(end); i++ {
			device := fmt.Sprint("house-", i%houses)
			key := "realtime:" + device
			switch i / houses % 7 {
			case 0:
				do("SET", key, rand.Text())
			case 1:
				do("SET", key, strings.Repeat("{", 1<<20))
			case 2:
				do("EVAL", "redis.call('DEL', KEYS[1]) return redis.call('RPUSH', KEYS[1], 'a', 'b')", "1", key)
			case 3:
				do("SET", key, `{"device_id":"house-9","ts":"2025-04-01T00:00:00Z","pv_power_w":1,"sample_count":1}`)
			case 4:
				do("SET", key, `{"device_id":"`+device+`","ts":"2125-01-01T00:00:00Z","pv_power_w":1,"sample_count":1}`)
			case 5:
				do("SET", key, `{"device_id":"`+device+`","ts":"2025-04-01T00:00:00Z","pv_power_w":1e999,"sample_count":1}`)
			case 6:
				do("SET", key, "")
				do("SET", "sunspool:lease:"+device, "somebody else's", "PX", "50")
			}
			time.Sleep(2 * time.Millisecond)
		}
		for i := range houses {
			do("DEL", fmt.Sprint("realtime:house-", i))
		}
	})
}

// site is a PostgreSQL and a Redis on which sequences are played, one after another, and the second vps.
type site struct {
	t       testingT
	pg      *testservices.PostgresServer
	url     string // of the sequence's database
	redis   *testservices.RedisServer
	program *testservices.ProgramServer
	told    []time.Time // when program was told to end
}

// testingT is the part of testing.TB that may be called from any goroutine.
type testingT interface {
	Helper()
	Error(...any)
	Errorf(string, ...any)
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
	}
}

// stopProgram tells the second vps to end, and waits.
func (s *site) stopProgram() {
	s.told = append(s.told, time.Now())
	if status := s.program.Stop(); status != 0 {
		s.t.Errorf("the vps ended with status %d after SIGTERM", status)
	}
}

// connect connects to the database as its administrator.
func (s *site) connect() (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), testservices.Patience)
	defer cancel()
	return pgx.Connect(ctx, s.url+"&default_transaction_read_only=off&application_name=administrator")
}

func (s *site) admin(statements ...string) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	defer c.Close(context.Background())
	for _, sql := range statements {
		if _, err := c.Exec(context.Background(), sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

func (s *site) awaitPostgres() {
	for began := time.Now(); s.admin("select 1") != nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > testservices.Patience {
			s.t.Error("PostgreSQL does not answer")
			return
		}
	}
}

// awaitRedis waits until Redis serves so many vps: each has a connection for commands, and one that listens.
func (s *site) awaitRedis(vps int) {
	s.redisAdmin(func(client rueidis.Client, _ func(...string)) {
		for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			list, err := client.Do(context.Background(), client.B().ClientList().Build()).ToString()
			keys, _ := client.Do(context.Background(), client.B().Dbsize().Build()).ToInt64()
			if err == nil && strings.Count(list, "name=sunspool") >= vps && keys > 0 {
				return
			}
			if time.Since(began) > testservices.Patience {
				s.t.Errorf("Redis is not used by %d vps: %s", vps, list)
				return
			}
		}
	})
}

// redisAdmin lets f send commands to Redis.
func (s *site) redisAdmin(f func(client rueidis.Client, do func(args ...string))) {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.redis.Addr()}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		s.t.Error(err)
		return
	}
	defer client.Close()
	f(client, func(args ...string) {
		if err := client.Do(context.Background(), client.B().Arbitrary(args...).Build()).Error(); err != nil {
			s.t.Errorf("%.40q: %v", args, err)
		}
	})
}
