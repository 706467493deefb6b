package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"sunspool/vps/store"
)

// SiteStore is a store that keeps sites, and is closed by the test.
type SiteStore interface {
	store.Sites
	Close() error
}

// RunSites is the contract of store.Sites as a test. Open is as that of Run.
func RunSites(t *testing.T, open func(t *testing.T, dir string) SiteStore) {
	dir := t.TempDir()
	s := open(t, dir)
	t.Cleanup(func() { s.Close() })
	is := func(want ...store.Site) {
		t.Helper()
		if all, err := s.Sites(t.Context()); err != nil || !reflect.DeepEqual(all, want) {
			t.Fatalf("%+v, %v; want %+v", all, err, want)
		}
	}
	set := func(name string, devices ...string) store.Site {
		t.Helper()
		site := store.Site{Name: name, Devices: devices}
		if err := s.SetSite(t.Context(), site); err != nil {
			t.Fatal(err)
		}
		return site
	}
	is()
	if err := s.RemoveSite(t.Context(), "home"); !errors.Is(err, store.ErrNoSite) || !store.Refused(err) {
		t.Errorf("remove what is not there: %v", err)
	}
	mill, home, upper := set("mill", "a"), set("home", "roof"), set("Zoo", "a", "roof")
	is(upper, home, mill) // by their bytes
	home = set("home", "barn", "roof")
	is(upper, home, mill)
	if err := s.RemoveSite(t.Context(), "mill"); err != nil {
		t.Error(err)
	}
	is(upper, home)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSite(t.Context(), mill); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
	s = open(t, dir)
	is(upper, home)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range []error{s.SetSite(ended, mill), s.RemoveSite(ended, "home"), func() error { _, err := s.Sites(ended); return err }()} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("an ended context: %v", err)
		}
	}
}
