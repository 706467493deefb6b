package edge

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Modbus TCP puts 7 bytes before each PDU: transaction id, protocol id (0), length of what follows it, unit id.
const (
	mbapSize = 7
	maxPDU   = 253
)

const (
	answerTime = 5 * time.Second // for connecting, and for an answer
	settleTime = 3 * time.Second // from connecting to the first request
)

// errFraming is an answer that is not one: the stream can no longer be trusted and the connection is closed. A WiNet-S
// sends such frames at random.
var errFraming = errors.New("malformed Modbus answer")

// errNotConnected is returned by send between a close and the next connect.
var errNotConnected = errors.New("not connected to the inverter")

// transport carries one request at a time over one TCP connection. It implements goburrow's Transporter through
// Dongle.readOnce, because goburrow's own keeps a broken socket for ever: here every error closes the connection, an
// answer with another transaction id is skipped until the deadline, and the length of an answer is the one asked for.
//
// It is owned by one goroutine, but for the counters.
type transport struct {
	Address string
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Timeout time.Duration // for connecting, and for an answer
	Gap     time.Duration // from the end of an answer to the next request
	Settle  time.Duration // from connecting to the first request

	conn      net.Conn
	in        *bufio.Reader // of conn
	answered  bool          // on conn, at least once
	written   func()        // called once, when the next request is on its way; may be nil
	lastReply time.Time

	Connects, Requests, Stale atomic.Int64
}

// connect dials unless there is a connection already.
func (t *transport) connect(ctx context.Context) error {
	if t.conn != nil {
		return nil
	}
	t.Connects.Add(1)
	dial, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	conn, err := t.Dial(dial, "tcp", t.Address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", t.Address, err)
	}
	t.conn, t.in, t.answered = conn, bufio.NewReader(conn), false
	if err := sleep(ctx, t.Settle); err != nil {
		t.close()
		return err
	}
	return nil
}

func (t *transport) close() {
	if t.conn != nil {
		t.conn.Close()
		t.conn = nil
	}
}

// alive reports whether the other end still has the connection, as far as is known. Gateways close what is idle; a
// request on such a connection would be lost.
func (t *transport) alive() bool {
	const notice = time.Millisecond // for what has arrived already
	if t.conn.SetReadDeadline(now().Add(notice)) != nil {
		return false
	}
	_, err := t.in.Peek(1) // a late answer stays, for send to skip
	return err == nil || isTimeout(err)
}

// ready waits until the dongle has rested from its last answer.
func (t *transport) ready(ctx context.Context) error {
	return sleep(ctx, t.lastReply.Add(t.Gap+margin).Sub(now()))
}

// send writes one request and returns the answer that belongs to it.
func (t *transport) send(ctx context.Context, request []byte) (answer []byte, err error) {
	if t.conn == nil {
		return nil, errNotConnected
	}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	conn := t.conn
	if err := conn.SetDeadline(now().Add(t.Timeout)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	t.Requests.Add(1)
	if _, err := conn.Write(request); err != nil {
		return nil, cancelled(ctx, fmt.Errorf("send to %s: %w", t.Address, err))
	}
	if t.written != nil {
		t.written()
		t.written = nil
	}
	for {
		answer, err := readFrame(t.in)
		t.lastReply = now()
		if err != nil {
			return nil, cancelled(ctx, fmt.Errorf("answer of %s: %w", t.Address, err))
		}
		if !sameTransaction(request, answer) {
			t.Stale.Add(1) // a second client's answer, leaked by the dongle
			continue
		}
		if err := checkAnswer(request, answer); err != nil {
			return nil, fmt.Errorf("answer of %s: %w", t.Address, err)
		}
		if n := t.in.Buffered(); n > 0 {
			return nil, fmt.Errorf("answer of %s: %w: %d bytes after its end", t.Address, errFraming, n)
		}
		t.answered = true
		return answer, nil
	}
}

// cancelled prefers ctx's error: the deadline that failed the call was then ours.
func cancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// readFrame reads one frame, header included.
func readFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, mbapSize, mbapSize+maxPDU)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	protocol := binary.BigEndian.Uint16(frame[2:])
	length := int(binary.BigEndian.Uint16(frame[4:])) // unit id and PDU
	if protocol != 0 || length < 2 || length > 1+maxPDU {
		return nil, fmt.Errorf("%w: protocol %d, length %d", errFraming, protocol, length)
	}
	frame = frame[:mbapSize+length-1]
	if _, err := io.ReadFull(r, frame[mbapSize:]); err != nil {
		return nil, err
	}
	return frame, nil
}

func sameTransaction(request, answer []byte) bool {
	return binary.BigEndian.Uint16(request) == binary.BigEndian.Uint16(answer)
}

// checkAnswer refuses what is neither the registers that were asked for nor an exception: goburrow accepts fewer
// registers than asked, and takes a foreign function code for an exception.
func checkAnswer(request, answer []byte) error {
	if request[6] != answer[6] {
		return fmt.Errorf("%w: unit %d answers for unit %d", errFraming, answer[6], request[6])
	}
	asked, pdu := request[mbapSize:], answer[mbapSize:]
	switch pdu[0] {
	case asked[0]:
		want := 2 * int(binary.BigEndian.Uint16(asked[3:]))
		if len(pdu) != 2+want || int(pdu[1]) != want {
			return fmt.Errorf("%w: %d bytes of registers instead of %d", errFraming, len(pdu)-2, want)
		}
	case asked[0] | 0x80:
		if len(pdu) != 2 || pdu[1] > 11 {
			return fmt.Errorf("%w: exception of %d bytes", errFraming, len(pdu)-1)
		}
	default:
		return fmt.Errorf("%w: function code %d instead of %d", errFraming, pdu[0], asked[0])
	}
	return nil
}

// isClosed reports whether err is a connection that the other end closed. io.ErrClosedPipe is that of a net.Pipe.
func isClosed(err error) bool {
	for _, closed := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, io.ErrClosedPipe} {
		if errors.Is(err, closed) {
			return true
		}
	}
	return false
}

// isTimeout reports whether err is a deadline that passed without an answer.
func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}
