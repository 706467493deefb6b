package edge

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The host's clock is read in one place of each package only.
func TestOnlyTheClockAsksTheHost(t *testing.T) {
	asks := regexp.MustCompile(`\btime\.(Now|Since|Until)\b`)
	for place, want := range map[string]int{"now.go": 1, "clock/clock.go": 1, "pace/pace.go": 1, "inverter/inverter.go": 1, "reading/reading.go": 0, "night/night.go": 1, "transport/now.go": 1, "token/token.go": 0, "upload/now.go": 1, "config/config.go": 0, "donglelock/lock_linux.go": 1, "report/now.go": 1} {
		files, err := filepath.Glob(filepath.Join(filepath.Dir(place), "*.go"))
		if err != nil || len(files) < 2 {
			t.Fatal(files, err)
		}
		asked := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			switch found := asks.FindAll(text, -1); {
			case strings.HasSuffix(file, "_test.go"):
			case file == place:
				asked = len(found)
			case found != nil:
				t.Errorf("%s asks the host: %s", file, found)
			}
		}
		if asked != want {
			t.Errorf("%s asks %d times", place, asked)
		}
	}
}
