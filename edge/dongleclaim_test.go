package edge

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sunspool/edge/config"
	"sunspool/health"
)

// The lock is the dongle's: however its address is written, and no other's.
func TestLockOfADongleIsThatOfItsAddress(t *testing.T) {
	for _, same := range [][]string{
		{"WINET", "winet", "WiNet.", "winet."}, {"192.168.1.7", "::ffff:192.168.1.7", "::FFFF:c0a8:0107"},
		{"fe80::1%eth0", "FE80::1%eth0", "fe80:0:0:0:0:0:0:1%eth0"}, {"2001:db8::7", "2001:DB8:0::7"},
	} {
		for _, host := range same {
			if got, want := dongleLock(host, 502), dongleLock(same[0], 502); got != want {
				t.Errorf("%s has the lock %s, want %s", host, got, want)
			}
		}
	}
	seen := make(map[string]string)
	for _, host := range []string{"winet", "winet2", "192.168.1.7", "192.168.1.71", "fe80::1%eth0", "fe80::1%eth1", "::1", strings.Repeat("a", 63) + ".a", strings.Repeat("a", 63) + ".b"} {
		for _, port := range []int{502, 50, 1502} {
			name := dongleLock(host, port)
			if other := seen[name]; other != "" || len(name) > 100 {
				t.Errorf("%s and %s port %d share the lock %s", other, host, port, name)
			}
			seen[name] = host
		}
	}
}

// What somebody else wrote is not repeated.
func TestHolderOfADongleIsNamedByItsDevices(t *testing.T) {
	for text, want := range map[string]string{"roof": "process 7, device roof", "roof,garage": "process 7, device roof and garage", "": "process 7", "x\ny": "process 7", "<b>": "process 7"} {
		if got := withDevices("process 7", text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Two edges on one dongle take its connection from each other. The second one does not start, and names the first.
func TestSecondEdgeOfADongleDoesNotStart(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no locks that we know of")
	}
	dongle, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dongle.Close()
	config := func(units, devices string) config.Config {
		c := goodSettings(t)
		c.Host, c.Port, c.Units, c.DeviceID, c.URL = "127.0.0.1", dongle.Addr().(*net.TCPAddr).Port, units, devices, "https://127.0.0.1:1"
		return c
	}
	first := config("1,2", "roof,garage")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, first, "test", slog.New(slog.DiscardHandler)) }()
	dir := filepath.Dir(first.SpoolPath)
	for _, name := range []string{"spool.db", "health.json", "garage.db", "garage.health.json", "garage.edge.sock"} {
		for _, err := os.Stat(filepath.Join(dir, name)); err != nil; _, err = os.Stat(filepath.Join(dir, name)) {
			select {
			case err := <-done:
				t.Fatal(err)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	second := config("3", "barn")
	second.Host = "::ffff:127.0.0.1"
	f := asFault(Run(t.Context(), second, "test", slog.New(slog.DiscardHandler)))
	if f == nil || f.Code != "dongle_busy" || f.Exit != health.ExitBusy || !strings.Contains(f.Error(), "roof and garage") ||
		runtime.GOOS == "linux" && !strings.Contains(f.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("%+v", f)
	}
	if _, err := os.Stat(second.SpoolPath); err == nil {
		t.Error("the second one made a spool")
	}
	other := config("1", "barn")
	other.Port-- // another dongle
	ended, end := context.WithCancel(t.Context())
	end()
	if err := Run(ended, other, "test", slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("another dongle: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := Run(ended, second, "test", slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
}
