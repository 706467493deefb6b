//go:build unix

package vps_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/vps/energy"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/vps/store/postgres"
	"sunspool/wire"
)

// judge returns what was wrong in a sequence: in the answers, in what is stored, and in what follows from it.
func (q *sequence) judge() []string {
	q.judgeAnswers()
	q.judgeRedisOnly()
	q.judgeReady()
	q.judgeRecovery()
	q.judgeStore()
	return q.wrong
}

// first returns the first lines of a verdict: a sequence with a fault in it has hundreds.
func first(verdict []string) string {
	const shown = 12
	if n := len(verdict); n > shown {
		verdict = append(slices.Clip(verdict[:shown]), fmt.Sprintf("and %d more", n-shown))
	}
	return strings.Join(verdict, "\n")
}

// hit reports whether a fault that hits one of these targets may have touched a request: it was under way between the
// fault's beginning and the end of the time in which the server may recover.
func (q *sequence) hit(a *attempt, on target) bool {
	if a.began.Before(q.warm) {
		return true // also a start is one
	}
	for _, e := range q.episodes {
		if e.on&on != 0 && a.ended.After(e.began) && a.began.Before(e.ended.Add(recovery)) {
			return true
		}
	}
	return false
}

// inFlight is how long before a server is told to end it has surely begun with a request, on a machine that is late for nothing.
// A later one may meet a connection that nobody accepts any more.
const inFlight = 50 * time.Millisecond

