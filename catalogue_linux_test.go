package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/report"
	"sunspool/edge/spool"
	"sunspool/edge/spool/format"
	"sunspool/health"
	"sunspool/internal/testhost"
	"sunspool/internal/testservices"
)

// complaint is what a person reads of an error: three lines, of which the second may be missing.
var complaint = regexp.MustCompile(`(?s)^error: (.+?)\n(?:  why: (.+?)\n)? next: (.+)\n$`)

// mustHelp checks that text is a complaint that has the words, and that what it says is to be done can be pasted into a shell.
func mustHelp(t *testing.T, shell sandbox, text string, words ...string) {
	t.Helper()
	if start := strings.Index(text, "error: "); start > 0 {
		text = text[start:] // what was found before
	}
	lines := complaint.FindStringSubmatch(text)
	if lines == nil {
		t.Errorf("no three lines:\n%s", text)
		return
	}
	flat := strings.Join(strings.Fields(strings.ReplaceAll(text, "\n       # ", " ")), " ")
	for _, word := range words {
		if !strings.Contains(flat, word) {
			t.Errorf("%q is missing in\n%s", word, text)
		}
	}
	shell.mustTake(t, lines[3])
}

// mustTake pastes what is to be done into shells: it is a command that there is, or a comment.
func (s sandbox) mustTake(t *testing.T, next string) {
	t.Helper()
	for _, sh := range shells {
		for _, command := range s.run(t, sh, next) {
			if err := known(command); err != nil {
				t.Errorf("%q: %v", command, err)
			}
		}
	}
}

