package inverter_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/inverter/invertertest"
)

// strict is firmware that refuses every read across some registers.
type strict struct {
	net.Conn
	refuses func(start, count uint16) bool
	answer  *bytes.Buffer
}

func (s strict) Write(b []byte) (int, error) {
	if !s.refuses(binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b[10:])) {
		return s.Conn.Write(b)
	}
	s.answer.Write([]byte{b[0], b[1], 0, 0, 0, 3, b[6], b[7] | 0x80, 2})
	return len(b), nil
}

func (s strict) Read(b []byte) (int, error) {
	if s.answer.Len() > 0 {
		return s.answer.Read(b)
	}
	return s.Conn.Read(b)
}

// refusing makes the inverter refuse what covers one of the addresses.
func (b *bed) refusing(refuses func(start, count uint16) bool) {
	b.In.Dongle.Link.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := b.Dial(ctx, network, address)
		return strict{conn, refuses, new(bytes.Buffer)}, err
	}
}

func across(addresses ...uint16) func(start, count uint16) bool {
	return func(start, count uint16) bool {
		for _, a := range addresses {
			if start <= a && a-start < count {
				return true
			}
		}
		return false
	}
}

// has reports whether the reading has a register.
func has(r inverter.Reading, name string) bool {
	reg, ok := r.Map.Lookup(name)
	_, err := reg.Decode(r.Words)
	return ok && err == nil
}

// One episode of refusals, however long it is within a poll, takes nothing out of the plan.
func TestShortRefusalCostsOnePollAtMost(t *testing.T) {
	for _, code := range []string{"2", "4", "6", "11"} {
		for block, area := range map[string]string{"A": "4999-5035", "D": "12999-13079", "all": "0-65535", "B": "5213-5241", "C": "5600-5640"} {
			for _, times := range []int{2, 4, 16, 40} {
				optional := block == "B" || block == "C"
				if optional && times > 16 {
					continue // it is no short one: what is left goes to the tries after 10 min, 20 min ...
				}
				t.Run(fmt.Sprintf("%s %s*%d", block, code, times), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
						whole := b.MustPoll()
						b.Faults(fmt.Sprintf("exception=%s:%s*%d", code, area, times))
						for used := 0; used < times; used = b.exceptions() {
							b.Poll()
						}
						r := b.MustPoll()
						if optional { // at most what is left of it is missing for some minutes
							for range 2 * int(inverter.FirstWait/(5*time.Second)) {
								r = b.MustPoll()
							}
						}
						if len(r.Words) != len(whole.Words) || len(r.Lost) > 0 {
							t.Errorf("%d words of %d, lost %v", len(r.Words), len(whole.Words), r.Lost)
						}
						b.Polite()
					})
				})
			}
		}
	}
}

// exceptions is how many answers were exceptions.
func (b *bed) exceptions() int { return int(b.In.Dongle.Exceptions.Load()) }

func TestNeededBlockThatIsRefusedIsReadInHalvesAtOnce(t *testing.T) {
	for _, refused := range []uint16{5034, 5007, 13057, 13049} {
		t.Run(fmt.Sprint(refused), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
				b.refusing(across(refused))
				for i := range 1000 { // longer than it takes to learn, and to try again
					r := b.MustPoll()
					if !has(r, "total_dc_power") || !has(r, "battery_soc") || !has(r, "load_power") {
						t.Fatalf("poll %d lacks what is not refused: %v", i, r.Lost)
					}
				}
				before := b.exceptions()
				for range 120 {
					b.MustPoll()
				}
				if n := b.exceptions() - before; n > 4 {
					t.Errorf("%d refusals in 10 min", n)
				}
			})
		})
	}
}

// A unit that serves small reads only is met, and read.
func TestInverterThatRefusesLongReadsIsRead(t *testing.T) {
	for _, most := range []uint16{30, 16, 10} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
			b.refusing(func(_, count uint16) bool { return count > most })
			good := 0
			for range 100 {
				if r, err := b.Poll(); err == nil && has(r, "total_dc_power") && has(r, "load_power") {
					good++
				}
			}
			if good < 95 {
				t.Errorf("%d registers at most: %d of 100 polls", most, good)
			}
		})
	}
}

