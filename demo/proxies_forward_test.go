package demo

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"sunspool/edge/simulator"
	"sunspool/internal/testservices"
)

// The edge reaches its server through a forward proxy by the documented line, with a password that has special characters.
// The name of the server can only be resolved by the proxy.
func TestEdgeDeliversThroughAForwardProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: starts processes")
	}
	s := newSite(t)
	s.serve("t0ken-0123456789abcdef:roof")
	var tunnels, refused atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("user:p@ss:word")) {
			refused.Add(1)
			w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		tunnels.Add(1)
		tunnel(t, w, s.listen)
	}))
	t.Cleanup(proxy.CloseClientConnections)
	t.Cleanup(proxy.Close)
	_, modbus := inverter(t, simulator.Options{Image: &simulator.Images()[0]})
	host, port, _ := net.SplitHostPort(modbus)
	proxyVariable := "HTTPS_PROXY=" + strings.Replace(setting(t, "edge", "HTTPS_PROXY"), "proxy.example.org:3128", proxy.Listener.Addr().String(), 1)
	e := s.start("roof.log", []string{
		proxyVariable, "SUNGROW_HOST=" + host, "SUNGROW_PORT=" + port, "DEVICE_ID=roof", "VPS_BASE_URL=https://" + siteName,
		"VPS_DEVICE_TOKEN=t0ken-0123456789abcdef", "VPS_CA_FILE=" + s.secret.caFile, "UPLOAD_INTERVAL_S=1", "MAX_BACKOFF_S=2",
		"SPOOL_PATH=" + s.dir + "/roof/spool.db", "LOG_LEVEL=debug", "CLOCK_TRUST=always",
	}, "edge")
	testservices.Await(t, "samples arrive through the proxy", func() bool {
		h, ok := s.status()
		return ok && h.Counts["uploaded_samples_total"] > 0
	})
	if err := e.end(syscall.SIGTERM); err != nil {
		t.Errorf("told to stop the edge exits with %v", err)
	}
	if tunnels.Load() == 0 || refused.Load() != 0 {
		t.Errorf("%d tunnels, %d requests without the password", tunnels.Load(), refused.Load())
	}
}

// tunnel answers a CONNECT with a connection to address.
func tunnel(t *testing.T, w http.ResponseWriter, address string) {
	there, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer here.Close()
	defer there.Close()
	io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { io.Copy(there, here); there.Close() }()
	io.Copy(here, there)
}
