package edge

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/reading"
	"sunspool/edge/spool"
	"sunspool/edge/upload"
	"sunspool/health"
	"sunspool/wire"
)

// The line of the state is about what blocks, wherever in the chain it is, and never about a link that merely waits.
func TestSentenceIsOfWhatBlocks(t *testing.T) {
	full := &health.Fault{Code: "spool_full", What: "the spool is 98 % full", Next: "see why"}
	token := &health.Fault{Code: "credential", What: "the server refuses the token", Next: "check it"}
	silent := &health.Fault{Code: "inverter_silent", What: "the inverter is silent", Next: "look at it"}
	away := &health.Fault{Code: "vps_unreachable", What: "the server is away", Next: "wait"}
	mismatch := &health.Fault{Code: "schema_mismatch", What: "the server refuses samples", Next: "update"}
	kept := &health.Fault{Code: "poison_quarantined", What: "samples are in quarantine", Next: "nothing"}
	type links struct{ inverter, spool, vps error }
	waits := errors.New("nothing has crossed yet")
	for name, c := range map[string]struct {
		links
		condition *health.Fault
		status    string
		want      *health.Fault
	}{
		"full at the start":           {links{waits, full, waits}, nil, StateBlocked, full},
		"full, and the token":         {links{waits, full, token}, nil, StateBlocked, full},
		"token at the start":          {links{waits, nil, token}, nil, StateBlocked, token},
		"silent, and the token":       {links{silent, nil, token}, nil, StateBlocked, token},
		"away at the start":           {links{waits, nil, away}, nil, StateDegraded, away},
		"silent, and away":            {links{silent, nil, away}, nil, StateDegraded, silent},
		"away, and a condition":       {links{nil, nil, away}, mismatch, StateBlocked, mismatch},
		"silent, and one that passes": {links{silent, nil, nil}, kept, StateDegraded, silent},
		"one that passes alone":       {links{waits, nil, waits}, kept, StateDegraded, kept},
	} {
		chain := health.New(now, slog.New(slog.DiscardHandler))
		for i, err := range []error{c.inverter, c.spool, c.vps} {
			if l := chain.Link([]string{"inverter", "spool", "vps"}[i]); err != waits {
				l.Report(err)
			}
		}
		var conditions []*health.Fault
		if c.condition != nil {
			conditions = []*health.Fault{c.condition}
		}
		s := assess(chain.Status(), chain.Sentence(), conditions)
		if s.Status != c.status || !strings.Contains(s.Line(), c.want.What) || s.Next != c.want.Next || s.Reasons[0] != c.want.Code {
			t.Errorf("%s: %q, next %q, reasons %v", name, s.Line(), s.Next, s.Reasons)
		}
	}
}

// What is found out about a unit may change with each poll; a register that was not named yet is named at once.
func TestFindingsThatComeAndGoAreLoggedWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, log, _ := edgeTo(t, nil)
		flap := func(polls int) {
			for i := range polls {
				f := reading.Findings{}
				if i%2 == 0 {
					f.Nulled, f.NoMeter, f.NoBattery = []string{"grid_frequency"}, true, true
				}
				e.Report.found(f)
				time.Sleep(5 * time.Second)
			}
		}
		flap(17280)
		if n := strings.Count(log.String(), "\n"); n > 200 || !strings.Contains(log.String(), "changes_not_logged") {
			t.Errorf("%d lines in a day", n)
		}
		log.Reset()
		e.Report.found(reading.Findings{Nulled: []string{"phase_a_voltage"}})
		if !strings.Contains(log.String(), "phase_a_voltage") {
			t.Error("a register that is new is not logged at once")
		}
		flap(100)
		for range 1500 {
			e.Report.found(reading.Findings{})
			time.Sleep(5 * time.Second)
		}
		if !strings.Contains(log.String(), "no register is implausible any more") {
			t.Errorf("what stays is not logged:\n%s", log)
		}
	})
}

// A condition that comes and goes, as that of a server of two versions behind one name.
func TestConditionsThatComeAndGoAreLoggedWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := teller{log: slog.New(slog.NewTextHandler(&log, nil))}
		for i := range 8640 {
			s := State{Status: StateOK, Sentence: "ok"}
			if i%2 == 0 {
				s = State{Status: StateDegraded, Reasons: []string{"poison_quarantined"}, Sentence: "x"}
			}
			l.tell(s, nil)
			time.Sleep(10 * time.Second)
		}
		if n := strings.Count(log.String(), "\n"); n > 70 || n < 20 {
			t.Errorf("%d lines in a day", n)
		}
		log.Reset()
		l.tell(State{Status: StateBlocked, Reasons: []string{"quarantine_full", "poison_quarantined"}, Sentence: "x"}, nil)
		if !strings.Contains(log.String(), "quarantine_full") {
			t.Error("a new reason is not logged at once")
		}
	})
}

// A server that refuses one batch and takes the next, for hours.
func TestUploadsThatFailAndRecoverAreLoggedWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, log, _ := edgeTo(t, nil)
		for i := range 3 * 360 {
			var err error
			if i%2 == 0 {
				err = upload.Explain(errors.New("no route"))
			}
			e.vps.Report(err)
			e.Report.Write()
			time.Sleep(10 * time.Second)
		}
		if n := strings.Count(log.String(), "\n"); n > 60 {
			t.Errorf("%d lines in 3 h", n)
		}
	})
}

// With SPOOL_COMMIT_INTERVAL_S a sample is on the disk minutes after its poll.
func TestLastPollIsNotThatOfTheLastCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _, _ := edgeTo(t, nil)
		e.Commit = 5 * time.Minute
		e.fillRing()
		if h := e.Report.Now(); h.LastPoll != nil {
			t.Errorf("before the first poll it is %v", h.LastPoll)
		}
		for range 10 {
			time.Sleep(5 * time.Second)
			e.ring.add(sampleAt(time.Now()), spool.When{Quality: spool.Synced})
			e.Report.polled(nil)
		}
		last := time.Now()
		time.Sleep(5 * time.Second)
		e.Report.polled(&health.Fault{Code: "inverter_silent", Exit: health.ExitUnreachable})
		if h := e.Report.Now(); h.LastPoll == nil || !h.LastPoll.Equal(timestamp(last)) || h.RAMOnly != 10 {
			t.Errorf("%d in memory, last poll %v, want %v", h.RAMOnly, h.LastPoll, last)
		}
		e.Report.sampled(wire.Sample{Time: last})
	})
}

// Raw words are logged without those that name the unit.
func TestRawWordsAreAnonymous(t *testing.T) {
	for _, image := range []string{invertertest.HybridImage, "calc-sg5rs-sunny-exporting"} {
		synctest.Test(t, func(t *testing.T) {
			b := invertertest.New(t, invertertest.OfImage(t, image))
			defer b.In.Dongle.Close()
			r := b.MustPoll()
			var log bytes.Buffer
			e := &Edge{RawEach: 1, Log: slog.New(slog.NewJSONHandler(&log, nil))}
			e.logRaw(r)
			if strings.Contains(log.String(), `"4989":`) || !strings.Contains(log.String(), `"4999":`) {
				t.Error(log.String())
			}
		})
	}
}
