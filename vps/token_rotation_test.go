//go:build unix

package vps

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/internal/testservices"
	"sunspool/internal/vpstest"
	"sunspool/vps/api"
	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/store/postgres"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

var rotationTime = flag.Duration("rotation-time", 0, "for which TestTokensComeAndGoWhileDevicesSend goes on; `make test-tokens` takes TIME")

const (
	rotationDevices = 3
	rotationWriters = 8   // of each device
	rotationRound   = 400 // samples of a device
	leastRevoked    = 14
)

// looks is a store of tokens that counts how often a process begins to look for changes, except those looks that fail. It looks
// again only when it has taken over what it found: who was revoked before a look began is refused once the next one begins.
type looks struct {
	tokenStore
	begun atomic.Int64
}

type tokenStore interface{ store.Tokens }

func (l *looks) TokensVersion(ctx context.Context) (int64, error) {
	l.begun.Add(1)
	version, err := l.tokenStore.TokensVersion(ctx)
	l.failed(err)
	return version, err
}

func (l *looks) Tokens(ctx context.Context) ([]store.Token, int64, error) {
	all, version, err := l.tokenStore.Tokens(ctx)
	l.failed(err)
	return all, version, err
}

func (l *looks) failed(err error) {
	if err != nil {
		l.begun.Add(-1)
	}
}

// rotationServer is one of two servers with a connection, a cache and tokens of its own.
type rotationServer struct {
	addr    string
	samples *postgres.Store
	looks   *looks
}

// rotationToken is one that is used until somebody revokes it.
type rotationToken struct {
	api.NewToken
	device  string
	streams []<-chan event
	mu      sync.Mutex
	after   [2]int64 // as many looks of each server must have begun until it refuses it; 0 if it is not revoked
	at      int      // the server that revoked it
	gone    [2]bool  // it was answered that it is revoked
}

// asked is what was known when a request began.
type asked struct {
	looks int64
	here  bool // this server has answered that it revoked the token
}

// rotation is what the writers, the operator and the readers have in common.
type rotation struct {
	t       *testing.T
	servers [2]*rotationServer
	admin   string
	made    atomic.Int64
	mu      sync.Mutex
	all     []*rotationToken
	sums    struct{ inserted, refused, late, revoked, streams atomic.Int64 }
}

func newRotation(t *testing.T, log *logBuffer) *rotation {
	r := &rotation{t: t, admin: "rotation-admin-0123456789abcdef"}
	database := testservices.SharedPostgres(t).NewDatabase(t)
	for i := range r.servers {
		p, err := postgres.Open(postgres.Options{URL: database, CallTime: testservices.Patience})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		testservices.Await(t, "the database is ready", func() bool { return p.Check(t.Context()) == nil })
		tokens, err := auth.ParseTokens("store", "")
		if err != nil {
			t.Fatal(err)
		}
		tokens.ExpectStored()
		s := &rotationServer{samples: p, looks: &looks{tokenStore: p}}
		logger := slog.New(slog.NewJSONHandler(log, nil))
		issuer := &auth.Issuer{Store: s.looks, Tokens: tokens, Log: logger}
		if i == 0 {
			if _, _, err := issuer.Create(t.Context(), auth.Wish{Role: store.RoleAdmin, Name: "Admin", Secret: r.admin}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { issuer.Run(ctx); close(done) }()
		t.Cleanup(func() { cancel(); <-done })
		server := &api.Server{Gate: request.Gate{Tokens: tokens, Log: logger}, Devices: deviceinfo.Devices{Store: store.NewCached(p, 5*time.Second), Sites: p}, Issuer: issuer}
		s.addr = serveFor(t, server.Handler())
		r.servers[i] = s
		if i == 0 {
			ids := []string{}
			for d := range rotationDevices {
				ids = append(ids, fmt.Sprint("inv-", d))
			}
			if err := p.SetSite(t.Context(), store.Site{Name: "home", Devices: ids}); err != nil {
				t.Fatal(err)
			}
		}
		testservices.Await(t, "it has the tokens", func() bool { code, _ := r.ask(i, "GET", wire.TokensPath, r.admin, nil); return code == 200 })
	}
	return r
}

func (r *rotation) ask(server int, method, path, token string, body []byte) (int, []byte) {
	q, _ := http.NewRequest(method, "http://"+r.servers[server].addr+path, bytes.NewReader(body))
	q.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		r.t.Error(err)
		return 0, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Error(err)
	}
	return answer.StatusCode, text
}

// create makes a token at a server.
func (r *rotation) create(server int, role string, devices ...string) *rotationToken {
	body, _ := json.Marshal(map[string]any{"role": role, "name": fmt.Sprint(role, " ", r.made.Add(1)), "devices": devices})
	code, text := r.ask(server, "POST", wire.TokensPath, r.admin, body)
	k := &rotationToken{device: devices[0]}
	if code != 200 || json.Unmarshal(text, &k.NewToken) != nil {
		r.t.Errorf("create: %d %s", code, text)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, k)
	return k
}

// begin returns what judge needs of a request with k that begins now at a server.
func (r *rotation) begin(k *rotationToken, server int) asked {
	k.mu.Lock()
	defer k.mu.Unlock()
	return asked{r.servers[server].looks.begun.Load(), k.after[server] > 0 && k.at == server}
}

// judge holds an answer against what was revoked before the request began.
func (r *rotation) judge(k *rotationToken, server int, when asked, code int) {
	if code == 503 {
		return // the token is no reason of that
	}
	accepted := code == 200
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case accepted && (k.gone[server] || when.here):
		r.t.Errorf("%s is accepted by server %d, which had refused or revoked it", k.Token.Name, server)
	case accepted && k.after[server] > 0 && when.looks >= k.after[server]:
		r.t.Errorf("%s is accepted by server %d, which has looked twice since it was revoked", k.Token.Name, server)
	case accepted && k.after[server] > 0:
		r.sums.late.Add(1)
	case !accepted && k.after[server] > 0:
		k.gone[server] = true
	}
}

