package zone

import (
	"os"
	"path/filepath"
	"testing"
)

func TestZoneOfAHost(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := OfHost(root); got != "" {
		t.Errorf("%q of nothing", got)
	}
	timezone := filepath.Join(root, "etc/timezone")
	for text, want := range map[string]string{"Europe/Brussels\n": "Europe/Brussels", "Europe/Brussel\n": "", "Local": "", "": ""} {
		if err := os.WriteFile(timezone, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := OfHost(root); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
	zoneinfo := filepath.Join(root, "usr/share/zoneinfo/Asia")
	if err := os.MkdirAll(zoneinfo, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(zoneinfo, "Kathmandu"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../usr/share/zoneinfo/Asia/Kathmandu", filepath.Join(root, "etc/localtime")); err != nil {
		t.Fatal(err)
	}
	if got := OfHost(root); got != "Asia/Kathmandu" {
		t.Errorf("%q by the link", got)
	}
}

func TestZoneThatWasMeant(t *testing.T) {
	zones := []string{"Europe/Brussels", "Europe/Berlin", "America/New_York", "America/Argentina/Buenos_Aires", "Asia/Kathmandu", "Etc/UTC"}
	for written, want := range map[string]string{
		"Europe/Brussel": "Europe/Brussels", "europe/brussels": "Europe/Brussels", "Brussels": "Europe/Brussels", "berlin": "Europe/Berlin", "Eurpoe/Berlin": "Europe/Berlin",
		"New York": "America/New_York", "America/Buenos_Aires": "America/Argentina/Buenos_Aires", "Asia/Katmandu": "Asia/Kathmandu", "utc": "Etc/UTC", "Mars/Olympus": "", "": "",
	} {
		if got := nearest(written, zones); got != want {
			t.Errorf("%q is %q, want %q", written, got, want)
		}
	}
}
