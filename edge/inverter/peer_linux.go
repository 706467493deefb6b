package inverter

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// peek reports whether the other end has closed conn, as far as has arrived, without waiting and without a timer. known is
// false if conn is no socket.
func peek(conn net.Conn) (open, known bool) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false, false
	}
	var n int
	var failure error
	err = raw.Control(func(fd uintptr) {
		for failure = unix.EINTR; failure == unix.EINTR; {
			n, _, failure = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		}
	})
	return err == nil && (n > 0 || failure == unix.EAGAIN), true
}
