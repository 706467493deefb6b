package demo

import (
	"flag"
	"sync"
	"syscall"
	"testing"
	"time"

	"sunspool/internal/testservices"
)

var (
	proxySamples = flag.Int("proxy-samples", 3000, "samples that TestReloadedProxiesDeliverOnce delivers through each proxy")
	proxyKills   = flag.Int("proxy-kills", 1, "kill -9 of the vps meanwhile, 20 s apart; with more than one each proxy is tried with HTTP/2 and HTTP/1.1")
)

// While a backlog is delivered the proxy reads its configuration again every second, or, if it is Caddy, is restarted again and again, and
// the vps is killed: every sample is stored once.
func TestReloadedProxiesDeliverOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: takes half a minute")
	}
	t.Parallel() // it mostly waits
	waiting := newBacklog(t, *proxySamples)
	protocols := []string{"HTTP/1.1", "HTTP/2.0"}
	if *proxyKills == 1 {
		protocols = protocols[:1] // TestDocumentedProxiesDeliver has the other
	}
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			eachProxy(t, func(t *testing.T, program proxyProgram) { reloadedProxyDeliversOnce(t, program, protocol, waiting) })
		})
	}
}

func reloadedProxyDeliversOnce(t *testing.T, program proxyProgram, protocol string, waiting spooledBacklog) {
	var change [2]string
	if protocol == "HTTP/1.1" {
		change = program.http1
	}
	s := behind(t, program, change)
	if got := s.protocol(t); got != protocol {
		t.Fatalf("it offers %s to an edge", got)
	}
	reloads := s.keepReloading()
	e, sim := s.deliver(t, waiting)
	testservices.Await(t, "some of the backlog is delivered", func() bool { h, ok := s.status(); return ok && h.Counts["uploaded_samples_total"] > 0 })
	for kill := range *proxyKills {
		if kill > 0 {
			time.Sleep(20 * time.Second)
		}
		h, _ := s.status()
		t.Logf("the vps is killed, %d samples wait", h.SpoolCount)
		s.vps.end(syscall.SIGKILL)
		s.serveBehind()
	}
	testservices.Await(t, "the backlog is delivered", func() bool { h, ok := s.status(); return ok && h.SpoolCount == 0 && h.Polls > 2 })
	t.Logf("%d reloads", reloads())
	s.exactlyOnce(t, e, sim, waiting)
}

// keepReloading reloads the proxy, a second after the time before, until the returned function is called, which returns how
// often, or the test ends. One that is restarted is left in peace until the edge had an answer through it: on a busy machine
// a start takes as long as it is up, and the edge, which waits ever longer, would not meet it again.
func (s *proxied) keepReloading() (end func() int) {
	stop, done := make(chan bool), make(chan int, 1)
	go func() {
		n, before := 0, s.delivered()
		defer func() { done <- n }()
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
			}
			if s.program.reload == restarts && s.delivered() == before {
				continue
			}
			before = s.delivered()
			s.reloadProxy()
			n++
		}
	}()
	end = sync.OnceValue(func() int { close(stop); return <-done })
	s.t.Cleanup(func() { end() })
	return end
}

// delivered is how many samples the edge knows to be stored.
func (s *proxied) delivered() int64 {
	h, _ := s.status()
	return h.Counts["uploaded_samples_total"]
}
