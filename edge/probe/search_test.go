package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/mdns"
	"sunspool/edge/simulator"
	"sunspool/health"
	"sunspool/internal/checklist"
)

// street is a network of hosts, each with what it does with a connection; where there is none nothing answers.
type street struct {
	hosts map[string]func(context.Context) (net.Conn, error)

	mu    sync.Mutex
	dials map[string]int
	open  int
	most  int // dials at a time
}

func (s *street) dial(ctx context.Context, _, address string) (net.Conn, error) {
	s.mu.Lock()
	s.dials[address]++
	s.open++
	s.most = max(s.most, s.open)
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.open--; s.mu.Unlock() }()
	if connect := s.hosts[address]; connect != nil {
		return connect(ctx)
	}
	<-ctx.Done()
	return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
}

// writes is a host that answers everything with a text.
func writes(text string) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			if _, err := theirs.Read(make([]byte, 300)); err == nil {
				io.WriteString(theirs, text)
			}
		}()
		return ours, nil
	}
}

// A scan finds the inverters of a network with one connection and one read each, few connections at a time, and leaves alone
// what an edge of this machine reads.
func TestScanFindsInvertersAndIsPolite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, err := simulator.New(simulator.Options{Unit: 1, Speed: 1, Start: time.Now(), Home: homeOf(t)})
		if err != nil {
			t.Fatal(err)
		}
		bed := invertertest.New(t, sim)
		s := &street{dials: map[string]int{}, hosts: map[string]func(context.Context) (net.Conn, error){
			"192.168.7.9:502":  func(ctx context.Context) (net.Conn, error) { return bed.Dial(ctx, "tcp", "") },
			"192.168.7.20:502": writes("HTTP/1.1 400 Bad Request\r\n\r\n"),
			"192.168.7.21:502": writes("\x00\x01\x00\x00\x00\x03\x01\x84\x02"),
			"192.168.7.30:502": func(context.Context) (net.Conn, error) { return nil, syscall.ECONNREFUSED },
		}}
		search := Search{Dial: s.dial, Held: func() ([]string, bool) {
			return []string{"192.168.7.7:502", "winet.local:502", "192.168.9.9:502"}, false
		},
			Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
				if host == "winet.local" {
					host = "192.168.7.8"
				}
				return []netip.Addr{netip.MustParseAddr(host)}, nil
			}}
		network, err := ParseNetwork("192.168.7.0/24")
		if err != nil {
			t.Fatal(err)
		}
		r, err := search.Scan(t.Context(), network)
		if err != nil || len(r.Found) != 1 || r.Found[0] != (Found{Address: "192.168.7.9", Model: "Sungrow SH10RT", Code: 0x0E03}) {
			t.Errorf("found %+v, %v", r.Found, err)
		}
		if !slices.Equal(r.Skipped, []string{"192.168.7.7", "192.168.7.8"}) {
			t.Errorf("left alone: %v", r.Skipped)
		}
		if len(r.Others) != 2 || r.Others[0].Address != "192.168.7.20" || !strings.HasPrefix(r.Others[0].Why, "no Modbus") {
			t.Errorf("others: %+v", r.Others)
		}
		if a := sim.Audit(); a.Connects != 1 || a.Requests != 1 {
			t.Errorf("the inverter was asked %+v", a)
		}
		if s.most > scanAtATime || len(s.dials) != 252 || s.dials["192.168.7.0:502"]+s.dials["192.168.7.255:502"]+s.dials["192.168.7.7:502"]+s.dials["192.168.7.8:502"] != 0 || slices.Max(slices.Collect(maps.Values(s.dials))) != 1 {
			t.Errorf("%d at a time, %d hosts: %v", s.most, len(s.dials), s.dials)
		}
	})
}

func homeOf(t *testing.T) *simulator.Home {
	t.Helper()
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Zone: time.UTC, Since: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return home
}

// Where the inverter of a running edge cannot be told apart, nothing is connected to.
func TestScanKeepsAwayFromWhatItDoesNotKnow(t *testing.T) {
	for name, held := range map[string]func() ([]string, bool){
		"hidden":     func() ([]string, bool) { return nil, true },
		"unresolved": func() ([]string, bool) { return []string{"winet.local:502"}, false },
	} {
		s := &street{dials: map[string]int{}}
		search := Search{Dial: s.dial, Held: held, Resolve: func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }}
		_, err := search.Scan(t.Context(), netip.MustParsePrefix("192.168.7.0/30"))
		if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "dongle_busy" || f.Exit != health.ExitBusy || f.Next == "" || len(s.dials) > 0 {
			t.Errorf("%s: %v, %v", name, err, s.dials)
		}
	}
}

