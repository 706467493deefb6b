package vps

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// kept returns how much the server remembers by device, by zone or by address.
func (b *bench) kept() (n int) {
	b.notes.mu.Lock()
	n += len(b.notes.of)
	b.notes.mu.Unlock()
	b.judged.mu.Lock()
	n += len(b.judged.of)
	b.judged.mu.Unlock()
	count := func(any, any) bool { n++; return true }
	b.newest.of.Range(count)
	b.zones.loaded.Range(count)
	return n
}

// A viewer of every device may ask for any name: of one of no device nothing stays.
func TestNamesOfNoDeviceAreNotRemembered(t *testing.T) {
	b := newBench(t)
	b.ingested(sample(0))
	paths := []string{"/v1/realtime?", "/v1/series?frame=day&", "/v1/series?resolution=raw&", "/v1/series?from=2026-06-20&", "/v1/energy?", "/v1/devices?",
		"/v1/capacity/month/2026-06?", "/v1/continuity?", "/v1/export.csv?"}
	ask := func(device string) {
		for _, path := range paths {
			if w := b.get(path+"device_id="+device, viewerAll); w.Code != 200 && w.Code != 404 {
				t.Errorf("%s of %s: %d %s", path, device, w.Code, w.Body)
			}
		}
	}
	ask("inv-1")
	before := b.kept()
	for i := range 20 {
		ask(fmt.Sprint("no-device-", i))
	}
	if after := b.kept(); after != before {
		t.Errorf("%d things are remembered, %d before", after, before)
	}
	ask("inv-2") // has a token, but never sent anything
	if after := b.kept(); after > before+1 {
		t.Errorf("of one device %d things are remembered", after-before)
	}
}

// What cannot be a device is refused before the store is asked.
func TestWhatCannotBeADeviceIsNotAskedFor(t *testing.T) {
	b := newBench(t, func(s *Server) { s.Store = brokenStore{err: errDisk} })
	for _, path := range []string{"/v1/realtime?", "/v1/stream?", "/v1/series?frame=day&", "/v1/series?resolution=raw&", "/v1/energy?", "/v1/devices?",
		"/v1/capacity/month/2026-06?", "/v1/continuity?", "/v1/export.csv?"} {
		for _, device := range []string{"\x00", "inv-1\x00", strings.Repeat("x", 65), strings.Repeat("x", 7000), "*", "a b", "ä", "\xff", "../x", "a'b", "a\nb"} {
			w := b.get(path+"device_id="+url.QueryEscape(device), viewerAll)
			if w.Code != 422 || !strings.Contains(w.Body.String(), "device_id") {
				t.Errorf("%s of %.20q: %d %s", path, device, w.Code, w.Body)
			}
			if w := b.get(path+"device_id="+url.QueryEscape(device), token1); w.Code != 403 {
				t.Errorf("%s of %.20q with the token of another: %d %s", path, device, w.Code, w.Body)
			}
		}
	}
}

// One zone can be written in many ways where zones are files.
func TestZonesAreRememberedByTheirName(t *testing.T) {
	var z zones
	for _, name := range []string{"Europe//Brussels", "Europe/./Brussels", "./Europe/Brussels", "Europe/Brussels/", "Europe/../Europe/Brussels", "/usr/share/zoneinfo/UTC"} {
		if zone, err := z.load(name); err == nil {
			t.Errorf("%q is %v", name, zone)
		}
	}
	if _, err := z.load("Europe/Brussels"); err != nil {
		t.Error(err)
	}
	z.count.Store(maxZones)
	if _, err := z.load("Europe/Amsterdam"); err != nil {
		t.Error(err)
	}
	if _, kept := z.loaded.Load("Europe/Amsterdam"); kept {
		t.Error("more are kept than there may be")
	}
}

// From however many networks wrong tokens come, few are remembered, and a full memory is not searched at each.
func TestFailuresOfManyNetworksAreBounded(t *testing.T) {
	var f failures
	for i := range 3 * maxAddresses {
		f.add(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff), testNow.Add(time.Duration(i)*time.Millisecond))
	}
	if n := len(f.of); n > maxAddresses+1 {
		t.Errorf("%d are remembered", n)
	}
	if wait := f.add("2001:db8:7::1", testNow.Add(20*time.Second)); wait == 0 {
		t.Error("one more network is not counted with the others")
	}
	if wait := f.add("2001:db8:7::1", testNow.Add(5*time.Minute)); wait != 0 || len(f.of) > 2 {
		t.Errorf("after the window: %v, %d are remembered", wait, len(f.of))
	}
}
