package api

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/vps/auth"
	"sunspool/vps/store"
)

// questions are what is asked at the routes that want a token, beside whom it is about.
var questions = map[string]struct {
	parameters string
	site       bool // may be in place of a device
	list       bool // of all that the token may read
}{
	"GET /v1/realtime": {site: true}, "GET /v1/series": {parameters: "resolution=1h", site: true}, "GET /v1/stream": {site: true},
	"GET /v1/energy": {site: true}, "GET /v1/export.csv": {parameters: "resolution=1h", site: true},
	"GET /v1/devices": {list: true}, "GET /v1/sites": {list: true},
	"GET /v1/capacity": {}, "GET /v1/capacity/month/{month}": {}, "GET /v1/continuity": {},
	"POST /v1/ingest": {}, "GET /v1/tokens": {}, "POST /v1/tokens": {}, "DELETE /v1/tokens/{id}": {}, "GET /v1/backup": {},
}

// holder is who has a token of the store or of the settings.
type holder struct {
	name    string
	role    string
	devices []string
	state   string // valid, or why it is not
	secret  string
	cookie  string
}

func (h *holder) mayRead(devices ...string) bool {
	return !slices.ContainsFunc(devices, func(id string) bool { return !slices.Contains(h.devices, id) && h.devices[0] != auth.AnyDevice })
}

// holders are tokens of each role with each set of devices, in the store and in the settings, valid, expired, revoked or
// removed, each with a session that began when it was valid.
func (b *bench) holders(now *time.Time) (all []holder) {
	sets := map[string][][]string{
		store.RoleDevice: {{"roof"}, {"barn", "roof"}}, store.RoleViewer: {{"barn"}, {"barn", "roof"}, {"barn", "roof", "shed"}, {auth.AnyDevice}},
		store.RoleAdmin: {{auth.AnyDevice}},
	}
	for role, some := range sets {
		for _, devices := range some {
			for _, state := range []string{"valid", "revoked", "expired"} {
				end := now.Add(map[string]time.Duration{"valid": time.Hour, "revoked": 2 * time.Hour, "expired": time.Second}[state])
				token, secret := b.made(role, end, devices...)
				h := holder{"of the store", role, devices, state, secret, b.cookie(secret)}
				if state == "revoked" {
					if _, err := b.Issuer.Revoke(b.t.Context(), token.ID); err != nil {
						b.t.Fatal(err)
					}
				}
				all = append(all, h)
			}
		}
	}
	var settings []holder
	for i, devices := range [][]string{{"roof"}, {"barn"}, {"barn", "roof"}, {auth.AnyDevice}} {
		for _, role := range []string{store.RoleDevice, store.RoleViewer} {
			if role == store.RoleDevice && i > 1 {
				continue
			}
			for _, state := range []string{"valid", "removed"} {
				settings = append(settings, holder{"of the settings", role, devices, state, fmt.Sprintf("canary-%s-%s-%d-0123456789", role, state, i), ""})
			}
		}
	}
	for _, keep := range []string{"removed", "valid"} {
		lines := map[string][]string{}
		for _, h := range settings {
			if keep == "removed" || h.state == "valid" {
				lines[h.role] = append(lines[h.role], h.secret+":"+strings.Join(h.devices, "+"))
			}
		}
		if err := b.Tokens.Replace(strings.Join(lines[store.RoleDevice], ","), strings.Join(lines[store.RoleViewer], ",")); err != nil {
			b.t.Fatal(err)
		}
		for i := range settings {
			if keep == "removed" {
				settings[i].cookie = b.cookie(settings[i].secret)
			}
		}
	}
	*now = now.Add(time.Second)
	return append(all, settings...)
}