// A connection that breaks at D does not take the power of the sun with it, nor D itself for long.
func TestBlockDThatBreaksTheConnectionIsReadAgain(t *testing.T) {
	for _, fault := range []string{"silent:12999-12999*3", "reset:12999-12999*3", "half:12999-12999*3"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
			b.MustPoll()
			b.Faults(fault)
			begun, whole := time.Now(), 0
			for whole < 3 && time.Since(begun) < time.Hour {
				r, err := b.Poll()
				if err == nil && !has(r, "total_dc_power") {
					t.Fatalf("%s: a reading without PV, lost %v", fault, r.Lost)
				}
				if err == nil && r.At.Sub(b.lastStart()) > time.Second {
					t.Errorf("%s: a reading dated to when D was given up, %v after block A", fault, r.At.Sub(b.lastStart()))
				}
				if err == nil && len(r.Lost) == 0 {
					whole++
				}
			}
			if took := time.Since(begun); took > 2*time.Minute {
				t.Errorf("%s: whole again after %v", fault, took)
			}
			b.Polite()
		})
	}
}

// lastStart is when block A was asked for last.
func (b *bed) lastStart() (at time.Time) {
	for _, r := range b.Sim.Trace() {
		if r.Start == inverter.DeviceType.Address() {
			at = r.At
		}
	}
	return at
}

// Firmware that hangs at a block costs a few polls, and then next to none.
func TestHangingBlockCostsNextToNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: five days of polls")
	}
	for _, fault := range []string{"silent:5600-5600", "reset:5213-5213", "bad-length:5600-5600", "silent:12999-12999", "silent:4951-4951"} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
				b.MustPoll()
				b.Faults(fault)
				b.In.Dongle.Close()
				day, last, lastAll := 0, 0, 0
				begun := time.Now()
				for time.Since(begun) < 24*time.Hour {
					late := time.Since(begun) > 18*time.Hour
					r, err := b.Poll()
					if err == nil && has(r, "total_dc_power") {
						day++
						if late {
							last++
						}
					}
					if late {
						lastAll++
					}
				}
				least := 0.99 // an optional block converges to nothing
				if fault == "silent:12999-12999" {
					least = 0.90 // D is asked for every 10 min
				}
				if float64(day) < 0.9*17280 || float64(last) < least*float64(lastAll) {
					t.Errorf("%d readings in a day, %d of %d in the last 6 h", day, last, lastAll)
				}
				b.Polite()
			})
		})
	}
}

func TestBlockOfZerosIsNoReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
		want := b.MustPoll()
		for block, area := range map[string]string{"A": "4999-5035", "D": "12999-13079"} {
			b.Faults("zeros:" + area + "*1") // a hiccup
			if r := b.MustPoll(); len(r.Words) != len(want.Words) || len(r.Lost) > 0 {
				t.Errorf("zeros once at %s: %d words of %d, lost %v", block, len(r.Words), len(want.Words), r.Lost)
			}
			b.Faults("zeros:" + area)
			for range 3 {
				r := b.MustPoll()
				if r.Lost[block] == nil || has(r, "total_dc_power") != (block == "D") || has(r, "load_power") != (block == "A") {
					t.Errorf("zeros at %s: lost %v", block, r.Lost)
				}
			}
			b.Faults()
			if r := b.MustPoll(); len(r.Lost) > 0 {
				t.Errorf("after zeros at %s: lost %v", block, r.Lost)
			}
		}
		b.Faults("zeros:5600-5640") // no meter behind a WiNet-S
		before := b.Sim.Audit().Requests
		b.MustPoll()
		if n := b.Sim.Audit().Requests - before; n != 4 {
			t.Errorf("a block that may be zeros took %d requests for 4 blocks", n)
		}
		b.Polite()
	})
}

// Every string inverter is asked for a meter where few dongles have one; where nothing is there it is asked rarely, and
// one that is there is read with each poll.
func TestMeterBlockWithoutAMeterIsReadRarely(t *testing.T) {
	for name, c := range map[string]struct {
		meter       uint16
		least, most int64 // reads of it in an hour
	}{"nothing": {0, 60, 67}, "a meter": {2901, 715, 725}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, invertertest.Altered(t, "calc-sg5rs-sunny-exporting", map[uint16]uint16{5600: c.meter}))
				b.MustPoll()
				before, polls := b.In.Dongle.Link.Requests.Load(), int64(0)
				for begin := time.Now(); time.Since(begin) < time.Hour; polls++ {
					b.MustPoll()
				}
				reads := b.In.Dongle.Link.Requests.Load() - before - 4*polls
				if reads < c.least || reads > c.most {
					t.Errorf("%d reads of the block in %d polls", reads, polls)
				}
				b.Polite()
			})
		})
	}
}

// An identity that is refused is asked for in pieces, of which none looks like the start of a poll.
func TestIdentityInPiecesIsNoPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
		b.Faults("refuse=4951-4998")
		for range 5 {
			b.MustPoll()
		}
		b.Polite()
	})
}
