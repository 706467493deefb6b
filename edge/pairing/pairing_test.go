package pairing

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"sunspool/edge/upload/uploadtest"
	"sunspool/health"
	"sunspool/internal/paircode"
	"sunspool/wire"
)

const token = "ssd_0123456789abcdef0123456789abcdef01234567"

// server takes codes, and keeps the secrets that came.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	secrets []string
}

func (s *server) heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets
}

// serve answers with the certificates of chain; nobody trusts them but by the pin.
func serve(t *testing.T, cert tls.Certificate, answer http.HandlerFunc) *server {
	t.Helper()
	s := new(server)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p wire.Pairing
		text, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(text, &p)
		s.mu.Lock()
		s.secrets = append(s.secrets, p.Code)
		s.mu.Unlock()
		answer(w, r)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func paired(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(wire.Paired{DeviceID: "roof", Token: token})
}

func codeFor(sum [sha256.Size]byte) string {
	return paircode.Code{Secret: paircode.NewSecret(), Pin: sum[:paircode.PinBytes]}.String()
}

func TestCodeBecomesATokenAndAFingerprint(t *testing.T) {
	cert, sum := uploadtest.NewAuthority(t).Own(nil)
	s := serve(t, cert, paired)
	got, err := Pair(t.Context(), s.URL, "", codeFor(sum), "sunspool/test")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("sha256:%x", sum); got.Token != token || got.DeviceID != "roof" || got.Fingerprint != want {
		t.Errorf("%+v, want the fingerprint %s", got, want)
	}
}

// Who is in between with another certificate does not even hear the code, whatever else it sends along.
func TestNobodyInBetweenHearsTheCode(t *testing.T) {
	realChain, sum := uploadtest.NewAuthority(t).Own(nil)
	own, _ := uploadtest.NewAuthority(t).Own(nil)
	along := own
	along.Certificate = append(along.Certificate[:2:2], realChain.Certificate[1])
	for name, cert := range map[string]tls.Certificate{"its own": own, "with the real authority along": along} {
		s := serve(t, cert, paired)
		_, err := Pair(t.Context(), s.URL, "", codeFor(sum), "sunspool/test")
		if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "tls" || !strings.Contains(f.Next, "in between") && !strings.Contains(f.Next, "between this machine") {
			t.Errorf("%s: %+v", name, err)
		}
		if heard := s.heard(); len(heard) > 0 {
			t.Errorf("%s: it heard %v", name, heard)
		}
	}
}

// Not one bit of the fingerprint may differ: a code that was changed, or a server in between whose fingerprint is nearly the same,
// ends before the code is sent. So does a server that only itself vouches for, if the code has no fingerprint.
func TestEveryBitOfTheFingerprintCounts(t *testing.T) {
	cert, sum := uploadtest.NewAuthority(t).Own(nil)
	s := serve(t, cert, paired)
	codes := []string{paircode.Code{Secret: paircode.NewSecret()}.String()}
	for bit := range 8 * paircode.PinBytes {
		changed := sum
		changed[bit/8] ^= 1 << (bit % 8)
		codes = append(codes, codeFor(changed))
	}
	for _, code := range codes {
		got, err := Pair(t.Context(), s.URL, "", code, "sunspool/test")
		if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "tls" || got != (Result{}) {
			t.Errorf("%s: %+v, %v", code, got, err)
		}
	}
	if heard := s.heard(); len(heard) > 0 {
		t.Errorf("the server heard %v", heard)
	}
	if _, err := Pair(t.Context(), s.URL, "", codeFor(sum), "sunspool/test"); err != nil {
		t.Errorf("the right one: %v", err)
	}
}

// The part of the code that is for the edge does not go to the server.
func TestServerHearsItsPartAlone(t *testing.T) {
	cert, sum := uploadtest.NewAuthority(t).Own(nil)
	s := serve(t, cert, paired)
	code := codeFor(sum)
	if _, err := Pair(t.Context(), s.URL, "", code, "sunspool/test"); err != nil {
		t.Fatal(err)
	}
	c, _ := paircode.Parse(code)
	if heard := s.heard(); len(heard) != 1 || heard[0] != c.Secret {
		t.Errorf("it heard %v", heard)
	}
}

// What a server answers that does not pair is said in three parts.
func TestRefusalsAreExplained(t *testing.T) {
	cert, sum := uploadtest.NewAuthority(t).Own(nil)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		exit   int
		why    string
	}{
		"wrong code": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			io.WriteString(w, `{"detail":"No such pairing code."}`)
		}, health.ExitAuth, "No such pairing code."},
		"too often": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "17")
			w.WriteHeader(429)
			io.WriteString(w, `{"detail":"Too many failed logins."}`)
		}, health.ExitAuth, "Wait 17 s"},
		"older":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, health.ExitUnreachable, "older version"},
		"a website": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, health.ExitUnreachable, ""},
		"empty":     {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }, health.ExitUnreachable, ""},
	} {
		s := serve(t, cert, c.answer)
		_, err := Pair(t.Context(), s.URL, "", codeFor(sum), "sunspool/test")
		f, ok := errors.AsType[*health.Fault](err)
		if !ok || f.Exit != c.exit || !strings.Contains(f.Why, c.why) || f.Next == "" {
			t.Errorf("%s: %+v", name, err)
		}
	}
	if _, err := Pair(t.Context(), "https://127.0.0.1:1", "", "nonsense", "sunspool/test"); err == nil {
		t.Error("nonsense is a code")
	}
}

// A server that is away, or ill, has not refused the code; nothing waits for it.
func TestServerThatIsAwayHasNotRefusedTheCode(t *testing.T) {
	cert, sum := uploadtest.NewAuthority(t).Own(nil)
	for name, status := range map[string]int{"ill": http.StatusServiceUnavailable, "behind a proxy": http.StatusBadGateway, "away": 0} {
		s := serve(t, cert, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if status == 0 {
			s.Close()
		}
		_, err := Pair(t.Context(), s.URL, "", codeFor(sum), "sunspool/test")
		f, ok := errors.AsType[*health.Fault](err)
		if !ok || f.Exit != health.ExitUnreachable || strings.Contains(f.Next, "samples") || strings.Contains(f.Next, "vps pair") || f.Next == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
