// Package donglelock makes a process the only edge of a machine that reads a dongle: of two clients a dongle serves one at
// best. The lock is by the dongle's address, and ends with the process.
//
//	Claim ──> lock, by the name of the address ──> release, or the process that has it
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

	"sunspool/health"
	"sunspool/wire"
)

const claimWait = 2 * time.Second

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
	return nil, &health.Fault{
		Code: "dongle_busy", Exit: health.ExitBusy,
		What: "another edge of this machine reads " + net.JoinHostPort(host, strconv.Itoa(port)),
		Why:  holder + ", has the one connection that a dongle bears",
		Next: "stop one of the two; for several inverters behind one dongle set SUNGROW_SLAVE_ID=1,2 and DEVICE_ID=roof,garage in one edge",
	}
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
	return "sunspool-dongle-" + address
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
