package vps

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/wire"
)

func TestReadersHandlerKnowsOneDeviceAndCannotWrite(t *testing.T) {
	b := newBench(t)
	b.ingested(sample(0))
	open := b.Readers("inv-1")
	for target, want := range map[string]int{
		"GET /v1/realtime?device_id=inv-1":         200,
		"GET /v1/series?device_id=inv-1&frame=day": 200,
		"GET /health":                          200,
		"GET /v1/realtime?device_id=inv-2":     403,
		"GET /v1/series?device_id=*&frame=day": 403,
		"POST /v1/ingest":                      404,
		"GET /metrics":                         404,
		"POST /v1/realtime?device_id=inv-1":    405,
	} {
		method, path, _ := strings.Cut(target, " ")
		if w := do(open, method, path, "", strings.NewReader(bodyOf(fields(time.Minute)))); w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
	if w := b.get("/v1/realtime?device_id=inv-1", ""); w.Code != 401 {
		t.Errorf("the other handler of the same server opened too: %d", w.Code)
	}
}

func TestGuessingTokensIsSlowedButAGoodTokenAlwaysPasses(t *testing.T) {
	now := testNow
	b := newBench(t, func(s *Server) { s.Now = func() time.Time { return now } })
	for i := range 1000 {
		w := b.post(fmt.Sprint("guess-", i), bodyOf())
		want := 401
		if i >= maxFailures {
			want = 429
		}
		if w.Code != want {
			t.Fatalf("guess %d: %d, want %d", i, w.Code, want)
		}
		if want == 429 && (w.Header().Get("Retry-After") != "60" || detail(t, w) != "Too many failed logins.") {
			t.Fatalf("guess %d: %q %s", i, w.Header().Get("Retry-After"), w.Body)
		}
		if w := b.post(token1, bodyOf()); w.Code != 200 {
			t.Fatalf("the good token of the same address: %d", w.Code)
		}
	}
	other := func(addr string) int {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { r.RemoteAddr = addr; b.api.ServeHTTP(w, r) })
		return do(h, "POST", wire.IngestPath, "guess", nil).Code
	}
	if got := other("198.51.100.7:1234"); got != 401 {
		t.Errorf("the first guess of another address: %d", got)
	}
	for i := range maxFailures {
		other(fmt.Sprintf("[2001:db8::%x]:99", i))
	}
	if got := other("[2001:db8::ffff]:99"); got != 429 {
		t.Errorf("one IPv6 host that changes its address: %d", got)
	}
	now = now.Add(failureWindow)
	if w := b.post("guess", bodyOf()); w.Code != 401 {
		t.Errorf("a minute later: %d", w.Code)
	}
	for i := range 3 * maxAddresses {
		other(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255))
	}
	if n := len(b.failures.of); n > maxAddresses+1 {
		t.Errorf("%d addresses remembered", n)
	}
}

func TestTokensAreParsedAndNeverQuoted(t *testing.T) {
	sum := sha256.Sum256([]byte("hashed-secret"))
	hashed := "sha256:" + hex.EncodeToString(sum[:])
	const plain, view, all = "c-0123456789abcdef", "view-0123456789abcdef", "all-0123456789abcdef"
	tokens, err := ParseTokens(" "+plain+" : inv-1 ,\n# comment:inv-9\n"+hashed+":inv-2,,", view+":inv-1,"+all+":*")
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]caller{
		plain: {device: "inv-1"}, "hashed-secret": {device: "inv-2"},
		view: {"inv-1", true}, all: {"*", true},
		"": {}, hashed: {}, "# comment": {}, "a": {},
	} {
		if who, known := tokens.find(token); who != want || known != (want != caller{}) {
			t.Errorf("%q is %v %v, want %v", token, who, known, want)
		}
	}

	const canary = "canary-in-a-setting"
	for name, settings := range map[string][2]string{
		"nothing":              {"", ""},
		"only viewers":         {" , \n", "v:*"},
		"no colon":             {canary, ""},
		"no token":             {":inv-1", ""},
		"two colons":           {canary + ":fe80::1", ""}, // the Python server takes what is behind the first for the device
		"a token with a colon": {canary + ":x:inv-1", ""},
		"a hash and two":       {hashed + ":inv-1:" + canary, ""},
		"a viewer with two":    {plain + ":inv-1", canary + ":inv-1:*"},
		"no device":            {canary + ":", ""},
		"bad device":           {canary + ":in v", ""},
		"any device may send":  {canary + ":*", ""},
		"short hash":           {"sha256:" + canary + ":inv-1", ""},
		"one for two devices":  {canary + ":inv-1," + canary + ":inv-2", ""},
		"device is viewer too": {canary + ":inv-1", canary + ":inv-1"},
		"bad viewer":           {plain + ":inv-1", canary},
		"short":                {"shorter-than-16:inv-1", ""},
		"short viewer":         {plain + ":inv-1", "shorter-than-16:*"},
		"in quotes":            {`"` + canary + `":inv-1`, ""},
		"all of it in quotes":  {`"` + canary + `:inv-1"`, ""},
		"not of a header":      {canary + "\tx:inv-1", ""},
	} {
		_, err := ParseTokens(settings[0], settings[1])
		fault, ok := errors.AsType[*health.Fault](err)
		if !ok || fault.Exit != health.ExitConfig || fault.Next == "" {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(fmt.Sprintf("%v %+v %#v", err, *fault, fault), canary) {
			t.Errorf("%s: the error quotes the token: %v", name, err)
		}
		if err := tokens.Replace(settings[0], settings[1]); err == nil {
			t.Errorf("%s: replaced", name)
		}
		if _, known := tokens.find(plain); !known {
			t.Fatalf("%s: a bad reload threw the good tokens away", name)
		}
	}
}

func TestTokenFilesOfOthersAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	os.WriteFile(file, []byte("from-file-0123456789:inv-1\n"), 0o600)
	credentials := t.TempDir()
	os.WriteFile(filepath.Join(credentials, "device-tokens"), []byte("from-credential-0123456789:inv-1"), 0o440)
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)

	c := Config{DeviceTokens: "from-env-0123456789:inv-1", DeviceTokensFile: file}
	tokens, err := c.tokens()
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"from-env-0123456789", "from-file-0123456789", "from-credential-0123456789"} {
		if _, known := tokens.find(token); !known {
			t.Errorf("%s is not known", token)
		}
	}
	os.Chmod(file, 0o644)
	if _, err := c.tokens(); err == nil || !strings.Contains(err.Error(), "0644") {
		t.Errorf("a file that everybody can read: %v", err)
	}
}

func TestBodyOfAStrangerIsNotRead(t *testing.T) {
	b := newBench(t)
	body := &counter{Reader: io.LimitReader(zeros{}, 1<<20)}
	if w := do(b.api, "POST", wire.IngestPath, tokenWrong, body); w.Code != 401 || body.n != 0 {
		t.Errorf("%d, %d bytes read", w.Code, body.n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
