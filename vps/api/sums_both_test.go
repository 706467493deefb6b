//go:build unix

package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"sunspool/internal/race"
	"sunspool/internal/testservices"
	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/history"
	"sunspool/vps/request"
	"sunspool/vps/store/postgres"
	"sunspool/wire"
)

// onPostgres is a server at the time of b with all that b has, in PostgreSQL: what is oldest of a device comes there last.
func (b *bench) onPostgres() http.Handler {
	b.t.Helper()
	ctx := b.t.Context()
	p, err := postgres.Open(postgres.Options{URL: testservices.SharedPostgres(b.t).NewDatabase(b.t), Writers: 2, Readers: 2, CallTime: testservices.Patience})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { p.Close() })
	testservices.Await(b.t, "the database is ready", func() bool { return p.Check(ctx) == nil })
	devices, err := b.bolt.Devices(ctx)
	must := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	must(err)
	for _, d := range devices {
		var samples []wire.Sample
		must(b.bolt.Each(ctx, d.ID, d.First, b.Now().AddDate(1, 0, 0), func(s wire.Sample) bool { samples = append(samples, s); return true }))
		slices.Reverse(samples)
		for batch := range slices.Chunk(samples, 1000) {
			_, err := p.Insert(ctx, d.ID, batch)
			must(err)
		}
		must(p.Describe(ctx, d.ID, d.About))
	}
	sites, err := b.bolt.Sites(ctx)
	must(err)
	for _, site := range sites {
		must(p.SetSite(ctx, site))
	}
	s := &Server{Gate: request.Gate{Tokens: b.Tokens, Now: b.Now, Log: b.Log}, Devices: deviceinfo.Devices{Store: p, Sites: p}}
	s.Issuer = &auth.Issuer{Store: p, Tokens: b.Tokens, Log: b.Log, Now: b.Now}
	return s.Handler()
}

// begun returns what a stream begins with.
func begun(h http.Handler, target string) string {
	r := httptest.NewRequest("GET", target, nil)
	r.Header.Set("Authorization", "Bearer "+viewerAll)
	ctx, hangUp := context.WithCancel(r.Context())
	defer hangUp()
	w := httptest.NewRecorder()
	h.ServeHTTP(hangingUpLater{w, hangUp}, r.WithContext(ctx))
	return w.Body.String()
}

// hangingUpLater hangs up after the first events.
type hangingUpLater struct {
	http.ResponseWriter
	hangUp func()
}

func (w hangingUpLater) Flush() { w.hangUp() }

// A site is answered alike by both stores, to the byte, whether its inverters have a meter each or share one: sums and nulls,
// what is incomplete and why, gaps, peaks, flows, tables and streams.
func TestASiteIsTheSameOnBothStores(t *testing.T) {
	race.Skip(t, "one request after the other")
	apart, _ := threeInverters(t)
	for name, b := range map[string]*bench{"apart": apart, "one meter": oneMeter(t)} {
		other := b.onPostgres()
		columns := "&columns=" + strings.Join(history.AllMeans, ",")
		day := b.Now().AddDate(0, 0, -1)
		span := fmt.Sprintf("&from=%s&to=%s", day.AddDate(0, 0, -2).Format("2006-01-02"), day.AddDate(0, 0, 1).Format("2006-01-02"))
		cut := fmt.Sprintf("&from=%s&to=%s", day.Format("2006-01-02T15:04:05Z"), day.Add(20e12).Format("2006-01-02T15:04:05Z"))
		var all []string
		for _, of := range []string{"site=home", "device_id=garage"} {
			all = append(all, "/v1/realtime?"+of, "/v1/energy?"+of+"&resolution=month", "/v1/energy?"+of+cut+"&compare=previous&resolution=hour",
				"/v1/series?"+of+cut+columns+"&resolution=1m")
			for _, r := range []string{"5m", "15m", "1h", "1d", "1M"} {
				all = append(all, "/v1/series?"+of+span+columns+"&resolution="+r)
			}
			for _, r := range []string{"5m", "1h", "1d"} {
				all = append(all, "/v1/export.csv?"+of+span+"&resolution="+r)
			}
		}
		for _, tz := range []string{"Asia/Kathmandu", "America/St_Johns"} {
			for _, path := range []string{"/v1/energy?resolution=hour", "/v1/energy?compare=last_year&resolution=day", "/v1/series?resolution=15m" + columns, "/v1/export.csv?resolution=1d"} {
				all = append(all, path+"&site=home&tz="+tz+span)
			}
		}
		bytes := 0
		for _, target := range append(all, wire.SitesPath, "/v1/continuity?device_id=garage"+span) {
			w, got := b.get(target, viewerAll), do(other, "GET", target, viewerAll, nil)
			if w.Code != 200 || got.Code != 200 || w.Body.String() != got.Body.String() {
				t.Errorf("%s: %s is answered %d\n%s\nand on PostgreSQL %d\n%s", name, target, w.Code, w.Body, got.Code, got.Body)
			}
			bytes += w.Body.Len()
		}
		for _, target := range []string{"/v1/stream?site=home", "/v1/stream?device_id=roof"} {
			if want, got := begun(b.api, target), begun(other, target); want != got || !strings.Contains(want, "event: today") {
				t.Errorf("%s: %s begins with\n%s\nand on PostgreSQL\n%s", name, target, want, got)
			}
		}
		t.Logf("%s: %d answers of %d bytes are equal", name, len(all)+4, bytes)
	}
}
