//go:build unix

package vps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/internal/paircode"
	"sunspool/internal/testservices"
	"sunspool/wire"
)

// codeOf has the server of dir make a code.
func codeOf(t *testing.T, dir, device string) (code paircode.Code, server string) {
	t.Helper()
	var out bytes.Buffer
	if err := Pair(t.Context(), MachineConfig{DataDir: dir}, PairConfig{Device: device, JSON: true}, &out); err != nil {
		t.Fatal(err)
	}
	var got struct{ Code, Server string }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	code, err := paircode.Parse(got.Code)
	if err != nil {
		t.Fatal(err)
	}
	return code, got.Server
}

// redeem posts a code as an edge does.
func redeem(ctx context.Context, url, code string) (status int, paired wire.Paired, err error) {
	body, _ := json.Marshal(wire.Pairing{Code: code})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+wire.PairPath, bytes.NewReader(body))
	if err != nil {
		return 0, paired, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, paired, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(text, &paired)
	}
	return resp.StatusCode, paired, err
}

// statusWith is what the list of devices is answered with a token.
func statusWith(t *testing.T, r running, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.public+wire.DevicesPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// redeemAtOnce posts a code 20 times at once. slow is that some were asked to come again.
func redeemAtOnce(t *testing.T, url, code string) (tokens []wire.Paired, slow bool) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 20 {
		wg.Go(func() {
			status, paired, err := redeem(t.Context(), url, code)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case status == http.StatusOK:
				tokens = append(tokens, paired)
			case status == http.StatusServiceUnavailable:
				slow = true
			}
		})
	}
	wg.Wait()
	return tokens, slow
}

// A code gives one token of its device, to one of all who use it at once, and none to whoever guesses.
func TestCodeGivesOneToken(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Config{DataDir: dir, DeviceTokens: "store"})
	var code paircode.Code
	var tokens []wire.Paired
	// A store that is slower than a request waits uses the code, and nobody has its token: then it is another code's turn.
	for began, slow := time.Now(), true; slow && len(tokens) == 0 && time.Since(began) < testservices.Patience; {
		code, _ = codeOf(t, dir, "roof")
		tokens, slow = redeemAtOnce(t, "http://"+r.public, code.Secret)
	}
	if len(tokens) != 1 || tokens[0].DeviceID != "roof" {
		t.Fatalf("20 at once got %d tokens", len(tokens))
	}
	if status := statusWith(t, r, tokens[0].Token); status != http.StatusOK {
		t.Errorf("the token is answered %d", status)
	}
	for _, secret := range []string{code.Secret, code.String()} { // it opens nothing, before and after
		if status := statusWith(t, r, secret); status != http.StatusUnauthorized && status != http.StatusTooManyRequests {
			t.Errorf("the code as a token is answered %d", status)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// A newer code for the device replaces an older one, and a code survives a restart of the server.
func TestNewerCodeReplacesAnOlderOne(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{DataDir: dir, DeviceTokens: "store"}
	r := start(t, cfg)
	first, _ := codeOf(t, dir, "roof")
	second, _ := codeOf(t, dir, "roof")
	other, _ := codeOf(t, dir, "garage")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, cfg)
	for _, c := range []struct {
		code   paircode.Code
		status int
	}{{first, http.StatusUnauthorized}, {second, http.StatusOK}, {second, http.StatusUnauthorized}, {other, http.StatusOK}} {
		if status, _, err := redeem(t.Context(), "http://"+r.public, c.code.Secret); status != c.status || err != nil {
			t.Errorf("%s: %d, not %d, %v", c.code, status, c.status, err)
		}
	}
	var out bytes.Buffer
	if err := ListTokens(t.Context(), MachineConfig{DataDir: dir}, TokenListConfig{JSON: true}, &out); err != nil {
		t.Fatal(err)
	}
	if list := out.String(); strings.Count(list, "\n") != 2 || strings.Contains(list, "pairing of") || !strings.Contains(list, "roof, paired") {
		t.Errorf("the list is\n%s", list)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// Who guesses is slowed like who guesses a token.
func TestGuessesAreSlowed(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Config{DataDir: dir, DeviceTokens: "store"})
	codeOf(t, dir, "roof")
	slowed := 0
	for i := range 200 {
		guess := fmt.Sprintf("%016d", i)
		status, paired, err := redeem(t.Context(), "http://"+r.public, guess)
		if err != nil || status == http.StatusOK || paired.Token != "" {
			t.Fatalf("guess %s: %d, %v", guess, status, err)
		}
		if status == http.StatusTooManyRequests {
			slowed++
		}
	}
	if slowed < 100 {
		t.Errorf("%d of 200 guesses were slowed", slowed)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// A server with an authority of its own says in the code by what it is known, and where it is.
func TestCodeOfAServerWithItsOwnAuthority(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{DataDir: dir, DeviceTokens: "store", TLSSelf: true}
	r := start(t, cfg)
	code, server := codeOf(t, dir, "roof")
	var out bytes.Buffer
	if err := Fingerprint(Config{DataDir: dir}, FingerprintConfig{}, &out); err != nil {
		t.Fatal(err)
	}
	if fp := strings.TrimSpace(out.String()); !strings.HasPrefix(fp, fmt.Sprintf("sha256:%x", code.Pin)) || len(code.Pin) != paircode.PinBytes {
		t.Errorf("the code has the pin %x, the fingerprint is %s", code.Pin, fp)
	}
	if server != "https://"+r.public {
		t.Errorf("the server is said to be at %s, and is at %s", server, r.public)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestWrongDevicesGetNoCode(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Config{DataDir: dir, DeviceTokens: "store"})
	for _, device := range []string{"", "a b", "ro/of", strings.Repeat("x", 65)} {
		err := Pair(t.Context(), MachineConfig{DataDir: dir}, PairConfig{Device: device}, io.Discard)
		if f, ok := errors.AsType[*health.Fault](err); !ok || f.Exit != health.ExitUsage {
			t.Errorf("%q: %v", device, err)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
