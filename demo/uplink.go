package demo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"

	"sunspool/edge/transport"
)

// uplink is the network between edge and vps, which somebody may cut.
type uplink struct {
	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
}

var errCut = errors.New("the uplink is cut")

// cutter puts an uplink under client.
func cutter(client *http.Client) *uplink {
	u := &uplink{conns: make(map[net.Conn]bool)}
	var d net.Dialer
	client.Transport.(*transport.Transport).Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.down {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errCut}
		}
		conn, err := d.DialContext(ctx, network, address)
		if err == nil {
			u.conns[conn] = true
		}
		return conn, err
	}
	return u
}

// set cuts the uplink, with all that is under way, or mends it.
func (u *uplink) set(down bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.down = down
	for conn := range u.conns {
		if down {
			conn.Close()
		}
		delete(u.conns, conn)
	}
}
