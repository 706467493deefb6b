package store

import (
	"testing"
	"time"
	_ "time/tzdata"
)

// Until 2011 Newfoundland changed its clocks a minute after midnight.
func TestHourEndsWhereTheClockIsChanged(t *testing.T) {
	zone, err := time.LoadLocation("America/St_Johns")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2010, 11, 7, 2, 30, 30, 0, time.UTC)
	for _, want := range []string{"02:30 02:31", "02:31 03:30", "03:30 04:30"} { // 00:00-00:01, 23:01-24:00, 00:00-01:00
		start, end := Hour.Period(at, zone)
		if got := start.UTC().Format("15:04 ") + end.UTC().Format("15:04"); got != want {
			t.Errorf("the hour of %v is %s, want %s", at, got, want)
		}
		at = end
	}
}