// What is wrong when a program starts, or a person asks: each is a real run that ends with it.
func TestCatalogueOfWhatStopsACommand(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	silent := silentHost(t, make(chan struct{}, 100))
	inverter := func(t *testing.T, args ...string) string {
		return startProgram(t, shortDir(t), regexp.MustCompile(`on (127\.0\.0\.1:\d+)`), nil, append([]string{"simulate", "--listen=127.0.0.1:0"}, args...)...)[1]
	}
	write := func(t *testing.T, path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edge := "edge --sungrow-host=127.0.0.1 --sungrow-port=1 --vps-base-url=https://127.0.0.1:1"
	for name, c := range map[string]struct {
		line  string
		exit  int
		words []string
		env   []string
		first func(t *testing.T, dir string) (line string) // what makes it so; a line in place of the one above
		as    *syscall.SysProcAttr
	}{
		"inverter: unknown host": {line: "probe nobody-.invalid", exit: 5, words: []string{"nobody-.invalid", "the name cannot be resolved"}},
		"inverter: no route": {line: "probe 192.0.2.7", exit: 5, words: []string{"192.0.2.7", "no route to the host"},
			as: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}},
		"inverter: closed port":         {line: "probe 127.0.0.1:1", exit: 5, words: []string{"the host is up but refuses connections", "enable Modbus TCP"}},
		"inverter: connects, is silent": {line: "probe " + silent, exit: 5, words: []string{"connected, but it does not answer", "evcc, Home Assistant, SunGather"}},
		"inverter: illegal address": {exit: 5, words: []string{"illegal data address", "unit"},
			first: func(t *testing.T, _ string) string { return "probe --repeat=1 " + inverter(t, "--fault=exception=2") }},
		"inverter: wrong unit": {exit: 5, words: []string{"no inverter answers as unit 5"},
			first: func(t *testing.T, _ string) string { return "probe --repeat=1 --unit=5 " + inverter(t) }},
		"inverter: all zeros": {exit: 5, words: []string{"wait a minute", "restart the dongle"},
			first: func(t *testing.T, _ string) string { return "probe --repeat=1 " + inverter(t, "--fault=zeros") }},
		"inverter: no Modbus behind the port": {exit: 5, words: []string{"closed the connection"},
			first: func(t *testing.T, _ string) string { return "probe --repeat=1 " + inverter(t, "--fault=off") }},
		"setting: out of range":   {line: edge + " --poll-interval-s=1", exit: 3, words: []string{"POLL_INTERVAL_S is 1: must be 5 to 3600"}},
		"setting: no number":      {line: "check edge", exit: 3, env: []string{"POLL_INTERVAL_S=soon"}, words: []string{`POLL_INTERVAL_S is "soon"`}},
		"setting: time zone":      {line: "check vps", exit: 3, env: []string{"SITE_TZ=Europe/Brusels"}, words: []string{`SITE_TZ "Europe/Brusels" is not a time zone`}},
		"setting: time zone, too": {line: "simulate --tz=Mars/Base", exit: 2, words: []string{"Mars/Base"}},
		"command line: unknown":   {line: "vps --lisen=x", exit: 3, words: []string{`unknown flag --lisen, did you mean "--listen"?`}},
		"port in use": {line: "vps --internal= --listen=" + taken.Addr().String(), exit: 7, env: []string{"DEVICE_TOKENS=store"},
			words: []string{fmt.Sprintf("process %d (", os.Getpid()), "set LISTEN_ADDR to another port"}},
		"port in use, of a demo":      {line: "demo --days=1 --listen=" + taken.Addr().String(), exit: 7, words: []string{fmt.Sprintf("process %d (", os.Getpid()), "--listen"}},
		"demo: elsewhere":             {line: "demo --days=1 --lan --listen=192.0.2.7:8080", exit: 1, words: []string{"192.0.2.7:8080", "choose another address"}},
		"port in use, of a simulator": {line: "simulate --listen=" + taken.Addr().String(), exit: 7, words: []string{fmt.Sprintf("process %d (", os.Getpid()), "--listen"}},
		"spool: another process has it": {exit: 7, words: []string{"spool.db", "(process "}, first: func(t *testing.T, dir string) string {
			startProgram(t, dir, regexp.MustCompile("(edge started)"), []string{"SPOOL_PATH=" + dir + "/spool.db", "VPS_DEVICE_TOKEN=0123456789abcdef"}, strings.Fields(strings.ReplaceAll(edge, "port=1", "port=2"))...)
			return strings.ReplaceAll(edge, "port=1", "port=3")
		}},
		"spool: of a newer version": {line: edge, exit: 3, words: []string{"newer"}, first: func(t *testing.T, dir string) string {
			kept, err := spool.Open(dir + "/spool.db")
			if err != nil {
				t.Fatal(err)
			}
			kept.Close()
			inBolt(t, dir+"/spool.db", func(tx *bolt.Tx) error {
				return format.PutNumber(tx.Bucket(format.MetaBucket), format.SchemaKey, format.Schema+1)
			})
			return strings.ReplaceAll(edge, "port=1", "port=4")
		}},
		"spool: of another program": {line: edge, exit: 3, words: []string{"spool.db"}, first: func(t *testing.T, dir string) string {
			inBolt(t, dir+"/spool.db", func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err })
			return strings.ReplaceAll(edge, "port=1", "port=5")
		}},
		"store: another process has it": {exit: 7, env: []string{"DEVICE_TOKENS=store"}, words: []string{"another sunspool vps holds", "(process "}, first: func(t *testing.T, dir string) string {
			startProgram(t, dir, regexp.MustCompile("(vps started)"), []string{"DATA_DIR=" + dir + "/vps", "DEVICE_TOKENS=store"}, "vps", "--listen=127.0.0.1:0", "--internal=")
			return "vps --listen=127.0.0.1:0 --internal="
		}},
		"store: of a newer version": {exit: 3, env: []string{"DEVICE_TOKENS=store"}, words: []string{"was written by a newer sunspool"}, first: func(t *testing.T, dir string) string {
			interruptedBy(t, dir, []string{"DATA_DIR=" + dir + "/vps", "DEVICE_TOKENS=store"}, "vps started", nil, "vps", "--listen=127.0.0.1:0", "--internal=")
			inBolt(t, dir+"/vps/vps.db", func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte("99")) })
			return "vps --listen=127.0.0.1:0 --internal="
		}},
		"store: no directory can be made": {exit: 3, env: []string{"DEVICE_TOKENS=store"}, words: []string{"/vps"}, first: func(t *testing.T, dir string) string {
			write(t, dir+"/vps", "a file")
			return "vps --listen=127.0.0.1:0 --internal="
		}},
		"service: not root": {line: "service install edge", exit: 1, words: []string{"only root can install a service"},
			as: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}},
		"setup: not root": {line: "setup", exit: 2, words: []string{"this user is not root"},
			as: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.as != nil && os.Getuid() != 0 {
				t.Skip("SKIPPED, NOTHING IS SHOWN: this takes root")
			}
			dir, shell := shortDir(t), newSandbox(t)
			line := c.line
			if c.first != nil {
				line = c.first(t, dir)
			}
			env := append([]string{"SPOOL_PATH=" + dir + "/spool.db", "DATA_DIR=" + dir + "/vps", "VPS_DEVICE_TOKEN=0123456789abcdef"}, c.env...)
			at := onTerminal
			at.as = c.as
			text, exit := at.typed(t, dir, env, strings.Fields(line)...)
			if exit != c.exit {
				t.Errorf("sunspool %s exits %d, want %d", line, exit, c.exit)
			}
			mustHelp(t, shell, text, c.words...)
		})
	}
}

