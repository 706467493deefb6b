package report

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sunspool/wire"
)

// Serve answers /status (Health, as JSON), /metrics (Prometheus) and /quarantine (a page of the samples that the server
// refused) on a unix socket at path: every user who may open the socket may ask, and no other host can.
func (r *Report) Serve(path string) (*http.Server, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("status socket %s: there is a file of that name that is not a socket", path)
	} else if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fmt.Errorf("status socket %s: another process answers there", path)
	}
	os.Remove(path) // left over by a process that was killed
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("status socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		listener.Close()
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(r.Now())
	})
	mux.HandleFunc("GET "+quarantinePath, r.serveQuarantine)
	mux.Handle("GET "+wire.MetricsPath, MetricsHandler(r))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	go server.Serve(listener)
	return server, nil
}