// Every route of the API, asked about devices and about sites by the holders of every kind of token, by header and by session:
// what must be answered follows from the rules here. A site of which one device may not be read is answered as one that does
// not exist, no list has it, and no secret is in an answer or in the log.
func TestNobodyReachesAnotherSite(t *testing.T) {
	race.Skip(t, "one caller after the other")
	b := newVillage(t)
	now := testNow
	b.Now = func() time.Time { return now }
	sites := map[string][]string{"site-roof": {"roof"}, "site-barn": {"barn"}, "site-both": {"barn", "roof"}, "site-all": {"barn", "roof", "shed"}}
	for name, devices := range sites {
		b.setSite(name, devices...)
	}
	all := b.holders(&now)
	b.log.Reset()
	asked, byCode := 0, map[int]int{}
	for _, route := range routesOf(t, "../..") {
		if !strings.HasPrefix(route.Guard, "With") {
			continue
		}
		name := route.Method + " " + route.Path
		question, known := questions[name]
		if !known {
			t.Errorf("%s is not in the table of this test", name)
		}
		for i := range all {
			h := &all[i]
			for _, bySession := range []bool{false, true} {
				cred := credential{header: "Bearer " + h.secret}
				if bySession {
					cred = credential{cookie: h.cookie}
				}
				ask := func(query, body string, want int) *httptest.ResponseRecorder {
					t.Helper()
					asked++
					target := strings.TrimSuffix(route.Example()+"?"+strings.Trim(question.parameters+"&"+query, "&"), "?")
					w := b.matrixAsk(route.Method, target, cred, asked, body)
					if h.state != "valid" {
						want = 401
					}
					if w.Code != want {
						t.Errorf("%s?%s by a %s %s %s of %v, by session %v: %d %.200s, want %d", name, query, h.state, h.role, h.name, h.devices, bySession, w.Code, w.Body, want)
					}
					for _, id := range []string{"barn", "roof", "shed"} {
						if w.Code == 200 && strings.Contains(w.Body.String(), `"`+id+`"`) && !h.mayRead(id) {
							t.Errorf("%s?%s by a %s of %v has %s: %.300s", name, query, h.role, h.devices, id, w.Body)
						}
					}
					byCode[w.Code]++
					if text := fmt.Sprint(w.Header(), w.Body); strings.Contains(text, h.secret) || strings.Contains(text, h.cookie) && !strings.Contains(fmt.Sprint(w.Header()["Set-Cookie"]), h.cookie) {
						t.Errorf("%s?%s has the secret of who asks", name, query)
					}
					return w
				}
				status := func(ok bool) int { return map[bool]int{true: 200, false: 403}[ok] }
				switch {
				case route.Guard == "WithAdmin":
					body, want := "", status(h.role == store.RoleAdmin)
					if route.Method == "POST" {
						body = fmt.Sprintf(`{"role":"viewer","name":"new %d","devices":["roof"]}`, asked)
					}
					if route.Method == "DELETE" && want == 200 {
						want = 404 // the example is of no token
					}
					ask("", body, want)
				case route.Guard == "WithUpload":
					for _, id := range []string{"barn", "roof", "shed"} {
						want := status(h.role == store.RoleDevice && h.mayRead(id))
						if bySession {
							want = 401
						}
						f := with(fields(time.Duration(asked)*time.Second), "device_id", id)
						ask("", bodyOf(f), want)
					}
				case question.list:
					ask("", "", 200)
					if w := ask("site=site-both", "", 200); h.state == "valid" {
						for site, devices := range sites {
							if name == "GET /v1/sites" && strings.Contains(w.Body.String(), `"`+site+`"`) != h.mayRead(devices...) {
								t.Errorf("a %s of %v sees %s", h.role, h.devices, w.Body)
							}
						}
					}
				default:
					for _, id := range []string{"barn", "roof"} {
						ask("device_id="+id, "", status(h.mayRead(id)))
					}
					if !question.site {
						ask("site=site-both", "", 422)
						continue
					}
					none := ask("site=none", "", 403)
					for site, devices := range sites {
						w := ask("site="+site, "", status(h.mayRead(devices...)))
						if w.Code == 403 && w.Body.String() != none.Body.String() {
							t.Errorf("%s of %s: %s, of none: %s", name, site, w.Body, none.Body)
						}
					}
					ask("site=site-both&device_id=roof", "", 422)
				}
			}
		}
	}
	log := b.log.String()
	for i := range all {
		if strings.Contains(log, all[i].secret) || strings.Contains(log, all[i].cookie) {
			t.Errorf("a secret of a %s %s is in the log", all[i].role, all[i].name)
		}
	}
	t.Logf("%d requests by %d holders, by status: %v", asked, len(all), byCode)
	if asked < 3000 || !strings.Contains(log, `"msg":"request"`) {
		t.Error("that proves nothing")
	}
}
