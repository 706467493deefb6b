package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 7, 14, 12, 0, 0, 0, time.UTC)

func TestZonesHoldFromATimeOn(t *testing.T) {
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	var a About
	for _, step := range []struct {
		zone string
		from time.Time
		want string
	}{
		{"A", day(9), "[] A"}, // the first one holds for everything
		{"B", time.Time{}, "[] B"},
		{"B", day(3), "[] B"},
		{"C", day(3), "[B 3] C"},
		{"D", day(4), "[B 3 C 4] D"},
		{"C", day(4), "[B 3] C"}, // D never held
		{"B", day(2), "[] B"},
	} {
		before := slices.Clone(a.Earlier)
		was := a
		a = a.Rezoned(step.zone, step.from)
		got := []any{}
		for _, past := range a.Earlier {
			got = append(got, past.Zone, int(past.Until.Sub(start).Hours()/24))
		}
		if s := fmt.Sprint(got, " ", a.Zone); s != step.want {
			t.Errorf("after %s from %v: %s, want %s", step.zone, step.from, s, step.want)
		}
		if !slices.Equal(before, was.Earlier) {
			t.Errorf("what others read was changed: %v", was.Earlier)
		}
	}
}

// TestZonesOfADeviceAreBounded: what is forgotten is a flicker, not the years before it.
func TestZonesOfADeviceAreBounded(t *testing.T) {
	a := About{Zone: "Europe/Brussels"}
	at := start
	for i := range 200 { // a container that loses its zone for an hour now and then, each time a little longer
		at = at.AddDate(0, 0, 1)
		a = a.Rezoned("UTC", at)
		a = a.Rezoned("Europe/Brussels", at.Add(time.Hour+time.Duration(i)*time.Minute))
	}
	n := len(a.Earlier)
	if n >= maxZones || n < maxZones/2 || a.Zone != "Europe/Brussels" || a.Earlier[0].Zone != "Europe/Brussels" || a.Earlier[0].Until.Before(start.AddDate(0, 0, 100)) {
		t.Errorf("%d zones, the first %+v, the last %+v", n, a.Earlier[0], a.Earlier[n-1])
	}
	for i, past := range a.Earlier {
		if want := []string{"Europe/Brussels", "UTC"}[i%2]; past.Zone != want || i > 0 && !past.Until.After(a.Earlier[i-1].Until) {
			t.Errorf("%d: %+v", i, past)
		}
	}
}

func TestDescriptionWithoutEarlierZonesIsRead(t *testing.T) {
	var a About
	if err := json.Unmarshal([]byte(`{"zone":"Europe/Brussels","seen":"2026-06-21T10:30:00Z"}`), &a); err != nil || a.Zone != "Europe/Brussels" || a.Earlier != nil {
		t.Errorf("%+v, %v", a, err)
	}
}
