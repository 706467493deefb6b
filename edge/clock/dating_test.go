package clock

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/spool"
)

// schedule is one random life of a machine with a bad clock, and a server that keeps what it is sent.
type schedule struct {
	*world
	rng    *rand.Rand
	strict bool // the server refuses what is of the future

	stored map[int64]spool.Record
	synced map[int]bool // boots that a time server set
	lied   map[int]bool // boots in which the kernel vouched for a wrong time
	rogue  bool         // some boot did
}

// chance is true in p of a hundred cases.
func (s *schedule) chance(p int) bool { return s.rng.IntN(100) < p }

func (s *schedule) pick(all ...time.Duration) time.Duration { return all[s.rng.IntN(len(all))] }

// wrong is how far a clock is off that nobody sets.
func (s *schedule) wrong() time.Duration {
	return s.pick(0, -time.Hour, -10*time.Minute, 10*time.Minute, -year, year, noon.Sub(time.Unix(0, 0))*-1) + time.Duration(s.rng.Int64N(int64(5*time.Minute)))
}

// live is one boot of the machine: polls, and now and then something that happens.
func (s *schedule) live(ending bool) {
	s.boot(s.wrong(), false)
	if s.chance(25) {
		s.mute = syscall.EPERM
	}
	setAfter, server := s.rng.IntN(60), s.chance(40)
	never := s.chance(35) && !ending
	lies := s.chance(10) && !ending
	for i := range 20 + s.rng.IntN(60) {
		switch {
		case ending && i == 0, i == setAfter && !never:
			s.mute, s.world.synced, s.ahead = nil, true, time.Duration(s.rng.Int64N(int64(20*time.Millisecond)))
			s.synced[s.boots] = true
		case i == setAfter/2 && lies: // a time server that is wrong, until the next one
			s.mute, s.world.synced, s.ahead = nil, true, s.pick(-10*time.Minute, -2*time.Minute, 10*time.Minute, 20*time.Minute, year)
			s.lied[s.boots], s.rogue = true, true
		case !s.world.synced && s.chance(2): // somebody sets the clock
			s.ahead = s.wrong()
		case s.world.synced && s.chance(2) && !lies: // the time server is gone, and the clock steps
			s.world.synced, s.ahead = false, s.wrong()
		case s.synced[s.boots] && s.chance(5) && !lies:
			s.world.synced, s.ahead = true, time.Duration(s.rng.Int64N(int64(40*time.Millisecond)))
		}
		if s.chance(4) {
			s.restart()
		}
		if s.chance(10) {
			s.crashWhileStamping()
		}
		if server && s.clock.Wanted() {
			s.hear(time.Duration(s.rng.Int64N(int64(time.Second))), time.Duration(s.rng.Int64N(int64(3*time.Second))))
		}
		s.poll()
		s.truth = s.truth.Add(4*time.Second + time.Duration(s.rng.Int64N(int64(20*time.Second))))
		if s.chance(20) {
			s.upload(1 + s.rng.IntN(40))
		}
	}
	s.truth = s.truth.Add(10*time.Second + time.Duration(s.rng.Int64N(int64(s.pick(time.Minute, time.Hour, 48*time.Hour)))))
}

// crashWhileStamping ends the process between two transactions of Date.
func (s *schedule) crashWhileStamping() {
	s.t.Helper()
	if s.spool.Undated() == 0 || s.clock.boot == 0 || !s.clock.dated() && !s.world.synced {
		return
	}
	a := s.clock.anchor
	up := s.clock.Host.Up()
	if !s.clock.dated() {
		if s.ahead.Abs() > time.Second {
			return
		}
		a = spool.Anchor{Taken: up, Start: s.truth.Add(s.ahead - up).UnixNano(), Quality: spool.Synced}
		s.spool.Anchor(s.clock.boot, a)
	}
	if err := s.spool.AnchorBoots(s.clock.boot, a, up); err != nil {
		s.t.Fatal(err)
	}
	if s.chance(80) {
		if _, err := s.spool.AssignBatch(1 + s.rng.IntN(10)); err != nil {
			s.t.Fatal(err)
		}
	}
	s.restart()
}

// upload brings n samples to the server. A time that it has already is dropped, as the contract says; some answers are
// lost.
func (s *schedule) upload(n int) {
	s.t.Helper()
	records, err := s.spool.Peek(n, func(uint64) bool { return s.chance(10) })
	if err != nil {
		s.t.Fatal(err)
	}
	var done []uint64
	for _, r := range records {
		if s.strict && r.Sample.Time.After(s.truth.Add(spool.MaxAhead)) {
			s.clock.RejectedFuture()
			continue
		}
		ms := r.Sample.Time.UnixMilli()
		if had, ok := s.stored[ms]; ok && had.Sample.PVPowerW != r.Sample.PVPowerW {
			s.t.Errorf("samples %d and %d are both of %v", had.Seq, r.Seq, r.Sample.Time)
		}
		s.stored[ms] = r
		done = append(done, r.Seq)
	}
	if s.chance(20) { // the answer is lost
		return
	}
	if err := s.spool.Settle(done, nil); err != nil {
		s.t.Fatal(err)
	}
}

