package auth

import (
	"strings"
	"testing"
	"time"

	"sunspool/internal/vpstest"
)

// FuzzSession opens what nobody sealed.
func FuzzSession(f *testing.F) {
	const token = vpstest.Viewer1 + "x" // so that the last character has bits behind the last byte
	tokens, err := ParseTokens(vpstest.Token1+":roof", token+":*")
	if err != nil {
		f.Fatal(err)
	}
	s, ok := tokens.NewSession(token, true, vpstest.Now)
	good := s.Value()
	if _, opened := tokens.Session(good, vpstest.Now); !ok || !opened || strings.IndexByte("AQgw", good[len(good)-1]) < 0 {
		f.Fatal(good)
	}
	for _, bits := range []string{"ABCD", "QRST", "ghij", "wxyz"} {
		for _, last := range bits {
			f.Add(good[:len(good)-1] + string(last))
		}
	}
	for _, text := range []string{"", "A", good, good[:40], good[:len(good)-1], strings.ToLower(good), token} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok := tokens.Session(text, vpstest.Now); ok && text != good {
			t.Errorf("%q is a session: %+v", text, s)
		}
	})
}

// A session carries what it began with, and a longer token than fits into a cookie has none.
func TestSessionsCarryTheirToken(t *testing.T) {
	long := strings.Repeat("x", longestToken)
	tokens, err := ParseTokens(vpstest.Token1+":roof,"+long+":barn,"+long+"x:shed", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{vpstest.Token1, long} {
		made, ok := tokens.NewSession(token, token == long, vpstest.Now)
		opened, still := tokens.Session(made.Value(), vpstest.Now.Add(time.Hour))
		if !ok || !still || opened != made || !opened.Viewer || len(made.Value()) > 3000 {
			t.Errorf("%v %v: %+v, made %+v", ok, still, opened, made)
		}
	}
	if _, ok := tokens.NewSession(long+"x", false, vpstest.Now); ok {
		t.Error("a token that no cookie holds has a session")
	}
	if _, ok := tokens.NewSession("", false, vpstest.Now); ok {
		t.Error("no token has a session")
	}
}

// Whoever read the settings knows the hashes of tokens, and with them the key of each cookie: but not what must be inside.
func TestAHashMakesNoSession(t *testing.T) {
	tokens, err := ParseTokens(vpstest.Token1+":roof", "")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := tokens.NewSession(vpstest.Token1, false, vpstest.Now)
	for _, guess := range []string{"", vpstest.TokenWrong, string(s.Token[:])} {
		s.token = guess
		if got, ok := tokens.Session(s.Value(), vpstest.Now); ok {
			t.Errorf("sealed with the hash and %q: %+v", guess, got)
		}
	}
}

// An update logs nobody out: this cookie was made by the first version that had any.
func TestCookiesOfEarlierVersionsOpen(t *testing.T) {
	tokens, err := ParseTokens(vpstest.Token1+":roof", vpstest.Viewer1+":roof")
	if err != nil {
		t.Fatal(err)
	}
	const cookie = "AcK1ADOxsTxwXJ3mbUzTNi5ibvApuI1urNrwQw6GB_yuyRYS0iGL87yoUh6oyaRTlZkuNy9Xm2KCEbTsOydASMBE2yzAYtr-SNal-r6o"
	if s, ok := tokens.Session(cookie, vpstest.Now); !ok || s.Caller != (Caller{Device: "roof", Viewer: true}) || !s.Kiosk || !s.Issued.Equal(vpstest.Now) {
		t.Errorf("%v %+v", ok, s)
	}
}

// A session lasts until its last second, and one whose clock was ahead is not older than it says.
func TestTheEndOfASession(t *testing.T) {
	tokens, err := ParseTokens(vpstest.Token1+":roof", "")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := tokens.NewSession(vpstest.Token1, false, vpstest.Now)
	for at, want := range map[time.Time]bool{vpstest.Now: true, s.Expires().Add(-time.Second): true, *s.Expires(): false, s.Expires().Add(time.Second): false, vpstest.Now.Add(-time.Hour): true} {
		if _, ok := tokens.Session(s.Value(), at); ok != want {
			t.Errorf("at %v: %v", at, ok)
		}
	}
}
