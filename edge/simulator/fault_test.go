package simulator

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Each fault, as a client sees it on the wire.
func TestFaultsAreSeenOnTheWire(t *testing.T) {
	type exchange struct {
		answer []byte
		err    error
		after  time.Duration
	}
	good := func(e exchange) bool {
		return e.err == nil && len(e.answer) == 9+4 && e.answer[0] == 1 && e.answer[1] == 2 && e.answer[6] == 1 && e.answer[7] == readInput
	}
	exception := func(code byte) func(exchange) bool {
		return func(e exchange) bool {
			return bytes.Equal(e.answer, []byte{1, 2, 0, 0, 0, 3, 1, readInput | 0x80, code})
		}
	}
	timeout := func(e exchange) bool { return errors.Is(e.err, os.ErrDeadlineExceeded) }
	for text, want := range map[string]func(exchange) bool{
		"slow=2s":             func(e exchange) bool { return good(e) && e.after == 2*time.Second },
		"late=7s":             func(e exchange) bool { return good(e) && e.after == 7*time.Second },
		"silent":              timeout,
		"half":                func(e exchange) bool { return errors.Is(e.err, io.ErrUnexpectedEOF) || errors.Is(e.err, io.EOF) },
		"stall":               timeout,
		"wrong-unit":          func(e exchange) bool { return e.err == nil && e.answer[6] == 99 && len(e.answer) == 13 },
		"exception=11":        exception(11),
		"exception":           exception(4),
		"code0":               exception(0),
		"refuse=4990-5010":    exception(illegalAddress),
		"refuse=5000-5241":    good,
		"exception=6:12999-1": nil,
		"bad-count":           func(e exchange) bool { return e.err == nil && len(e.answer) == 11 && e.answer[8] == 4 },
		"bad-length": func(e exchange) bool {
			return bytes.Equal(e.answer, []byte{1, 2, 0, 0, 0, 2, 1, readInput | 0x80}) // and one byte more
		},
		"surplus=1":     good, // and one byte more
		"reset":         func(e exchange) bool { return errors.Is(e.err, io.EOF) },
		"off":           func(e exchange) bool { return e.err != nil && e.after == 0 },
		"zeros":         func(e exchange) bool { return good(e) && bytes.Equal(e.answer[9:], make([]byte, 4)) },
		"idle":          good,
		"second-client": func(e exchange) bool { return e.err == nil && e.answer[0] != 1 && len(e.answer) == 13 },
	} {
		t.Run(text, func(t *testing.T) {
			if want == nil {
				if _, err := ParseFault(text); err == nil {
					t.Errorf("%s is understood", text)
				}
				return
			}
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, Options{Home: newHome(t, HomeOptions{}), Start: noon, Faults: parse(t, text)})
				c := dial(t, s)
				begun := time.Now()
				var e exchange
				if _, e.err = c.Write(request(4999, 2)); e.err == nil {
					e.answer, e.err = receive(c, time.Minute)
				}
				e.after = time.Since(begun)
				if !want(e) {
					t.Errorf("% x, %v after %v", e.answer, e.err, e.after)
				}
				switch kind, _, _ := strings.Cut(text, "="); kind {
				case "surplus", "bad-length":
					if n, err := io.ReadFull(c, make([]byte, 1)); n != 1 {
						t.Errorf("no byte after the frame: %v", err)
					}
					if n, err := c.Read(make([]byte, 1)); n != 0 {
						t.Errorf("more than one byte after the frame: %v", err)
					}
				case "second-client":
					if second, err := receive(c, time.Minute); !good(exchange{second, err, 0}) {
						t.Errorf("the real answer does not follow: % x, %v", second, err)
					}
				}
				if text != "off" && s.Audit().Requests != 1 {
					t.Errorf("the request is not counted: %+v", s.Audit())
				}
			})
		})
	}
}

// A late answer belongs to an older request: the next is answered before it.
func TestLateAnswerCrossesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{Home: newHome(t, HomeOptions{}), Start: noon, Faults: parse(t, "late=7s*1")})
		c := dial(t, s)
		send(t, c, request(4999, 2))
		if _, err := receive(c, 5*time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		next := request(12999, 1)
		next[1] = 3
		if answer := ask(t, c, next); answer[1] != 3 {
			t.Fatalf("% x", answer)
		}
		if answer, err := receive(c, 5*time.Second); err != nil || answer[1] != 2 {
			t.Errorf("% x, %v", answer, err)
		}
	})
}

func TestResetIsATCPReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Options{Home: newHome(t, HomeOptions{}), Faults: parse(t, "reset")})
	go s.Serve(t.Context(), l)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send(t, c, request(4999, 2))
	if _, err := receive(c, time.Minute); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the connection ends with %v", err)
	}
}

func TestFrozenRegistersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{Home: newHome(t, HomeOptions{}), Start: noon})
		c := dial(t, s)
		poll := func() string {
			time.Sleep(time.Minute)
			return string(ask(t, c, request(4999, 36))) + string(ask(t, c, request(12999, 80)))
		}
		if first, second := poll(), poll(); first == second {
			t.Error("the registers stand still by themselves")
		}
		s.SetFaults(parse(t, "frozen")...)
		frozen := poll()
		for range 6 {
			if poll() != frozen {
				t.Error("frozen registers move")
			}
		}
		s.SetFaults()
		if poll() == frozen {
			t.Error("the registers stay frozen")
		}
	})
}

func TestAsleepKeepsTheDaysYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		evening := time.Date(2026, 6, 21, 23, 30, 0, 0, brussels)
		s := newServer(t, Options{Home: newHome(t, HomeOptions{Model: "SG5.0RS"}), Start: evening, Faults: parse(t, "asleep")})
		c := dial(t, s)
		word := func(address uint16) uint16 { return binary.BigEndian.Uint16(ask(t, c, request(address, 1))[9:]) }
		word(4999)
		yield := word(5002)
		time.Sleep(3 * time.Hour) // past midnight
		word(4999)
		if yield == 0 || word(5002) != yield {
			t.Errorf("today's yield was %d and is %d", yield, word(5002))
		}
		for _, address := range []uint16{5010, 5012, 5018, 5016} { // voltages and power
			if word(address) != 0 {
				t.Errorf("%d reads %d", address, word(address))
			}
		}
		s.SetFaults()
		time.Sleep(5 * time.Second)
		if word(4999); word(5002) != 0 || word(5018) == 0 {
			t.Errorf("awake after midnight: yield %d, grid %d", word(5002), word(5018))
		}
	})
}

func TestFaultsEndAndAreOccasional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{Home: newHome(t, HomeOptions{}), Start: noon, Faults: parse(t, "exception=6*2")})
		c := dial(t, s)
		struck := func(n int, start uint16) (hits int) {
			for range n {
				if ask(t, c, request(start, 1))[7] != readInput {
					hits++
				}
			}
			return hits
		}
		if hits := struck(10, 4999); hits != 2 {
			t.Errorf("%d of 10 requests were spoiled, want 2", hits)
		}
		s.SetFaults(parse(t, "exception=6:5600-5638@0.1")...)
		if hits := struck(1000, 5600); hits < 60 || hits > 150 {
			t.Errorf("%d of 1000 requests were spoiled, want about 100", hits)
		}
		if hits := struck(100, 4999); hits != 0 {
			t.Errorf("%d requests outside of the range were spoiled", hits)
		}
	})
}

func TestFaultsHaveAText(t *testing.T) {
	for text, want := range map[string]string{
		"slow": "slow=2s", "slow=250ms": "slow=250ms", "silent": "silent", "exception=6@0.1": "exception=6@0.1",
		"refuse=5213-5241": "refuse=5213-5241", "refuse=5241": "refuse=5241-5241", "half:5600-5638@0.5*3": "half:5600-5638@0.5*3",
		"code0*1": "code0*1", "refuse:0": "refuse=0-0", "refuse=0": "refuse=0-0", "half:0": "half:0-0", "refuse=0-65535": "refuse=0-65535", "late=7s:4999-4999": "late=7s:4999-4999",
	} {
		f, err := ParseFault(text)
		if err != nil || f.String() != want {
			t.Errorf("%s: %v, %v", text, f, err)
		}
		again, err := ParseFault(f.String())
		if err != nil || again != f {
			t.Errorf("%s: %+v and %+v, %v", text, f, again, err)
		}
	}
	for _, text := range []string{"", "slo", "slow=fast", "slow=-1s", "silent=1", "exception=256", "exception=x", "refuse",
		"refuse=7-3", "refuse=5213-70000", "silent@0", "silent@2", "silent@x", "silent*0", "silent*", "half:a"} {
		if f, err := ParseFault(text); err == nil {
			t.Errorf("%q is understood as %v", text, f)
		}
	}
}

// Address 0 is an address: a fault there is none of every other.
func TestFaultAtAddressZeroIsThereAlone(t *testing.T) {
	for text, want := range map[string][2]bool{"silent:0": {true, false}, "refuse:0": {true, false}, "silent:0-4999": {true, true}, "silent": {true, true}} {
		f, err := ParseFault(text)
		if err != nil || f.touches(1, 0) != want[0] || f.touches(1, 4999) != want[1] {
			t.Errorf("%s: %v %v, %v", text, f.touches(1, 0), f.touches(1, 4999), err)
		}
	}
}

func FuzzParseFault(f *testing.F) {
	for _, text := range []string{"slow=2s", "exception=6:5600-5638@0.1*3", "refuse=5213-5241", "refuse:0", "silent:0", "*@:=", "silent@NaN"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := ParseFault(text)
		if err != nil {
			return
		}
		if again, err := ParseFault(fault.String()); err != nil || again != fault {
			t.Errorf("%q: %+v becomes %+v, %v", text, fault, again, err)
		}
	})
}
