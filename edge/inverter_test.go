package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/registers"
	"sunspool/edge/simulator"
	"sunspool/health"
)

// bed is an inverter on the other end of a pipe, in virtual time, and ours that reads it.
type bed struct {
	t    *testing.T
	sim  *simulator.Server
	in   *Inverter
	file string // of the pace
}

func newBed(t *testing.T, sim *simulator.Server) *bed {
	b := &bed{t: t, sim: sim, file: filepath.Join(t.TempDir(), "last-poll")}
	b.restart()
	return b
}

// restart is what a new process has: nothing but the file.
func (b *bed) restart() {
	pace := &Pace{Interval: 5 * time.Second, File: b.file, BootID: "boot", Up: sinceEpoch}
	b.in = &Inverter{Unit: 1, Log: slog.New(slog.DiscardHandler), Dongle: &Dongle{Pace: pace, Link: transport{
		Address: "dongle:502", Dial: b.dial, Timeout: 5 * time.Second, Gap: 20 * time.Millisecond, Settle: 3 * time.Second,
	}}}
}

// sinceEpoch is the uptime of a host in virtual time.
func sinceEpoch() time.Duration { return time.Duration(time.Now().UnixNano()) }

func (b *bed) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if b.sim == nil {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	ours, theirs := net.Pipe()
	go b.sim.ServeConn(b.t.Context(), theirs)
	return ours, nil
}

// poll waits for its turn and reads.
func (b *bed) poll() (Reading, error) {
	b.t.Helper()
	if err := b.in.Dongle.Pace.Wait(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return b.in.Read(b.t.Context())
}

func (b *bed) mustPoll() Reading {
	b.t.Helper()
	r, err := b.poll()
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// polite complains when the dongle was treated badly.
func (b *bed) polite() {
	b.t.Helper()
	a := b.sim.Audit()
	if a.MaxOpen > 1 {
		b.t.Errorf("%d connections at a time", a.MaxOpen)
	}
	if a.RequestGap.Count > 0 && a.RequestGap.Least < 20*time.Millisecond {
		b.t.Errorf("a request %v after the last answer", a.RequestGap.Least)
	}
	if a.PollGap.Count > 0 && a.PollGap.Least < 5*time.Second {
		b.t.Errorf("a poll %v after the last", a.PollGap.Least)
	}
	if a.ConnectGap.Count > 0 && a.ConnectGap.Least < 5*time.Second {
		b.t.Errorf("a connection %v after the last", a.ConnectGap.Least)
	}
}

func (b *bed) faults(texts ...string) {
	b.t.Helper()
	var all []simulator.Fault
	for _, text := range texts {
		f, err := simulator.ParseFault(text)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, f)
	}
	b.sim.SetFaults(all...)
}

func ofImage(t *testing.T, id string) *simulator.Server {
	t.Helper()
	image, err := simulator.LoadImage(id)
	if err != nil {
		t.Fatal(err)
	}
	sim, err := simulator.New(simulator.Options{Image: image})
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

const hybridImage = "calc-sh4rs-sunny-charging-exporting"

func TestPollReadsTheWholePlanInFourRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, ofImage(t, hybridImage))
		first := b.mustPoll()
		if first.Model.Name != "SH4.0RS" || len(first.Serial) < 10 {
			t.Errorf("met %q, serial number %q", first.Model.Name, first.Serial)
		}
		before := b.sim.Audit().Requests
		second := b.mustPoll()
		if n := b.sim.Audit().Requests - before; n != 4 {
			t.Errorf("the second poll took %d requests, want 4", n)
		}
		if len(second.Lost) != 0 || second.Words[4989] == 0 {
			t.Errorf("lost %v, serial number %#x", second.Lost, second.Words[4989])
		}
		b.polite()
	})
}

// The connection that failed once is never used again: a late answer would be taken for the next one.
func TestEveryFaultOfTheDongleIsSurvived(t *testing.T) {
	for _, fault := range []string{
		"slow=2s*1", "slow=10s*1", "late=7s*1", "silent*1", "half*1", "stall*1", "wrong-unit*1", "exception=4*1", "exception=6*1",
		"exception=10*1", "exception=11*1", "exception=2*1", "code0*1", "bad-length*1", "bad-count*1", "surplus*1", "reset*1",
		"second-client*1", "silent*3", "reset*4", "second-client@0.3", "exception=6@0.1", "code0@0.1", "surplus@0.1", "bad-count@0.1",
	} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, ofImage(t, hybridImage))
				want := b.mustPoll().Words
				b.faults(fault)
				good := 0
				for range 60 { // five minutes
					r, err := b.poll()
					if err != nil {
						if f, ok := errors.AsType[*health.Fault](err); !ok || f.Next == "" {
							t.Errorf("%v does not say what to do", err)
						}
						continue
					}
					good++
					for a, w := range r.Words {
						if want[a] != w {
							t.Fatalf("word %d is %#x, want %#x", a, w, want[a])
						}
					}
				}
				if good < 20 {
					t.Errorf("only %d of 60 polls were good", good)
				}
				b.polite()
			})
		})
	}
}