// check holds what arrived against what was made.
func (s *schedule) check() (samples, estimated int) {
	s.t.Helper()
	if len(s.stored) != len(s.made) || s.spool.Waiting() != 0 || s.spool.Undated() != 0 || s.spool.InQuarantine() != 0 {
		s.t.Errorf("%d made, %d stored, %d wait, %d of them held, %d in quarantine", len(s.made), len(s.stored), s.spool.Waiting(), s.spool.Undated(), s.spool.InQuarantine())
	}
	inOrder := make([]*spool.Record, len(s.made)+1)
	for _, r := range s.stored {
		m := s.made[r.Sample.PVPowerW]
		off, why := r.Sample.Time.Sub(m.at), r.When.Quality
		limit := time.Duration(1 << 62)
		switch {
		case why == spool.Estimated:
			estimated++
			if s.synced[m.boot] && !s.rogue {
				s.t.Errorf("sample %d of boot %d, which was synced, is estimated", r.Seq, m.boot)
			}
		case s.lied[m.boot]:
		case why == spool.ByServer:
			limit = 3500 * time.Millisecond
		case why == spool.Synced:
			limit = 100 * time.Millisecond
		default:
			s.t.Errorf("sample %d is %v", r.Seq, why)
		}
		if off.Abs() > limit {
			s.t.Errorf("sample %d of boot %d is off by %v, %v", r.Seq, m.boot, off, why)
		}
		inOrder[r.Seq] = &r
	}
	for i := 2; i < len(inOrder); i++ {
		if a, b := inOrder[i-1], inOrder[i]; !s.rogue && a != nil && b != nil && !b.Sample.Time.After(a.Sample.Time) {
			s.t.Errorf("sample %d is of %v, the one before it of %v", b.Seq, b.Sample.Time, a.Sample.Time)
		}
	}
	return len(s.made), estimated
}

// Boots with a wrong clock, steps of minutes and years, boots that no time server reaches, a kernel that vouches for a
// wrong time, restarts at any point: nothing is lost, no time is used twice, the order stays, and who says so is right.
// CLOCK_SCHEDULES=2000 (make clock) is the long run.
func TestClockSchedulesLoseNothingAndDateItRight(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("CLOCK_SCHEDULES"))
	if err != nil {
		n = 100
	}
	if testing.Short() {
		n = min(n, 20)
	}
	var samples, estimated, boots, rogues int
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := &schedule{world: newWorld(t), rng: rand.New(rand.NewPCG(uint64(seed), 10)),
				stored: map[int64]spool.Record{}, synced: map[int]bool{1: true}, lied: map[int]bool{}}
			s.strict = s.chance(50)
			for range 1 + s.rng.IntN(5) {
				s.live(false)
			}
			s.live(true)
			if s.world.synced, s.ahead = true, 0; s.rogue {
				s.truth = s.truth.Add(time.Hour) // so that even a lie of 20 min is past
			}
			s.polls(125) // 10 min, in which a doubt is resolved
			for range 10_000 {
				if s.spool.Waiting() == 0 {
					break
				}
				s.upload(500)
				s.clock.Check()
			}
			m, e := s.check()
			samples, estimated, boots = samples+m, estimated+e, boots+s.boots
			if s.rogue {
				rogues++
			}
			s.spool.Close()
		})
	}
	t.Logf("%d schedules, %d with a time server that lies, %d boots, %d samples, %d estimated", n, rogues, boots, samples, estimated)
	if n >= 100 && (estimated == 0 || rogues == 0) {
		t.Error("the test tests too little")
	}
}

func TestSampleBehindHeldOnesKeepsTheOrder(t *testing.T) {
	w := newWorld(t)
	w.boot(-year, false)
	w.polls(5)
	s := sampleAt(w.truth)
	s.PVPowerW = 5
	w.made[5] = made{w.truth, w.boots}
	if err := w.spool.Append(&s, spool.When{Boot: w.clock.boot, Since: w.clock.Host.Up(), Quality: spool.Synced}); err != nil { // the disk was full when the others were to be dated
		t.Fatal(err)
	}
	if w.spool.Ready() != 0 {
		t.Error("it can be uploaded before those that are older")
	}
	w.ahead, w.synced = 0, true
	w.clock.Check()
	w.right(6, spool.Synced, 100*time.Millisecond)
}
