package upload

import (
	"fmt"
	"time"

	"sunspool/health"
)

// Faults returns what stands between the samples and the server, the worst first.
func (u *Uploader) Faults() (all []*health.Fault) {
	for _, check := range []func() *health.Fault{u.mismatched, u.overfull, u.oversized, u.refusing, u.poisoned, u.renamed} {
		if f := check(); f != nil {
			all = append(all, f)
		}
	}
	return all
}

// SuspectSamples returns how many samples the server refused that are tried again.
func (u *Uploader) SuspectSamples() int64 { return u.refusals.Suspects.Load() }

// SchemaMismatch returns 1 while so much is refused that nothing is given up, else 0.
func (u *Uploader) SchemaMismatch() int64 { return u.refusals.BreakerOpen.Load() }

// ProvedAt returns when the server last took a batch, an empty one included.
func (u *Uploader) ProvedAt() time.Time { return u.provedAt }

// Refusal returns why the server has taken no sample lately, nil if it took some, or refused none.
func (u *Uploader) Refusal() error { return u.refusals.unanswered() }

func (u *Uploader) mismatched() *health.Fault {
	if u.refusals.BreakerOpen.Load() == 0 {
		return nil
	}
	return &health.Fault{
		Code: "schema_mismatch", What: "the server refuses so many samples that none is given up: they wait",
		Next: "update the server, or the edge: their versions do not understand each other",
	}
}

func (u *Uploader) overfull() *health.Fault {
	if u.refusals.Full.Load() == 0 {
		return nil
	}
	return &health.Fault{
		Code: "quarantine_full", What: "the quarantine is full: what the server refuses is tried for ever",
		Next: "find out why the server refuses so much; update the server, or the edge",
	}
}

func (u *Uploader) poisoned() *health.Fault {
	n := u.Spool.InQuarantine()
	if n == 0 {
		return nil
	}
	return &health.Fault{
		Code: "poison_quarantined", What: fmt.Sprintf("%d samples that the server refused are kept in quarantine", n),
		Next: "they are tried again by themselves with the next version of server or edge",
	}
}

// oversized reports samples that something between finds too large.
func (u *Uploader) oversized() *health.Fault {
	n := u.oversize.Waiting.Load()
	if n == 0 {
		return nil
	}
	return &health.Fault{
		Code: "body_limit", What: fmt.Sprintf("something between here and the server finds single samples too large: %d wait", n),
		Next: "raise the limit of what stands between (nginx: client_max_body_size 2m); nothing is given up",
	}
}

// refusing reports samples that the server refuses, from the first refusal on.
func (u *Uploader) refusing() *health.Fault {
	p := &u.refusals
	n, reason := p.Suspects.Load()+p.Bisecting.Load(), p.Reason.Load()
	if n == 0 || reason == nil {
		return nil
	}
	what := fmt.Sprintf("%d samples wait because the server refused them: %s", n, *reason)
	if searched := p.Bisecting.Load(); searched > 1 {
		what = fmt.Sprintf("the server refuses batches, and which of %d samples it means is being found out: %s", n, *reason)
	}
	return &health.Fault{Code: "samples_refused", What: what,
		Next: "nothing yet: a sample that is refused three times within 10 min is put into quarantine, the others are delivered"}
}

// renamed says what to do about samples that wait under a name that is not ours any more.
func (u *Uploader) renamed() *health.Fault {
	old := u.deviceChange.Waiting.Load()
	if old == nil {
		return nil
	}
	return &health.Fault{
		Code: "device_renamed", What: "samples of device " + *old + " wait: the token is for another device",
		Next: "set DEVICE_ID and the token back to " + *old + " until they are delivered, or let the server's token name both",
	}
}

// ClockAhead says what to do about samples that the server finds to be of the future.
func (u *Uploader) ClockAhead() *health.Fault {
	n := u.refusals.future.Waiting.Load()
	if n == 0 {
		return nil
	}
	return &health.Fault{
		Code: "clock_ahead", What: fmt.Sprintf("%d samples wait: the server finds them too far in the future", n),
		Next: "check the date of this host and of the server: nothing is given up",
	}
}
