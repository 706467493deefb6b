package delivered

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sunspool/internal/testhost"
)

// A disk that others fill: the copies go before it is full, and are kept again when there is room.
func TestDiskThatOthersFill(t *testing.T) {
	d := testhost.Tmpfs(t, 40)
	c, log := copiesIn(d.Dir)
	keep(c, noon, 300)
	keep(c, noon.AddDate(0, 0, 1), 300)
	if n := total(c.Hours()); n != 600 {
		t.Fatalf("%d of 600 are kept", n)
	}
	others := filepath.Join(d.Dir, "others")
	if err := os.WriteFile(others, make([]byte, 12<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Tidy(false)
	keep(c, noon.AddDate(0, 0, 2), 300)
	if len(c.Hours()) != 0 || len(filesOf(t, c)) != 0 || c.Errors.Load() != 0 || log.Len() != 0 {
		t.Errorf("%v, %v, %d errors, %s", c.Hours(), filesOf(t, c), c.Errors.Load(), log)
	}
	if err := os.Remove(others); err != nil {
		t.Fatal(err)
	}
	keep(c, noon.Add(50*time.Hour), 300)
	if n := total(c.Hours()); n != 300 {
		t.Errorf("%d of 300 are kept", n)
	}
}
