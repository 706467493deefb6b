package report

import (
	"testing"
	"time"
)

func TestWearIsARatePerDay(t *testing.T) {
	var w wear
	if got := w.perDay(noon, 1000); got != 0 {
		t.Errorf("a rate of %d from one look", got)
	}
	for h := range 100 { // an hour of 1 MB, then hours of 2 MB
		w.perDay(noon.Add(time.Duration(h)*time.Hour), 1000+int64(h)*2e6)
	}
	if got := w.perDay(noon.Add(100*time.Hour), 1000+100*2e6); got != 48e6 {
		t.Errorf("2 MB an hour is %d a day", got)
	}
	if len(w.marks) > wearSpan+1 {
		t.Errorf("%d marks are kept", len(w.marks))
	}
}
