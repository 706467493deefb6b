package vpstest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"

	"sunspool/wire"
)

// LogBuffer collects what many goroutines log.
type LogBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *LogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *LogBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// Do sends one request to h; headers are name, value pairs.
func Do(h http.Handler, method, target, token string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	if target == wire.HealthPath || target == wire.ReadyPath {
		r.RemoteAddr = "10.0.0.7:1234" // an orchestrator
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
