package report

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"sunspool/internal/localsocket"
	"sunspool/wire"
)

// Serve answers /status (Health, as JSON), /metrics (Prometheus), /quarantine (a page of the samples that the server
// refused) and what commands ask about the spool on a unix socket at path: every user who may open the socket may ask, and no
// other host can. Root and the user of the edge alone may change something.
func (r *Report) Serve(path string) (*http.Server, error) {
	listener, err := localsocket.Listen(path, 0o660)
	if err != nil {
		return nil, fmt.Errorf("status socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(r.Now())
	})
	mux.HandleFunc("GET "+quarantinePath, r.serveQuarantine)
	r.serveSpool(mux)
	mux.Handle("GET "+wire.MetricsPath, MetricsHandler(r))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, ConnContext: noteOwner}
	go server.Serve(listener)
	return server, nil
}
