// Package donglelock makes a process the only edge of a machine that reads a dongle: of two clients a dongle serves one at
// best. The locks are those of the name or address that is set, and of the address that was dialled, and end with the process.
//
//	Claim ──────────────────> lock, by the name that is set ──┬──> release, or the process that has it
//	Addresses.DialContext ──> lock, by where it leads ────────┘
package donglelock

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sunspool/wire"
)

const (
	claimWait = 2 * time.Second
	prefix    = "sunspool-dongle-" // of the names of locks
)

// Claim makes this process the only edge of the machine that reads the dongle, until release is called. The error is a
// *health.Fault that names the other one. A machine on which no lock can be had is no reason not to start.
func Claim(host string, port int, devices []string, log *slog.Logger) (release func(), err error) {
	name, holder := lockName(host, port), ""
	for waited := time.Duration(0); ; waited += claimWait / 10 { // one that is just ending
		unlock, heldBy, err := lock(name, strings.Join(devices, ","))
		switch {
		case err != nil:
			log.Warn("whether another edge reads the dongle cannot be found out", "error", err.Error())
			return func() {}, nil
		case heldBy == "":
			return unlock, nil
		case waited >= claimWait:
			holder = heldBy
		}
		if holder != "" {
			break
		}
		time.Sleep(claimWait / 10)
	}
	return nil, busy(net.JoinHostPort(host, strconv.Itoa(port)), holder)
}

// lockName returns the name of the lock of a dongle: the same however its address is written, as far as that can be known
// without looking up names.
func lockName(host string, port int) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
	if len(address) > 64 {
		sum := sha256.Sum256([]byte(address))
		address = hex.EncodeToString(sum[:])
	}
	return prefix + address
}

// withDevices adds to a process the devices that its text names. A text that does not look like these is left out: any
// program may have written it.
func withDevices(holder, text string) string {
	var devices []string
	for device := range strings.SplitSeq(text, ",") {
		if !wire.ValidDeviceID(device) {
			return holder
		}
		devices = append(devices, device)
	}
	return holder + ", device " + strings.Join(devices, " and ")
}
