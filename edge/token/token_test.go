package token

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/edge/inverter"
)

func TestTokenFileOfOthersIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o644: false} {
		os.Remove(file)
		if err := os.WriteFile(file, []byte("t0ken-0123456789abcdef\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chmod(file, mode)
		token, err := New("", file, inverter.Place{})
		if (err == nil) != ok {
			t.Errorf("mode %v: %v", mode, err)
			continue
		}
		if got, _ := token.Get(); ok && got != "t0ken-0123456789abcdef" {
			t.Errorf("mode %v: %q", mode, got)
		}
	}
	for _, bad := range []string{"", " ", "two words", "new\nline", "ümlaut"} {
		if _, err := New(bad, "", inverter.Place{}); err == nil {
			t.Errorf("token %q is accepted", bad)
		} else if strings.TrimSpace(bad) != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error repeats the token: %v", err)
		}
	}
}

// One token is that of all inverters, for a server that takes it; a file may have one for each.
func TestTokensOfSeveralInverters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("first-0123456789\r\n\nsecond-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		value, file string
		want        [2]string
	}{
		"one":         {"first-0123456789", "", [2]string{"first-0123456789", "first-0123456789"}},
		"two":         {"first-0123456789,second-0123456789", "", [2]string{"first-0123456789", "second-0123456789"}},
		"one, twice":  {"first-0123456789,first-0123456789", "", [2]string{"first-0123456789", "first-0123456789"}},
		"two, a file": {"", file, [2]string{"first-0123456789", "second-0123456789"}},
	} {
		for i, want := range c.want {
			token, err := New(c.value, c.file, inverter.Place{Index: i, Of: 2})
			if err != nil {
				t.Fatal(name, err)
			}
			if got, err := token.Get(); got != want || err != nil {
				t.Errorf("%s: token %d is %q, %v", name, i, got, err)
			}
		}
	}
	if token, err := New("a-comma,0123456789", "", inverter.Place{}); err != nil || token.Value != "a-comma,0123456789" {
		t.Errorf("a token with a comma, of one inverter: %v", err)
	}
}
