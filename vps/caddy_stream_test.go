//go:build unix

package vps

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sunspool/internal/testservices"
	"sunspool/vps/api"
	"sunspool/vps/listener"
	"sunspool/vps/request"
)

// A reader that leaves ends its stream at the vps, which would keep its place otherwise: not with the next event, of
// which there may be none for a quarter of a minute, but by leaving.
func TestCaddyEndsTheStreamOfAReaderThatLeaves(t *testing.T) {
	began, ended := make(chan bool), make(chan bool)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		http.NewResponseController(w).Flush()
		began <- true
		<-r.Context().Done()
		ended <- true
	}))
	defer api.Close()
	d := doorTo(t, api.Listener.Addr().String())
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			transport := &http.Transport{TLSClientConfig: d.config.Clone(), ForceAttemptHTTP2: http2}
			defer transport.CloseIdleConnections()
			for range 3 { // HTTP/2 keeps its connection, and the others' streams on it
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				r, err := http.NewRequestWithContext(ctx, "GET", "https://"+d.address+"/v1/stream", nil)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := (&http.Client{Transport: transport}).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				if answer.Proto != name || answer.StatusCode != 200 {
					t.Fatalf("%s %s", answer.Proto, answer.Status)
				}
				<-began
				leave()
				select {
				case <-ended:
				case <-time.After(testservices.Patience):
					t.Fatal("its reader left, and the stream goes on")
				}
			}
		})
	}
}

// Each hop gives up an idle connection before the hop behind it does: else a request meets one that is being closed.
func TestCaddyGivesUpIdleConnectionsFirst(t *testing.T) {
	adapt := exec.CommandContext(t.Context(), testservices.CaddyProgram(t), "adapt", "--config", "Caddyfile", "--adapter", "caddyfile")
	text, err := adapt.Output()
	if err != nil {
		t.Fatal(err)
	}
	var config any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	proxies := 0
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if v["handler"] == "reverse_proxy" {
				proxies++
				transport, _ := v["transport"].(map[string]any)
				kept, _ := transport["keep_alive"].(map[string]any)
				idle, _ := kept["idle_timeout"].(float64)
				if idle <= 0 || time.Duration(idle) >= listener.IdleTime-30*time.Second {
					t.Errorf("Caddy keeps an idle connection for %v, the vps for %v", time.Duration(idle), listener.IdleTime)
				}
			}
			for _, member := range v {
				look(member)
			}
		case []any:
			for _, element := range v {
				look(element)
			}
		}
	}
	look(config)
	if proxies != 2 {
		t.Errorf("%d proxies are found", proxies)
	}
}

// A browser that opens the server's address gets the page, with its policy as the vps gave it.
func TestCaddyShowsThePage(t *testing.T) {
	cfg := Config{DeviceTokens: "t1-0123456789abcdef:inv-1"}
	tokens, err := cfg.tokens()
	if err != nil {
		t.Fatal(err)
	}
	direct := do((&api.Server{Gate: request.Gate{Tokens: tokens}}).Handler(), "GET", "/", "", nil, "Accept", "text/html")
	page, policy := direct.Body.String(), direct.Header().Get("Content-Security-Policy")
	d := newDoor(t, cfg)
	answer, text := d.ask("GET", "/", "", nil, "Accept", "text/html,*/*;q=0.8")
	if h := answer.Header; answer.StatusCode != 200 || text != page || !strings.Contains(page, "<html") || h.Get("Content-Type") != "text/html; charset=utf-8" ||
		h.Get("Content-Security-Policy") != policy || policy == "" || len(h.Values("Content-Security-Policy")) != 1 || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %v\n%.200s", answer.Status, h, text)
	}
	if vary := strings.Join(answer.Header.Values("Vary"), ","); !strings.Contains(vary, "Accept,") && !strings.HasSuffix(vary, "Accept") {
		t.Errorf("Vary: %s", vary)
	}
	if answer, text := d.ask("GET", "/", "", nil); answer.StatusCode != 200 || text != `{"status":"ok"}` {
		t.Errorf("a program gets %s %s", answer.Status, text)
	}
}

// Caddy removes Server; the version passes in the header that is for it, to whoever has a token.
func TestCaddyLeavesTheVersionToReaders(t *testing.T) {
	d := newDoor(t, Config{DeviceTokens: "t1-0123456789abcdef:inv-1", ViewerTokens: "v1-0123456789abcdef:*", Version: "1.2.3"})
	for token, want := range map[string]string{"t1-0123456789abcdef": "1.2.3", "v1-0123456789abcdef": "1.2.3", "x1-0123456789abcdef": "", "": ""} {
		answer, _ := d.ask("GET", "/v1/devices", token, nil)
		if got := answer.Header.Get("Sunspool-Version"); got != want || answer.Header.Get("Server") != "" {
			t.Errorf("%q: %s, version %q, Server %q", token, answer.Status, got, answer.Header.Get("Server"))
		}
	}
}
