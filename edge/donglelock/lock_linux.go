package donglelock

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lock makes this process the only one of the machine that has the lock of that name, until unlock is called or the
// process ends. If another has it, heldBy names it. The lock is an abstract unix socket: services whose sandboxes share
// no directory see the same one. It answers each connection with text.
func lock(name, text string) (unlock func(), heldBy string, err error) {
	listener, err := net.Listen("unix", "@"+name)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, holderOf(name), nil
	}
	if err != nil {
		return nil, "", err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(deadline())
			io.WriteString(conn, text)
			conn.Close()
		}
	}()
	return func() { listener.Close() }, "", nil
}

// deadline is when an exchange on such a connection must be over.
func deadline() time.Time { return time.Now().Add(time.Second) }

// holderOf names the process that has the lock: by its id, which is the kernel's, and by what it answers.
func holderOf(name string) string {
	holder := "another process"
	conn, err := net.Dial("unix", "@"+name)
	if err != nil {
		return holder
	}
	defer conn.Close()
	if raw, err := conn.(*net.UnixConn).SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
			if err == nil && peer.Pid > 0 { // 0 is a process of another container
				holder = fmt.Sprintf("process %d", peer.Pid)
			}
		})
	}
	conn.SetDeadline(deadline())
	text, _ := io.ReadAll(io.LimitReader(conn, 200))
	return withDevices(holder, string(text))
}
