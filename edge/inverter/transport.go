package inverter

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

	"sunspool/edge/pace"
)

// Modbus TCP puts 7 bytes before each PDU: transaction id, protocol id (0), length of what follows it, unit id.
const (
	mbapSize = 7
	maxPDU   = 253
)

const (
	AnswerTime = 5 * time.Second // timeout for connecting, and for an answer
	SettleTime = 3 * time.Second // from connecting to the first request
)

// errFraming is returned for a malformed answer: the stream can no longer be trusted and the connection is closed. A WiNet-S
// sends malformed frames at random.
var errFraming = errors.New("malformed Modbus answer")

// errNotConnected is returned by send between a close and the next connect.
var errNotConnected = errors.New("not connected to the inverter")

// Transport carries one request at a time over one TCP connection. It replaces goburrow's transporter, which keeps a broken
// socket indefinitely: here every error closes the connection, answers with another transaction id are skipped until the
// deadline, and an answer must have the length that was asked for.
//
// One goroutine owns it; the counters may be read by any.
type Transport struct {
	Address string
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Timeout time.Duration // of connecting, and of an answer
	Gap     time.Duration // from the end of an answer to the next request
	Settle  time.Duration // from connecting to the first request

	conn      net.Conn
	in        *bufio.Reader // of conn
	answered  bool          // at least one request on conn was answered
	written   func()        // called once, when the next request was written; may be nil
	lastReply time.Time

	Connects, Requests, Stale atomic.Int64
}

// connect dials unless there is a connection already.
func (t *Transport) connect(ctx context.Context) error {
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
	if err := pace.Sleep(ctx, t.Settle); err != nil {
		t.close()
		return err
	}
	return nil
}

func (t *Transport) close() {
	if t.conn != nil {
		t.conn.Close()
		t.conn = nil
	}
}

// alive reports whether the connection is still open as far as is known. Gateways close idle connections, and a request on a
// closed one would be lost.
func (t *Transport) alive() bool {
	if open, known := peek(t.conn); known {
		return open || t.in.Buffered() > 0
	}
	const notice = time.Millisecond // to read what has arrived already
	if t.conn.SetReadDeadline(now().Add(notice)) != nil {
		return false
	}
	_, err := t.in.Peek(1) // send skips a late answer
	return err == nil || isTimeout(err)
}

// ready waits until Gap has passed since the last answer.
func (t *Transport) ready(ctx context.Context) error {
	return pace.Sleep(ctx, t.lastReply.Add(t.Gap+pace.Margin).Sub(now()))
}

// send writes one request and returns the answer that belongs to it.
func (t *Transport) send(ctx context.Context, request []byte) (answer []byte, err error) {
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
			t.Stale.Add(1) // the answer to a second client, leaked by the dongle
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

// cancelled returns the error of ctx if it has ended: the call then failed because of the deadline set on cancellation.
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

// checkAnswer returns an error unless answer is an exception or has exactly the registers of the request: goburrow accepts
// fewer registers than requested, and treats another function code as an exception.
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
