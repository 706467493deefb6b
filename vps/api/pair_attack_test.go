package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/internal/paircode"
	"sunspool/vps/auth"
	"sunspool/vps/store"
	"sunspool/wire"
)

const codeDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// attack is who sends codes to a server, from as many addresses as it likes, so that nothing but the codes stops it.
type attack struct {
	*bench
	random  *rand.Rand
	guesses int
	slowed  int
}

// send posts a body and returns the token that came, "" for none.
func (a *attack) send(body []byte) string {
	a.guesses++
	r := httptest.NewRequestWithContext(a.t.Context(), "POST", wire.PairPath, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:4000", a.guesses>>16&255, a.guesses>>8&255, a.guesses&255)
	w := httptest.NewRecorder()
	a.api.ServeHTTP(w, r)
	var got wire.Paired
	_ = json.Unmarshal(w.Body.Bytes(), &got)
	switch w.Code {
	case 429:
		a.slowed++
	case 200, 401, 422:
	default:
		a.t.Errorf("%.60s is answered %d %s", body, w.Code, w.Body)
	}
	if (w.Code == 200) != (got.Token != "") || w.Code != 200 && strings.Contains(w.Body.String(), "ssd_") {
		a.t.Errorf("%d %s", w.Code, w.Body)
	}
	return got.Token
}

// code posts a code.
func (a *attack) code(code string) string {
	body, err := json.Marshal(wire.Pairing{Code: code})
	if err != nil {
		a.t.Fatal(err)
	}
	return a.send(body)
}

// fails posts codes none of which may give a token.
func (a *attack) fails(what string, codes ...string) {
	for _, code := range codes {
		if token := a.code(code); token != "" {
			a.t.Fatalf("%s: %q got a token", what, code)
		}
	}
}

// redeemed gives a code to what checks it.
func (a *attack) redeemed(code string) {
	a.guesses++
	if device, token, err := a.Issuer.Redeem(a.t.Context(), code); !errors.Is(err, auth.ErrNoPairing) || device != "" || token != "" {
		a.t.Fatalf("%q: %q, %q, %v", code, device, token, err)
	}
}

func (a *attack) digit() byte { return codeDigits[a.random.IntN(len(codeDigits))] }

// changed returns a text with so many of its characters replaced by others.
func (a *attack) changed(text string, characters int) string {
	b := []byte(text)
	for _, i := range a.random.Perm(len(b))[:characters] {
		for was := b[i]; b[i] == was; {
			b[i] = a.digit()
		}
	}
	return string(b)
}

// oneOff returns every text that differs from text in one character, or in the order of two neighbours.
func oneOff(text string) (all []string) {
	for i := range len(text) {
		for _, d := range []byte(codeDigits) {
			if d != text[i] {
				all = append(all, text[:i]+string(d)+text[i+1:])
			}
		}
		if i > 0 && text[i] != text[i-1] {
			all = append(all, text[:i-1]+text[i:i+1]+text[i-1:i]+text[i+1:])
		}
	}
	return all
}

// typed returns a code as people write it: all of these are the same code.
func typed(secret string) []string {
	spaced := strings.Join([]string{secret[:4], secret[4:8], secret[8:12], secret[12:]}, " ")
	return []string{secret, strings.ToLower(secret), spaced, strings.ToLower(strings.ReplaceAll(spaced, " ", "-")), strings.ReplaceAll(secret, "0", "o"), strings.ReplaceAll(secret, "1", "l"), " " + secret + " ", "--" + secret}
}

// notTyped returns texts that look like a code and are none.
func notTyped(secret string) []string {
	wide := strings.Map(func(r rune) rune { return r - '0' + '０' }, secret[:1]) + secret[1:]
	return []string{"", secret[:15], secret + "0", secret + secret, secret + "\n", "\t" + secret, secret + "\x00", wide, secret[:8] + "\u00a0" + secret[8:], secret[:8] + "\u2011" + secret[8:],
		"ssd_" + secret, secret + "'--", "*", "%", strings.Repeat("U", 16), strings.Repeat("0", 1<<10), secret[:15] + "\u017f", strings.Repeat("-", 16), `{"$ne":""}`}
}

// 100,000 codes that are not the one give no token: near misses of it, random ones, the right one with another fingerprint, those
// that were used, replaced or are too old, in every spelling. The code itself works before and after, once.
func TestGuessedCodesGiveNothing(t *testing.T) {
	now := testNow
	pin := []byte("0123456789")
	b := newBench(t, func(s *Server) {
		s.Now = func() time.Time { return now }
		s.Log = slog.New(slog.DiscardHandler)
		s.Issuer.Log = s.Log
		s.Pin = pin
	})
	a := &attack{bench: b, random: rand.New(rand.NewPCG(1, 2))}
	offer := func(device string) (secret string) {
		secret, _, err := b.Issuer.Offer(t.Context(), device)
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	full := func(secret string, pin []byte) string { return paircode.Code{Secret: secret, Pin: pin}.String() }

	var old []string
	for i := range 20 { // too old
		old = append(old, offer(fmt.Sprintf("old-%d", i)))
	}
	now = now.Add(auth.PairingTime)
	a.fails("at its end", old...)
	now = now.Add(time.Millisecond)
	for _, secret := range old {
		for range 60 {
			a.fails("too old", typed(secret)...)
		}
		a.fails("too old", full(secret, pin))
	}
	var used []string
	for i := range 20 {
		secret := offer(fmt.Sprintf("used-%d", i))
		if a.code(full(secret, pin)) == "" {
			t.Fatal("a good code, with its fingerprint, gives nothing")
		}
		used = append(used, secret)
	}
	for _, secret := range used {
		for range 60 {
			a.fails("used", typed(secret)...)
		}
	}
	for range 20 { // replaced by the next
		used = append(used, offer("roof"))
	}
	live := offer("roof")
	a.fails("replaced", used[20:]...)

	a.fails("one character", oneOff(live)...)
	a.fails("another fingerprint", func() (codes []string) {
		right := strings.ReplaceAll(full(live, pin), "-", "")
		for _, half := range oneOff(right[16:]) {
			codes = append(codes, right[:16]+half)
		}
		for range 5000 {
			codes = append(codes, right[:16]+a.changed(right[16:], 1+a.random.IntN(16)))
		}
		return append(codes, right[16:]+right[:16], right[16:], right[16:]+right[16:])
	}()...)
	for range 50 {
		a.fails("no code", slices.Concat(notTyped(live), notTyped(used[0]), notTyped(old[0]))...)
	}
	for _, body := range []string{"", "null", "[]", "{}", `{"code":null}`, `{"code":["` + live + `"]}`, `{"code":{"code":"` + live + `"}}`, `{"code":1}`, `{"code":true}`, `"` + live + `"`, `{"device":"roof"}`, `{"code":"","token":"` + live + `"}`} {
		if a.send([]byte(body)) != "" {
			t.Errorf("%s got a token", body)
		}
	}
	for range 2000 {
		a.fails("near", a.changed(live, 1+a.random.IntN(4)))
		a.fails("random", paircode.NewSecret())
	}
	sent := a.guesses
	for a.guesses < 100_000 { // the rest without what is around it
		a.redeemed(a.changed(live, 1+a.random.IntN(4)))
		a.redeemed(paircode.NewSecret())
	}
	if now.Sub(testNow) > auth.PairingTime+time.Second {
		t.Fatal("the code that was attacked is too old itself")
	}
	if a.slowed < sent/2 {
		t.Errorf("%d of %d guesses were slowed", a.slowed, sent)
	}
	tokens := 0
	for i, spelling := range typed(live) {
		if a.code(spelling) != "" {
			if tokens++; i != 0 {
				t.Errorf("%q got one more token", spelling)
			}
		}
	}
	list, err := b.Issuer.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, one := range list {
		if one.Role == store.RoleDevice {
			made++
		}
	}
	if tokens != 1 || made != 21 {
		t.Errorf("the code itself got %d tokens; the store has %d, of 21 codes", tokens, made)
	}
	t.Logf("%d guesses, %d of them sent, of which %d were slowed", a.guesses, sent, a.slowed)
}

// A code works until the last moment of its 15 minutes, and not at their end, whatever the clock's fraction of a second.
func TestCodeEndsToTheSecond(t *testing.T) {
	for _, fraction := range []time.Duration{0, 400 * time.Millisecond, 999 * time.Millisecond} {
		for after, want := range map[time.Duration]bool{
			0: true, time.Second: true, 15*time.Minute - time.Second: true, 15*time.Minute - time.Millisecond: true,
			15 * time.Minute: false, 15*time.Minute + time.Millisecond: false, 15*time.Minute + time.Second: false, 24 * time.Hour: false,
		} {
			begun := testNow.Truncate(time.Second).Add(fraction)
			now := begun
			b := newBench(t, func(s *Server) { s.Now = func() time.Time { return now } })
			secret, expires, err := b.Issuer.Offer(t.Context(), "roof")
			if err != nil || !expires.Equal(begun.Add(15*time.Minute)) {
				t.Fatalf("until %v, %v", expires, err)
			}
			now = begun.Add(after)
			a := &attack{bench: b}
			if got := a.code(secret) != ""; got != want {
				t.Errorf("after %v from %v: a token is given: %v, want %v", after, begun, got, want)
			}
		}
	}
}