// unconnected reports whether a request never had a connection: it was not in flight, however long it took to be refused.
func unconnected(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func (q *sequence) judgeAnswers() {
	for i := range q.attempts {
		a := &q.attempts[i]
		switch {
		case a.gaveUp:
			continue
		case a.err != nil:
			if a.vps != 1 || !q.hit(a, onVPS) {
				q.wrongf("no answer: %v", a)
			}
			for _, told := range q.site.told {
				if !unconnected(a.err) && a.began.Before(told.Add(-inFlight-max(20*q.stalled, q.worst))) && a.ended.After(told) {
					q.wrongf("in flight when the vps was told to end, and not answered: %v", a)
				}
			}
			continue
		case a.status == http.StatusServiceUnavailable:
			if a.retryAfter == "" {
				q.wrongf("a 503 without Retry-After: %v", a)
			}
			if !q.hit(a, onPostgres|onVPS) {
				q.wrongf("refused although PostgreSQL was well: %v", a)
			}
		case a.status != http.StatusOK && (a.status != http.StatusNotFound || a.what != "realtime"):
			q.wrongf("not an answer for an outage: %v", a)
		}
		if took := a.ended.Sub(a.began); took > slowest {
			q.wrongf("slow: %v", a)
		}
	}
}

// redisOnly returns how long requests took while Redis alone failed.
func (q *sequence) redisOnly() []time.Duration {
	return q.took(func(a *attempt) bool {
		return !q.hit(a, onPostgres|onVPS) && slices.ContainsFunc(q.episodes, func(e *episode) bool {
			return e.on == onRedis && a.ended.After(e.began) && a.began.Before(e.ended)
		})
	})
}

// took returns how long some requests took.
func (q *sequence) took(is func(*attempt) bool) (all []time.Duration) {
	for i := range q.attempts {
		if a := &q.attempts[i]; !a.gaveUp && is(a) {
			all = append(all, a.ended.Sub(a.began))
		}
	}
	return all
}

// judgeRedisOnly: a Redis that fails delays nobody. On a machine that is slow by itself it may add its own limit, 150 ms,
// and what many turns of several processes are late by there. The race detector makes it slow by another reason.
func (q *sequence) judgeRedisOnly() {
	if race.Enabled {
		return
	}
	calm := q.took(func(a *attempt) bool { return a.began.After(q.began) && a.ended.Before(q.episodes[0].began) })
	limit := max(redisP99, 2*percentile(calm, 95)+150*time.Millisecond) + 20*q.stalled
	if all := q.redisOnly(); len(all) >= 100 && percentile(all, 99) > limit {
		q.wrongf("while Redis failed the p99 of %d requests was %v, not below %v", len(all), percentile(all, 99), limit)
	}
}

// sighting is how long before and after an answer its reason may have been seen elsewhere.
const sighting = 150 * time.Millisecond

// judgeReady holds what /ready said against the inserts of the same server: between two that were stored it must have
// called the server ready, between two that were refused not.
func (q *sequence) judgeReady() {
	for vps := range q.bases {
		var inserts []attempt
		for _, a := range q.attempts {
			if a.vps == vps && a.what == "ingest" && (a.stored() || a.storeFailed() || a.err != nil) {
				inserts = append(inserts, a)
			}
		}
		slices.SortFunc(inserts, func(a, b attempt) int { return a.ended.Compare(b.ended) })
		for i := range q.attempts {
			a := &q.attempts[i]
			if a.vps != vps || a.what != "ready" || a.err != nil || a.began.Before(q.warm) {
				continue
			}
			want, known := expected(inserts, a)
			if want == http.StatusServiceUnavailable && q.hit(a, byTurns) {
				continue // the database may have been well when it was asked
			}
			if known && inOrder(inserts, a, want) && want != a.status && !(vps == 1 && q.hit(a, onVPS)) {
				q.wrongf("/ready said %d when inserts said %d: %v", a.status, want, a)
			}
		}
	}
}

// flicker is how long a database may take to be well and ill again: refused inserts that are further apart prove nothing of
// the time between them.
const flicker = 300 * time.Millisecond

// expected returns what /ready must say: what the inserts said that ended before, while and next after it was asked, if
// they agree.
func expected(inserts []attempt, ready *attempt) (status int, known bool) {
	from, to := ready.began.Add(-sighting), ready.ended.Add(sighting)
	var last time.Time
	for _, a := range inserts {
		switch {
		case a.ended.Before(from):
			status, known = a.status, a.err == nil // nobody knows what became of one without an answer
		case a.status != status:
			return 0, false
		case status == http.StatusServiceUnavailable && a.ended.Sub(last) > 2*sighting+flicker:
			return 0, false
		case a.ended.After(to):
			return status, known
		}
		last = a.ended
	}
	return 0, false
}

// inOrder reports whether the insert that a server ended last before it was asked surely had that status. When it ended one is only
// known to be between the request and the answer as its client saw them: of two that overlap, the later answer may be of the
// earlier one.
func inOrder(inserts []attempt, ready *attempt, status int) bool {
	var others time.Time // by when those of another status had surely ended
	for _, a := range inserts {
		if a.status == status || !a.began.Before(ready.ended) {
			continue
		}
		end := a.ended
		if a.gaveUp {
			end = end.Add(sighting) // until the server notices
		}
		if end.After(others) {
			others = end
		}
	}
	return slices.ContainsFunc(inserts, func(a attempt) bool {
		return a.status == status && !a.began.Before(others) && !a.ended.After(ready.began)
	})
}

// A server that stored one batch, then refused another, and whose first answer was late, is not ready; nobody holds that against it. It
// is held against one that refuses without a reason, or is ready without one.
func TestReadyIsHeldAgainstWhatIsSure(t *testing.T) {
	ms := func(n int) time.Time { return firstSample.Add(time.Duration(n) * time.Millisecond) }
	insert := func(began, ended, status int) attempt {
		return attempt{what: "ingest", began: ms(began), ended: ms(ended), status: status, code: map[int]string{503: "store_unavailable"}[status]}
	}
	for name, c := range map[string]struct {
		inserts []attempt
		ready   int
		wrong   bool
	}{
		"a late answer of what was stored":  {[]attempt{insert(0, 10, 200), insert(20, 60, 503), insert(15, 90, 200), insert(900, 910, 200)}, 503, false},
		"a late answer of what was refused": {[]attempt{insert(0, 10, 503), insert(20, 60, 200), insert(15, 90, 503), insert(600, 610, 503)}, 200, false},
		"refused without a reason":          {[]attempt{insert(0, 10, 503), insert(20, 60, 200), insert(70, 90, 200), insert(900, 910, 200)}, 503, true},
		"ready without a reason":            {[]attempt{insert(0, 10, 200), insert(20, 60, 503), insert(70, 90, 503), insert(600, 610, 503)}, 200, true},
	} {
		ready := attempt{what: "ready", began: ms(300), ended: ms(301), status: c.ready}
		q := &sequence{load: &load{bases: []string{"x"}, attempts: append(c.inserts, ready)}}
		if q.judgeReady(); (len(q.wrong) > 0) != c.wrong {
			t.Errorf("%s: %q", name, q.wrong)
		}
	}
}

func (q *sequence) judgeRecovery() {
	for _, e := range q.episodes {
		if e.recovered > recovery {
			q.wrongf("%s for %v: a server stored nothing for %v after its end", e.name, e.lasts, e.recovered)
		}
	}
}

// judgeStore compares the database with what was sent and acknowledged.
func (q *sequence) judgeStore() {
	p, err := postgres.Open(postgres.Options{URL: q.site.url, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		q.wrongf("open the database to judge it: %v", err)
		return
	}
	defer p.Close()
	for _, h := range q.houses {
		stored, err := h.stored(p)
		if err != nil {
			q.wrongf("%s: %v", h.device, err)
			continue
		}
		h.judgeSamples(stored)
		h.judgeReceipts()
		if err := h.judgeRollups(p, stored); err != nil {
			q.wrongf("%s: %v", h.device, err)
		}
	}
}

func (h *house) stored(p *postgres.Store) (all []wire.Sample, err error) {
	err = p.Each(context.Background(), h.device, time.Time{}, time.Time{}, func(s wire.Sample) bool {
		all = append(all, s)
		return true
	})
	return all, err
}

// judgeSamples: what was acknowledged is stored as it was sent, once, and nothing else is.
func (h *house) judgeSamples(stored []wire.Sample) {
	acked := map[int64]*wire.Sample{}
	for _, b := range h.done {
		if b.acked {
			for i := range b.samples {
				acked[b.samples[i].Time.UnixMilli()] = &b.samples[i]
			}
		}
	}
	seen, lost, other, twice := map[int64]bool{}, 0, 0, 0
	for i := range stored {
		ms := stored[i].Time.UnixMilli()
		want := acked[ms]
		if want == nil || !same(&stored[i], want) {
			other++
		}
		if seen[ms] {
			twice++
		}
		seen[ms] = true
	}
	for ms := range acked {
		if !seen[ms] {
			lost++
		}
	}
	if lost+other+twice > 0 {
		h.wrongf("%s: of %d samples that were acknowledged %d are lost, %d are stored twice, and %d are stored that were never sent so",
			h.device, len(acked), lost, twice, other)
	}
}

// judgeReceipts: the answers called each sample new once, or not at all if the answer that did was never heard.
func (h *house) judgeReceipts() {
	for _, b := range h.done {
		if n := len(b.samples); b.inserted > n || b.inserted < n && !b.unsure {
			h.wrongf("%s: the answers called %d of the %d samples of batch %s new", h.device, b.inserted, n, b.ID)
		}
	}
}

// judgeRollups: what the store says of five minutes, hours and days is what its samples say.
func (h *house) judgeRollups(p *postgres.Store, stored []wire.Sample) error {
	for _, r := range []store.Resolution{store.FiveMinutes, store.Hour, store.Day} {
		got, _, err := p.Surrounded(context.Background(), store.Query{Device: h.device, Resolution: r, Zone: time.UTC})
		if err != nil {
			return err
		}
		want, err := h.recount(stored, r)
		if err != nil {
			return err
		}
		wrong := max(len(got), len(want)) - min(len(got), len(want))
		for i := range min(len(got), len(want)) {
			if !got[i].Start.Equal(want[i].Start) || !bytes.Equal(got[i].Rollup.Append(nil), want[i].Rollup.Append(nil)) {
				wrong++
			}
		}
		if wrong > 0 {
			h.wrongf("%s: %d of %d rollups of %s are not what the samples say", h.device, wrong, len(want), r)
		}
	}
	return nil
}

// recount makes the periods of samples by the clock of UTC, in another store that knows nothing but them.
func (h *house) recount(samples []wire.Sample, r store.Resolution) ([]energy.Period, error) {
	dir, err := os.MkdirTemp("", "recount-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	fresh, err := bolt.Open(filepath.Join(dir, "fresh.db"))
	if err != nil {
		return nil, err
	}
	defer fresh.Close()
	if len(samples) > 0 {
		if _, err := fresh.Insert(context.Background(), h.device, samples); err != nil {
			return nil, err
		}
	}
	periods, _, err := fresh.Surrounded(context.Background(), store.Query{Device: h.device, Resolution: r, Zone: time.UTC})
	return periods, err
}
