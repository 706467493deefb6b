package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sunspool/edge/clock"
	"sunspool/health"
)

const (
	offALittle = 30 * time.Second
	offTooFar  = 10 * time.Minute // ahead by as much a sample is refused
)

// clock looks at the clock of this machine: samples have its times.
func (e *examination) clock(ctx context.Context) (all []Check) {
	if now := e.Now(); now.Before(clock.Built()) {
		all = append(all, fail(areaClock, &health.Fault{Code: "clock_unset", What: "the clock of this machine says " + now.UTC().Format("2006-01-02 15:04") + " UTC", Why: "that is before this program was made",
			Next: "sudo timedatectl set-ntp true   # a time server sets it; without a network: sudo timedatectl set-time 'YYYY-MM-DD HH:MM'"}))
	}
	all = append(all, e.kept(ctx))
	edges, _ := e.usable(areaClock)
	for _, one := range edges {
		all = append(all, e.edgeClock(ctx, one)...)
	}
	return all
}

// kept says whether a time server keeps the clock.
func (e *examination) kept(ctx context.Context) Check {
	synced, err := e.Synced()
	text, _ := e.Program(ctx, "timedatectl", "show", "--property=NTP,NTPSynchronized")
	if err == nil && synced || err != nil && strings.Contains(text, "NTPSynchronized=yes") {
		return pass(areaClock, "a time server keeps the clock of this machine")
	}
	f := &health.Fault{Code: "clock_unkept", What: "no time server keeps the clock of this machine", Why: "the edge then takes the time of its own server, once that answers",
		Next: "timedatectl timesync-status   # is a time server reached?"}
	if strings.Contains(text, "NTP=no") {
		f.Next = "sudo timedatectl set-ntp true"
	}
	return warn(areaClock, f)
}

// edgeClock compares the clock with that of the server, and says what the edge makes of it.
func (e *examination) edgeClock(ctx context.Context, one *edge) (all []Check) {
	if one.runs {
		link := linkOf(one, "clock")
		switch {
		case link.State == health.Broken:
			all = append(all, e.broken(areaClock, one, link))
		case one.health.Held > 0:
			all = append(all, warn(areaClock, &health.Fault{Code: "clock_unsynced", What: fmt.Sprintf("%s%d samples wait until the time is known", one.name(), one.health.Held), Next: "timedatectl timesync-status   # is a time server reached?"}))
		}
		all = append(all, reported(areaClock, one)...)
	}
	if one.service.err != nil || one.tokenErr != nil || one.service.proxies() != e.proxies() {
		return all
	}
	x := e.ask(ctx, one)
	if x.reply.Date.IsZero() {
		return append(all, skip(areaClock, one.name()+"the server gives no time to compare with: see upload", ""))
	}
	off := x.at.Sub(x.reply.Date).Round(time.Second)
	far := off.Abs()
	what := fmt.Sprintf("%sthe clock of this machine is %v ahead of the server's", one.name(), far)
	if off < 0 {
		what = fmt.Sprintf("%sthe clock of this machine is %v behind the server's", one.name(), far)
	}
	f := &health.Fault{Code: "clock_wrong", What: what, Why: "one of the two is wrong", Next: "sudo timedatectl set-ntp true   # and the same on the server"}
	switch {
	case far >= offTooFar:
		all = append(all, fail(areaClock, f))
	case far >= offALittle:
		all = append(all, warn(areaClock, f))
	default:
		all = append(all, pass(areaClock, "%sthe clock agrees with the server's within %v", one.name(), max(far, time.Second)+time.Second))
	}
	return all
}
