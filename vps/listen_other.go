//go:build !linux

package vps

import "net"

var listenConfig net.ListenConfig
