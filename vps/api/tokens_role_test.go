package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/store"
	"sunspool/wire"
)

// made creates a token, and returns it with its secret.
func (b *bench) made(role string, expires time.Time, devices ...string) (store.Token, string) {
	b.t.Helper()
	t, secret, err := b.Issuer.Create(b.t.Context(), auth.Wish{Role: role, Name: fmt.Sprint(role, devices, expires), Devices: devices, Expires: expires})
	if err != nil {
		b.t.Fatal(err)
	}
	return t, secret
}

// Each role with each set of devices, alive, revoked and expired, by header and by session, at every endpoint: what must be
// answered follows from the rules here.
func TestTokensByRole(t *testing.T) {
	b := newVillage(t)
	now := testNow
	b.Now = func() time.Time { return now }
	type holder struct {
		role, state, secret, cookie string
		devices                     []string
	}
	var holders []holder
	for role, sets := range map[string][][]string{
		store.RoleDevice: {{"roof"}, {"roof", "barn"}},
		store.RoleViewer: {{"roof"}, {"roof", "barn"}, {auth.AnyDevice}},
		store.RoleAdmin:  {{auth.AnyDevice}},
	} {
		for _, devices := range sets {
			for _, state := range []string{"valid", "revoked", "expired"} {
				end := now.Add(time.Hour)
				switch state {
				case "revoked":
					end = end.Add(time.Hour)
				case "expired":
					end = now.Add(time.Second)
				}
				token, secret := b.made(role, end, devices...)
				h := holder{role, state, secret, b.cookie(secret), devices}
				if state == "revoked" {
					if _, err := b.Issuer.Revoke(t.Context(), token.ID); err != nil {
						t.Fatal(err)
					}
				}
				holders = append(holders, h)
			}
		}
	}
	now = now.Add(time.Second)

	reads := []string{wire.RealtimePath + "?", wire.SeriesPath + "?frame=day&", wire.EnergyPath + "?", wire.DevicesPath + "?", wire.PeaksPath + "?",
		wire.CapacityPath + "2026-06?", wire.ContinuityPath + "?", wire.ExportPath + "?"}
	asked := 0
	for _, h := range holders {
		for _, byCookie := range []bool{false, true} {
			ask := func(method, target, body string) *httptest.ResponseRecorder {
				asked++
				cred := credential{header: "Bearer " + h.secret}
				if byCookie {
					cred = credential{cookie: h.cookie}
				}
				return b.matrixAsk(method, target, cred, asked, body)
			}
			check := func(what string, w *httptest.ResponseRecorder, want int) {
				t.Helper()
				if h.state != "valid" {
					want = 401
				}
				if w.Code != want {
					t.Errorf("%s %s of %v, by session %v, %s: %d %.200s, want %d", h.state, h.role, h.devices, byCookie, what, w.Code, w.Body, want)
				}
			}
			for _, device := range []string{"roof", "barn"} {
				mine := slices.Contains(h.devices, device) || h.devices[0] == auth.AnyDevice
				for _, path := range reads {
					check(path+device, ask("GET", path+"device_id="+device, ""), map[bool]int{true: 200, false: 403}[mine])
				}
				want := 403
				switch {
				case byCookie:
					want = 401
				case h.role == store.RoleDevice && mine:
					want = 200
				}
				check("ingest "+device, ask("POST", wire.IngestPath, strings.Replace(roofs(""), `"roof"`, `"`+device+`"`, 1)), want)
			}
			admin := map[bool]int{true: 200, false: 403}[h.role == store.RoleAdmin]
			check("list", ask("GET", wire.TokensPath, ""), admin)
			check("backup", ask("GET", wire.LastBackupPath, ""), admin)
			spare, _ := b.made(store.RoleViewer, now.Add(time.Hour+time.Duration(asked)*time.Second), "roof")
			check("create", ask("POST", wire.TokensPath, fmt.Sprintf(`{"role":"viewer","name":"%d","devices":["roof"]}`, asked)), admin)
			check("revoke", ask("DELETE", wire.TokensPath+"/"+spare.ID, ""), admin)
		}
	}
	for _, h := range holders {
		if strings.Contains(b.log.String(), h.secret) || strings.Contains(b.log.String(), h.cookie) {
			t.Errorf("a secret of a %s is in the log", h.role)
		}
	}
}

