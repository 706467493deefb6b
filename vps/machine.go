package vps

import (
	"cmp"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"sunspool/internal/localsocket"
)

const (
	socketFile = "vps.sock" // in DATA_DIR

	// packageSocket is where the package's unit has the socket: its DATA_DIR is not that of who types a command.
	packageSocket = "/run/sunspool/vps/" + socketFile
)

// listenMachine opens the socket for the operator. The server works without one, so where there can be none, because its path
// is too long or beside a DATABASE_URL there is no DATA_DIR, that is a line of the log.
func (c *Config) listenMachine(log *slog.Logger) net.Listener {
	path, err := cmp.Or(c.AdminSocket, filepath.Join(c.DataDir, socketFile)), error(nil)
	if c.AdminSocket == "" {
		_, err = os.Stat(c.DataDir) // it is not made for that
	}
	var l net.Listener
	if err == nil {
		l, err = localsocket.Listen(path, 0o600)
	}
	if err != nil {
		log.Warn("no socket for `sunspool token`: set ADMIN_SOCKET to a file that can be made", "path", path, "error", err.Error())
		return nil
	}
	return localsocket.OwnUser(l)
}
