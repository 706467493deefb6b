package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sunspool/edge/donglelock"
	"sunspool/edge/inverter"
	"sunspool/edge/mdns"
	"sunspool/edge/pace"
	"sunspool/edge/registers"
	"sunspool/health"
)

const (
	scanAtATime = 16
	scanConnect = time.Second // that a host has to take a connection
	largestScan = 24          // bits of the prefix: 256 addresses
)

// Search finds inverters: those whose dongle announces itself, or those that answer in a network. The zero value is ready.
type Search struct {
	Unit    uint8         // that is asked; 0 is 1
	Timeout time.Duration // of an answer, and of connecting; 0 is 5 s, and 1 s
	Tell    func(what string)

	// The network and the machine; nil is this one.
	Find    func(context.Context) ([]mdns.Dongle, error)
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Held    func() (addresses []string, hidden bool)
}

// Found is an inverter or its dongle.
type Found struct {
	Address string `json:"address"`         // as probe and setup take it
	Name    string `json:"name,omitempty"`  // by which it announces itself
	Model   string `json:"model,omitempty"` // of the dongle if it announced itself, of the inverter if it was asked
	Serial  string `json:"serial,omitempty"`
	Code    uint16 `json:"device_type_code,omitempty"`
	InUse   bool   `json:"in_use,omitempty"` // by an edge of this machine
}

// String describes it in a line.
func (f Found) String() string {
	parts := []string{f.Address + ":"}
	for _, part := range []string{f.Name, f.Model} {
		if part != "" {
			parts = append(parts, part+",")
		}
	}
	if f.Code != 0 {
		parts = append(parts, fmt.Sprintf("code 0x%04X,", f.Code))
	}
	if f.Serial != "" {
		parts = append(parts, "serial "+f.Serial+",")
	}
	if f.InUse {
		parts = append(parts, "read by an edge here")
	}
	return strings.TrimRight(strings.Join(parts, " "), ",:")
}

// Results is what a search found.
type Results struct {
	Found   []Found  `json:"found"`
	Skipped []string `json:"skipped,omitempty"` // addresses that an edge of this machine uses
	Others  []Other  `json:"others,omitempty"`  // that take connections at port 502 and gave no type
}

// Other is a host at whose port 502 is something else.
type Other struct {
	Address string `json:"address"`
	Why     string `json:"why"`
}

func (s *Search) tell(format string, args ...any) {
	if s.Tell != nil {
		s.Tell(fmt.Sprintf(format, args...))
	}
}

// Announced returns the dongles that answer by mDNS. No connection is made to any.
func (s *Search) Announced(ctx context.Context) (r Results, err error) {
	find := s.Find
	if find == nil {
		find = new(mdns.Querier).Find
	}
	s.tell("asking the network for dongles")
	dongles, err := find(ctx)
	if err != nil {
		return r, &health.Fault{Code: "network_not_asked", What: "the network cannot be asked for dongles", Why: err.Error(), Next: "name the inverter: `sunspool probe 192.168.1.100`"}
	}
	held, _ := s.held()
	r.Found = []Found{}
	for _, d := range dongles {
		f := Found{Address: d.Addr.String(), Name: d.Name, Model: d.Model}
		if d.Serial != "" {
			f.Serial = inverter.MaskSerial(d.Serial)
		}
		f.InUse = slices.ContainsFunc(held, func(host string) bool {
			ip, err := netip.ParseAddr(host)
			return err == nil && ip.Unmap() == d.Addr || strings.EqualFold(strings.TrimSuffix(host, "."), d.Host)
		})
		r.Found = append(r.Found, f)
	}
	return r, ctx.Err()
}

// held returns the hosts that edges of this machine read.
func (s *Search) held() (hosts []string, hidden bool) {
	look := s.Held
	if look == nil {
		look = donglelock.Held
	}
	addresses, hidden := look()
	for _, address := range addresses {
		if host, _, err := net.SplitHostPort(address); err == nil {
			hosts = append(hosts, host)
		}
	}
	return hosts, hidden
}

// ParseNetwork reads the network of --scan: IPv4, at home, of at most 256 addresses.
func ParseNetwork(text string) (netip.Prefix, error) {
	wrong := func(why string) (netip.Prefix, error) {
		return netip.Prefix{}, &health.Fault{Code: "usage", Exit: health.ExitUsage, What: fmt.Sprintf("--scan %q is not a network to look through", text), Why: why,
			Next: "write the network of the inverter as 192.168.1.0/24; ip address shows those of this machine"}
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return wrong("it is not an address, a / and a number of bits")
	case !p.Addr().Is4():
		return wrong("it is not IPv4")
	case p.Bits() < largestScan:
		return wrong("it has more than 256 addresses: /24 is the largest")
	case !p.Addr().IsPrivate() && !p.Addr().IsLinkLocalUnicast():
		return wrong("it is not a private network, which are in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and 169.254.0.0/16")
	}
	return p.Masked(), nil
}

// hostsOf returns the addresses of a network that hosts can have.
func hostsOf(p netip.Prefix) (hosts []netip.Addr) {
	for a := p.Addr(); p.Contains(a); a = a.Next() {
		hosts = append(hosts, a)
	}
	if p.Bits() < 31 {
		hosts = hosts[1 : len(hosts)-1] // the network's own, and that for all of it
	}
	return hosts
}

