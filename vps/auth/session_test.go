package auth

import (
	"strings"
	"testing"
	"time"

	"sunspool/internal/vpstest"
)

// FuzzSession opens what nobody sealed.
func FuzzSession(f *testing.F) {
	tokens, err := ParseTokens(vpstest.Token1+":roof", vpstest.Viewer1+":*")
	if err != nil {
		f.Fatal(err)
	}
	s, _ := tokens.NewSession(vpstest.Viewer1, true, vpstest.Now)
	good := s.Value()
	for _, text := range []string{"", "A", good, good[:40], good[:len(good)-1], strings.ToLower(good), vpstest.Viewer1} {
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