func TestRandomExceptionCostsNoSample(t *testing.T) {
	for _, fault := range []string{"exception=4", "exception=6", "exception=10", "exception=11", "code0", "exception=2"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, ofImage(t, hybridImage))
			whole := len(b.mustPoll().Words)
			for _, block := range []string{":4999", ":12999", ":5213", ":5600"} {
				b.faults(fault + block + "*1")
				if r := b.mustPoll(); len(r.Words) != whole || len(r.Lost) > 0 {
					t.Errorf("%s%s: %d words of %d, lost %v", fault, block, len(r.Words), whole, r.Lost)
				}
			}
			b.polite()
		})
	}
}

// Ten thousand polls with every fault that there is, kills and pauses: the dongle is never treated badly, as it measures
// itself.
func TestPoliteWhateverHappens(t *testing.T) {
	for _, seed := range []uint64{3, 4} {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 4))
			model := []string{"SH10RT", "SG5.0RS"}[seed%2]
			home, err := simulator.NewHome(simulator.HomeOptions{Model: model, Seed: seed, Since: time.Now().AddDate(0, 0, -2)})
			if err != nil {
				t.Fatal(err)
			}
			sim, err := simulator.New(simulator.Options{Home: home, Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			b := newBed(t, sim)
			struck := make(map[string]int)
			good, restarts := 0, 0
			for i := range 10_000 {
				if i%7 == 0 {
					var now []string
					if rng.IntN(3) > 0 {
						kind := simulator.FaultKinds()[rng.IntN(len(simulator.FaultKinds()))]
						struck[kind]++
						text := kind
						switch kind {
						case "slow", "late":
							text += fmt.Sprintf("=%dms", 1+rng.IntN(12_000))
						case "refuse":
							text += "=5213-5241"
						}
						now = append(now, fmt.Sprintf("%s@0.%d", text, 1+rng.IntN(9)))
					}
					b.faults(now...)
				}
				if rng.IntN(50) == 0 { // killed, and back at once
					b.in.Dongle.Close()
					b.restart()
					restarts++
				}
				if rng.IntN(100) == 0 {
					time.Sleep(time.Duration(rng.Int64N(int64(time.Minute)))) // stopped and continued
				}
				if _, err := b.poll(); err == nil {
					good++
				}
			}
			b.polite()
			a := b.sim.Audit()
			if good < 2000 || a.PollGap.Count < 2000 || a.ConnectGap.Count < 500 || restarts < 100 || len(struck) != len(simulator.FaultKinds()) {
				t.Errorf("only %d good polls of 10,000, %d restarts, %d kinds of faults, %+v", good, restarts, len(struck), a)
			}
			t.Logf("%s: %d good polls, %d restarts, %+v", model, good, restarts, a)
		})
	}
}

// slowWriter is a host that is too busy to let a request out at once, now and then.
type slowWriter struct {
	net.Conn
	rng *rand.Rand
}

func (w slowWriter) Write(b []byte) (int, error) {
	time.Sleep(time.Duration(w.rng.Int64N(int64(300 * time.Millisecond))))
	return w.Conn.Write(b)
}

func TestBusyHostDoesNotHurryTheDongle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, ofImage(t, hybridImage))
		rng := rand.New(rand.NewPCG(1, 1))
		b.in.Dongle.Link.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := b.dial(ctx, network, address)
			return slowWriter{conn, rng}, err
		}
		for range 200 {
			b.mustPoll()
		}
		b.polite()
	})
}