// A token for several devices sends batches of one of them each. A batch of two is refused, as one of a device that is not
// its own; an empty one is of none, and nothing is kept of it.
func TestADeviceTokenForSeveralDevices(t *testing.T) {
	b := newBench(t)
	_, secret := b.made(store.RoleDevice, time.Time{}, "inv-7", "inv-8")
	of := func(devices ...string) string {
		var all []map[string]any
		for i, device := range devices {
			all = append(all, with(fields(time.Duration(i)*time.Minute), "device_id", device))
		}
		return bodyOf(all...)
	}
	for _, c := range []struct {
		devices []string
		want    int
	}{
		{[]string{"inv-7", "inv-7"}, 200}, {[]string{"inv-8"}, 200}, {[]string{"inv-7", "inv-8"}, 403}, {[]string{"inv-8", "inv-7"}, 403},
		{[]string{"inv-1", "inv-7"}, 403}, {[]string{"inv-7", "inv-1"}, 403}, {[]string{"inv-1"}, 403}, {[]string{"inv-7+inv-8"}, 422}, {[]string{""}, 422}, {nil, 200},
	} {
		for _, prefer := range []string{"", wire.Lenient} {
			want := c.want
			if want == 422 && prefer != "" {
				want = 200 // with a verdict
			}
			if w := b.post(secret, of(c.devices...), "Prefer", prefer); w.Code != want {
				t.Errorf("%q, %q: %d %s, want %d", c.devices, prefer, w.Code, w.Body, want)
			}
		}
	}
	if w := b.post(secret, `{"samples":[],"tz":"Asia/Kathmandu","edge":{"model":"X"}}`); w.Code != 200 {
		t.Errorf("an empty batch: %d %s", w.Code, w.Body)
	}
	if strings.Contains(b.log.String(), "not stored") {
		t.Errorf("something was kept of no device: %s", b.log)
	}
	for device, want := range map[string]int{"inv-7": 2, "inv-8": 1, "inv-1": 0} {
		if n := b.stored(device); n != want {
			t.Errorf("%s has %d samples, want %d", device, n, want)
		}
	}
	all, err := b.bolt.Devices(t.Context())
	if err != nil || slices.ContainsFunc(all, func(d store.Device) bool { return !wire.ValidDeviceID(d.ID) || d.Zone != "" }) {
		t.Errorf("%+v, %v", all, err)
	}
}

// An admin's session may create and revoke, which no page of another origin can make its browser do.
func TestAPageOfAnotherOriginCreatesNoToken(t *testing.T) {
	b := newBench(t)
	b.admin()
	cookie := b.cookie(adminToken)
	ask := func(method, target, site string) int {
		w := do(b.api, method, target, "", strings.NewReader(`{"role":"admin","name":"Other"}`), "Cookie", "sunspool_session="+cookie, "Sec-Fetch-Site", site)
		return w.Code
	}
	for _, site := range []string{"cross-site", "same-site"} {
		if post, remove := ask("POST", wire.TokensPath, site), ask("DELETE", wire.TokensPath+"/x", site); post != 403 || remove != 403 {
			t.Errorf("%s: %d, %d", site, post, remove)
		}
	}
	if post := ask("POST", wire.TokensPath, "same-origin"); post != 200 {
		t.Errorf("the own page: %d", post)
	}
}

// The answer to the one who asks has the secret, once.
func TestTheSecretOfANewTokenIsShownOnce(t *testing.T) {
	b := newBench(t)
	b.admin()
	w := do(b.api, "POST", wire.TokensPath, adminToken, strings.NewReader(`{"role":"viewer","name":"Family","devices":["inv-1"],"expires":"2027-01-01T00:00:00+01:00"}`))
	var made NewToken
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	if w := b.get(wire.DevicesPath, made.Secret); w.Code != 200 {
		t.Errorf("it is answered %d", w.Code)
	}
	if made.Token.Expires == nil || !made.Token.Expires.Equal(time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("it expires %v", made.Token.Expires)
	}
	list := b.get(wire.TokensPath, adminToken).Body.String()
	if !strings.Contains(list, made.Token.ID) || strings.Contains(list+b.log.String(), made.Secret) || strings.Contains(list+b.log.String(), adminToken) {
		t.Errorf("the list or the log has a secret: %s", list)
	}
	for range 2 {
		if w := do(b.api, "DELETE", wire.TokensPath+"/"+made.Token.ID, adminToken, nil); w.Code != 200 || !strings.Contains(w.Body.String(), `"revoked":"`) {
			t.Errorf("revoked: %d %s", w.Code, w.Body)
		}
	}
	if w := b.get(wire.DevicesPath, made.Secret); w.Code != 401 {
		t.Errorf("revoked, it is answered %d", w.Code)
	}
}

