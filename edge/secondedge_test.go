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
