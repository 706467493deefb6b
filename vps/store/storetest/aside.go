package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"sunspool/vps/store"
)

func asides(from, to int) (all []store.Aside) {
	for i := from; i < to; i++ {
		all = append(all, store.Aside{Received: Noon.Add(time.Duration(i) * time.Second), Code: "ts_too_old", JSON: fmt.Appendf(nil, `{"ts":"1970-01-01T00:00:00Z","n":%d}`, i)})
	}
	return all
}

// listed returns all that is set aside, read in pages of 300.
func listed(t *testing.T, s store.Samples, device string) (all []store.Aside) {
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

func setAsideOnce(t *testing.T, s store.Samples) {
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

func setAsideIsNoSample(t *testing.T, s store.Samples) {
	if _, err := s.SetAside(t.Context(), "a", asides(0, 5)); err != nil {
		t.Fatal(err)
	}
	unknownDeviceHasNothing(t, s) // of the name "a"
	if _, err := s.Latest(t.Context(), "a"); !errors.Is(err, store.ErrNone) {
		t.Errorf("latest: %v", err)
	}
	Insert(t, s, "a", 1, At(Noon, 1))
	if n := len(Series(t, s, store.Query{Device: "a", Resolution: store.Hour})); n != 1 {
		t.Errorf("%d buckets of one sample", n)
	}
}

func asideIsDeletedUpToANumber(t *testing.T, s store.Samples) {
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

func asideIsBounded(t *testing.T, s store.Samples) {
	for i := 0; i < store.MaxAside; i += 1000 {
		if _, err := s.SetAside(t.Context(), "a", asides(i, i+1000)); err != nil {
			t.Fatal(err)
		}
	}
	added, err := s.SetAside(t.Context(), "a", asides(store.MaxAside-1, store.MaxAside+1))
	if !errors.Is(err, store.ErrAsideFull) || !store.Refused(err) || errors.Is(err, store.ErrUnavailable) || len(added) != 0 {
		t.Errorf("one too many: %d, %v", len(added), err)
	}
	if _, err := s.SetAside(t.Context(), "a", asides(100, 200)); err != nil {
		t.Errorf("what is there: %v", err)
	}
	if n := len(listed(t, s, "a")); n != store.MaxAside {
		t.Errorf("%d are set aside", n)
	}
	Insert(t, s, "a", 1, At(Noon, 1))
	if _, err := s.DeleteAside(t.Context(), "a", 1); err != nil {
		t.Fatal(err)
	}
	if added, err := s.SetAside(t.Context(), "a", asides(store.MaxAside, store.MaxAside+1)); err != nil || len(added) != 1 {
		t.Errorf("after one was deleted: %d, %v", len(added), err)
	}
}
