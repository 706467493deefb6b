package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sunspool/edge/upload"
	"sunspool/health"
	"sunspool/internal/checklist"
)

// upload asks the server of each edge whether it would take its samples.
func (e *examination) upload(ctx context.Context) (all []Check) {
	edges, left := e.usable(areaUpload)
	for _, one := range edges {
		all = append(all, e.server(ctx, one)...)
	}
	for _, s := range e.services { // without the token, what the edge says
		if s.denied && len(s.edges) > 0 && s.edges[0].runs {
			if link := linkOf(s.edges[0], "vps"); link.State == health.Broken {
				all = append(all, e.broken(areaUpload, s.edges[0], link))
			}
		}
	}
	return append(all, left...)
}

func (e *examination) server(ctx context.Context, one *edge) (all []Check) {
	if one.tokenErr != nil {
		return []Check{fail(areaUpload, &health.Fault{Code: "credential", What: one.name() + "there is no token for the server", Err: one.tokenErr, Next: "sudo sunspool vps pair   # on the server makes a code; then here: sudo sunspool setup --pair CODE"})}
	}
	if first := e.proxies(); one.service.proxies() != first {
		return []Check{skip(areaUpload, one.name()+"it has another proxy than the first edge of this machine, so it is not asked from here", "sudo sunspool status")}
	}
	x := e.ask(ctx, one)
	if x.err != nil {
		return append([]Check{e.refused(one, x.err)}, reported(areaUpload, one)...)
	}
	by := ""
	if one.proxied {
		by = " through the proxy"
	}
	all = append(all, pass(areaUpload, "%s%s would take samples with this token%s: it answers in %v", one.name(), one.URL, by, x.reply.Took.Round(time.Millisecond)))
	all = append(all, e.newest(one, x)...)
	if link := linkOf(one, "vps"); one.runs && link.State == health.Broken {
		c := e.broken(areaUpload, one, link)
		c.What = one.name() + "the edge itself was not heard: " + link.LastError
		c.Why = "the same request is taken when it is made from here: the edge may have older settings, or its sandbox keeps it"
		c.Next = "sudo systemctl restart " + health.Quote(one.service.unitOr())
		if link.Code == "vps_unreachable" && e.Now().Sub(link.LastErrTS) < 10*time.Minute {
			c.State, c.Why = checklist.Warn, "the same request is taken when it is made from here; the edge tries again by itself"
		}
		all = append(all, c)
	}
	return append(all, reported(areaUpload, one)...)
}

// refused is what is wrong with the way to the server, or with what it answers.
func (e *examination) refused(one *edge, err error) Check {
	explained := upload.Explain(err)
	f, ok := errors.AsType[*health.Fault](explained)
	if !ok {
		f = &health.Fault{Code: "vps_unreachable", Exit: health.ExitUnreachable, What: "the server was not asked", Err: explained, Next: "sudo sunspool doctor config"}
	}
	c := fail(areaUpload, f)
	if c.What == "the server did not take the samples" { // of which there were none
		c.What = map[string]string{"tls": "there is no TLS that could be trusted", "vps_unreachable": "the server cannot be reached", "proxy_unreachable": "the proxy cannot be reached"}[f.Code]
		if c.What == "" {
			c.What = "nothing can be delivered"
		}
	}
	c.What = fmt.Sprintf("%s%s: %s", one.name(), one.URL, c.What)
	if f.Code != "vps_unreachable" && f.Code != "proxy_unreachable" && f.Code != "vps_busy" {
		c.exit = health.ExitUnhealthy
	}
	if f.Code == "credential" {
		c.Next = "sudo sunspool vps pair   # on the server makes a code; then here: sudo sunspool setup --pair CODE"
	}
	return c
}

// newest judges the newest sample that the server has.
func (e *examination) newest(one *edge, x *exchange) []Check {
	resting := one.runs && linkOf(one, "inverter").State == health.Resting
	switch {
	case x.never:
		return []Check{warn(areaUpload, &health.Fault{Code: "no_sample_yet", What: one.name() + "the server has no sample of this inverter yet", Next: "sudo sunspool status"})}
	case x.state == "":
		return nil
	case x.state == "stale" || x.state == "offline":
		if resting {
			break
		}
		return []Check{warn(areaUpload, &health.Fault{Code: "sample_old", What: fmt.Sprintf("%sthe newest sample at the server is %s old", one.name(), health.Span(x.age)),
			Why: "the server takes samples; either none are made, or older ones go first", Next: "sudo sunspool status"})}
	}
	return []Check{pass(areaUpload, "%sthe newest sample at the server is %s old", one.name(), health.Span(x.age))}
}

// proxies are the variables of a proxy that the service has.
func (s *service) proxies() string {
	var text strings.Builder
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"} {
		text.WriteString(s.env[name] + "\n")
	}
	return text.String()
}

// proxies are those of the first edge, which this process takes once for all its requests.
func (e *examination) proxies() string {
	for _, s := range e.services {
		if s.role == roleEdge && !s.denied && len(s.edges) > 0 {
			return s.proxies()
		}
	}
	return ""
}

// unitOr is the unit of the service, or what it would be called.
func (s *service) unitOr() string {
	if s.unit == "" {
		return "sunspool-" + s.role
	}
	return s.unit
}
