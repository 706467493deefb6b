//go:build unix

package api

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// other is another server of the same stores, that has not been asked anything.
func (b *bench) other() http.Handler {
	s := &Server{Gate: request.Gate{Tokens: b.Tokens, Now: b.Now, Log: slog.New(slog.DiscardHandler)}, Devices: deviceinfo.Devices{Store: b.Store, Sites: b.Sites}}
	return s.Handler()
}

// What a server keeps of what it has computed is never old. Whatever reaches the store past it (samples of today and of any day
// before, the first of a device, others' greatest power, another zone, another site, pruning), it answers as one that has
// just been started does, byte for byte.
func TestWhatIsKeptIsNeverOld(t *testing.T) {
	onBothStores(t, func(t *testing.T, b *bench) {
		now := testNow
		b.Now = func() time.Time { return now }
		random := rand.New(rand.NewPCG(71, 72))
		const devices, days = 7, 5
		var tokens []string
		for n := range devices {
			tokens = append(tokens, fmt.Sprintf("fleet-token-%04d-0123456789:%s", n, fleetName(n)))
		}
		if err := b.Tokens.Replace(strings.Join(tokens, ","), viewerAll+":*"); err != nil {
			t.Fatal(err)
		}
		begin := testNow.Truncate(24*time.Hour).AddDate(0, 0, -days)
		put := func(n int, samples ...wire.Sample) {
			t.Helper()
			if _, err := b.Store.Insert(t.Context(), fleetName(n), samples); err != nil {
				t.Fatal(err)
			}
		}
		for n := range devices {
			for day := range days + 1 {
				samples := fleetDay(n, begin.AddDate(0, 0, day)).Samples
				if day == days { // until now, without some
					samples = samples[:len(samples)/3]
				}
				put(n, samples...)
			}
			if err := b.Store.Describe(t.Context(), fleetName(n), store.About{Zone: "Europe/Brussels"}); err != nil {
				t.Fatal(err)
			}
		}
		b.setSite("house", fleetName(0), fleetName(1), fleetName(2)) // one meter
		b.setSite("roofs", fleetName(1), fleetName(2), fleetName(4)) // none
		b.setSite("flats", fleetName(0), fleetName(3), fleetName(5), fleetName(6))
		from := "&from=" + begin.Format(time.DateOnly)
		questions := []string{"/v1/devices?today=1"}
		for _, site := range []string{"house", "roofs", "flats"} {
			for _, q := range []string{"/v1/energy?site=%s" + from, "/v1/energy?site=%s&tz=Asia/Kathmandu" + from, "/v1/energy?site=%s&resolution=month", "/v1/series?site=%s&resolution=1d" + from,
				"/v1/realtime?site=%s"} {
				questions = append(questions, fmt.Sprintf(q, site))
			}
		}
		calls := 0
		b.StoreAsked = func(op string, _ error, _ time.Duration) {
			if op == "periods" || op == "surrounded" {
				calls++
			}
		}
		same := func(what string) {
			t.Helper()
			fresh := b.other()
			for _, q := range questions {
				kept, is := do(b.api, "GET", q, viewerAll, nil), do(fresh, "GET", q, viewerAll, nil)
				if kept.Code != 200 || kept.Body.String() != is.Body.String() {
					t.Fatalf("%s, %s: %d\n%s\na server that has just been started:\n%s", what, q, kept.Code, kept.Body, is.Body)
				}
			}
		}
		same("at first")
		for q, most := range map[string]int{"/v1/devices?today=1": 0, "/v1/energy?site=house" + from: 9} { // of the site the running day, and when each slept
			if calls = 0; do(b.api, "GET", q, viewerAll, nil).Code != 200 || calls > most {
				t.Errorf("%s: rollups are read %d times although nothing has changed, want %d at most", q, calls, most)
			}
		}
		any := func() time.Time { // of the days before
			return begin.Add(time.Duration(random.Int64N(int64(days * 24 * time.Hour)))).Truncate(time.Millisecond)
		}
		one := func(at time.Time, watts float64) wire.Sample { return wire.Sample{Time: at, Count: 1, PVPowerW: watts} }
		changes := []struct {
			what string
			do   func(n int)
		}{
			{"a late sample", func(n int) { put(n, one(any(), 700)) }},
			{"a late sample of today", func(n int) { put(n, one(now.Add(-time.Duration(random.Int64N(int64(10*time.Hour)))), 800)) }},
			{"another late sample", func(n int) { put(n, one(any(), 1700)) }},
			{"a new sample", func(n int) { put(n, one(now, 900)) }},
			{"a late sample of all", func(int) {
				at := any()
				for n := range devices {
					put(n, one(at, 600))
				}
			}},
			{"a sample before the first one", func(n int) { put(n, one(begin.Add(-time.Duration(random.Int64N(int64(30*time.Hour)))), 0)) }},
			{"a sample long before the first one", func(n int) { put(n, one(begin.AddDate(0, -6, -random.IntN(100)), 50)) }},
			{"a greater power long before", func(n int) { put(n, one(begin.AddDate(0, -3, -random.IntN(100)), 9000+1000*random.Float64())) }},
			{"a site of others", func(n int) { b.setSite("roofs", fleetName(1), fleetName(2), fleetName(4+n%3)) }},
			{"another zone", func(n int) {
				about, err := b.Store.About(t.Context(), fleetName(n))
				if err != nil {
					t.Fatal(err)
				}
				zone := []string{"Europe/Brussels", "Asia/Kathmandu", "America/New_York"}[random.IntN(3)]
				if err := b.Store.Describe(t.Context(), fleetName(n), about.Rezoned(zone, any())); err != nil {
					t.Fatal(err)
				}
			}},
			{"pruning", func(int) {
				if _, err := b.Store.Prune(t.Context(), begin.Add(36*time.Hour)); err != nil {
					t.Fatal(err)
				}
			}},
			{"nothing", func(int) {}},
		}
		for _, i := range random.Perm(len(changes)) {
			now = now.Add(6 * time.Minute) // what is asked of an edge and of a meter is known for less
			changes[i].do(random.IntN(devices))
			same(changes[i].what)
		}
	}, func(s *Server) { s.Log = slog.New(slog.DiscardHandler) })
}
