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
	"sunspool/internal/testservices"
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
	another, err := net.Listen("tcp", "127.0.0.1:0") // another dongle
	if err != nil {
		t.Fatal(err)
	}
	defer another.Close()
	other := config("1", "barn")
	other.Port = another.Addr().(*net.TCPAddr).Port
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

// An edge that knows a dongle by its name and one that knows it by its address are kept apart as well: when the name leads there, the
// second reads nothing, and its health has who does.
func TestSecondEdgeByTheNameOfADongleReadsNothing(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no locks that we know of")
	}
	dongle, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dongle.Close()
	ctx, cancel := context.WithCancel(t.Context())
	run := func(host, device string) (config.Config, chan error) {
		c := goodSettings(t)
		c.Host, c.Port, c.DeviceID, c.URL = host, dongle.Addr().(*net.TCPAddr).Port, device, "https://127.0.0.1:1"
		done := make(chan error, 1)
		go func() { done <- Run(ctx, c, "test", slog.New(slog.DiscardHandler)) }()
		return c, done
	}
	health := func(c config.Config) string { return filepath.Join(filepath.Dir(c.SpoolPath), "health.json") }
	first, firstDone := run("127.0.0.1", "roof")
	testservices.Await(t, "the first edge", func() bool { _, err := os.Stat(health(first)); return err == nil })
	second, secondDone := run("localhost", "garage")
	testservices.Await(t, "the second edge to find the dongle busy", func() bool {
		text, _ := os.ReadFile(health(second))
		return strings.Contains(string(text), "dongle_busy") && strings.Contains(string(text), "device roof")
	})
	cancel()
	for _, done := range []chan error{firstDone, secondDone} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
