package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func asides(from, to int) (all []Aside) {
	for i := from; i < to; i++ {
		all = append(all, Aside{Received: noon.Add(time.Duration(i) * time.Second), Code: "ts_too_old", JSON: fmt.Appendf(nil, `{"ts":"1970-01-01T00:00:00Z","n":%d}`, i)})
	}
	return all
}

// listed returns all that is set aside, read in pages of 300.
func listed(t *testing.T, s Samples, device string) (all []Aside) {
	t.Helper()
	for after := int64(0); ; {
		page, err := s.Aside(t.Context(), device, after, 300)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
		after = page[len(page)-1].Number
	}
}

func setAsideOnce(t *testing.T, s Samples) {
	sent := asides(0, 3)
	sent[2].Code = "ts_in_future"
	for i, want := range []int{3, 0, 1} {
		batch := sent
		if i == 2 {
			batch = append(slices.Clone(sent), asides(3, 4)...)
			batch = append(batch, batch[3])
		}
		if added, err := s.SetAside(t.Context(), "a", batch); err != nil || len(added) != want {
			t.Fatalf("time %d: %d are new, %v; want %d", i, len(added), err, want)
		}
	}
	all := listed(t, s, "a")
	for i, want := range append(sent, asides(3, 4)...) {
		if got := all[i]; got.Number != int64(i+1) || got.Code != want.Code || string(got.JSON) != string(want.JSON) || !got.Received.Equal(want.Received) {
			t.Errorf("%d is %+v, want %+v", i, got, want)
		}
	}
	if len(all) != 4 || len(listed(t, s, "b")) != 0 {
		t.Errorf("%d are set aside, and of another device %d", len(all), len(listed(t, s, "b")))
	}
}

func setAsideIsNoSample(t *testing.T, s Samples) {
	if _, err := s.SetAside(t.Context(), "a", asides(0, 5)); err != nil {
		t.Fatal(err)
	}
	unknownDeviceHasNothing(t, s) // of the name "a"
	if _, err := s.Latest(t.Context(), "a"); !errors.Is(err, ErrNone) {
		t.Errorf("latest: %v", err)
	}
	insert(t, s, "a", 1, at(noon, 1))
	if n := len(series(t, s, Query{Device: "a", Resolution: Hour})); n != 1 {
		t.Errorf("%d buckets of one sample", n)
	}
}

func asideIsDeletedUpToANumber(t *testing.T, s Samples) {
	remove := func(device string, to, want int64) {
		t.Helper()
		if n, err := s.DeleteAside(t.Context(), device, to); err != nil || n != want {
			t.Fatalf("%d deleted, %v; want %d", n, err, want)
		}
	}
	remove("a", 100, 0)
	s.SetAside(t.Context(), "a", asides(0, 700))
	s.SetAside(t.Context(), "b", asides(0, 2))
	remove("a", 650, 650)
	if all := listed(t, s, "a"); len(all) != 50 || all[0].Number != 651 {
		t.Errorf("%d are left, from %d on", len(all), all[0].Number)
	}
	remove("a", 1<<62, 50)
	if added, err := s.SetAside(t.Context(), "a", asides(699, 701)); err != nil || len(added) != 2 || added[0].Number != 701 {
		t.Errorf("what was deleted and came again: %+v, %v", added, err)
	}
	if n := len(listed(t, s, "b")); n != 2 {
		t.Errorf("%d of the other device", n)
	}
}

func asideIsBounded(t *testing.T, s Samples) {
	for i := 0; i < MaxAside; i += 1000 {
		if _, err := s.SetAside(t.Context(), "a", asides(i, i+1000)); err != nil {
			t.Fatal(err)
		}
	}
	added, err := s.SetAside(t.Context(), "a", asides(MaxAside-1, MaxAside+1))
	if !errors.Is(err, ErrAsideFull) || !Refused(err) || errors.Is(err, ErrUnavailable) || len(added) != 0 {
		t.Errorf("one too many: %d, %v", len(added), err)
	}
	if _, err := s.SetAside(t.Context(), "a", asides(100, 200)); err != nil {
		t.Errorf("what is there: %v", err)
	}
	if n := len(listed(t, s, "a")); n != MaxAside {
		t.Errorf("%d are set aside", n)
	}
	insert(t, s, "a", 1, at(noon, 1))
	if _, err := s.DeleteAside(t.Context(), "a", 1); err != nil {
		t.Fatal(err)
	}
	if added, err := s.SetAside(t.Context(), "a", asides(MaxAside, MaxAside+1)); err != nil || len(added) != 1 {
		t.Errorf("after one was deleted: %d, %v", len(added), err)
	}
}
