package vps

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/health"
	"sunspool/settings"
)

// TestLinkOpensThePageWithAViewersToken, never with one that may send, and never with a sum.
func TestLinkOpensThePageWithAViewersToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "viewers")
	if err := os.WriteFile(file, []byte("# from a file\nfile-token-0123456789:barn\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Config{DeviceTokens: "device-token-0123456:roof", ViewerTokensFile: file,
		ViewerTokens: settings.Secret("sha256:" + strings.Repeat("0a", 32) + ":roof, roof-token-0123456789:roof+garage")}
	for _, c := range []struct{ url, device, want, reads string }{
		{"https://solar.example.org", "", "https://solar.example.org/#t=roof-token-0123456789\n", "garage and roof"},
		{"https://example.org/solar", "", "https://example.org/solar/#t=roof-token-0123456789\n", "garage and roof"},
		{"https://solar.example.org/", "garage", "https://solar.example.org/#t=roof-token-0123456789\n", "garage and roof"},
		{"http://192.168.1.20:8000/sun/", "barn", "http://192.168.1.20:8000/sun/#t=file-token-0123456789\n", "barn"},
	} {
		var out strings.Builder
		if err := Link(cfg, LinkConfig{URL: c.url, Device: c.device}, &out, false); err != nil {
			t.Fatal(err)
		}
		if s := out.String(); !strings.HasPrefix(s, c.want) || !strings.Contains(s, "▄▄▄▄▄") || !strings.Contains(s, "can read "+c.reads+",") || strings.Contains(s, "device-token") {
			t.Errorf("%s %s: %s", c.url, c.device, s)
		}
	}
}

// TestLinkWithoutATokenSaysWhatToDo, and a text that is no address is none.
func TestLinkWithoutATokenSaysWhatToDo(t *testing.T) {
	cfg := Config{DeviceTokens: "device-token-0123456:roof", ViewerTokens: settings.Secret("sha256:" + strings.Repeat("0a", 32) + ":roof, barn-token-0123456789:barn")}
	for _, c := range []struct{ url, device, code string }{
		{"https://solar.example.org", "roof", "no_viewer_token"}, {"solar.example.org", "", "usage"}, {"https://", "", "usage"}, {"ftp://solar.example.org", "", "usage"},
		{"https://solar.example.org/?t=1", "", "usage"}, {"https://solar.example.org/#t=1", "", "usage"}, {"https://me@solar.example.org", "", "usage"},
	} {
		var out strings.Builder
		err := Link(cfg, LinkConfig{URL: c.url, Device: c.device}, &out, false)
		if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != c.code || f.Next == "" || out.Len() > 0 {
			t.Errorf("%s %s: %v %s", c.url, c.device, err, out.String())
		}
	}
	cfg.ViewerTokens = "short:roof"
	if err := Link(cfg, LinkConfig{URL: "https://solar.example.org"}, new(strings.Builder), false); err == nil {
		t.Error("a link of settings that the server refuses")
	}
}
