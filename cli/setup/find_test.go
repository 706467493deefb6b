package setup

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"sunspool/edge/mdns"
	"sunspool/edge/probe"
	"sunspool/health"
)

// dongles is a network in which these announce themselves, and in which nothing may be connected to.
func dongles(t *testing.T, addrs ...string) *probe.Search {
	var all []mdns.Dongle
	for _, a := range addrs {
		all = append(all, mdns.Dongle{Name: "WiNet-WebServer", Host: "winet.local", Addr: netip.MustParseAddr(a), Model: "WiNet-S", Serial: "B2312345678"})
	}
	return &probe.Search{
		Find: func(context.Context) ([]mdns.Dongle, error) { return all, nil },
		Held: func() ([]string, bool) { return nil, false },
		Dial: func(context.Context, string, string) (net.Conn, error) {
			t.Error("it connects")
			return nil, syscall.ECONNREFUSED
		},
	}
}

// answering is a network in which an inverter answers at these addresses, and the addresses that were connected to.
func answering(addrs ...string) (search *probe.Search, dialled chan string) {
	dialled = make(chan string, 1000)
	return &probe.Search{
		Find: func(context.Context) ([]mdns.Dongle, error) { return nil, nil },
		Held: func() ([]string, bool) { return nil, false },
		Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled <- address
			for _, a := range addrs {
				if address == a+":502" {
					ours, theirs := net.Pipe()
					go sh10rt(theirs)
					return ours, nil
				}
			}
			return nil, syscall.ECONNREFUSED
		},
	}, dialled
}

// sh10rt answers each read with the type of an SH10RT.
func sh10rt(conn net.Conn) {
	defer conn.Close()
	frame := make([]byte, 12)
	for {
		if _, err := io.ReadFull(conn, frame); err != nil {
			return
		}
		conn.Write([]byte{frame[0], frame[1], 0, 0, 0, 5, frame[6], 4, 2, 0x0E, 0x03})
	}
}

