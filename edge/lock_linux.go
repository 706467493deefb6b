package edge

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lockDongle makes this process the only one of the machine that has the lock of that name, until unlock is called or the
// process ends. If another has it, heldBy names it. The lock is an abstract unix socket: services whose sandboxes share
// no directory see the same one. It answers each connection with text.
func lockDongle(name, text string) (unlock func(), heldBy string, err error) {
	listener, err := net.Listen("unix", "@"+name)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, dongleHolder(name), nil
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
			conn.SetDeadline(now().Add(time.Second))
			io.WriteString(conn, text)
			conn.Close()
		}
	}()
	return func() { listener.Close() }, "", nil
}

// dongleHolder names the process that has the lock: its id, as the kernel knows it, and what it answers.
func dongleHolder(name string) string {
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
	conn.SetDeadline(now().Add(time.Second))
	text, _ := io.ReadAll(io.LimitReader(conn, 200))
	return withDevices(holder, string(text))
}
