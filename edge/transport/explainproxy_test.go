package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/transport"
	"sunspool/edge/upload"
	"sunspool/edge/upload/uploadtest"
)

const proxyPassword = "hunter2:@/%"

// tunnel is a forward proxy that opens connections to to for those who have the password.
func tunnel(to string) func(net.Conn) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("roof:"+proxyPassword))
	return func(conn net.Conn) {
		r := bufio.NewReader(conn)
		req, err := http.ReadRequest(r)
		switch {
		case err != nil:
		case req.Method != http.MethodConnect:
			io.WriteString(conn, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
		case req.Header.Get("Proxy-Authorization") != want:
			io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")
		default:
			server, err := net.Dial("tcp", to)
			if err != nil {
				io.WriteString(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
				return
			}
			defer server.Close()
			io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
			go func() {
				io.Copy(server, r)
				server.Close()
			}()
			io.Copy(conn, server)
		}
	}
}

// answering reads what comes and answers with text.
func answering(text string) func(net.Conn) {
	return func(conn net.Conn) {
		conn.Read(make([]byte, 1<<14))
		io.WriteString(conn, text)
	}
}

// through makes the requests of u go through a proxy.
func through(t *testing.T, u *upload.Uploader, proxy string) *upload.Uploader {
	t.Helper()
	p, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	u.Client.Transport.(*transport.Transport).Proxy = http.ProxyURL(p)
	return u
}

func userInfo() string { return url.UserPassword("roof", proxyPassword).String() + "@" }

func TestUploadsGoThroughAProxy(t *testing.T) {
	ca := uploadtest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(nil)}}
	server, _ := uploadtest.Serve(t, config, uploadtest.Accept)
	address := strings.TrimPrefix(server, "https://")
	secured := func(conn net.Conn) {
		c := tls.Server(conn, config)
		defer c.Close()
		tunnel(address)(c)
	}
	for name, proxy := range map[string]string{
		"http":  "http://" + userInfo() + front(t, tunnel(address)),
		"https": "https://" + userInfo() + front(t, secured),
	} {
		t.Run(name, func(t *testing.T) {
			u := through(t, clientTo(t, server, ca.File), proxy)
			for range 3 {
				if err := uploads(t, u); err != nil {
					t.Error(err)
				}
			}
			if addr, proxied := u.Client.Transport.(*transport.Transport).Connected(); !proxied || !strings.HasSuffix(proxy, addr.String()) {
				t.Errorf("connected with %v, a proxy: %v", addr, proxied)
			}
		})
	}
}

