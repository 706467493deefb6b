package edge

import (
	"testing"
	"time"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/reading"
)

// A restart in the middle of a day knows with what counter it began.
func TestYieldOfTheDaySurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	midnight := time.Date(2026, 6, 22, 0, 0, 0, 0, time.UTC)
	poll := func(n *reading.Normalizer, at time.Time, yield uint16) any {
		// an inverter whose clock is far off: its own register is of another day
		r := invertertest.ReadingOf(t, invertertest.HybridImage, map[uint16]uint16{13001: 55, 13002: 27662 + yield})
		r.Serial, r.At = "A2212345678", at
		n.Zone = time.UTC
		s, _, err := n.Normalize(r, at, true)
		if err != nil {
			t.Fatal(err)
		}
		if s.PVDailyKWh == nil {
			return nil
		}
		return *s.PVDailyKWh
	}
	e := edgeAt(t, dir, "")
	poll(&e.normal, midnight.Add(-time.Minute), 0)
	if got := poll(&e.normal, midnight.Add(time.Minute), 0); got != 0.0 {
		t.Errorf("after midnight: %v", got)
	}
	e.Spool.Close()
	e = edgeAt(t, dir, "")
	defer e.Spool.Close()
	if got := poll(&e.normal, midnight.Add(12*time.Hour), 123); got != 12.3 {
		t.Errorf("after a restart: %v, want 12.3", got)
	}
	if got := poll(new(reading.Normalizer), midnight.Add(12*time.Hour), 123); got != 5.5 {
		t.Errorf("without it: %v", got)
	}
}
