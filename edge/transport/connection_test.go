package transport_test

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/pace"
	"sunspool/edge/token"
	"sunspool/edge/transport"
	"sunspool/edge/upload"
	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/testhost"
	"sunspool/wire"
)

// uploaderOver returns an uploader with n samples, whose client reaches a server only over p.
func uploaderOver(t *testing.T, p *uploadtest.Pipes, n int, protocols ...string) *upload.Uploader {
	t.Helper()
	ca := uploadtest.NewAuthority(t)
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"inserted":0}`)
		if len(protocols) > 0 && r.Proto != protocols[0] {
			t.Errorf("the request came by %s", r.Proto)
		}
	})}
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{ca.Issue(nil)}}
	if len(protocols) > 0 && protocols[0] == "HTTP/1.1" {
		server.Protocols = new(http.Protocols)
		server.Protocols.SetHTTP1(true)
	}
	var served sync.WaitGroup
	served.Go(func() { server.ServeTLS(p, "", "") })
	client, err := transport.NewClient(transport.Trust{CAFile: ca.File})
	if err != nil {
		t.Fatal(err)
	}
	client.Transport.(*transport.Transport).Dial = p.Dial
	t.Cleanup(func() {
		client.CloseIdleConnections()
		server.Close()
		served.Wait()
		p.End()
	})
	u := &upload.Uploader{Spool: openSpool(t, filepath.Join(testhost.MemoryDir(t), "spool.db")), Client: client, URL: "https://127.0.0.1" + wire.IngestPath,
		Token: &token.Source{Value: "t0ken"}, BatchSize: 1, Describe: func() *wire.Edge { return nil }, Backoff: pace.Backoff{Min: time.Second, Max: 5 * time.Minute}}
	fill(t, u.Spool, n)
	return u
}

// A router that restarts forgets the connections through it: that costs one request, not one after the other.
func TestForgottenConnectionCostsOneRequest(t *testing.T) {
	for _, protocol := range []string{"HTTP/2.0", "HTTP/1.1"} {
		for _, pause := range []time.Duration{0, 10 * time.Second, 40 * time.Second, 80 * time.Second} {
			t.Run(protocol+" after "+pause.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := uploadtest.NewPipes()
					u := uploaderOver(t, p, 50, protocol)
					if _, err := u.Deliver(t.Context()); err != nil {
						t.Fatal(err)
					}
					p.Forget()
					time.Sleep(pause)
					begin, failures := time.Now(), 0
					for {
						_, err := u.Deliver(t.Context())
						if err == nil {
							break
						}
						if failures++; failures > 20 {
							t.Fatal(err)
						}
						time.Sleep(u.Wait(err))
					}
					if took := time.Since(begin); failures > 1 || took > 31*time.Second {
						t.Errorf("%d failures and %v until a batch was delivered", failures, took)
					}
					if pause >= 40*time.Second && protocol == "HTTP/2.0" && failures > 0 {
						t.Error("a connection that has been dead for 40 s was used")
					}
				})
			})
		}
	}
}

// A connection that works is kept from one request to the next.
func TestConnectionIsKept(t *testing.T) {
	for _, protocol := range []string{"HTTP/2.0", "HTTP/1.1"} {
		synctest.Test(t, func(t *testing.T) {
			p := uploadtest.NewPipes()
			u := uploaderOver(t, p, 20, protocol)
			for range 10 {
				if _, err := u.Deliver(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Second)
			}
			if len(p.Dials) != 1 {
				t.Errorf("%s: %d connections for ten requests", protocol, len(p.Dials))
			}
		})
	}
}
