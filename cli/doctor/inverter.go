package doctor

import (
	"context"
	"fmt"
	"net"
	"strings"

	edgeinverter "sunspool/edge/inverter"
	"sunspool/health"
)

// inverter looks at the way to each inverter. One that an edge reads is not connected to: its dongle has one connection.
func (e *examination) inverter(ctx context.Context) (all []Check) {
	edges, left := e.usable(areaInverter)
	for _, one := range edges {
		if one.runs {
			all = append(all, e.readInverter(ctx, one)...)
		} else {
			all = append(all, e.unreadInverter(ctx, one))
		}
	}
	for _, s := range e.services { // what everybody may know
		if s.denied && len(s.edges) > 0 && s.edges[0].runs {
			all = append(all, e.readInverter(ctx, s.edges[0])...)
		}
	}
	return append(all, left...)
}

// readInverter is what the edge that reads an inverter reports of it.
func (e *examination) readInverter(ctx context.Context, one *edge) (all []Check) {
	link := linkOf(one, "inverter")
	switch link.State {
	case health.OK:
		what := strings.TrimSpace(one.health.Model + " " + one.health.Serial)
		if one.health.LastPoll != nil {
			what += ", read " + health.Span(e.Now().Sub(*one.health.LastPoll)) + " ago"
		}
		all = append(all, pass(areaInverter, "%s%s", one.name(), what))
	case health.Resting:
		all = append(all, pass(areaInverter, "%sit sleeps since %s, as string inverters do at night", one.name(), link.Since.Local().Format("15:04")))
	case health.Broken:
		c := e.broken(areaInverter, one, link)
		if host := one.Host; host != "" && link.Code == "inverter_unreachable" {
			c.Why = join(c.Why, e.nameOf(ctx, host))
		}
		c.exit = health.ExitUnreachable
		all = append(all, c)
	default:
		all = append(all, skip(areaInverter, one.name()+"nothing has happened yet: the edge has just started", ""))
	}
	return append(all, reported(areaInverter, one)...)
}

// nameOf says to what the name of an inverter leads, "" for an address.
func (e *examination) nameOf(ctx context.Context, host string) string {
	if net.ParseIP(host) != nil {
		return ""
	}
	addresses, err := e.addresses(ctx, host)
	if err != nil || len(addresses) == 0 {
		return ""
	}
	return "the name " + host + " leads to " + addresses[0].String()
}

// unreadInverter connects to an inverter that no edge reads, and sends nothing.
func (e *examination) unreadInverter(ctx context.Context, one *edge) Check {
	if one.Host == "" {
		return skip(areaInverter, "SUNGROW_HOST is missing", "")
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	conn, err := e.Dial(ctx, "tcp", one.Address())
	if err == nil {
		conn.Close()
		return pass(areaInverter, "%s%s takes a connection; the edge does not run, so whether it answers is not known", one.name(), one.Address())
	}
	f := &health.Fault{Code: "inverter_unreachable", Exit: health.ExitUnreachable, What: one.name() + "the inverter " + one.Address() + " cannot be reached", Err: err}
	if !edgeinverter.ExplainDial(f, err) {
		f.Next = "sunspool probe " + health.Quote(one.Address())
	}
	return fail(areaInverter, f)
}

// linkOf is the link of that name of an edge's chain.
func linkOf(one *edge, name string) health.Status {
	for _, link := range one.health.Links {
		if link.Name == name {
			return link
		}
	}
	return health.Status{Name: name, State: health.Unknown}
}

// broken is the check of a link that the edge reports as broken.
func (e *examination) broken(area string, one *edge, link health.Status) Check {
	c := fail(area, &health.Fault{What: fmt.Sprintf("%s%s (for %s)", one.name(), link.LastError, health.Span(e.Now().Sub(link.Since))), Next: link.Next})
	c.Code = link.Code
	if c.Code == "" {
		c.Code = link.Name + "_broken"
	}
	return c
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
