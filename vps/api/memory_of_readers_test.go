package api

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// kept returns how much the server remembers by device, by zone or by address.
func (b *bench) kept() (n int) {
	known := reflect.ValueOf(&b.Devices).Elem()
	for _, name := range []string{"infos", "sleeping"} {
		n += known.FieldByName(name).FieldByName("of").Len()
	}
	n += int(known.FieldByName("zones").FieldByName("count").FieldByName("v").Int())
	b.newest.of.Range(func(any, any) bool { n++; return true })
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
