package simulator

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	independent "github.com/simonvetter/modbus"

	"sunspool/edge/registers"
	"sunspool/edge/witness"
)

func newServer(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// noon is a summer's day with sun on all models.
var noon = time.Date(2026, 6, 21, 13, 0, 0, 0, brussels)

// dial connects to s without a network.
func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.ServeConn(ctx, theirs); close(done) }()
	t.Cleanup(func() { ours.Close(); cancel(); <-done })
	return ours
}

// request is a frame that reads input registers as transaction 0x0102 of unit 1.
func request(start, count uint16) []byte {
	f := []byte{1, 2, 0, 0, 0, 6, 1, readInput, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(f[8:], start)
	binary.BigEndian.PutUint16(f[10:], count)
	return f
}

// send writes a frame, and receive reads one by its length.
func send(t *testing.T, c net.Conn, f []byte) {
	t.Helper()
	if _, err := c.Write(f); err != nil {
		t.Fatal(err)
	}
}

func receive(c net.Conn, patience time.Duration) ([]byte, error) {
	c.SetReadDeadline(time.Now().Add(patience))
	return readFrame(c)
}

func ask(t *testing.T, c net.Conn, f []byte) []byte {
	t.Helper()
	send(t, c, f)
	answer, err := receive(c, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func parse(t testing.TB, texts ...string) (all []Fault) {
	t.Helper()
	for _, text := range texts {
		f, err := ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

func TestIndependentClientReadsEveryBlock(t *testing.T) {
	for _, name := range Models() {
		h := newHome(t, HomeOptions{Model: name, Seed: 5})
		s := newServer(t, Options{Home: h, Start: noon})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, l) }()
		client, err := independent.NewClient(&independent.ClientConfiguration{URL: "tcp://" + l.Addr().String(), Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Open(); err != nil {
			t.Fatal(err)
		}
		client.SetUnitId(1)

		model, _ := registers.ModelNamed(name)
		got := make(registers.Words)
		read := func(start, count uint16) {
			words, err := client.ReadRegisters(start, count, independent.INPUT_REGISTER)
			if err != nil {
				t.Fatalf("%s: %d words at %d: %v", name, count, start, err)
			}
			for i, word := range words {
				got[start+uint16(i)] = word
			}
		}
		blocks := model.Map().Reads()
		for _, b := range blocks { // A begins a poll: then all are of one instant
			if b.Name == "A" {
				read(b.Start, b.Count)
			}
		}
		s.SetFaults(Fault{Kind: "frozen"}) // however long the rest takes
		want, holding, err := s.units[1].bank.read(new(h.At(s.Plant().Time)))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks {
			if b.Kind == registers.Input && b.Name != "A" {
				read(b.Start, b.Count)
			}
		}
		if len(got) < 80 {
			t.Errorf("%s: only %d words read", name, len(got))
		}
		for address, word := range got {
			if word != want[address] {
				t.Errorf("%s: %d at %d, want %d", name, word, address, want[address])
			}
		}
		clock, err := client.ReadRegisters(4999, 3, independent.HOLDING_REGISTER)
		if err != nil || clock[0] != 2026 || clock[1] != 6 || clock[2] != 21 || holding[4999] != 2026 {
			t.Errorf("%s: clock %v, %v", name, clock, err)
		}
		if _, err := client.ReadRegister(5005, independent.INPUT_REGISTER); name != "SG5.0RS" && !errors.Is(err, independent.ErrIllegalDataAddress) {
			t.Errorf("%s: a read that starts on a reserved address: %v", name, err)
		}
		if err := client.WriteRegister(13049, 2); !errors.Is(err, independent.ErrIllegalFunction) {
			t.Errorf("%s: a write: %v", name, err)
		}
		client.SetUnitId(2)
		if _, err := client.ReadRegister(4999, independent.INPUT_REGISTER); !errors.Is(err, independent.ErrGWTargetFailedToRespond) {
			t.Errorf("%s: another unit: %v", name, err)
		}
		client.Close()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Blocks of one poll add up at any speed, because they are of one instant.
func TestPollsAddUpAtSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{Home: newHome(t, HomeOptions{}), Start: noon, Speed: 600})
		c := dial(t, s)
		seen := map[uint16]bool{}
		for range 200 {
			w := make(registers.Words)
			for _, read := range [][2]uint16{{4999, 36}, {12999, 80}, {5213, 29}} {
				time.Sleep(100 * time.Millisecond)
				answer := ask(t, c, request(read[0], read[1]))
				for i := range read[1] {
					w[read[0]+i] = binary.BigEndian.Uint16(answer[9+2*i:])
				}
			}
			if b := witness.Check(w); b.LossW == nil || *b.LossW < 0 || *b.LossW > 350 || *b.LoadW != 0 {
				t.Fatalf("blocks of one poll do not add up: %v", b)
			}
			seen[w[5016]] = true
			time.Sleep(5 * time.Second)
		}
		if len(seen) < 50 {
			t.Errorf("only %d different powers in %v", len(seen), s.Now().Sub(noon))
		}
	})
}

func TestMalformedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{Home: newHome(t, HomeOptions{}), Start: noon})
		c := dial(t, s)
		for name, test := range map[string]struct {
			frame []byte
			code  byte
		}{
			"no words":       {request(4999, 0), illegalValue},
			"126 words":      {request(4999, 126), illegalValue},
			"65535 words":    {request(4999, 65535), illegalValue},
			"beyond the end": {request(65535, 2), illegalAddress},
			"short":          {[]byte{1, 2, 0, 0, 0, 4, 1, readInput, 0x13, 0x87}, illegalValue},
			"write":          {[]byte{1, 2, 0, 0, 0, 6, 1, 6, 0x13, 0x87, 0, 1}, illegalFunction},
			"reserved":       {request(5005, 2), illegalAddress},
		} {
			answer := ask(t, c, test.frame)
			if len(answer) != 9 || answer[7] != test.frame[7]|0x80 || answer[8] != test.code {
				t.Errorf("%s: % x", name, answer)
			}
		}
		if answer := ask(t, c, request(4999, 125)); len(answer) != 9+250 || answer[8] != 250 {
			t.Errorf("125 words: % x", answer)
		}
		send(t, c, []byte{1, 2, 0, 7, 0, 6, 1}) // another protocol
		if _, err := receive(c, time.Second); !errors.Is(err, io.EOF) {
			t.Errorf("another protocol is answered: %v", err)
		}
	})
}

func TestAuditMeasuresTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Options{Home: newHome(t, HomeOptions{}), Start: noon})
		c := dial(t, s)
		ask(t, c, request(4999, 36))
		time.Sleep(20 * time.Millisecond)
		ask(t, c, request(12999, 80))
		time.Sleep(6 * time.Second)
		s.SetFaults(parse(t, "exception=6*1")...)
		ask(t, c, request(4999, 36))
		time.Sleep(250 * time.Millisecond)
		ask(t, c, request(4999, 36)) // again, after an exception
		time.Sleep(5 * time.Second)
		ask(t, c, request(4999, 36))
		time.Sleep(time.Second)
		other := dial(t, s)
		ask(t, other, request(12999, 1))
		if n := s.Audit().MaxOpen; n != 1 {
			t.Errorf("%d connections at a time before the first could be noticed to close", n)
		}
		time.Sleep(time.Second)
		c.Close()
		other.Close()
		synctest.Wait()

		a := s.Audit()
		if a.Requests != 6 || a.Connects != 2 || a.MaxOpen != 2 || a.Open != 0 || a.Polls != 3 {
			t.Errorf("%+v", a)
		}
		if a.RequestGap != (Gap{20 * time.Millisecond, 5}) {
			t.Errorf("between answer and request: %+v", a.RequestGap)
		}
		if a.PollGap != (Gap{5250 * time.Millisecond, 2}) {
			t.Errorf("between polls: %+v", a.PollGap)
		}
		if a.ConnectGap.Count != 1 || a.ConnectGap.Least != 12270*time.Millisecond {
			t.Errorf("between connects: %+v", a.ConnectGap)
		}
		trace := s.Trace()
		if len(trace) != 6 || trace[2].Exception != 6 || trace[2].Faults != "exception" || trace[5].Connection != 2 || trace[1].Start != 12999 || trace[1].Count != 80 {
			t.Errorf("%+v", trace)
		}
	})
}

func TestTraceKeepsTheLastRequests(t *testing.T) {
	var w watch
	for i := range traced + 10 {
		w.request(Request{Start: uint16(i), Exception: -1}, 0)
	}
	got := w.requests()
	if len(got) != traced || got[0].Start != 10 || got[traced-1].Start != traced+9 {
		t.Errorf("%d requests from %d to %d", len(got), got[0].Start, got[len(got)-1].Start)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, Options{Home: newHome(t, HomeOptions{}), Faults: parse(t, "slow=1h")})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send(t, c, request(4999, 1))
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if a := s.Audit(); a.Open != 0 {
		t.Errorf("%d connections are left", a.Open)
	}
}

func FuzzRequest(f *testing.F) {
	f.Add(request(4999, 36))
	f.Add(append(request(12999, 80), request(5213, 29)...))
	f.Add([]byte{0, 1, 0, 0, 0, 2, 1, 3})
	f.Add([]byte{0, 1, 0, 0, 255, 255, 1, 4, 0, 0})
	f.Add([]byte{0, 1, 0, 0, 0, 6, 1, 16, 0, 0, 0, 1})
	h := newHome(f, HomeOptions{})
	f.Fuzz(func(t *testing.T, wire []byte) {
		s := newServer(t, Options{Home: h, Start: noon})
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() { s.ServeConn(context.Background(), theirs); close(done) }()
		go func() { ours.Write(wire); ours.Close() }()
		for {
			answer, err := readFrame(ours)
			if err != nil {
				break
			}
			if exception := answer[7]&0x80 != 0; exception && len(answer) != 9 || !exception && len(answer) != 9+int(answer[8]) {
				t.Errorf("% x is answered with % x", wire, answer)
			}
		}
		<-done
	})
}
