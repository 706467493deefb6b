package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/internal/durable"
)

// A card that stalls while the health file is written lets all wait that open it. The check does not wait: the edge is
// healthy until the file gets old.
func TestCheckDoesNotWaitForAStalledWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "health.json")
	written := time.Now()
	text, err := json.Marshal(Health{Written: written, Status: StateOK, Sentence: "all well", DeviceID: "roof"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, written, written); err != nil { // all that is known of it while it cannot be opened
		t.Fatal(err)
	}
	check := func(now time.Time) string {
		line, err := Check(path, 5*time.Second, now)
		if err != nil {
			return "!" + err.Error()
		}
		return line
	}
	writer, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if !durable.Lease(writer) {
		t.Skip("SKIPPED, NOTHING IS SHOWN: this filesystem has no leases")
	}
	if line := check(written.Add(60 * time.Second)); !strings.Contains(line, "waits for the disk") || strings.HasPrefix(line, "!") {
		t.Errorf("while the disk stalls: %q", line)
	}
	if line := check(written.Add(80 * time.Second)); !strings.HasPrefix(line, "!") || !strings.Contains(line, "1 min 20 s ago") {
		t.Errorf("after a stall of 80 s: %q", line)
	}
	writer.Close()
	if line := check(written.Add(60 * time.Second)); !strings.Contains(line, "all well") {
		t.Errorf("when the disk answers again: %q", line)
	}
}
