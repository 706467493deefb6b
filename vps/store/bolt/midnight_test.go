package bolt

import (
	"path/filepath"
	"testing"
	"time"

	"sunspool/vps/store/storetest"
)

// The power of a first sample at midnight reaches into the day before, of which nothing is known: that day has no period.
func TestNothingBeginsBeforeTheDayOfTheFirstSample(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "vps.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all := storetest.Houses(storetest.Noon.AddDate(0, 0, -18), 30*time.Second, 18*400, 400)
	if first := all[0].Time; first.Sub(first.Truncate(24*time.Hour)) >= 30*time.Second {
		t.Fatalf("the first sample is of %v", first)
	}
	for i := range all {
		all[i].DeviceID = "roof"
	}
	if _, err := s.Insert(t.Context(), "roof", all); err != nil {
		t.Fatal(err)
	}
	storetest.ExactlyOnce(t, s, "roof", all)
}
