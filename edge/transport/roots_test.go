package transport_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/edge/pace"
	"sunspool/edge/token"
	"sunspool/edge/transport"
	"sunspool/edge/upload"
	"sunspool/edge/upload/uploadtest"
	"sunspool/wire"
)

// pemOf returns the roots of these authorities as one file.
func pemOf(t *testing.T, authorities ...*uploadtest.Authority) []byte {
	t.Helper()
	var all []byte
	for _, a := range authorities {
		text, err := os.ReadFile(a.File)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return all
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	// A file system may give two writes in a row the same time.
	if info, err := os.Stat(path); err == nil {
		os.Chtimes(path, time.Time{}, info.ModTime().Add(time.Duration(len(text))*time.Millisecond))
	}
}

// clientTo returns an uploader to url that trusts the roots of caFile, "" for the system's.
func clientTo(t *testing.T, url, caFile string) *upload.Uploader {
	t.Helper()
	client, err := transport.NewClient(transport.Trust{CAFile: caFile})
	if err != nil {
		t.Fatal(err)
	}
	client.Transport.(*transport.Transport).Proxy = nil
	t.Cleanup(client.CloseIdleConnections)
	return &upload.Uploader{Spool: openSpool(t, filepath.Join(t.TempDir(), "spool.db")), Client: client, URL: url + wire.IngestPath,
		Token: &token.Source{Value: "t0ken-0123456789abcdef"}, BatchSize: 3, Describe: func() *wire.Edge { return nil }, Backoff: pace.Backoff{Min: time.Second, Max: time.Second}}
}

func uploads(t *testing.T, u *upload.Uploader) error {
	t.Helper()
	fill(t, u.Spool, 3)
	_, err := u.Deliver(t.Context())
	return err
}

// New roots count without a restart: those of VPS_CA_FILE, and those of the system in a file or in a directory.
func TestNewRootsCountWithoutARestart(t *testing.T) {
	old, fresh := uploadtest.NewAuthority(t), uploadtest.NewAuthority(t)
	url, tokens := uploadtest.Serve(t, &tls.Config{Certificates: []tls.Certificate{fresh.Issue(nil)}}, uploadtest.Accept)
	dir := t.TempDir()
	file := filepath.Join(dir, "roots.pem")
	places := map[string]func(t *testing.T) (caFile string){
		"VPS_CA_FILE": func(*testing.T) string { return file },
	}
	if !slices.Contains([]string{"windows", "darwin"}, runtime.GOOS) {
		places["SSL_CERT_FILE"] = func(t *testing.T) string {
			t.Setenv("SSL_CERT_FILE", file)
			return ""
		}
		places["SSL_CERT_DIR"] = func(t *testing.T) string {
			t.Setenv("SSL_CERT_DIR", dir)
			return ""
		}
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SSL_CERT_FILE", filepath.Join(dir, "none"))
			t.Setenv("SSL_CERT_DIR", filepath.Join(dir, "none"))
			write(t, file, pemOf(t, old))
			u := clientTo(t, url, place(t))
			before := tokens.Load()
			if f := asFault(upload.Explain(uploads(t, u))); f == nil || f.Code != "tls" || tokens.Load() != before {
				t.Fatalf("an unknown root: %v", f)
			}
			write(t, file, pemOf(t, old, fresh))
			err := uploads(t, u)
			if name == "SSL_CERT_DIR" && err != nil { // a file that changes does not change its directory: the refusal has it read
				u.Client.Transport.(*transport.Transport).AllowReload()
				uploads(t, u)
				err = uploads(t, u)
			}
			if err != nil {
				t.Errorf("with the new root: %v", err)
			}
			write(t, file, pemOf(t, old))
			u.Client.Transport.(*transport.Transport).AllowReload()
			if name != "SSL_CERT_DIR" && uploads(t, u) == nil {
				t.Error("the root is gone, and the server is still trusted")
			}
		})
	}
}

// A file of roots that cannot be read leaves the ones before in use, and the sentence has why.
func TestBrokenRootsLeaveTheOnesBefore(t *testing.T) {
	ca, other := uploadtest.NewAuthority(t), uploadtest.NewAuthority(t)
	url, _ := uploadtest.Serve(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(nil)}}, uploadtest.Accept)
	file := filepath.Join(t.TempDir(), "roots.pem")
	for name, harm := range map[string]func(){
		"gone":   func() { os.Remove(file) },
		"empty":  func() { write(t, file, nil) },
		"no PEM": func() { write(t, file, []byte("<html>")) },
	} {
		write(t, file, pemOf(t, ca))
		u := clientTo(t, url, file)
		if err := uploads(t, u); err != nil {
			t.Fatal(err)
		}
		harm()
		u.Client.CloseIdleConnections()
		if err := uploads(t, u); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if trouble := u.Client.Transport.(*transport.Transport).RootsProblem(); !strings.Contains(trouble, "VPS_CA_FILE") {
			t.Errorf("%s: the trouble is %q", name, trouble)
		}
		write(t, file, pemOf(t, other))
		if err := uploads(t, u); err == nil {
			t.Errorf("%s: other roots, and the server is still trusted", name)
		}
	}
}