// Before the tokens of the store were read, an edge that has one is asked to come again, and not told that its token is wrong.
func TestNoTokenIsWrongBeforeTheStoreWasRead(t *testing.T) {
	b := newBench(t)
	_, secret := b.made(store.RoleDevice, time.Time{}, "inv-1")
	if err := b.Tokens.Replace("store", ""); err != nil {
		t.Fatal(err)
	}
	b.Tokens.ExpectStored()
	for range 2 * auth.MaxFailures {
		if w := b.get(wire.DevicesPath, tokenWrong); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if w := b.login(tokenWrong); w.Code != 503 {
		t.Errorf("a login: %d", w.Code)
	}
	if err := b.Issuer.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w := b.get(wire.DevicesPath, secret); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := b.get(wire.DevicesPath, tokenWrong); w.Code != 401 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestRevokedTokenOfTheStoreEndsItsStreams(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		token, secret := b.made(store.RoleViewer, time.Time{}, "inv-1")
		_, passing := b.made(store.RoleViewer, b.Now().Add(time.Minute), "inv-1")
		revoked, expired, kept := follow(t, l.Dial(), "inv-1", secret), follow(t, l.Dial(), "inv-1", passing), follow(t, l.Dial(), "inv-1", token1)
		synctest.Wait()
		if _, err := b.Issuer.Revoke(t.Context(), token.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // no time passes
		ended := func(what string, events <-chan event) {
			if got := of("bye", events); len(got) != 1 || got[0].Data != `{"reason":"token_revoked"}` {
				t.Errorf("%s: %q", what, got)
			}
		}
		ended("revoked", revoked)
		time.Sleep(time.Minute + pingEvery)
		synctest.Wait()
		ended("expired", expired)
		if got := of("bye", kept); len(got) != 0 {
			t.Errorf("the other got %v", got)
		}
	})
}

// What a request asks for is done when its body is there: not for a token that was revoked while that came, slowly.
func TestATokenThatIsRevokedDuringItsRequestDoesNothing(t *testing.T) {
	for role, ask := range map[string]struct{ path, body string }{
		store.RoleDevice: {wire.IngestPath, `{"samples":[{"device_id":"inv-1","ts":"2026-06-21T10:00:00Z","pv_power_w":1,"battery_power_w":null,"battery_soc_pct":null,"load_power_w":null,"export_power_w":null}]}`},
		store.RoleAdmin:  {wire.TokensPath, `{"role":"admin","name":"Heir"}`},
	} {
		b := newBench(t)
		devices := []string{"inv-1"}
		if role == store.RoleAdmin {
			devices = nil
		}
		token, secret := b.made(role, time.Time{}, devices...)
		half := len(ask.body) / 2
		slow := io.MultiReader(strings.NewReader(ask.body[:half]), whileRead(func() {
			if _, err := b.Issuer.Revoke(t.Context(), token.ID); err != nil {
				t.Error(err)
			}
		}), strings.NewReader(ask.body[half:]))
		if w := do(b.api, "POST", ask.path, secret, slow, "Content-Type", "application/json"); w.Code != 401 || !strings.Contains(w.Body.String(), "bad_token") {
			t.Errorf("%s: %d %s", role, w.Code, w.Body)
		}
		if n := b.stored("inv-1"); n != 0 {
			t.Errorf("%d samples of it are stored", n)
		}
		if all, err := b.Issuer.List(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("there are %d tokens, %v", len(all), err)
		}
	}
}

// whileRead is a part of a body that does something when it is read, and has no bytes.
type whileRead func()

func (f whileRead) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}