// inBolt changes a file.
func inBolt(t *testing.T, path string, change func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// fakeServer answers an edge over TLS as it is told.
func fakeServer(t *testing.T, certificate func(*x509.Certificate), answer http.HandlerFunc) (url, ca string) {
	t.Helper()
	make := func(change func(*x509.Certificate), parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
			NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), BasicConstraintsValid: true}
		change(template)
		if parent == nil {
			parent, signer = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		made, _ := x509.ParseCertificate(der)
		return der, made, key
	}
	root, authority, signer := make(func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }, nil, nil)
	leaf, _, key := make(func(c *x509.Certificate) {
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		if certificate != nil {
			certificate(c)
		}
	}, authority, signer)
	server := httptest.NewUnstartedServer(answer)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root}), 0o644); err != nil {
		t.Fatal(err)
	}
	return server.URL, ca
}

// What keeps an edge from delivering, or from keeping samples: it runs on, and `sunspool status` says what is wrong and what to do.
func TestCatalogueOfWhatAnEdgeSaysAboutItsServer(t *testing.T) {
	refusing := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for name, c := range map[string]struct {
		url         string
		certificate func(*x509.Certificate)
		answer      http.HandlerFunc
		strange     bool // its authority is not known
		code, says  string
	}{
		"server: unknown name":         {url: "https://nobody.invalid", code: "vps_unreachable", says: "nobody.invalid"},
		"server: closed port":          {url: "https://127.0.0.1:1", code: "vps_unreachable", says: "refuses connections"},
		"server: certificate is over":  {certificate: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }, code: "tls", says: "was valid until"},
		"server: of tomorrow":          {certificate: func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }, code: "tls", says: "clock"},
		"server: of another host":      {certificate: func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)} }, code: "tls", says: "127.0.0.1"},
		"server: of a strange maker":   {strange: true, code: "tls", says: "VPS_CA_FILE"},
		"server: 401, token not known": {answer: refusing(401, `{"detail":"Unknown token.","code":"bad_token"}`), code: "credential", says: "does not know the token"},
		"server: 403, another device":  {answer: refusing(403, `{"detail":"Not your device.","code":"foreign_device"}`), code: "credential", says: "DEVICE_ID"},
		"server: 413":                  {answer: refusing(413, `{"detail":"Too large.","code":"too_large"}`), code: "batch_too_large", says: "smaller"},
		"server: 429":                  {answer: refusing(429, `{"detail":"Too many uploads.","code":"too_many_uploads"}`), code: "vps_busy", says: "tried again"},
		"server: 503":                  {answer: refusing(503, `{"detail":"Storage is not available.","code":"store_unavailable"}`), code: "vps", says: ""},
		"server: 500":                  {answer: refusing(500, `oops`), code: "", says: ""},
		"server: a web page":           {answer: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>login") }, code: "", says: ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, shell := shortDir(t), newSandbox(t)
			url, ca := c.url, ""
			if url == "" {
				if c.answer == nil {
					c.answer = refusing(500, "")
				}
				url, ca = fakeServer(t, c.certificate, c.answer)
			}
			env := []string{"SPOOL_PATH=" + dir + "/spool.db", "HEALTH_PATH=" + dir + "/health.json", "SUNGROW_HOST=127.0.0.1", "SUNGROW_PORT=" + ownInverter(t),
				"VPS_BASE_URL=" + url, "VPS_DEVICE_TOKEN=0123456789abcdef", "DEVICE_ID=roof"}
			if ca != "" && !c.strange {
				env = append(env, "VPS_CA_FILE="+ca)
			}
			startProgram(t, dir, regexp.MustCompile("(edge started)"), env, "edge")
			link := brokenLink(t, dir+"/health.json", "vps", c.code)
			text, _ := onTerminal.typed(t, dir, env, "status")
			if link.Next == "" || !strings.Contains(link.LastError+link.Next, c.says) || !strings.Contains(text, "✗ vps ") || !strings.Contains(text, "next: ") {
				t.Errorf("%s: %s; next: %s\n%s", link.Code, link.LastError, link.Next, text)
			}
			shell.mustTake(t, health.Pasteable(link.Next))
		})
	}
}