func TestRefusedBlockCostsItsPieceOnly(t *testing.T) {
	for _, c := range []struct {
		block    string
		from, to uint16 // refused
	}{
		{"B", 5213, 5241},
		{"B", 5241, 5241},
		{"B", 5215, 5240}, // a hole that may not be read across
		{"C", 5600, 5638},
		{"D", 13049, 13078}, // the alarms
		{"D", 13057, 13057}, // half a register
		{"A", 5032, 5034},
	} {
		t.Run(fmt.Sprintf("%s %d-%d", c.block, c.from, c.to), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlan(registers.Hybrid(), true).find(c.block)
				refusals := 0
				device := func(_ context.Context, b registers.Block, words registers.Words) error {
					if b.Start <= c.to && b.Start+b.Count > c.from {
						refusals++
						return &exception{b, 2, errRefused}
					}
					for i := range b.Count {
						words[b.Start+i] = 1
					}
					return nil
				}
				var words registers.Words
				poll := func() int {
					time.Sleep(5 * time.Second)
					refusals, words = 0, registers.Words{}
					p.read(t.Context(), device, words)
					plan{p}.learn()
					return refusals
				}
				for i := range 200 { // more than 10 min
					if n := poll(); n > 2*probesAPoll {
						t.Errorf("poll %d followed up %d refusals", i, n)
					}
				}
				asked := 0
				for range 120 { // 10 min
					asked += poll()
				}
				if asked > 1 {
					t.Errorf("what is refused is still asked for %d times in 10 min", asked)
				}
				for _, reg := range p.block.Registers {
					refused := reg.Address() <= c.to && reg.Address()+reg.Words > c.from
					if _, got := words[reg.Address()]; got == refused {
						t.Errorf("%v was read: %v, refused: %v", reg, got, refused)
					}
				}
				time.Sleep(longLeave)
				if n := poll(); n == 0 {
					t.Error("a day later the refusal is not looked at again")
				}
			})
		})
	}
}

// Some firmware hangs or answers with a broken frame when it is asked for what it does not have.
func TestBlockThatBreaksTheConnectionIsLeftAlone(t *testing.T) {
	for _, fault := range []string{"silent:5213-5241", "bad-length:5213-5241", "reset:5600-5638"} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, ofImage(t, hybridImage))
				b.mustPoll()
				b.faults(fault)
				good, start := 0, time.Now()
				for time.Since(start) < 9*time.Minute {
					if _, err := b.poll(); err == nil {
						good++
					}
				}
				if good < 80 {
					t.Errorf("only %d samples in 9 min", good)
				}
				b.polite()
			})
		})
	}
}

func TestAnotherInverterIsNotMixedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, ofImage(t, hybridImage))
		ours := b.mustPoll().Serial
		mine := b.sim
		b.sim = ofImage(t, "calc-sh6rt-old-fw-magnitude-discharging")
		b.in.Dongle.Close() // the router gave the address to somebody else
		for range 4 {
			if r, err := b.poll(); err == nil {
				t.Fatalf("a reading of %s %s", r.Model.Name, r.Serial)
			}
		}
		b.sim = mine
		for range 40 {
			if r, err := b.poll(); err == nil && r.Serial != ours {
				t.Fatalf("a reading of %s", r.Serial)
			} else if err == nil {
				return
			}
		}
		t.Error("our own inverter is not read any more")
	})
}

func TestDongleIsLeftAloneAfterErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, ofImage(t, hybridImage))
		b.mustPoll()
		b.faults("silent")
		for range 200 {
			b.poll()
		}
		connects := b.sim.Audit().Connects
		if a := b.sim.Audit(); connects < 8 || connects > 16 {
			t.Errorf("%d connections in 1000 s of silence (5, 20, 45, then 90 s apart): %+v", connects, a)
		}
		b.faults()
		start := time.Now()
		for {
			if _, err := b.poll(); err == nil {
				break
			}
		}
		if waited := time.Since(start); waited > 110*time.Second {
			t.Errorf("the next good poll came after %v", waited)
		}
	})
}

func TestFaultsAreExplained(t *testing.T) {
	timeout := &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
	for _, c := range []struct {
		err  error
		code string
	}{
		{&net.DNSError{Err: "no such host", Name: "winet-s.local"}, "inverter_unreachable"},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "inverter_unreachable"},
		{&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, "inverter_unreachable"},
		{timeout, "inverter_unreachable"},
		{fmt.Errorf("answer: %w", context.DeadlineExceeded), "inverter_silent"},
		{syscall.ECONNRESET, "inverter_reset"},
		{errFraming, "inverter_garbled"},
		{&otherInverter{who: "A2212345678", want: "A2287654321", named: true}, "inverter_changed"},
		{&otherInverter{who: "A2212345678", want: "A2287654321"}, "inverter_garbled"},
		{errNotReady, "inverter_not_ready"},
		{errZeros, "inverter_not_ready"},
		{&exception{code: 11, err: errors.New("x")}, "inverter_exception"},
	} {
		f, ok := errors.AsType[*health.Fault](explain("192.0.2.7:502", 1, c.err))
		if !ok || f.Code != c.code || f.Exit != health.ExitUnreachable {
			t.Errorf("%v: %+v, want %s", c.err, f, c.code)
		}
	}
}