// Scan connects to port 502 of each host of a network, a few at a time, and asks those that answer for their type, one after
// the other, over that same connection. Hosts that an edge of this machine reads are left alone.
func (s *Search) Scan(ctx context.Context, network netip.Prefix) (r Results, err error) {
	r.Found = []Found{}
	used, err := s.usedIn(ctx, network)
	if err != nil {
		return r, err
	}
	var hosts []netip.Addr
	for _, a := range hostsOf(network) {
		if slices.Contains(used, a) {
			r.Skipped = append(r.Skipped, a.String())
		} else {
			hosts = append(hosts, a)
		}
	}
	s.tell("connecting to port %d of %d addresses", defaultPort, len(hosts))
	for _, open := range s.connect(ctx, hosts) {
		if ctx.Err() != nil {
			open.conn.Close()
			continue
		}
		s.tell("asking %s what it is", open.addr)
		f, other := s.ask(ctx, open)
		if other != "" {
			r.Others = append(r.Others, Other{f.Address, other})
		} else {
			r.Found = append(r.Found, f)
		}
	}
	return r, ctx.Err()
}

// usedIn returns the addresses in a network that edges of this machine use. One that cannot be found out is an error: a second
// connection would disturb what it reads.
func (s *Search) usedIn(ctx context.Context, network netip.Prefix) (used []netip.Addr, err error) {
	resolve := s.Resolve
	if resolve == nil {
		resolve = new(mdns.Names).Resolve
	}
	unclear := func(why string) error {
		return &health.Fault{Code: "dongle_busy", Exit: health.ExitBusy, What: "the network " + network.String() + " is not looked through, beside an edge of this machine", Why: why,
			Next: "stop the edge for the time of the scan: `sudo systemctl stop sunspool-edge`"}
	}
	hosts, hidden := s.held()
	if hidden {
		return nil, unclear("which inverter it reads cannot be found out, and a second connection would disturb it")
	}
	for _, host := range hosts {
		addrs, err := resolve(ctx, host)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, unclear("it reads " + host + ", whose address cannot be found out, and a second connection would disturb it")
		}
		for _, a := range addrs {
			used = append(used, a.Unmap())
		}
	}
	return used, nil
}

// opened is a connection to a host.
type opened struct {
	addr netip.Addr
	conn net.Conn
	at   time.Time
}

// connect returns the connections that the hosts took, in their order.
func (s *Search) connect(ctx context.Context, hosts []netip.Addr) (all []opened) {
	dial := s.dialer()
	conns := make([]opened, len(hosts))
	var dials sync.WaitGroup
	next := make(chan int)
	for range scanAtATime {
		dials.Go(func() {
			for i := range next {
				within, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, scanConnect))
				conn, err := dial(within, "tcp", address(hosts[i]))
				cancel()
				if err == nil {
					conns[i] = opened{hosts[i], conn, time.Now()}
				}
			}
		})
	}
	for i := range hosts {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	dials.Wait()
	for _, o := range conns {
		if o.conn != nil {
			all = append(all, o)
		}
	}
	return all
}

func (s *Search) dialer() func(context.Context, string, string) (net.Conn, error) {
	if s.Dial != nil {
		return s.Dial
	}
	return (&net.Dialer{}).DialContext
}

func address(a netip.Addr) string { return net.JoinHostPort(a.String(), strconv.Itoa(defaultPort)) }

// ask reads the type over a connection; other is why it is not known.
func (s *Search) ask(ctx context.Context, o opened) (f Found, other string) {
	f.Address = o.addr.String()
	dongle := &inverter.Dongle{
		Pace: &pace.Pace{Interval: pace.RestTime},
		Link: inverter.Transport{
			Address: address(o.addr), Timeout: cmp.Or(s.Timeout, inverter.AnswerTime), Settle: max(inverter.SettleTime-time.Since(o.at), 0),
			Dial: func(context.Context, string, string) (net.Conn, error) { return o.conn, nil },
		},
	}
	code, isModbus, err := dongle.TypeCode(ctx, cmp.Or(s.Unit, 1))
	switch {
	case errors.Is(err, context.Canceled):
		return f, "interrupted"
	case err != nil && isModbus:
		return f, "Modbus, but no inverter of Sungrow: " + err.Error()
	case err != nil:
		return f, "no Modbus: " + err.Error()
	}
	f.Code = code
	if m, ok := registers.ModelOf(code); ok {
		f.Model = "Sungrow " + m.Name
	} else {
		f.Model = "a type that is not in the table"
	}
	return f, ""
}

// HomeNetworks returns the private IPv4 networks of this machine, each cut to 256 addresses, for a person to choose from.
func HomeNetworks() (networks []netip.Prefix) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 || isOfContainers(i.Name) {
			continue
		}
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil || !p.Addr().Is4() || !p.Addr().IsPrivate() {
				continue
			}
			if p = netip.PrefixFrom(p.Addr(), max(p.Bits(), largestScan)).Masked(); !slices.Contains(networks, p) {
				networks = append(networks, p)
			}
		}
	}
	return networks
}

// isOfContainers reports whether an interface leads to containers of this machine.
func isOfContainers(name string) bool {
	return slices.ContainsFunc([]string{"docker", "br-", "veth", "virbr", "cni", "podman", "lxc"}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