// brokenLink waits until a link of an edge is broken by what begins with code. On a busy machine it may first be another one:
// an answer that did not come in time.
func brokenLink(t *testing.T, file, name, code string) (link health.Status) {
	t.Helper()
	for deadline := time.Now().Add(testservices.Patience); link.State != health.Broken || !strings.HasPrefix(link.Code, code); time.Sleep(50 * time.Millisecond) {
		h, err := report.Look(t.Context(), file, time.Now())
		if time.Now().After(deadline) {
			t.Fatalf("%s is not broken by %q: %+v, %v", name, code, h, err)
		}
		for _, l := range h.Links {
			if l.Name == name {
				link = l
			}
		}
	}
	return link
}

// What is wrong with the disk below a spool: the edge runs on and keeps what it reads in memory, or in a new file.
// A disk that is read-only is in TestDiskThatIsIllAtTheStartLosesNothing.
func TestCatalogueOfWhatAnEdgeSaysAboutItsDisk(t *testing.T) {
	for name, c := range map[string]struct {
		code, says string
		before     func(t *testing.T, disk testhost.Disk)
		while      func(t *testing.T, disk testhost.Disk)
	}{
		"full": {code: "disk_full", says: "full", while: func(t *testing.T, disk testhost.Disk) { disk.Fill(t) }},
		"damaged": {code: "spool_salvaged", says: "spool.db", before: func(t *testing.T, disk testhost.Disk) {
			if err := os.WriteFile(disk.Dir+"/spool.db", []byte(strings.Repeat("nonsense", 4096)), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk, dir, shell := testhost.Tmpfs(t, 2), shortDir(t), newSandbox(t)
			env := []string{"SPOOL_PATH=" + disk.Dir + "/spool.db", "HEALTH_PATH=" + dir + "/health.json", "STATUS_SOCKET=" + dir + "/edge.sock", "SUNGROW_HOST=127.0.0.1", "SUNGROW_PORT=" + ownInverter(t),
				"VPS_BASE_URL=https://127.0.0.1:1", "VPS_DEVICE_TOKEN=0123456789abcdef", "DEVICE_ID=roof"}
			if c.before != nil {
				c.before(t, disk)
			}
			startProgram(t, dir, regexp.MustCompile("(edge started)"), env, "edge")
			if c.while != nil {
				c.while(t, disk)
			}
			link := brokenLink(t, dir+"/health.json", "spool", c.code)
			if link.Next == "" || !strings.Contains(link.LastError+link.Next, c.says) {
				t.Errorf("%+v", link)
			}
			text, _ := onTerminal.typed(t, dir, env, "status")
			if !strings.Contains(text, "spool") || !strings.Contains(text, "next: ") {
				t.Errorf("%s", text)
			}
			shell.mustTake(t, health.Pasteable(link.Next))
		})
	}
}

// ownInverter is the port of a simulated inverter: each serves one edge.
func ownInverter(t *testing.T) string {
	t.Helper()
	return startProgram(t, shortDir(t), regexp.MustCompile(`on 127\.0\.0\.1:(\d+)`), nil, "simulate", "--listen=127.0.0.1:0")[1]
}
