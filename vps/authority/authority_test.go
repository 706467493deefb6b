package authority

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/wire"
)

var quiet = slog.New(slog.DiscardHandler)

// open opens the authority of dir on a host with these names at that time.
func open(t *testing.T, dir string, at time.Time, names ...string) *Authority {
	t.Helper()
	a, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	a.Now = func() time.Time { return at }
	a.Names = func() (hosts []string, ips []net.IP) {
		for _, name := range names {
			if ip := net.ParseIP(name); ip != nil {
				ips = append(ips, ip)
			} else {
				hosts = append(hosts, name)
			}
		}
		return hosts, ips
	}
	return a
}

// leafOf reads the certificate as a server does.
func leafOf(t *testing.T, a *Authority) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(a.File(), a.File())
	if err != nil {
		t.Fatal(err)
	}
	if len(pair.Certificate) != 2 || !bytes.Equal(pair.Certificate[1], a.cert.Raw) {
		t.Fatal("the authority does not come with the certificate: edges find its fingerprint there")
	}
	return pair.Leaf
}

// accepts verifies the certificate as a client that trusts the authority does.
func accepts(a *Authority, leaf *x509.Certificate, name string, at time.Time) error {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: at})
	return err
}

func TestCertificateIsForTheNamesOfTheHost(t *testing.T) {
	now := time.Now()
	a := open(t, t.TempDir(), now, "solar.local", "192.168.1.5", "fd00::5")
	if err := a.Renew(); err != nil {
		t.Fatal(err)
	}
	leaf := leafOf(t, a)
	for _, name := range []string{wire.SelfName, "localhost", "solar.local", "192.168.1.5", "fd00::5", "127.0.0.1", "::1"} {
		if err := accepts(a, leaf, name, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"example.org", "192.168.1.6"} {
		if accepts(a, leaf, name, now) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// A phone that trusts the authority is not at the mercy of its key: names of the internet are not in its power.
func TestAuthorityCannotSignForTheInternet(t *testing.T) {
	now := time.Now()
	a := open(t, t.TempDir(), now)
	for _, name := range []string{"example.org", "8.8.8.8", "2001:db8::1", "evil.example.org"} {
		names, ips := []string{name}, []net.IP(nil)
		if ip := net.ParseIP(name); ip != nil {
			names, ips = nil, []net.IP{ip}
		}
		if err := a.sign(names, ips); err != nil {
			t.Fatal(err)
		}
		if err := accepts(a, leafOf(t, a), name, now); err == nil {
			t.Errorf("a certificate of the authority for %s is accepted", name)
		}
	}
}

// A name of this host that the authority may not sign does not spoil the rest.
func TestNamesThatMayNotBeSignedAreLeftOut(t *testing.T) {
	now := time.Now()
	a := open(t, t.TempDir(), now, "pi.example.org", "solar.local", "203.0.113.7")
	if err := a.Renew(); err != nil {
		t.Fatal(err)
	}
	if err := accepts(a, leafOf(t, a), "solar.local", now); err != nil {
		t.Error(err)
	}
}

func TestCertificateIsRenewedInTime(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	renewedAt := func(at time.Time, names ...string) (renewed bool, leaf *x509.Certificate, a *Authority) {
		a = open(t, dir, at, names...)
		before, _ := os.ReadFile(a.File())
		if err := a.Renew(); err != nil {
			t.Fatal(err)
		}
		after, _ := os.ReadFile(a.File())
		return !bytes.Equal(before, after), leafOf(t, a), a
	}
	first, _, a := renewedAt(now, "192.168.1.5")
	fingerprint := a.Fingerprint()
	for _, step := range []struct {
		what  string
		after time.Duration
		host  string
		want  bool
	}{
		{"at the next start", 0, "192.168.1.5", false},
		{"a year later", certificateFor - renewBefore - day, "192.168.1.5", false},
		{"60 days before its end", certificateFor - renewBefore + day, "192.168.1.5", true},
		{"with another address", certificateFor - renewBefore + 2*day, "192.168.1.77", true},
		{"in twenty years", 20 * 365 * day, "192.168.1.77", true},
	} {
		at := now.Add(step.after)
		renewed, leaf, a := renewedAt(at, step.host)
		if renewed != step.want {
			t.Errorf("%s: renewed is %v", step.what, renewed)
		}
		if err := accepts(a, leaf, step.host, at); err != nil {
			t.Errorf("%s: %v", step.what, err)
		}
		if a.Fingerprint() != fingerprint {
			t.Errorf("%s: the fingerprint has changed", step.what)
		}
	}
	if !first {
		t.Error("the first certificate was not made")
	}
}

// A host that believes that it is 1970 makes a certificate that counts once its clock is right.
func TestClockThatIsNotSet(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	a := &Authority{Log: quiet, dir: dir, Now: func() time.Time { return time.Unix(100, 0) }, Names: ThisHost}
	if err := a.found(); err != nil {
		t.Fatal(err)
	}
	if err := a.Renew(); err != nil {
		t.Fatal(err)
	}
	later := open(t, dir, now)
	if err := later.Renew(); err != nil {
		t.Fatal(err)
	}
	if err := accepts(later, leafOf(t, later), wire.SelfName, now); err != nil {
		t.Error(err)
	}
}

// What edges know is not replaced because it cannot be read.
func TestADamagedAuthorityIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir, time.Now())
	whole, err := os.ReadFile(a.path(authorityFile))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"empty": {}, "cut off": whole[:len(whole)/2], "without its key": whole[:bytes.Index(whole, []byte("-----BEGIN EC"))],
		"without its certificate": whole[bytes.Index(whole, []byte("-----BEGIN EC")):], "noise": bytes.Repeat([]byte("x"), 300),
	} {
		if err := os.WriteFile(a.path(authorityFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, quiet)
		f, ok := errors.AsType[*health.Fault](err)
		if !ok || f.Code != "authority_unusable" || !strings.Contains(f.Next, "backup") {
			t.Errorf("%s: %v", name, err)
		}
		if now, _ := os.ReadFile(a.path(authorityFile)); !bytes.Equal(now, text) {
			t.Errorf("%s: the file was replaced", name)
		}
	}
}

func TestNobodyElseReadsTheKeys(t *testing.T) {
	a := open(t, filepath.Join(t.TempDir(), "vps"), time.Now())
	if err := a.Renew(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{a.path(authorityFile), a.File()} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", file, info.Mode(), err)
		}
	}
	if strings.Contains(string(a.Certificate()), "KEY") {
		t.Error("what phones get has a key")
	}
}
