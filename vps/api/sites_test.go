package api

import (
	"strings"
	"testing"
	"time"

	"sunspool/vps/store"
	"sunspool/wire"
)

// A site is shown to who may read every device of it: its name and its other devices are no business of the others.
func TestASiteIsShownToWhoMayReadAllOfIt(t *testing.T) {
	b := newVillage(t)
	for name, devices := range map[string][]string{"home": {"roof"}, "farm": {"barn", "roof"}, "mill": {"shed"}} {
		if err := b.bolt.SetSite(t.Context(), store.Site{Name: name, Devices: devices}); err != nil {
			t.Fatal(err)
		}
	}
	_, both := b.made(store.RoleViewer, time.Time{}, "roof", "barn")
	b.admin()
	for token, want := range map[string]string{
		viewer1: "home", token1: "home", token2: "", both: "farm home", viewerAll: "farm home mill", adminToken: "farm home mill",
	} {
		var names []string
		for _, s := range decodeJSON[SiteList](t, b.get(wire.SitesPath, token)).Sites {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%.8s sees %q, want %q", token, got, want)
		}
	}
}

// Only the operator, on the machine, sets sites.
func TestSitesAreSetOnTheMachine(t *testing.T) {
	b := newVillage(t)
	b.admin()
	for _, method := range []string{"PUT", "POST", "DELETE"} {
		for _, path := range []string{wire.SitesPath, wire.SitesPath + "/home"} {
			if w := do(b.api, method, path, adminToken, strings.NewReader(`{"devices":["roof"]}`)); w.Code != 404 && w.Code != 405 {
				t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
		}
	}
	machine := b.Machine()
	for _, c := range []struct {
		name, body string
		want       int
	}{
		{"home", `{"devices":["roof","barn","roof"]}`, 200}, {"home", `{"devices":["roof","barn"]}`, 200},
		{"ho%20me", `{"devices":["roof"]}`, 422}, {"home", `{"devices":["ro of"]}`, 422}, {"home", `{"devices":[]}`, 422}, {"home", `{}`, 422}, {"home", `[]`, 422},
		{"home", `{"devices":["` + strings.Repeat("x", 100_000) + `"]}`, 413},
	} {
		if w := do(machine, "PUT", wire.SitesPath+"/"+c.name, "", strings.NewReader(c.body)); w.Code != c.want {
			t.Errorf("%s %.60s: %d %s, want %d", c.name, c.body, w.Code, w.Body, c.want)
		}
	}
	if got := do(machine, "GET", wire.SitesPath, "", nil).Body.String(); got != `{"sites":[{"name":"home","devices":["barn","roof"]}]}` {
		t.Errorf("the sites are %s", got)
	}
	b.Sites = brokenSites{store.ErrSitesFull}
	if w := do(machine, "PUT", wire.SitesPath+"/home", "", strings.NewReader(`{"devices":["roof"]}`)); w.Code != 409 {
		t.Errorf("too many: %d %s", w.Code, w.Body)
	}
}
