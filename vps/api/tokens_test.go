package api

import (
	"encoding/json"
	"slices"
	"testing"

	"sunspool/wire"
)

// A viewer of several devices reads each of them, and nothing else.
func TestAViewerMayReadSeveralDevices(t *testing.T) {
	b := newVillage(t)
	if err := b.Tokens.Replace(token1+":roof,"+token2+":barn,"+token1b+":shed", viewer1+":shed + roof+roof"); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{
		wire.RealtimePath + "?device_id=roof": 200, wire.SeriesPath + "?device_id=roof&frame=day": 200, wire.ExportPath + "?device_id=roof": 200,
		wire.EnergyPath + "?device_id=shed": 200, wire.DevicesPath + "?device_id=shed": 200,
		wire.RealtimePath + "?device_id=barn": 403, wire.DevicesPath + "?device_id=barn": 403, wire.SeriesPath + "?device_id=*&frame=day": 403,
		wire.RealtimePath + "?device_id=roof%2Bshed": 403, wire.RealtimePath + "?device_id=": 403, wire.ExportPath + "?device_id=roof+shed": 403,
	} {
		if w := b.get(target, viewer1); w.Code != want {
			t.Errorf("%s: %d %.200s, want %d", target, w.Code, w.Body, want)
		}
	}
	if w := b.post(viewer1, roofs("")); w.Code != 403 {
		t.Errorf("it writes: %d", w.Code)
	}
	names := func(query string) (ids []string, after *string) {
		answer := decodeJSON[devicesAnswer](t, b.get(wire.DevicesPath+query, viewer1))
		for _, d := range answer.Devices {
			ids = append(ids, d.ID)
		}
		return ids, answer.After
	}
	if all, after := names(""); !slices.Equal(all, []string{"roof", "shed"}) || after != nil {
		t.Errorf("it sees %v, %v", all, after)
	}
	if page, after := names("?limit=1"); !slices.Equal(page, []string{"roof"}) || after == nil {
		t.Errorf("its first page is %v, %v", page, after)
	}
	if page, after := names("?limit=1&after=roof"); !slices.Equal(page, []string{"shed"}) || after != nil {
		t.Errorf("its second page is %v, %v", page, after)
	}
}

// A device is described alike to a viewer of several and to one of all.
func TestDevicesAreDescribedAlikeToEveryViewer(t *testing.T) {
	b := newVillage(t)
	if err := b.Tokens.Replace(token1+":roof,"+token2+":barn", viewer1+":roof+barn,"+viewerAll+":*"); err != nil {
		t.Fatal(err)
	}
	lines := func(token string) (all []json.RawMessage) {
		return decodeJSON[struct {
			Devices []json.RawMessage `json:"devices"`
		}](t, b.get(wire.DevicesPath, token)).Devices
	}
	every, named := lines(viewerAll), lines(viewer1)
	if len(named) != 2 {
		t.Fatalf("%d devices", len(named))
	}
	for i := range named {
		if string(named[i]) != string(every[i]) {
			t.Errorf("named it is\n%s, as one of all\n%s", named[i], every[i])
		}
	}
}