func TestOnlySmallNetworksAtHomeAreScanned(t *testing.T) {
	for text, want := range map[string]string{
		"192.168.1.0/24": "192.168.1.0/24", "192.168.1.77/24": "192.168.1.0/24", "10.1.2.3/32": "10.1.2.3/32", "172.16.0.0/28": "172.16.0.0/28",
		"192.168.0.0/23": "", "10.0.0.0/8": "", "8.8.8.0/24": "", "fd00::/120": "", "127.0.0.0/24": "", "192.168.1.0": "", "": "", "192.168.1.0/33": "", "0.0.0.0/0": "", "100.64.0.0/24": "",
	} {
		p, err := ParseNetwork(text)
		if (err == nil) != (want != "") || err == nil && p.String() != want {
			t.Errorf("%q is %v, %v", text, p, err)
		}
		if f, ok := errors.AsType[*health.Fault](err); err != nil && (!ok || f.Exit != health.ExitUsage || f.Next == "") {
			t.Errorf("%q: %#v", text, err)
		}
	}
	for cidr, want := range map[string]string{"10.0.0.0/24": "254 10.0.0.1 10.0.0.254", "10.0.0.0/31": "2 10.0.0.0 10.0.0.1", "10.0.0.5/32": "1 10.0.0.5 10.0.0.5", "10.0.0.4/30": "2 10.0.0.5 10.0.0.6"} {
		hosts := hostsOf(netip.MustParsePrefix(cidr))
		if got := fmt.Sprint(len(hosts), " ", hosts[0], " ", hosts[len(hosts)-1]); got != want {
			t.Errorf("%s has %s, want %s", cidr, got, want)
		}
	}
}

// A probe without an address lists what announces itself, for a person and for a program, and connects to nothing.
func TestProbeWithoutAddressLists(t *testing.T) {
	dongles := []mdns.Dongle{
		{Name: "WiNet-WebServer", Host: "winet-webserver.local", Addr: netip.MustParseAddr("192.168.7.9"), Model: "WiNet-S", Serial: "B2312345678"},
		{Name: "WiNet-WebServer-2", Host: "w2.local", Addr: netip.MustParseAddr("192.168.7.10")},
	}
	var out bytes.Buffer
	c := Command{Out: &out, Err: io.Discard, Style: checklist.Style{Plain: true}, Search: Search{
		Find: func(context.Context) ([]mdns.Dongle, error) { return dongles, nil },
		Held: func() ([]string, bool) { return []string{"W2.local.:502"}, true },
		Dial: func(context.Context, string, string) (net.Conn, error) { t.Error("it connects"); return nil, io.EOF },
	}}
	cfg := Config{Unit: 1, Repeat: 2}
	if err := c.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"192.168.7.9: WiNet-WebServer, WiNet-S, serial B23", "192.168.7.10: WiNet-WebServer-2, read by an edge here", "Look at one: sunspool probe 192.168.7.9\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "B2312345678") {
		t.Errorf("the serial number is shown:\n%s", &out)
	}
	out.Reset()
	cfg.JSON = true
	var r Results
	if err := c.Run(t.Context(), cfg); err != nil || json.Unmarshal(out.Bytes(), &r) != nil || len(r.Found) != 2 || !r.Found[1].InUse {
		t.Errorf("%v\n%s", err, &out)
	}
	dongles = nil
	out.Reset()
	err := c.Run(t.Context(), cfg)
	if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "no_inverter_found" || f.Exit != health.ExitUnreachable || f.Next == "" || !strings.Contains(out.String(), `"found": []`) {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestWhatTheCommandLineMayNotSay(t *testing.T) {
	for name, cfg := range map[string]Config{
		"address and scan": {Address: "192.168.7.9", Scan: "192.168.7.0/24"},
		"wide scan":        {Scan: "192.168.0.0/16"},
		"save of none":     {Save: "file"},
		"no time":          {Address: "192.168.7.9", Timeout: "soon"},
		"a long time":      {Address: "192.168.7.9", Timeout: "2h"},
		"no unit":          {Address: "192.168.7.9", Unit: 250},
	} {
		if cfg.Unit == 0 {
			cfg.Unit = 1
		}
		cfg.Repeat = 1
		err := Command{Out: io.Discard, Err: io.Discard}.Run(t.Context(), cfg)
		if f, ok := errors.AsType[*health.Fault](err); !ok || f.Exit != health.ExitUsage || f.Next == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for text, want := range map[string]time.Duration{"": 0, "3": 3 * time.Second, "0.5": 500 * time.Millisecond, "250ms": 250 * time.Millisecond, "1m": time.Minute} {
		if got, err := (Config{Timeout: text}).timeout(); err != nil || got != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}
