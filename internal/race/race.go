// Package race skips tests that the race detector has nothing to say about: arithmetic, one goroutine alone, and programs
// in processes of their own. The test itself says so, where it begins.
package race

import "testing"

// Skip skips t if the race detector is in this program. why says what leaves it nothing to find.
func Skip(t testing.TB, why string) {
	t.Helper()
	if Enabled {
		t.Skip("not under the race detector: " + why)
	}
}
