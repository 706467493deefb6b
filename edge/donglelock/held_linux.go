package donglelock

import (
	"bufio"
	"io"
	"net"
	"os"
	"strings"
)

// Held returns the addresses, HOST:PORT as they are set, of the dongles that processes of this machine read. hidden reports
// whether there are others, whose address is too long to be seen, or whether it cannot be found out.
func Held() (addresses []string, hidden bool) {
	file, err := os.Open("/proc/self/net/unix")
	if err != nil {
		return nil, true
	}
	defer file.Close()
	return heldIn(file)
}

// heldIn reads the kernel's list of unix sockets.
func heldIn(list io.Reader) (addresses []string, hidden bool) {
	for lines := bufio.NewScanner(list); lines.Scan(); {
		_, address, ok := strings.Cut(lines.Text(), "@"+prefix)
		if !ok {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			hidden = true
			continue
		}
		addresses = append(addresses, address)
	}
	return addresses, hidden
}