// Without an inverter a person is shown what announces itself, and takes it or another.
func TestInverterIsFoundForWhoNamesNone(t *testing.T) {
	t.Parallel() // it waits
	home := netip.MustParsePrefix("192.168.7.0/29")
	for name, c := range map[string]struct {
		search func(*testing.T) *probe.Search
		typed  []string
		want   string
		says   string
	}{
		"taken":           {func(t *testing.T) *probe.Search { return dongles(t, "192.168.7.9") }, []string{""}, "192.168.7.9", "192.168.7.9: WiNet-WebServer, WiNet-S, serial B23"},
		"the second":      {func(t *testing.T) *probe.Search { return dongles(t, "192.168.7.9", "192.168.7.10") }, []string{"n", "y"}, "192.168.7.10", "Use 192.168.7.10"},
		"another":         {func(t *testing.T) *probe.Search { return dongles(t, "192.168.7.9") }, []string{"n", "192.168.7.77"}, "192.168.7.77", ""},
		"no scan":         {func(*testing.T) *probe.Search { return dongles(t) }, []string{"", "192.168.7.77"}, "192.168.7.77", "Look through 192.168.7.0/29? Port 502 of each address is tried once [y/N]"},
		"scanned":         {func(*testing.T) *probe.Search { s, _ := answering("192.168.7.4"); return s }, []string{"y", ""}, "192.168.7.4", "192.168.7.4: Sungrow SH10RT"},
		"scanned in vain": {func(*testing.T) *probe.Search { s, _ := answering(); return s }, []string{"y", "192.168.7.77"}, "192.168.7.77", "No inverter answers there"},
		"the network is ill": {func(*testing.T) *probe.Search {
			s := dongles(t)
			s.Find = func(context.Context) ([]mdns.Dongle, error) { return nil, errors.New("no interface") }
			return s
		}, []string{"n", "192.168.7.77"}, "192.168.7.77", "no interface"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.search, m.networks = c.search(t), []netip.Prefix{home}
			out, err := m.do(Config{Role: roleEdge, Server: "https://x.example.org", TokenFile: m.secretFile(token), TZ: "Europe/Brussels", Print: true}, c.typed...)
			if err != nil || !strings.Contains(out, "+ SUNGROW_HOST="+c.want+"\n") || !strings.Contains(out, c.says) || strings.Contains(out, "B2312345678") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// An inverter that is set is not looked for, and without a person nothing is, but in the network that is named.
func TestConfiguredInverterWins(t *testing.T) {
	t.Parallel() // it waits
	edge := Config{Role: roleEdge, Server: "https://x.example.org", Print: true}
	never := &probe.Search{Find: func(context.Context) ([]mdns.Dongle, error) { t.Error("it looks"); return nil, nil }}
	for name, typed := range map[string][]string{"nobody": nil, "a person": {"", "Europe/Brussels"}} {
		m := newMachine(t)
		m.put(edgeEnv, "SUNGROW_HOST=192.168.1.9\n")
		m.put(tokenFile, token+"\n")
		m.search = never
		cfg := edge
		cfg.Scan = "192.168.7.0/29"
		if out, err := m.do(cfg, typed...); err != nil || strings.Contains(out, "SUNGROW_HOST") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	for name, c := range map[string]struct {
		found []string
		want  string
		exit  int
	}{
		"one": {[]string{"192.168.7.4"}, "192.168.7.4", 0}, "none": {nil, "", health.ExitUnreachable}, "two": {[]string{"192.168.7.4", "192.168.7.5"}, "", health.ExitUsage},
	} {
		m := newMachine(t)
		m.put(tokenFile, token+"\n")
		var dialled chan string
		m.search, dialled = answering(c.found...)
		cfg := edge
		cfg.Scan = "192.168.7.0/29"
		out, err := m.do(cfg)
		f, _ := errors.AsType[*health.Fault](err)
		if c.exit == 0 && (err != nil || !strings.Contains(out, "+ SUNGROW_HOST="+c.want+"\n")) || c.exit != 0 && (f == nil || f.Exit != c.exit || f.Next == "") || len(dialled) != 6 {
			t.Errorf("%s: %v, %d connections\n%s", name, err, len(dialled), out)
		}
	}
	m := newMachine(t)
	m.search = never
	if _, err := m.do(Config{Role: roleEdge, Yes: true}); err == nil {
		t.Error("an edge without an inverter")
	}
}

// The time zone is that of the machine unless it is said otherwise, and a misspelt one is named.
func TestTimeZoneIsAsked(t *testing.T) {
	edge := Config{Role: roleEdge, Inverter: "192.168.1.9", Server: "https://x.example.org", Print: true}
	zone := func(m machine, cfg Config, typed ...string) (string, error) {
		m.put(tokenFile, token+"\n")
		out, err := m.do(cfg, typed...)
		_, after, _ := strings.Cut(out, "+ TZ=")
		name, _, _ := strings.Cut(after, "\n")
		return name, err
	}
	host := newMachine(t)
	host.put("/etc/timezone", "Europe/Berlin\n")
	if got, err := zone(host, edge, ""); err != nil || got != "" {
		t.Errorf("the host's: %q, %v", got, err)
	}
	if got, err := zone(host, edge, "Europe/Brussels"); err != nil || got != "Europe/Brussels" {
		t.Errorf("typed: %q, %v", got, err)
	}
	if got, err := zone(host, edge); err != nil || got != "" {
		t.Errorf("nobody: %q, %v", got, err)
	}
	flag := edge
	flag.TZ = "Asia/Kathmandu"
	if got, err := zone(host, flag); err != nil || got != "Asia/Kathmandu" {
		t.Errorf("the flag: %q, %v", got, err)
	}
	flag.TZ = "Europe/Brussel"
	_, err := zone(host, flag)
	if f, ok := errors.AsType[*health.Fault](err); !ok || f.Exit != health.ExitUsage || !strings.Contains(f.Error(), `"Europe/Brussel" is no time zone`) || f.Next == "" {
		t.Errorf("a misspelt one: %v", err)
	}
	server := newMachine(t)
	if out, err := server.do(Config{Role: roleServer, TZ: "Europe/Brussels", Print: true}); err != nil || !strings.Contains(out, "+ SITE_TZ=Europe/Brussels\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Ctrl-C ends a question: nobody has to answer first.
func TestInterruptEndsAQuestion(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	typed, writer := io.Pipe()
	defer writer.Close()
	shown := make(chan struct{}, 1)
	s := Setup{In: typed, Out: signalling{shown}, Terminal: true, Root: t.TempDir(), System: noSystemd{}}
	ended := make(chan error, 1)
	go func() { ended <- s.Do(ctx, Config{}) }()
	<-shown
	cancel()
	if f, ok := errors.AsType[*health.Fault](<-ended); !ok || f.Exit != health.ExitInterrupted || f.Next == "" {
		t.Errorf("%v", f)
	}
}

// signalling takes what is printed, and shows that something was.
type signalling struct{ shown chan struct{} }

func (s signalling) Write(text []byte) (int, error) {
	select {
	case s.shown <- struct{}{}:
	default:
	}
	return len(text), nil
}
