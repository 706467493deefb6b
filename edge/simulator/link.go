package simulator

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// A frame is a header of 7 bytes (transaction id, protocol 0, length of what follows it, unit id) and a PDU.
const (
	headerSize = 7
	maxPDU     = 253
)

// link is one connection.
type link struct {
	server *Server
	conn   net.Conn
	number int
	turn   chan struct{} // to write
	late   sync.WaitGroup
}

// arrival is a frame, and when it came.
type arrival struct {
	frame []byte
	at    time.Time
}

// receive passes frames on until the connection ends, and then closes the channel. It reads ahead, so that a client
// that goes away is noticed while its answer waits.
func (c *link) receive(ctx context.Context, frames chan<- arrival) error {
	defer close(frames)
	for {
		if err := c.conn.SetReadDeadline(c.server.idleUntil()); err != nil {
			return err
		}
		frame, err := readFrame(c.conn)
		if err != nil {
			return err
		}
		select {
		case frames <- arrival{frame, time.Now()}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func readFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, headerSize, headerSize+maxPDU)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	protocol, length := binary.BigEndian.Uint16(frame[2:]), int(binary.BigEndian.Uint16(frame[4:]))
	if protocol != 0 || length < 2 || length > 1+maxPDU {
		return nil, fmt.Errorf("frame of protocol %d and length %d", protocol, length)
	}
	frame = frame[:headerSize+length-1]
	_, err := io.ReadFull(r, frame[headerSize:])
	return frame, err
}

// frame puts the header of the answer to request before a PDU.
func frame(request, pdu []byte) []byte {
	f := make([]byte, headerSize, headerSize+len(pdu))
	copy(f, request[:2])
	binary.BigEndian.PutUint16(f[4:], uint16(1+len(pdu)))
	f[6] = request[6]
	return append(f, pdu...)
}

// answer answers one request, or does to it what the faults want. It reports whether the connection goes on.
func (c *link) answer(ctx context.Context, asked arrival) bool {
	request := asked.frame
	pdu, struck := c.server.respond(c.number, asked)
	answer := frame(request, pdu)
	if unit, ok := struck["wrong-unit"]; ok {
		answer[6] = byte(unit)
	}
	if code, ok := struck["bad-length"]; ok {
		answer = frame(request, []byte{request[headerSize] | 0x80, byte(code)})
		answer[5] = 2
	}
	if missing, ok := struck["bad-count"]; ok && len(pdu) > 2 {
		answer = frame(request, pdu[:max(2, len(pdu)-int(missing))])
	}
	if struck.has("second-client") {
		answer = append(foreign(request, answer), answer...)
	}
	if struck.has("half") || struck.has("stall") {
		answer = answer[:len(answer)/2]
	}

	switch {
	case struck.has("off"):
		return false
	case struck.has("reset"):
		if tcp, ok := c.conn.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		return false
	case struck.has("silent"):
		return true
	case struck.has("late"):
		c.late.Go(func() {
			if wait(ctx, struck["late"]) == nil {
				c.write(ctx, answer)
			}
		})
		return true
	}
	if delay := struck["slow"]; delay > 0 && wait(ctx, delay) != nil {
		return false
	}
	sent, err := c.write(ctx, answer)
	if err != nil {
		return false
	}
	c.server.replied(sent)
	if n, ok := struck["surplus"]; ok {
		_, err = c.write(ctx, bytes.Repeat([]byte{0xA5}, int(n)))
	}
	return err == nil && !struck.has("half")
}

// write waits for its turn, because a late answer must not cut another in two. It returns when it sent b: that is known before
// the other side has it, and not some milliseconds later as what a busy machine does afterwards.
func (c *link) write(ctx context.Context, b []byte) (sent time.Time, err error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return sent, ctx.Err()
	}
	sent = time.Now()
	_, err = c.conn.Write(b)
	return sent, err
}

// foreign is an answer to somebody else: as long as ours, with another transaction id and other registers.
func foreign(request, answer []byte) []byte {
	other := slices.Clone(answer)
	other[0], other[1] = request[0]^0x5A, request[1]^0xC3
	for i := headerSize + 2; i < len(other); i++ {
		other[i] ^= 0x55
	}
	return other
}

// wait sleeps unless ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// replied notes when an answer was sent.
func (s *Server) replied(sent time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch.replied = sent
}

// idleUntil is when a connection without a request is closed; zero is never.
func (s *Server) idleUntil() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after, ok := s.strike(0, 0, "idle")["idle"]; ok {
		return time.Now().Add(after)
	}
	return time.Time{}
}

// names lists the faults for the trace.
func (s strikes) names() string {
	var names []string
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
