package api

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"sunspool/vps/store"
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

// With the address of the page the answer has a link that logs in, and a code of it; of a device it has none, because nobody is to
// read the house with the token of an edge. Neither the log nor the list has the secret, and no cache may keep the answer.
func TestATokenWithALink(t *testing.T) {
	b := newBench(t)
	b.admin()
	create := func(body string) *httptest.ResponseRecorder {
		return do(b.api, "POST", wire.TokensPath, adminToken, strings.NewReader(body), "Content-Type", "application/json")
	}
	for _, role := range []string{store.RoleViewer, store.RoleAdmin, store.RoleDevice} {
		devices := `,"devices":["inv-1"]`
		if role == store.RoleAdmin {
			devices = ""
		}
		w := create(`{"role":"` + role + `","name":"` + role + `","page":"https://solar.example.org/house/"` + devices + `}`)
		made := decodeJSON[NewToken](t, w)
		if w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%d, %v", w.Code, w.Header())
		}
		if role == store.RoleDevice {
			if made.Login != nil {
				t.Errorf("of a device: %+v", made.Login)
			}
		} else if made.Login == nil || made.Login.Link != "https://solar.example.org/house/#t="+made.Secret || made.Login.QR.Size < 25 || !strings.HasPrefix(made.Login.QR.D, "M2 2h7v1H2z") {
			t.Errorf("of a %s: %+v", role, made.Login)
		}
		list := b.get(wire.TokensPath, adminToken).Body.String()
		if strings.Contains(list, made.Secret) || strings.Contains(b.log.String(), made.Secret) {
			t.Errorf("the secret of a %s is in the list or in the log", role)
		}
	}
	for _, page := range []string{"solar.example.org", "ftp://solar.example.org", "https://me:word@solar.example.org", "https://solar.example.org/?a=b", "https://solar.example.org/#x",
		"https://solar.example.org/" + strings.Repeat("x", 500), "javascript:alert(1)"} {
		if w := create(`{"role":"viewer","name":"x","devices":["*"],"page":"` + page + `"}`); w.Code != 422 || !strings.Contains(w.Body.String(), "address of a page") {
			t.Errorf("%s: %d %s", page, w.Code, w.Body)
		}
	}
	if w := b.get(wire.TokensPath, adminToken); strings.Contains(w.Body.String(), `"name":"x"`) {
		t.Error("what was refused was made")
	}
}

// The list marks the token that asks, by header and by session: who revokes it ends what they look at.
func TestTheListMarksTheCallersOwnToken(t *testing.T) {
	b := newBench(t)
	b.admin()
	b.made(store.RoleAdmin, testNow.AddDate(1, 0, 0))
	b.made(store.RoleViewer, testNow.AddDate(1, 0, 0), "inv-1")
	for _, cred := range []credential{{header: "Bearer " + adminToken}, {cookie: b.cookie(adminToken)}} {
		w := b.matrixAsk("GET", wire.TokensPath, cred, 1, "")
		var own []string
		for _, token := range decodeJSON[TokenList](t, w).Tokens {
			if token.Own {
				own = append(own, token.Name)
			}
		}
		if !slices.Equal(own, []string{"Admin"}) {
			t.Errorf("its own are %v: %s", own, w.Body)
		}
	}
}
