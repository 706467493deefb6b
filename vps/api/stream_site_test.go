package api

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/internal/vpstest"
	"sunspool/vps/store"
	"sunspool/wire"
)

func decodeText[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// siteOnAir is onAir with a site of two inverters of a household, of which inv-1 has the battery and the meter.
func siteOnAir(t *testing.T, test func(t *testing.T, b *bench, follow func(token string) <-chan event)) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		b.setSite("home", "inv-1", "inv-2")
		test(t, b, func(token string) <-chan event { return vpstest.FollowQuery(t, l.Dial(), "site=home", token) })
	})
}

func (b *bench) setSite(name string, devices ...string) {
	b.t.Helper()
	if err := b.bolt.SetSite(b.t.Context(), store.Site{Name: name, Devices: devices}); err != nil {
		b.t.Fatal(err)
	}
}

// second sends a sample of the inverter of the site that has nothing but PV.
func (b *bench) second(pv float64) {
	b.t.Helper()
	body, _ := json.Marshal(wire.Batch{Samples: []wire.Sample{{DeviceID: "inv-2", Time: b.Now(), Count: 1, PVPowerW: pv}}})
	if w := b.post(token2, string(body)); w.Code != 200 {
		b.t.Fatal(w.Body)
	}
}

// What a stream sends of a site is what /v1/realtime answers then, with all that is new of its inverters in one event.
func TestStreamOfASiteIsItsRealtime(t *testing.T) {
	siteOnAir(t, func(t *testing.T, b *bench, follow func(string) <-chan event) {
		events := follow(viewerAll)
		synctest.Wait()
		if hello := <-events; hello.Name != "hello" || !strings.Contains(hello.Data, `"site":{"name":"home","devices":["inv-1","inv-2"],"time_zone":"UTC"},"backfill_s":0}`) {
			t.Errorf("%+v", hello)
		}
		if got := names(events); !slices.Equal(got, []string{"today"}) {
			t.Errorf("of a site without data came %q", got)
		}
		for range 3 {
			b.ingested(b.newSample())
			b.second(1000 * b.Now().Sub(testNow).Seconds())
			time.Sleep(siteSettles)
			synctest.Wait()
			got, want := of("site", events), b.get("/v1/realtime?site=home", viewerAll)
			if len(got) != 1 || got[0].ID != "" || got[0].Data != want.Body.String() {
				t.Errorf("%q, want %s", got, want.Body)
			}
			time.Sleep(siteEvery)
			synctest.Wait()
			names(events)
		}
	})
}

// However often its inverters are polled, and however many they are, a reader gets a sum every five seconds, and none when
// nothing but the time has changed.
func TestStreamOfASiteIsBounded(t *testing.T) {
	siteOnAir(t, func(t *testing.T, b *bench, follow func(string) <-chan event) {
		events := follow(viewerAll)
		for i := range 120 {
			b.ingested(b.newSample())
			b.second(float64(i))
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(siteEvery)
		synctest.Wait()
		got := of("site", events)
		if len(got) < 12 || len(got) > 14 || !strings.Contains(got[len(got)-1].Data, `"pv_power_w":4329.5`) {
			t.Errorf("%d events of a minute, the last %v", len(got), got[len(got)-1])
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		counts := map[string]int{}
		var states []string
		for len(events) > 0 {
			e := <-events
			counts[e.Name]++
			if e.Name == "site" {
				states = append(states, decodeText[siteRealtime](t, e.Data).State)
			}
		}
		if !slices.Equal(states, []string{"delayed", "stale", "offline"}) || counts[""] < 200 || counts["today"] > 4 {
			t.Errorf("in an hour of silence %v, states %q", counts, states)
		}
	})
}

// The energies of today are those of /v1/energy, when the stream begins and when there are newer samples.
func TestStreamOfASiteHasTheEnergiesOfToday(t *testing.T) {
	siteOnAir(t, func(t *testing.T, b *bench, follow func(string) <-chan event) {
		var events <-chan event
		for i := range 240 {
			if i == 60 {
				events = follow(viewerAll)
			}
			b.ingested(b.newSample())
			b.second(2000)
			time.Sleep(5 * time.Second)
		}
		synctest.Wait()
		got := of("today", events)
		if len(got) < 14 || len(got) > 16 {
			t.Fatalf("%d in 15 minutes", len(got))
		}
		last := decodeText[map[string]any](t, got[len(got)-1].Data)
		energies := decodeJSON[energyTest](t, b.get("/v1/energy?site=home&from=2026-06-21", viewerAll))
		for _, name := range []string{"pv_kwh", "load_kwh", "import_kwh", "export_kwh", "charge_kwh", "discharge_kwh"} {
			was, ok := last[name].(float64)
			if is := float64(energies.Totals[name]); !ok || was > is || was < 0.9*is {
				t.Errorf("%s is %v, was %v within the last minute", name, is, last[name])
			}
		}
	})
}

// What another process stored, or the operator changed, is found within a tick.
func TestStreamOfASiteFindsWhatNobodyTold(t *testing.T) {
	siteOnAir(t, func(t *testing.T, b *bench, follow func(string) <-chan event) {
		events := follow(viewerAll)
		synctest.Wait()
		names(events)
		next := func(want string) {
			t.Helper()
			time.Sleep(pingEvery + siteSettles)
			synctest.Wait()
			if got := of("site", events); len(got) == 0 || !strings.Contains(got[len(got)-1].Data, want) {
				t.Errorf("%q, want %s", got, want)
			}
		}
		b.put("inv-1", []wire.Sample{b.newSample()})
		next(`"devices":[{"id":"inv-1","ts":"2026-06-21T10:30:00Z"`)
		b.setSite("home", "inv-2")
		b.put("inv-2", []wire.Sample{b.newSample()})
		next(`"devices":[{"id":"inv-2",`)
		b.second(1234) // of which the stream hears at once, as of a member
		time.Sleep(siteEvery)
		synctest.Wait()
		if got := of("site", events); len(got) != 1 || !strings.Contains(got[0].Data, `"pv_power_w":1234`) {
			t.Errorf("of a new member came %q", got)
		}
	})
}

// A stream of a site ends with the token, and when the site is none any more of which the token may read all.
func TestStreamOfASiteEnds(t *testing.T) {
	for reason, end := range map[string]func(b *bench, token store.Token){
		"token_revoked": func(b *bench, token store.Token) {
			if _, err := b.Issuer.Revoke(b.t.Context(), token.ID); err != nil {
				b.t.Error(err)
			}
		},
		"site_gone": func(b *bench, _ store.Token) { b.setSite("home", "inv-1", "inv-3") },
		"site_gone, removed": func(b *bench, _ store.Token) {
			if err := b.bolt.RemoveSite(b.t.Context(), "home"); err != nil {
				b.t.Error(err)
			}
		},
	} {
		siteOnAir(t, func(t *testing.T, b *bench, follow func(string) <-chan event) {
			b.ingested(b.newSample())
			token, both := b.made(store.RoleViewer, time.Time{}, "inv-1", "inv-2")
			ended, kept := follow(both), follow(viewerAll)
			synctest.Wait()
			end(b, token)
			if reason != "token_revoked" { // that is at once
				time.Sleep(pingEvery)
			}
			synctest.Wait()
			want, _, removed := strings.Cut(reason, ",")
			if got := of("bye", ended); len(got) != 1 || got[0].Data != `{"reason":"`+want+`"}` {
				t.Errorf("%s: %q", reason, got)
			}
			if got := of("bye", kept); len(got) > 0 != removed {
				t.Errorf("%s: another reader got %q", reason, got)
			}
		})
	}
}
