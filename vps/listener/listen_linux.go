package listener

import (
	"net"
	"syscall"
)

// deferSeconds is for how long the system does not pass on a connection on which nothing was sent yet.
const deferSeconds = 5

// listenConfig makes a listener accept a connection when its first bytes are there: clients that only connect, however many,
// do not occupy a connection that a client needs that takes some time to send its request.
var listenConfig = net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_DEFER_ACCEPT, deferSeconds) // without it all works
	})
}}
