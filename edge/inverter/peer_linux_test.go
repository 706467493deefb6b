package inverter

import (
	"bufio"
	"net"
	"testing"
	"time"
)

// A connection is alive until the other end closes it; an answer that came late is left to send.
func TestClosedConnectionIsSeenBeforeAPoll(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	tr := &Transport{conn: ours, in: bufio.NewReader(ours)}
	if open, known := peek(ours); !open || !known || !tr.alive() {
		t.Fatalf("an idle connection is open %v, known %v", open, known)
	}
	theirs.Write([]byte{1, 2})
	until(t, func() bool { open, _ := peek(ours); return open })
	theirs.Close()
	if open, _ := peek(ours); !open {
		t.Error("what came before the end is not there any more")
	}
	if b, err := tr.in.ReadByte(); err != nil || b != 1 || !tr.alive() {
		t.Errorf("%d, %v: a late answer", b, err)
	}
	tr.in.Reset(ours)
	until(t, func() bool { return !tr.alive() })

	ours.Close()
	if tr.alive() {
		t.Error("our own end is closed, and alive")
	}
	pipe, other := net.Pipe()
	defer other.Close()
	if _, known := peek(pipe); known {
		t.Error("a pipe is a socket")
	}
}

func until(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within a minute")
		}
	}
}
