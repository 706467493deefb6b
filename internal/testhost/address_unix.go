//go:build unix

package testhost

import (
	"net"
	"strconv"
	"syscall"
	"testing"
)

// Address returns an address of the loopback that is the test's own: connections to it are refused until a program listens there,
// as often as it likes, and nothing else gets its port. A port that was free a moment ago may be another's: the kernel gives it to
// whoever asks for any, and to connections.
func Address(t testing.TB) string {
	t.Helper()
	// A socket that is bound and does not listen: what listens beside it must say that it reuses addresses, as every listener
	// of Go and every server does, and must ask for this very port.
	fd, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(at.(*syscall.SockaddrInet4).Port))
}

func reserve() (fd int, err error) {
	syscall.ForkLock.RLock() // no process that is started now has the socket
	defer syscall.ForkLock.RUnlock()
	if fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0); err != nil {
		return 0, err
	}
	syscall.CloseOnExec(fd)
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		syscall.Close(fd)
	}
	return fd, err
}
