//go:build !linux

package listener

import "net"

var listenConfig net.ListenConfig