// revoke revokes k at a server.
func (r *rotation) revoke(k *rotationToken, at int) {
	if code, text := r.ask(at, "DELETE", wire.TokensPath+"/"+k.Token.ID, r.admin, nil); code != 200 {
		r.t.Errorf("revoke: %d %s", code, text)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = at
	for i, s := range r.servers {
		k.after[i] = s.looks.begun.Load() + 2
	}
	r.sums.revoked.Add(1)
}

// follow opens streams of k at both servers, about a device and about the site, and returns when they have begun.
func (r *rotation) follow(k *rotationToken) {
	for i, s := range r.servers {
		testservices.Await(r.t, "the token is known", func() bool { code, _ := r.ask(i, "GET", wire.DevicesPath, k.Secret, nil); return code == 200 })
		for _, query := range []string{"device_id=inv-1", "site=home"} {
			conn, err := net.Dial("tcp", s.addr)
			if err != nil {
				r.t.Error(err)
				return
			}
			stream := vpstest.FollowQuery(r.t, conn, query, k.Secret)
			if e := <-stream; e.Name != "hello" {
				r.t.Errorf("a stream begins with %+v", e)
			}
			k.streams = append(k.streams, stream)
		}
	}
}

// ended waits until the streams of k have ended, and reports how.
func (r *rotation) ended(k *rotationToken) {
	for _, stream := range k.streams {
		last := event{}
		for e := range stream {
			last = e
		}
		if last.Name != "bye" || last.Data != `{"reason":"token_revoked"}` {
			r.t.Errorf("a stream of a revoked token ended with %+v", last)
		}
		r.sums.streams.Add(1)
	}
}

// write sends batches as one of the edges of a device that share the work, and renews its token when it is refused.
func (r *rotation) write(random *rand.Rand, device string, batches [][]byte, current *atomic.Pointer[rotationToken]) {
	for _, body := range batches {
		for {
			k, server := current.Load(), random.IntN(2)
			when := r.begin(k, server)
			code, text := r.ask(server, "POST", wire.IngestPath, k.Secret, body)
			if code == 200 {
				var answer struct{ Inserted int64 }
				if err := json.Unmarshal(text, &answer); err != nil {
					r.t.Error(err)
				}
				r.sums.inserted.Add(answer.Inserted)
			}
			r.judge(k, server, when, code)
			switch code {
			case 200:
			case 401, 429: // not known there yet, or revoked
				r.sums.refused.Add(1)
				k.mu.Lock()
				revoked := k.after[0] > 0
				k.mu.Unlock()
				if revoked {
					current.CompareAndSwap(k, r.create(server, store.RoleDevice, device))
				}
				time.Sleep(10 * time.Millisecond)
				continue
			case 503:
				time.Sleep(10 * time.Millisecond)
				continue
			default:
				r.t.Errorf("ingest: %d %s", code, text)
			}
			break
		}
	}
}

// Eight writers of each device send through two servers with a database in common, some of it twice, while their tokens are
// created at one and revoked at the other. What was accepted is stored once, and rollups are those of a recount. Who is revoked
// is refused by each server before it looks for changes for the second time (every two seconds), and its streams end.
func TestTokensComeAndGoWhileDevicesSend(t *testing.T) {
	race.Skip(t, "hundreds of thousands of rollups")
	if !testing.Short() && *rotationTime == 0 {
		t.Parallel() // it waits much of the time
	}
	var log logBuffer
	r := newRotation(t, &log)
	began := time.Now()
	random := rand.New(rand.NewPCG(5, 6))
	sent := make([][]wire.Sample, rotationDevices)
	current := make([][rotationWriters]atomic.Pointer[rotationToken], rotationDevices)
	for d := range current {
		for w := range current[d] {
			current[d][w].Store(r.create(w%2, store.RoleDevice, fmt.Sprint("inv-", d)))
		}
	}
	stop, operator := make(chan struct{}), sync.WaitGroup{}
	operator.Go(func() {
		random := rand.New(rand.NewPCG(7, 8))
		for {
			reader := r.create(random.IntN(2), store.RoleViewer, "inv-0", "inv-1", "inv-2")
			r.follow(reader)
			for range 6 {
				at := random.IntN(2)
				begun := r.servers[1-at].looks.begun.Load()
				r.revoke(current[random.IntN(rotationDevices)][random.IntN(rotationWriters)].Load(), at)
				if random.IntN(3) == 0 { // the others are revoked in the same look
					testservices.Await(t, "the other server looks", func() bool { return r.servers[1-at].looks.begun.Load() > begun })
				}
			}
			r.revoke(reader, random.IntN(2))
			r.ended(reader)
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for round := 0; r.sums.revoked.Load() < leastRevoked || time.Since(began) < *rotationTime; round++ {
		var writers sync.WaitGroup
		for d := range rotationDevices {
			device := fmt.Sprint("inv-", d)
			all := storetest.Houses(storetest.Noon.AddDate(0, 0, -round), 30*time.Second, round*rotationRound, rotationRound)
			for i := range all {
				all[i].DeviceID = device
			}
			sent[d] = append(sent[d], all...)
			shares := make([][][]byte, rotationWriters)
			for len(all) > 0 {
				n := min(len(all), 1+random.IntN(15))
				body, _ := json.Marshal(wire.Batch{Samples: all[:n]})
				for _, w := range random.Perm(rotationWriters)[:1+random.IntN(2)] {
					shares[w] = append(shares[w], body)
				}
				all = all[n:]
			}
			for w, share := range shares {
				random := rand.New(rand.NewPCG(uint64(round), uint64(d*rotationWriters+w)))
				random.Shuffle(len(share), func(i, j int) { share[i], share[j] = share[j], share[i] })
				writers.Go(func() { r.write(random, device, share, &current[d][w]) })
			}
		}
		writers.Wait()
	}
	close(stop)
	operator.Wait()

	total := 0
	for d, all := range sent {
		total += len(all)
		for _, s := range r.servers {
			storetest.ExactlyOnce(t, s.samples, fmt.Sprint("inv-", d), all)
		}
	}
	if n := r.sums.inserted.Load(); n != int64(total) {
		t.Errorf("%d samples were called new of %d", n, total)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, s := range r.servers {
		begun := s.looks.begun.Load()
		testservices.Await(t, "it has looked twice", func() bool { return s.looks.begun.Load() >= begun+2 })
		for _, k := range r.all {
			code := 503
			testservices.Await(t, "an answer", func() bool { code, _ = r.ask(i, "GET", wire.DevicesPath, k.Secret, nil); return code != 503 })
			if revoked := k.after[i] > 0; revoked != (code == 401 || code == 429) || !revoked && code != 200 {
				t.Errorf("%s at server %d: %d, revoked %v", k.Token.Name, i, code, revoked)
			}
		}
	}
	said := log.String()
	if slices.ContainsFunc(r.all, func(k *rotationToken) bool { return strings.Contains(said, k.Secret[4:]) }) || strings.Contains(said, r.admin) {
		t.Error("a secret is in the log")
	}
	t.Logf("%d samples by %d tokens, %d revoked, %d refusals, %d accepted before a server looked, %d streams ended, in %v", total, len(r.all),
		r.sums.revoked.Load(), r.sums.refused.Load(), r.sums.late.Load(), r.sums.streams.Load(), time.Since(began).Round(time.Second))
	if r.sums.revoked.Load() < leastRevoked || r.sums.streams.Load() < 4 || r.sums.refused.Load() == 0 {
		t.Error("that proves nothing")
	}
}