func TestWhatIsWrongWithAProxyIsNamed(t *testing.T) {
	ca := uploadtest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(nil)}}
	server, tokens := uploadtest.Serve(t, config, uploadtest.Accept)
	address := strings.TrimPrefix(server, "https://")
	basic := base64.StdEncoding.EncodeToString([]byte("roof:" + proxyPassword))
	other := uploadtest.NewAuthority(t)
	inspector := &tls.Config{Certificates: []tls.Certificate{other.Intermediate("Zscaler").Issue(nil)}}
	inspecting := front(t, func(conn net.Conn) {
		http.ReadRequest(bufio.NewReader(conn))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		tls.Server(conn, inspector).Handshake()
	})
	untrusted := front(t, func(conn net.Conn) { tls.Server(conn, inspector).Handshake() })
	for name, c := range map[string]struct {
		proxy, to       string
		code, why, next string
	}{
		"407 without":        {"http://" + front(t, tunnel(address)), server, "proxy", "asks for a user and a password", "set user and password in HTTPS_PROXY"},
		"407 with wrong":     {"http://roof:hunter2wrong@" + front(t, tunnel(address)), server, "proxy", "does not accept the user and the password in HTTPS_PROXY", "set user and password"},
		"401 with wrong":     {"http://roof:hunter2wrong@" + front(t, answering("HTTP/1.0 401 Unauthorized\r\n\r\n")), server, "proxy", "does not accept the user and the password in HTTPS_PROXY", "set user and password"},
		"403":                {"http://" + userInfo() + front(t, answering("HTTP/1.1 403 Access violation\r\n\r\n")), server, "proxy", `refuses a connection to "127.0.0.1": status "403 Access violation"`, "allow CONNECT"},
		"405":                {"http://" + front(t, answering("HTTP/1.1 405 Method Not Allowed\r\n\r\n")), server, "proxy", "refuses a connection", "allow CONNECT"},
		"503":                {"http://" + userInfo() + front(t, tunnel(refuses)), server, "vps_unreachable", `has no connection to "127.0.0.1": status "503`, "behind the proxy"},
		"429":                {"http://" + front(t, answering("HTTP/1.1 429 Slow down\r\n\r\n")), server, "vps_unreachable", "429", "behind the proxy"},
		"echoes the secrets": {"http://" + userInfo() + front(t, answering("HTTP/1.1 400 "+basic+" "+proxyPassword+" \x1b[31m"+strings.Repeat("x", 500)+"\r\n\r\n")), server, "proxy", "400", ""},
		"a web server":       {"http://" + front(t, answering("HTTP/1.1 301 Moved\r\nLocation: https://x/\r\n\r\n")), server, "proxy", "301 Moved", "allow CONNECT"},
		"SSH":                {"http://" + front(t, answering("SSH-2.0-OpenSSH_9.2p1 Debian\r\n")), server, "proxy", "does not speak HTTP", "check HTTPS_PROXY"},
		"closes":             {"http://" + front(t, answering("")), server, "proxy_unreachable", "closes the connection without an answer", ""},
		"away":               {"http://" + userInfo() + refuses, server, "proxy_unreachable", "the proxy " + refuses + " refuses connections", ""},
		"https to plain":     {"https://" + userInfo() + front(t, answering("HTTP/1.1 400 Bad Request\r\n\r\n")), server, "proxy", "does not speak TLS", "HTTPS_PROXY=http://"},
		"https, untrusted":   {"https://" + userInfo() + untrusted, server, "proxy", `issued by "Zscaler"`, ""},
		"name unknown":       {"http://" + userInfo() + "proxy.invalid:3128", server, "proxy", `there is no name "proxy.invalid"`, "HTTPS_PROXY"},
		"inspects TLS":       {"http://" + inspecting, server, "tls", `issued by "Zscaler" for "127.0.0.1"`, "if the proxy inspects TLS"},
		"socks to HTTP":      {"socks5://" + front(t, answering("HTTP/1.1 400 Bad Request\r\n\r\n")), server, "proxy", "unexpected protocol version", "SOCKS5"},
		"socks, no password": {"socks5://" + front(t, func(c net.Conn) { c.Read(make([]byte, 64)); c.Write([]byte{5, 0xff}) }), server, "proxy", "no acceptable authentication", "socks5://user:password@"},
		"socks, not allowed": {"socks5://" + front(t, socks(2)), server, "proxy", "not allowed", "allow this host"},
		"socks, server away": {"socks5://" + front(t, socks(5)), server, "vps_unreachable", "connection refused", "behind the proxy"},
	} {
		t.Run(name, func(t *testing.T) {
			u := through(t, clientTo(t, c.to, ca.File), c.proxy)
			u.Client.Transport.(*transport.Transport).Lookup = noNames
			f := faultOf(t, uploads(t, u), "hunter2", basic, url.QueryEscape(proxyPassword))
			expect(t, f, c.code, c.why, c.next)
			if strings.Contains(f.Why+f.Next, "VPS_BASE_URL") {
				t.Errorf("the server is blamed: %s, %s", f.Why, f.Next)
			}
		})
	}
	if tokens.Load() > 0 {
		t.Error("the token was sent")
	}
}

// noNames is a name server that knows no name.
func noNames(_ context.Context, _, host string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// socks is a SOCKS5 proxy that answers every request with that code.
func socks(code byte) func(net.Conn) {
	return func(conn net.Conn) {
		b := make([]byte, 512)
		conn.Read(b)
		conn.Write([]byte{5, 0})
		conn.Read(b)
		conn.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0})
		conn.Read(b)
	}
}

// A proxy that takes a connection and is silent is not the server that is silent.
func TestSilentProxyIsNamed(t *testing.T) {
	for _, scheme := range []string{"http", "https", "socks5"} {
		synctest.Test(t, func(t *testing.T) {
			u := through(t, newInternet(t).uploader(), scheme+"://"+userInfo()+"192.0.2.9:3128")
			tr := u.Client.Transport.(*transport.Transport)
			tr.SecureByTLS()
			tr.Dial = func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go io.Copy(io.Discard, theirs)
				return ours, nil
			}
			fill(t, u.Spool, 1)
			_, err := u.Deliver(t.Context())
			f := faultOf(t, err, "hunter2")
			expect(t, f, "proxy_unreachable", "the proxy 192.0.2.9:3128 takes the connection, and does not answer", "HTTP proxy")
			time.Sleep(2 * time.Minute) // net/http gives up CONNECT after one
		})
	}
}
