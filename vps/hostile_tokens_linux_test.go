package vps

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sunspool/internal/testprogram"
	"sunspool/internal/testservices"
	"sunspool/wire"
)

var hostileTime = flag.Duration("hostile-time", 0, "how long 19 hostile tokens are at it, each time; not at all without it")

// connectionsEach is how many connections a hostile token uses: with 19 of them more than there are.
const connectionsEach = 30

// TestNineteenHostileTokensStopNobody: of 20 tokens 19 are hostile, each in its own way.
// The edge and reader with the twentieth is answered 200 each time, about as soon as when it is alone, and memory
// stays small: on both stores, direct and through Caddy.
func TestNineteenHostileTokensStopNobody(t *testing.T) {
	if *hostileTime == 0 {
		t.Skip("SKIPPED: make test-tokens")
	}
	path := testprogram.Path(t)
	for _, where := range []string{"file", "postgres"} {
		for _, proxied := range []bool{false, true} {
			name := where
			if proxied {
				name += " behind Caddy"
			}
			t.Run(name, func(t *testing.T) {
				var env []string
				if where == "postgres" {
					env = append(env, "DATABASE_URL="+testservices.SharedPostgres(t).URL())
				}
				nineteenAgainstOne(t, path, proxied, env...)
			})
		}
	}
}

func hostileToken(i int) string { return fmt.Sprintf("hostile-%02d-0123456789abcdef", i) }

func nineteenAgainstOne(t *testing.T, path string, proxied bool, env ...string) {
	tokens := []string{goodToken + ":roof"}
	for i := range hostileWays[1:] {
		tokens = append(tokens, fmt.Sprintf("%s:evil-%d", hostileToken(i+1), i+1))
	}
	p := startProcess(t, path, append(env, "DEVICE_TOKENS="+strings.Join(tokens, ","), "VIEWER_TOKENS="+hostileToken(0)+":*", "TRUSTED_PROXIES=127.0.0.0/8,::1", "LOG_LEVEL=info")...)
	f := front{address: p.public}
	base := "http://" + p.public
	var transport http.Transport
	if proxied {
		d := doorTo(t, p.public)
		f = front{d.address, d.config}
		base, transport.TLSClientConfig = "https://"+d.address, d.config
	}
	fillForHostile(t, base, &transport)

	alone := newGoodClient(p.public, goodToken, "roof")
	alone.url = base
	alone.kept.Transport = transport.Clone()
	fresh := transport.Clone()
	fresh.DisableKeepAlives = true
	alone.fresh.Transport = fresh
	alone.run(t.Context(), 50)

	memory := p.ownMemory()
	end := f.beAttacked(t)
	good := newGoodClient(p.public, goodToken, "roof")
	good.url, good.kept, good.fresh = base, alone.kept, alone.fresh
	good.from(alone)
	for began := time.Now(); time.Since(began) < *hostileTime && len(good.problems) <= 20; {
		good.run(t.Context(), 10)
	}
	done := end()

	for _, problem := range slices.Concat(alone.problems, good.problems) {
		t.Error("good client:", problem)
	}
	for i, way := range hostileWays {
		if done[i] == 0 {
			t.Errorf("nothing was done by: %s", way.name)
		}
	}
	t.Logf("attacks: %v", done)
	t.Logf("good client: %d requests, p50 %v, p99 %v, longest %v; alone %d, p50 %v, p99 %v", len(good.took), good.quantile(.5), good.quantile(.99),
		good.quantile(1), len(alone.took), alone.quantile(.5), alone.quantile(.99))
	// Caddy and database share this machine: where a client alone is slow the attackers are not why.
	if took, limit := good.quantile(.99), max(200*time.Millisecond, 20*alone.quantile(.99)); took >= limit || len(good.took) < 20 {
		t.Errorf("of %d requests of the good client 99 %% took up to %v, not below %v", len(good.took), took, limit)
	}
	own := memory()
	t.Logf("resident memory: at most %d MiB of its own, %d with what is mapped of files", own, p.mostMemory())
	if own >= 128 {
		t.Errorf("%d MiB were its own, not below 128", own)
	}
	p.until("all places are free", func() bool {
		return strings.Contains(p.answer(p.internal, wire.MetricsPath), "sunspool_http_requests_in_flight 0")
	})
	p.end(syscall.SIGTERM)
	for line := range strings.Lines(p.said()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "panic") {
			t.Errorf("the log: %.2000s", line)
		}
	}
}

// ownMemory looks at the memory that is the process's alone, which is all but its program and the pages of its store's file, and
// returns what to call for the most that was seen, MiB.
func (p *process) ownMemory() (most func() int) {
	var kib atomic.Int64
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sleep(ctx, 50*time.Millisecond) {
			if _, line, ok := strings.Cut(p.proc("status"), "RssAnon:"); ok {
				var now int64
				fmt.Sscan(line, &now)
				kib.Store(max(kib.Load(), now))
			}
		}
	}()
	return func() int { cancel(); <-done; return int(kib.Load() >> 10) }
}

// fillForHostile gives two devices more than a year of hours, so that there is something expensive to ask.
func fillForHostile(t *testing.T, base string, transport *http.Transport) {
	t.Helper()
	client := &http.Client{Transport: transport, Timeout: testservices.Patience}
	now := time.Now()
	for _, i := range []int{4, 5} {
		for from := 0; from < 10_000; from += 1000 {
			var b wire.Batch
			for k := range 1000 {
				at := now.Add(-time.Duration(from+k) * time.Hour).Truncate(time.Millisecond)
				b.Samples = append(b.Samples, wire.Sample{DeviceID: fmt.Sprint("evil-", i), Time: at, PVPowerW: float64(k), Count: 1})
			}
			body, _ := json.Marshal(b)
			r, _ := http.NewRequestWithContext(t.Context(), "POST", base+wire.IngestPath, bytes.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+hostileToken(i))
			answer, err := client.Do(r)
			if err != nil || answer.StatusCode != 200 {
				t.Fatalf("%v %v", answer, err)
			}
			answer.Body.Close()
		}
	}
	client.CloseIdleConnections()
}
