package donglelock

import (
	"context"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"sunspool/health"
)

// Addresses dials a dongle, and has the lock of each address that it is dialled at: two edges may know one dongle by a name and by
// its address. The lock is kept between connections, until the name leads elsewhere.
type Addresses struct {
	own     string // lock that Claim has taken
	devices string

	mu   sync.Mutex
	held map[string]func() // locks beside that, by their names, and what releases them
}

// NewAddresses returns those of a dongle that Claim was called for.
func NewAddresses(host string, port int, devices []string) *Addresses {
	return &Addresses{own: lockName(host, port), devices: strings.Join(devices, ","), held: map[string]func(){}}
}

// DialContext connects to an address, or to one of those of a name. The error wraps a *health.Fault if another process reads the
// dongle that is there; then nothing was sent to it.
func (a *Addresses) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var taken atomic.Pointer[error] // counts for more than another address that does not answer
	dialer := net.Dialer{ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		err := a.claim(address)
		if err != nil {
			taken.Store(&err)
		}
		return err
	}}
	conn, err := dialer.DialContext(ctx, network, address)
	if busy := taken.Load(); err != nil && busy != nil {
		return nil, *busy
	}
	if err != nil {
		return nil, err
	}
	if err := a.claim(conn.RemoteAddr().String()); err != nil { // of several it may have been released for another
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// claim takes the lock of an address, and releases those of others first: two dongles may have exchanged theirs.
func (a *Addresses) claim(address string) error {
	host, text, err := net.SplitHostPort(address)
	port, wrong := strconv.Atoi(text)
	if err != nil || wrong != nil {
		return nil // no address of a dongle
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	name := lockName(host, port)
	for other := range maps.Clone(a.held) {
		if other != name {
			a.release(other)
		}
	}
	if name == a.own || a.held[name] != nil {
		return nil
	}
	unlock, holder, err := lock(name, a.devices)
	if err != nil {
		return nil // it cannot be found out, which Claim has reported
	}
	if holder != "" {
		return busy(address, holder)
	}
	a.held[name] = unlock
	return nil
}

func (a *Addresses) release(name string) {
	a.held[name]()
	delete(a.held, name)
}

// Release releases all of them.
func (a *Addresses) Release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range slices.Collect(maps.Keys(a.held)) {
		a.release(name)
	}
}

// busy is the fault of a dongle that another process reads.
func busy(address, holder string) *health.Fault {
	return &health.Fault{
		Code: "dongle_busy", Exit: health.ExitBusy,
		What: "another edge of this machine reads " + address,
		Why:  holder + ", has the one connection that a dongle bears",
		Next: "stop one of the two; for several inverters behind one dongle set SUNGROW_SLAVE_ID=1,2 and DEVICE_ID=roof,garage in one edge",
	}
}
