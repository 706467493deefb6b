package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"sunspool/edge/config"
	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/internal/portholder"
)

// sandbox holds the addresses of the settings against this machine and against what the unit allows.
func (e *examination) sandbox(ctx context.Context, s *service) (all []Check) {
	if s.role == roleEdge {
		if len(s.edges) == 0 {
			return nil
		}
		one := s.edges[0] // all of a service have the same
		if addr, err := config.MetricsAddr(one.MetricsAddr); one.MetricsAddr != "" && err == nil {
			for _, c := range e.listen(ctx, s, "METRICS_ADDR", addr) {
				c.State = checklist.Warn // the edge works without
				all = append(all, c)
			}
		}
		return append(all, e.forbidden(ctx, s, "the inverter", one.Host)...)
	}
	all = append(all, e.listen(ctx, s, "LISTEN_ADDR", s.vps.ListenAddr)...)
	if s.vps.InternalAddr != "" {
		all = append(all, e.listen(ctx, s, "INTERNAL_ADDR", s.vps.InternalAddr)...)
	}
	if len(all) == 0 {
		all = append(all, pass(areaService, "LISTEN_ADDR %s is one of this machine", s.vps.ListenAddr))
	}
	all = append(all, e.closedDoor(s)...)
	for i, text := range []string{string(s.vps.DatabaseURL), string(s.vps.RedisURL)} {
		if u, err := url.Parse(text); err == nil && u.Hostname() != "" {
			all = append(all, e.forbidden(ctx, s, []string{"PostgreSQL", "Redis"}[i], u.Hostname())...)
		}
	}
	return all
}

// listen says whether a service can listen at an address.
func (e *examination) listen(ctx context.Context, s *service, setting, addr string) []Check {
	host, port, err := net.SplitHostPort(addr)
	number, _ := strconv.Atoi(port)
	if err != nil {
		return nil // the settings are wrong, which is said elsewhere
	}
	if !e.isLocal(ctx, host) {
		return []Check{fail(areaService, &health.Fault{Code: "listen_elsewhere", What: fmt.Sprintf("%s is %s, and this machine has no such address", setting, addr), Why: "it was another machine's, or the router has given this one another address",
			Next: "sudo sed -i " + health.Quote("s|^"+setting+"=.*|"+setting+"=0.0.0.0:"+port+"|") + " " + health.Quote(s.fileOf(setting)) + "   # then: sudo systemctl restart " + health.Quote(s.unitOr())})}
	}
	if number > 0 && number < e.firstFreePort() && s.state != nil && s.state["User"] != "" && s.state["User"] != "root" && !strings.Contains(s.state["AmbientCapabilities"], "cap_net_bind_service") {
		return []Check{fail(areaService, &health.Fault{Code: "port_privileged", What: fmt.Sprintf("%s is %s: ports below %d are root's, and the unit has no capability for them", setting, addr, e.firstFreePort()),
			Next: "sudo sed -i " + health.Quote("s|^"+setting+"=.*|"+setting+"="+net.JoinHostPort(host, "8443")+"|") + " " + health.Quote(s.fileOf(setting)) + "   # then: sudo systemctl restart " + health.Quote(s.unitOr())})}
	}
	if s.state == nil || s.state["ActiveState"] == "active" {
		return nil
	}
	if holder, taken := portholder.Of(e.Root, addr); taken {
		return []Check{fail(areaService, &health.Fault{Code: "port_in_use", Exit: health.ExitBusy, What: fmt.Sprintf("%s is %s, where %s listens", setting, addr, holder),
			Next: "sudo ss -ltnp " + health.Quote("sport = :"+port) + "   # stop it, or give " + setting + " another port"})}
	}
	return nil
}

// isLocal reports whether host is an address of this machine, or none in particular.
func (e *examination) isLocal(ctx context.Context, host string) bool {
	if host == "" {
		return true
	}
	addresses, err := e.addresses(ctx, host)
	if err != nil {
		return false
	}
	local, err := e.local()
	if err != nil {
		return true // it is not known
	}
	return slices.ContainsFunc(addresses, func(ip netip.Addr) bool {
		return ip.IsUnspecified() || ip.IsLoopback() || slices.Contains(local, ip.WithZone(""))
	})
}

// local are the addresses of this machine.
func (e *examination) local() (all []netip.Addr, err error) {
	interfaces, err := e.Local()
	for _, a := range interfaces {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				all = append(all, ip.Unmap())
			}
		}
	}
	return all, err
}

// firstFreePort is the first port that needs no right.
func (e *examination) firstFreePort() int {
	text, err := os.ReadFile(e.path("/proc/sys/net/ipv4/ip_unprivileged_port_start"))
	if n, wrong := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && wrong == nil {
		return n
	}
	return 1024
}

// networks reads what systemd shows of IPAddressAllow= and IPAddressDeny=.
func networks(text string) (all []netip.Prefix) {
	for word := range strings.FieldsSeq(text) {
		if p, err := netip.ParsePrefix(word); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// allows reports whether the unit's filter lets traffic with an address pass: what is allowed does, then what is not denied.
func (s *service) allows(ip netip.Addr) bool {
	in := func(all []netip.Prefix) bool {
		return slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	ip = ip.Unmap()
	return in(networks(s.state["IPAddressAllow"])) || !in(networks(s.state["IPAddressDeny"]))
}

// closedDoor warns of a server that listens for others, whom its sandbox does not let in.
func (e *examination) closedDoor(s *service) []Check {
	host, _, err := net.SplitHostPort(s.vps.ListenAddr)
	if ip := net.ParseIP(host); err != nil || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	local, err := e.local()
	local = slices.DeleteFunc(local, netip.Addr.IsLoopback)
	if err != nil || len(local) == 0 || slices.ContainsFunc(local, s.allows) {
		return nil
	}
	return []Check{warn(areaService, &health.Fault{Code: "sandbox_denies", What: fmt.Sprintf("LISTEN_ADDR is %s, and the sandbox of %s lets in this machine alone", s.vps.ListenAddr, s.unitOr()), Why: "IPAddressAllow= of the unit has none of the networks of this machine",
		Next: "sudo systemctl edit " + health.Quote(s.unitOr()) + "   # add two lines, [Service] and IPAddressAllow=192.168.0.0/16, then: sudo systemctl restart " + health.Quote(s.unitOr())})}
}

// forbidden says whether the sandbox keeps a service from a host that it needs.
func (e *examination) forbidden(ctx context.Context, s *service, what, host string) []Check {
	if len(networks(s.state["IPAddressDeny"])) == 0 || host == "" {
		return nil
	}
	addresses, _ := e.addresses(ctx, host)
	for _, ip := range addresses {
		if !s.allows(ip) {
			return []Check{fail(areaService, &health.Fault{Code: "sandbox_denies", What: fmt.Sprintf("the sandbox of %s keeps it from %s at %s", s.unitOr(), what, ip), Why: "IPAddressAllow= of the unit does not have that address",
				Next: "sudo systemctl edit " + health.Quote(s.unitOr()) + "   # add two lines, [Service] and IPAddressAllow=" + health.Quote(ip.String()) + ", then: sudo systemctl restart " + health.Quote(s.unitOr())})}
		}
	}
	return nil
}
