package edge

import (
	"path/filepath"
	"testing"

	"sunspool/edge/config"
)

// goodSettings are settings that can work, in a directory of its own.
func goodSettings(t *testing.T) config.Config {
	t.Helper()
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"} {
		t.Setenv(name, "")
	}
	return config.Config{
		Host: "192.168.1.7", Port: 502, Unit: 1, PollS: 5, GapMS: 20, URL: "https://vps.example.org", Token: "0123456789abcdef",
		BatchSize: 30, UploadS: 10, MaxBackoffS: 300, SpoolPath: filepath.Join(t.TempDir(), "spool.db"), RawDebugEach: 60,
	}
}
