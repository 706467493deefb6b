// Package portholder names the process that listens where a service is to listen.
//
//	/proc/net/tcp, tcp6 ──> socket ──> /proc/PID/fd ──> process
package portholder

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Unknown is a process that listens and cannot be seen: it is another user's, or in another container.
const Unknown = "another process"

// Of returns the process that listens at an address, HOST:PORT, such as "process 812 (nginx)"; Unknown if it cannot be seen. ok is
// false if none listens there, or if the system does not list its sockets. root is the directory in which /proc is, "" for this
// machine's.
func Of(root, address string) (process string, ok bool) {
	host, text, err := net.SplitHostPort(address)
	port, wrong := strconv.Atoi(text)
	if err != nil || wrong != nil || port <= 0 {
		return Unknown, false
	}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if socket := listening(filepath.Join(root, file), host, port); socket != "" {
			return owner(root, socket), true
		}
	}
	return Unknown, false
}

// listening returns the number of a socket in the kernel's list that keeps others from listening at that host and port.
func listening(list, host string, port int) string {
	f, err := os.Open(list)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != "0A" { // LISTEN
			continue
		}
		ip, at, _ := strings.Cut(fields[1], ":")
		number, err := strconv.ParseUint(at, 16, 16)
		if err == nil && int(number) == port && inTheWay(address(ip), host) {
			return fields[9]
		}
	}
	return ""
}

// address reads an address as the kernel lists it: words of 32 bits in the order of the processor.
func address(text string) netip.Addr {
	b, err := hex.DecodeString(text)
	if err != nil || len(b)%4 != 0 {
		return netip.Addr{}
	}
	for word := range slices.Chunk(b, 4) {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	ip, _ := netip.AddrFromSlice(b)
	return ip.Unmap()
}

// inTheWay reports whether a listener at taken keeps another from host. A name is taken for any address.
func inTheWay(taken netip.Addr, host string) bool {
	wanted, err := netip.ParseAddr(host)
	return err != nil || !taken.IsValid() || taken.IsUnspecified() || wanted.IsUnspecified() || taken == wanted.Unmap().WithZone("")
}

// owner returns the process that has a socket.
func owner(root, socket string) string {
	links, _ := filepath.Glob(filepath.Join(root, "/proc/[0-9]*/fd/*"))
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == "socket:["+socket+"]" {
			dir := filepath.Dir(filepath.Dir(link))
			name, _ := os.ReadFile(dir + "/comm")
			return fmt.Sprintf("process %s (%s)", filepath.Base(dir), strings.TrimSpace(string(name)))
		}
	}
	return Unknown
}