// ask sends one request for n words at 4999 to something that answers with stream.
func ask(t *testing.T, n byte, stream []byte) (*transport, []byte, error) {
	ours, theirs := net.Pipe()
	go func() {
		theirs.Read(make([]byte, 64))
		theirs.Write(stream)
		theirs.Close()
	}()
	tr := &transport{Timeout: time.Minute, conn: ours, in: bufio.NewReader(ours)}
	answer, err := tr.send(t.Context(), []byte{0, 1, 0, 0, 0, 6, 1, 4, 0x13, 0x87, 0, n})
	theirs.Close()
	return tr, answer, err
}

func TestOnlyTheAnswerToTheQuestionIsAccepted(t *testing.T) {
	good := []byte{0, 1, 0, 0, 0, 7, 1, 4, 4, 0x12, 0x34, 0x56, 0x78}
	for name, c := range map[string]struct {
		stream []byte
		ok     bool
	}{
		"the answer":                     {good, true},
		"after another client's":         {append([]byte{9, 9, 0, 0, 0, 7, 1, 4, 4, 1, 1, 1, 1}, good...), true},
		"an exception":                   {[]byte{0, 1, 0, 0, 0, 3, 1, 0x84, 2}, true},
		"exception code 0":               {[]byte{0, 1, 0, 0, 0, 3, 1, 0x84, 0}, true},
		"exception code 12":              {[]byte{0, 1, 0, 0, 0, 3, 1, 0x84, 12}, false},
		"exception without its code":     {[]byte{0, 1, 0, 0, 0, 2, 1, 0x84}, false},
		"exception with more than that":  {[]byte{0, 1, 0, 0, 0, 4, 1, 0x84, 2, 2}, false},
		"fewer registers":                {[]byte{0, 1, 0, 0, 0, 5, 1, 4, 2, 0x12, 0x34}, false},
		"more registers":                 {[]byte{0, 1, 0, 0, 0, 9, 1, 4, 6, 1, 2, 3, 4, 5, 6}, false},
		"no registers":                   {[]byte{0, 1, 0, 0, 0, 3, 1, 4, 0}, false},
		"a count that is not the length": {[]byte{0, 1, 0, 0, 0, 7, 1, 4, 2, 1, 2, 3, 4}, false},
		"another unit":                   {[]byte{0, 1, 0, 0, 0, 7, 2, 4, 4, 1, 2, 3, 4}, false},
		"another function":               {[]byte{0, 1, 0, 0, 0, 7, 1, 3, 4, 1, 2, 3, 4}, false},
		"an exception to another":        {[]byte{0, 1, 0, 0, 0, 3, 1, 0x83, 2}, false},
		"another protocol":               {[]byte{0, 1, 0, 1, 0, 7, 1, 4, 4, 1, 2, 3, 4}, false},
		"a length that cannot be":        {[]byte{0, 1, 0, 0, 1, 7, 1, 4, 4, 1, 2, 3, 4}, false},
		"something after it":             {append(slices.Clone(good), 0), false},
		"half of it":                     {good[:9], false},
		"nothing":                        {nil, false},
	} {
		tr, answer, err := ask(t, 2, c.stream)
		if (err == nil) != c.ok {
			t.Errorf("%s: % x, %v", name, answer, err)
		}
		if (tr.conn != nil) != c.ok {
			t.Errorf("%s: the connection is kept: %v", name, tr.conn != nil)
		}
	}
}

// No bytes of a stranger make a reading of anything but what was asked, and none make us panic.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 5, 1, 4, 2, 0x12, 0x34})
	f.Add([]byte{0, 1, 0, 0, 0, 3, 1, 0x84, 2})
	f.Add([]byte{0, 1, 0, 0, 0, 2, 1, 0x84})
	f.Add([]byte{0, 9, 0, 0, 0, 3, 1, 0x84, 2, 0, 1, 0, 0, 0, 5, 1, 4, 2, 0x12, 0x34})
	f.Fuzz(func(t *testing.T, stream []byte) {
		tr, answer, err := ask(t, 1, stream)
		if err != nil {
			if tr.conn != nil {
				t.Error("the connection survives an error")
			}
			return
		}
		good := slices.Equal(answer[:2], []byte{0, 1}) && answer[6] == 1 &&
			(answer[7] == 4 && len(answer) == 11 && answer[8] == 2 || answer[7] == 0x84 && len(answer) == 9 && answer[8] <= 11)
		if !good {
			t.Errorf("accepted % x", answer)
		}
	})
}
