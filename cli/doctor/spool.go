package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sunspool/edge/report"
	"sunspool/edge/spool/inspect"
	"sunspool/health"
)

// spool looks into the spools: that of an edge which runs by its socket, others by themselves.
func (e *examination) spool(ctx context.Context) (all []Check) {
	edges, left := e.usable(areaSpool)
	for _, one := range edges {
		if one.runs {
			all = append(all, e.openSpool(ctx, one)...)
		} else {
			all = append(all, closedSpool(one))
		}
	}
	for _, s := range e.services {
		if s.denied && len(s.edges) > 0 && s.edges[0].runs {
			all = append(all, e.openSpool(ctx, s.edges[0])...)
		}
	}
	return append(all, left...)
}

func (e *examination) openSpool(ctx context.Context, one *edge) (all []Check) {
	h := &one.health
	if link := linkOf(one, "spool"); link.State == health.Broken && areaOf(link.Code) != areaDisk {
		all = append(all, e.broken(areaSpool, one, link))
	}
	if slices.Contains(h.Reasons, "quarantine_full") {
		all = append(all, fail(areaSpool, &health.Fault{Code: "quarantine_full", What: fmt.Sprintf("%sthe quarantine is full, with %d samples that the server refused", one.name(), h.Quarantined),
			Why: "what the server refuses is tried for ever", Next: "sudo sunspool spool quarantine   # says why; mostly the server must be updated, or the edge"}))
	} else if h.Quarantined > 0 {
		all = append(all, warn(areaSpool, &health.Fault{Code: "poison_quarantined", What: fmt.Sprintf("%s%d samples that the server refused are in quarantine", one.name(), h.Quarantined), Next: "sudo sunspool spool quarantine"}))
	}
	if h.SetAside != "" || h.Unreadable > 0 {
		all = append(all, warn(areaSpool, &health.Fault{Code: "spool_salvaged", What: fmt.Sprintf("%sthe spool was damaged: %d samples were salvaged, %d could not be read", one.name(), h.Salvaged, h.Unreadable),
			Why: "a copy of the damaged file is kept: " + h.SetAside, Next: "sudo dmesg   # does the disk report errors?"}))
	}
	if lost := total(h.Lost); lost > 0 {
		all = append(all, warn(areaSpool, &health.Fault{Code: "samples_lost", What: fmt.Sprintf("%s%d samples did not reach the disk since the edge started", one.name(), lost), Next: "sudo sunspool doctor disk"}))
	}
	all = append(all, reported(areaSpool, one)...)
	what := fmt.Sprintf("%s%d samples wait, %.1f %% of the room is used", one.name(), h.SpoolCount, h.SpoolShare)
	if one.Socket != "" && report.ReadsSpool(ctx, e.path(one.Socket)) {
		what += "; it can be read"
	}
	return append(all, pass(areaSpool, "%s", what))
}

// closedSpool reads a spool that no edge has open, from its beginning to its end.
func closedSpool(one *edge) Check {
	if one.SpoolPath == "" {
		return skip(areaSpool, one.name()+"SPOOL_PATH is empty", "")
	}
	unsent, err := inspect.CountUnsent(one.SpoolPath)
	f, _ := errors.AsType[*health.Fault](err)
	switch {
	case err == nil && unsent.Quarantined > 0:
		return warn(areaSpool, &health.Fault{Code: "poison_quarantined", What: one.name() + unsent.String(), Next: "sudo sunspool spool quarantine"})
	case err == nil:
		return pass(areaSpool, "%s%s", one.name(), unsent)
	case f != nil && f.Code == "no_spool":
		return skip(areaSpool, one.name()+"there is no spool yet: the edge makes it when it starts", "")
	case f != nil && f.Code == "spool_busy" && one.service.state["ActiveState"] == "active":
		return warn(areaSpool, &health.Fault{Code: "edge_silent", What: one.name() + "the edge has the spool and does not say how it is", Err: one.silence, Next: "sudo journalctl -u " + health.Quote(one.service.unitOr()) + " -n 30"})
	}
	return fail(areaSpool, asFault(err, "spool_broken"))
}

func asFault(err error, code string) *health.Fault {
	if f, ok := errors.AsType[*health.Fault](err); ok {
		return f
	}
	return &health.Fault{Code: code, What: err.Error(), Next: "sudo sunspool status"}
}

func total(counts map[string]int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}
