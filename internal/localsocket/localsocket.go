// Package localsocket listens on unix sockets, by which programs of one machine ask a service.
package localsocket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Listen listens on a socket at path, whose mode decides who may open it. One that a process left behind that was killed is
// replaced; one at which a process answers is not.
func Listen(path string, mode os.FileMode) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("%s: there is a file of that name that is not a socket", path)
	} else if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("%s: another process answers there", path)
	}
	os.Remove(path) // left over by a process that was killed
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// OwnUser returns l without connections of other users than root and the one of this process, also where the socket's mode or
// its directory would let them in.
func OwnUser(l net.Listener) net.Listener { return ownUser{l} }

type ownUser struct{ net.Listener }

func (o ownUser) Accept() (net.Conn, error) {
	for {
		c, err := o.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if ByOwner(c) {
			return c, nil
		}
		c.Close()
	}
}

// ByOwner reports whether root or the user of this process opened c.
func ByOwner(c net.Conn) bool {
	uid, known := peer(c)
	return known && (uid == 0 || uid == os.Geteuid())
}
