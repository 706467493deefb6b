package database

import (
	"fmt"
	"strings"
	"testing"
)

// The number of a migration is its place in the list, so the names must count.
func TestMigrationsAreNumberedInTheirOrder(t *testing.T) {
	all, err := migrations()
	if err != nil || len(all) < 4 {
		t.Fatalf("%d migrations: %v", len(all), err)
	}
	for i, m := range all {
		if !strings.HasPrefix(m.name, fmt.Sprintf("%03d_", i+1)) || strings.TrimSpace(m.sql) == "" {
			t.Errorf("the migration %d is %s", i+1, m.name)
		}
		for _, forbidden := range []string{"{{", "----"} { // what releases with tern would have read as their own
			if strings.Contains(m.sql, forbidden) {
				t.Errorf("%s has %s", m.name, forbidden)
			}
		}
	}
}
