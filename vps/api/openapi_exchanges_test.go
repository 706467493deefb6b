package api

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/history"
	"sunspool/vps/store"
	"sunspool/vps/tariff"
	"sunspool/wire"
)

// exchange is a request, and how the server must answer it.
type exchange struct {
	name    string // also of the example that the document has of it, if it has one
	verb    string // default GET, or POST without a target
	target  string
	body    string // POST, in place of target to /v1/ingest; "example" is the document's of that name
	token   string // default that of a viewer of all for GET, of roof for POST
	status  int    // default 200
	refused bool   // the document does not allow the request either
	headers []string
	change  func(b *bench)
}

const noToken = "none"

// exchanges have every status that a caller can bring about, and every field of every answer, both with something in it
// and null where that may be.
var exchanges = []exchange{
	{name: "root", target: "/"},
	{name: "the page", target: "/", headers: []string{"Accept", "text/html"}},
	{name: "this page", target: "/openapi.yaml"},
	{name: "health", target: "/health"},
	{name: "health, from the internet", target: "/health", headers: []string{"X-Forwarded-For", "203.0.113.7"}, status: 404},
	{name: "ready", target: "/ready"},
	{name: "ready, from the internet", target: "/ready", headers: []string{"X-Forwarded-For", "203.0.113.7"}, status: 404},
	{name: "the store is away", target: "/ready", status: 503, change: later(away)},
	{name: "the store is not what the server needs", target: "/ready", status: 503, change: later(unfit)},
	{name: "a fault", target: "/ready", status: 500, change: later(broken)},

	{name: "of a viewer of all", target: "/v1/session"},
	{name: "of a device", target: "/v1/session", token: token1},
	{name: "of nobody", target: "/v1/session", token: noToken, status: 401},
	{name: "a viewer", verb: "POST", target: "/v1/session", token: noToken, body: `{"token":"` + viewer1 + `"}`},
	{name: "a screen on a wall", verb: "POST", target: "/v1/session", token: noToken, body: `{"token":"` + viewerAll + `","kiosk":true}`},
	{name: "a wrong token", verb: "POST", target: "/v1/session", token: noToken, body: `{"token":"` + tokenWrong + `"}`, status: 401},
	{name: "a body that is none", verb: "POST", target: "/v1/session", token: noToken, body: `{"token":7}`, status: 422, refused: true},
	{name: "a long body", verb: "POST", target: "/v1/session", token: noToken, body: `{"token":"` + strings.Repeat("x", 5000) + `"}`, status: 413, refused: true},
	{name: "a page of another origin", verb: "POST", target: "/v1/session", token: noToken, body: `{"token":"` + viewer1 + `"}`, headers: []string{"Sec-Fetch-Site", "cross-site"}, status: 403},
	{name: "too many wrong tokens", verb: "POST", target: "/v1/session", token: noToken, body: `{"token":"` + tokenWrong + `"}`, status: 429, change: func(b *bench) {
		for range auth.MaxFailures {
			b.get("/v1/realtime", tokenWrong)
		}
	}},
	{name: "too many wrong tokens", target: "/v1/session", token: tokenWrong, status: 429, change: func(b *bench) {
		for range auth.MaxFailures {
			b.get("/v1/realtime", tokenWrong)
		}
	}},
	{name: "a page of another origin logs out", verb: "DELETE", target: "/v1/session", token: noToken, headers: []string{"Sec-Fetch-Site", "cross-site"}, status: 403},
	{name: "log out", verb: "DELETE", target: "/v1/session", token: noToken},

	{name: "no site", target: "/v1/sites"},
	{name: "a site", target: "/v1/sites", change: withSite},

	{name: "none yet", target: "/v1/tokens", token: adminToken, change: (*bench).admin},
	{name: "all of them", target: "/v1/tokens", token: adminToken, change: withTokens},
	{name: "a viewer asks", target: "/v1/tokens", status: 403},
	{name: "of a viewer", verb: "POST", target: "/v1/tokens", token: adminToken, body: someWish, change: (*bench).admin},
	{name: "of everything", verb: "POST", target: "/v1/tokens", token: adminToken, body: `{"role":"viewer","name":"All","devices":["*"],"expires":"2027-01-01T00:00:00Z","secret":"given-0123456789abcdef"}`, change: (*bench).admin},
	{name: "with a link", verb: "POST", target: "/v1/tokens", token: adminToken, body: `{"role":"viewer","name":"All","devices":["*"],"page":"https://solar.example.org/house/"}`, change: (*bench).admin},
	{name: "a page that is none", verb: "POST", target: "/v1/tokens", token: adminToken, body: `{"role":"viewer","name":"All","devices":["*"],"page":"javascript:alert(1)"}`, status: 422, change: (*bench).admin},
	{name: "a viewer asks", verb: "POST", target: "/v1/tokens", body: someWish, status: 403},
	{name: "the same name", verb: "POST", target: "/v1/tokens", token: adminToken, body: `{"role":"admin","name":"Admin"}`, status: 409, change: (*bench).admin},
	{name: "the same secret", verb: "POST", target: "/v1/tokens", token: adminToken, body: `{"role":"admin","name":"Other","secret":"` + viewer1 + `"}`, status: 409, change: (*bench).admin},
	{name: "too many", verb: "POST", target: "/v1/tokens", token: adminToken, body: someWish, status: 409, change: func(b *bench) {
		b.admin()
		b.Issuer.Store = brokenTokens{b.bolt, store.ErrTokensFull}
	}},
	{name: "a long body", verb: "POST", target: "/v1/tokens", token: adminToken, body: `{"role":"admin","name":"` + strings.Repeat("x", 100_000) + `"}`, status: 413, refused: true, change: (*bench).admin},
	{name: "no object", verb: "POST", target: "/v1/tokens", token: adminToken, body: `[]`, status: 422, refused: true, change: (*bench).admin},
	{name: "a device token for all", verb: "POST", target: "/v1/tokens", token: adminToken, body: `{"role":"device","name":"x","devices":["*"]}`, status: 422, change: (*bench).admin},
	{name: "revoked", verb: "DELETE", target: "/v1/tokens/ID", token: adminToken, change: withTokens},
	{name: "a viewer asks", verb: "DELETE", target: "/v1/tokens/ID", status: 403},
	{name: "an unknown one", verb: "DELETE", target: "/v1/tokens/unknown", token: adminToken, status: 404, change: (*bench).admin},

	{name: "stored", body: "example"},
	{name: "verdicts", body: "example", headers: []string{"Prefer", wire.Lenient}},
	{name: "a unit without battery and meter", body: "example", token: token2},
	{name: "nothing", body: `{"samples":[]}`},
	{name: "packed", body: gzipped(`{"samples":[]}`), headers: []string{"Content-Encoding", "gzip"}},
	{name: "not gzip", body: `{"samples":[]}`, headers: []string{"Content-Encoding", "gzip"}, status: 400},
	{name: "a malformed length", body: `{"samples":[]}`, headers: []string{"Content-Length", "12,13"}, status: 400},
	{name: "a sample of another device", body: roofs(""), token: token2, status: 403},
	{name: "a viewer writes", body: roofs(""), token: viewer1, status: 403},
	{name: "too many samples", body: `{"samples":[` + strings.Repeat(`{},`, wire.MaxSamples) + `{}]}`, status: 413, refused: true},
	{name: "too many bytes", body: `{"samples":[]` + strings.Repeat(" ", wire.MaxBytes) + `}`, status: 413},
	{name: "unknown encoding", body: `{"samples":[]}`, headers: []string{"Content-Encoding", "br"}, status: 415, refused: true},
	{name: "a field is missing", body: strings.Replace(roofs(""), `"load_power_w"`, `"load_w"`, 1), status: 422, refused: true},
	{name: "five minutes that are full", body: roofs(""), status: 422, change: filled},
	{name: "set aside", body: strings.Replace(roofs(""), "T10:", "T11:", 1)},
	{name: "too many set aside", body: strings.Replace(roofs(""), "2026", "1970", 1), status: 422, change: func(b *bench) {
		all := make([]store.Aside, store.MaxAside)
		for i := range all {
			all[i] = store.Aside{Code: wire.CodeTooOld, JSON: []byte(strconv.Itoa(i))}
		}
		_, _ = b.Store.SetAside(context.Background(), "roof", all)
	}},
	{name: "a zero byte in a name", body: roofs(`"values":{"a\u0000":1}`), status: 422},
	{name: "not JSON", body: `{"samples":[nope]}`, status: 422, refused: true},
	{name: "no object", body: `[]`, status: 422, refused: true},
	{name: "no samples", body: `{}`, status: 422, refused: true},
	{name: "samples that are no list", body: `{"samples":{}}`, status: 422, refused: true},
	{name: "a sample that is none", body: `{"samples":[1]}`, status: 422, refused: true},
	{name: "a batch id that is none", body: `{"samples":[],"batch_id":7}`, status: 422, refused: true},
	{name: "a long batch id", body: `{"samples":[],"batch_id":"` + strings.Repeat("x", 129) + `"}`, status: 422, refused: true},
	{name: "null for what every unit knows", body: strings.Replace(roofs(""), "4510", "null", 1), status: 422, refused: true},
	{name: "a number that is none", body: strings.Replace(roofs(""), "4510", "1e400", 1), status: 422, refused: true},
	{name: "what the edge keeps", body: `{"samples":[],"kept":{"device_id":"roof","hours":[[1782032400000,720],[1782036000000,360]]}}`, headers: []string{"Prefer", wire.Lenient}},
	{name: "what the edge keeps is none", body: `{"samples":[],"kept":{"device_id":"roof","hours":[[-1,720]]}}`, headers: []string{"Prefer", wire.Lenient}, status: 422, refused: true},
	{name: "an age ago", body: strings.Replace(roofs(""), "2026", "1970", 1), headers: []string{"Prefer", wire.Lenient}},
	{name: "text for a number", body: strings.Replace(roofs(""), "4510", `"4510"`, 1), status: 422, refused: true},
	{name: "a number without end", body: strings.Replace(roofs(""), "4510", "1e16", 1), status: 422, refused: true},
	{name: "values that are none", body: roofs(`"values":[1]`), status: 422, refused: true},
	{name: "values of text", body: roofs(`"values":{"a":"b"}`), status: 422, refused: true},
	{name: "null values", body: roofs(`"values":null`)},
	{name: "null counters", body: roofs(`"pv_total_kwh":null,"direct_total_kwh":null,"pv_daily_kwh":null,"battery_temp_c":null`)},
	{name: "a count of nothing", body: roofs(`"sample_count":0`), status: 422, refused: true},
	{name: "a device that cannot be", body: strings.Replace(roofs(""), "roof", "ro of", 1), status: 422, refused: true},
	{name: "too many uploads", body: roofs(""), status: 429, change: func(b *bench) { occupy(b.Uploads, token1, b.Uploads.Each) }},

	{name: "a house", target: "/v1/realtime?device_id=roof"},
	{name: "a unit without battery and meter", target: "/v1/realtime?device_id=barn"},
	{name: "a house that says nothing of today", target: "/v1/realtime?device_id=barn", change: func(b *bench) {
		b.Store = onlyLatest{brokenStore{b.bolt, errDisk}}
	}},
	{name: "no data", target: "/v1/realtime?device_id=shed", status: 404},
	{name: "no device", target: "/v1/realtime", status: 422},
	{name: "a site", target: "/v1/realtime?site=home", change: withSite},
	{name: "a site with a device that never sent anything", target: "/v1/realtime?site=home", change: func(b *bench) {
		if err := b.bolt.SetSite(b.t.Context(), store.Site{Name: "home", Devices: []string{"barn", "shed"}}); err != nil {
			b.t.Fatal(err)
		}
	}},
	{name: "another device", target: "/v1/realtime?device_id=barn", token: viewer1, status: 403},

	{name: "a house", target: "/v1/stream?device_id=roof"},
	{name: "what was missed", target: "/v1/stream?device_id=roof", headers: []string{"Last-Event-ID", "1782037500000"}},
	{name: "a unit without battery and meter", target: "/v1/stream?device_id=barn"},
	{name: "a unit that never said anything", target: "/v1/stream?device_id=shed"},
	{name: "a site", target: "/v1/stream?site=home", change: withSite},
	{name: "another site", target: "/v1/stream?site=home", token: viewer1, status: 403, change: withSite},
	{name: "no device", target: "/v1/stream", status: 422},
	{name: "another device", target: "/v1/stream?device_id=barn", token: viewer1, status: 403},

	{name: "a frame", target: "/v1/series?device_id=roof&frame=day"},
	{name: "a frame with its running bucket", target: "/v1/series?device_id=roof&frame=month&partial=1&tz=UTC"},
	{name: "a frame of a unit without battery and meter", target: "/v1/series?device_id=barn&frame=all&partial=1"},
	{name: "a frame without data", target: "/v1/series?device_id=shed&frame=year"},
	{name: "a span", target: "/v1/series?device_id=roof&from=2026-06-21T07:00:00Z&to=2026-06-21T11:00:00Z&resolution=1h&columns=pv_w,battery_w,grid_w,grid_home_w"},
	{name: "a span with holes", target: "/v1/series?device_id=roof&from=2026-06-20&to=2026-06-21&resolution=15m&columns=" + strings.Join(history.AllColumns, ",")},
	{name: "a span of samples", target: "/v1/series?device_id=roof&resolution=raw&columns=" + strings.Join(history.AllColumns, ",")},
	{name: "a span of a unit without battery and meter", target: "/v1/series?device_id=barn&from=2026-06-21"},
	{name: "a span without data", target: "/v1/series?device_id=shed&resolution=1d"},
	{name: "a site", target: "/v1/series?site=home&from=2026-06-21", change: withSite},
	{name: "a site in hours", target: "/v1/series?site=home&from=2026-06-21&resolution=1h&columns=" + strings.Join(history.AllMeans, ","), change: withSite},
	{name: "a frame of a site", target: "/v1/series?site=home&frame=day", status: 422, change: withSite},
	{name: "samples of a site", target: "/v1/series?site=home&resolution=raw", status: 422, change: withSite},
	{name: "inputs of a site", target: "/v1/series?site=home&columns=mppt1_w", status: 422, change: withSite},
	{name: "no frame", target: "/v1/series?device_id=roof", status: 422},
	{name: "a bad frame", target: "/v1/series?device_id=roof&frame=week", status: 422, refused: true},
	{name: "a bad zone", target: "/v1/series?device_id=roof&frame=day&tz=Mars/Base", status: 422},
	{name: "a bad time", target: "/v1/series?device_id=roof&from=yesterday", status: 422, refused: true},
	{name: "a bad range", target: "/v1/series?device_id=roof&from=2026-06-21&to=2026-06-20", status: 422},
	{name: "a bad resolution", target: "/v1/series?device_id=roof&resolution=2h", status: 422, refused: true},
	{name: "a bad column", target: "/v1/series?device_id=roof&columns=pv_w,pv", status: 422, refused: true},
	{name: "too many points", target: "/v1/series?device_id=roof&from=2020-01-01&resolution=5m", status: 422},
	{name: "strings of a long span", target: "/v1/series?device_id=roof&from=2026-06-01&columns=mppt1_w", status: 422},
	{name: "another device", target: "/v1/series?device_id=barn&frame=day", token: viewer1, status: 403},

	{name: "two days", target: "/v1/energy?device_id=roof&from=2026-06-20&to=2026-06-21"},
	{name: "since before the first sample", target: "/v1/energy?device_id=roof&from=2026-06-19&to=2026-06-21"},
	{name: "compared", target: "/v1/energy?device_id=roof&resolution=hour&compare=previous"},
	{name: "a unit without battery and meter", target: "/v1/energy?device_id=barn&resolution=month&compare=last_year"},
	{name: "no data", target: "/v1/energy?device_id=shed&resolution=year"},
	{name: "no data, compared", target: "/v1/energy?device_id=shed&compare=previous"},
	{name: "a site", target: "/v1/energy?site=home&resolution=hour&compare=previous", change: withSite},
	{name: "another site", target: "/v1/energy?site=home", token: viewer1, status: 403, change: withSite},
	{name: "a site and a device", target: "/v1/energy?site=home&device_id=roof", status: 422, change: withSite},
	{name: "a bad resolution", target: "/v1/energy?device_id=roof&resolution=1d", status: 422, refused: true},
	{name: "with prices", target: "/v1/energy?device_id=roof&from=2026-06-20&to=2026-06-21&compare=last_year", change: func(b *bench) { priced(b, twoPrices) }},
	{name: "with fees", target: "/v1/energy?device_id=roof&from=2026-06-20&to=2026-06-21", change: func(b *bench) { priced(b, withFee("2026-06-21")) }},
	{name: "with fees to come", target: "/v1/energy?device_id=roof&from=2026-06-20&to=2026-06-21", change: func(b *bench) { priced(b, withFee("2027-01-01")) }},
	{name: "with prices, no data", target: "/v1/energy?device_id=shed&from=2026-06-20&to=2026-06-21", change: func(b *bench) { priced(b, twoPrices) }},
	{name: "a bad comparison", target: "/v1/energy?device_id=roof&compare=tomorrow", status: 422, refused: true},
	{name: "another device", target: "/v1/energy?device_id=barn", token: viewer1, status: 403},

	{name: "all of a viewer", target: "/v1/devices"},
	{name: "a page of them", target: "/v1/devices?limit=1&after=barn"},
	{name: "with today's energy", target: "/v1/devices?today=1"},
	{name: "the only one of a device", target: "/v1/devices", token: token1},
	{name: "an edge that is away", target: "/v1/devices?device_id=roof", change: func(b *bench) {
		b.Now = func() time.Time { return testNow.Add(24 * time.Hour) }
	}},
	{name: "prices", target: "/v1/devices?device_id=roof", change: func(b *bench) {
		priced(b, onePrice)
	}},
	{name: "prices that are yet to come", target: "/v1/devices?device_id=roof", change: func(b *bench) {
		priced(b, &tariff.Tariff{Currency: "EUR", Prices: []tariff.Prices{{From: "2027-01-01"}}})
	}},
	{name: "a bad limit", target: "/v1/devices?limit=1001", status: 422, refused: true},
	{name: "another device", target: "/v1/devices?device_id=barn", token: viewer1, status: 403},

	{name: "this month", target: "/v1/capacity?device_id=roof", change: func(b *bench) { priced(b, onePrice) }},
	{name: "a quarter-hour that has begun", target: "/v1/capacity?device_id=roof", change: func(b *bench) {
		b.Now = func() time.Time { return testNow.Add(-30 * time.Second) }
	}},
	{name: "a month in the past", target: "/v1/capacity?device_id=roof&month=2026-05"},
	{name: "a month whose price is not known", target: "/v1/capacity?device_id=roof&month=2026-03", change: func(b *bench) { priced(b, twoPrices) }},
	{name: "this month of a unit without a meter", target: "/v1/capacity?device_id=barn"},
	{name: "no data", target: "/v1/capacity?device_id=shed", change: func(b *bench) { priced(b, onePrice) }},
	{name: "a bad month", target: "/v1/capacity?device_id=roof&month=2026-13", status: 400, refused: true},
	{name: "no device", target: "/v1/capacity", status: 422, refused: true},
	{name: "another device", target: "/v1/capacity?device_id=barn", token: viewer1, status: 403},

	{name: "a month", target: "/v1/capacity/month/2026-06?device_id=roof"},
	{name: "a quarter-hour that is not over", target: "/v1/capacity/month/2026-06?device_id=roof", change: func(b *bench) {
		b.Now = func() time.Time { return testNow.Add(-30 * time.Second) }
	}},
	{name: "a quarter-hour that was hardly measured", target: "/v1/capacity/month/2026-06?device_id=roof", change: func(b *bench) {
		_, _ = b.Store.Insert(context.Background(), "roof", []wire.Sample{{Time: testNow.Add(-5 * time.Hour), Count: 1, ExportPowerW: new(-9000.0)}})
	}},
	{name: "a month of a unit without a meter", target: "/v1/capacity/month/2026-06?device_id=barn"},
	{name: "a bad month", target: "/v1/capacity/month/2026-13?device_id=roof", status: 400, refused: true},
	{name: "no device", target: "/v1/capacity/month/2026-06", status: 422, refused: true},
	{name: "another device", target: "/v1/capacity/month/2026-06?device_id=barn", token: viewer1, status: 403},

	{name: "a code", verb: "POST", target: "/v1/pair", token: noToken, body: someCode, change: withPairing},
	{name: "a wrong code", verb: "POST", target: "/v1/pair", token: noToken, body: someCode, status: 401},
	{name: "a long body", verb: "POST", target: "/v1/pair", token: noToken, body: `{"code":"` + strings.Repeat("x", 5000) + `"}`, status: 413, refused: true},
	{name: "no object", verb: "POST", target: "/v1/pair", token: noToken, body: `[]`, status: 422, refused: true},
	{name: "too many wrong codes", verb: "POST", target: "/v1/pair", token: noToken, body: someCode, status: 429, change: func(b *bench) {
		for range auth.MaxFailures {
			b.get("/v1/realtime", tokenWrong)
		}
	}},
	{name: "a fault", verb: "POST", target: "/v1/pair", token: noToken, body: someCode, status: 500, change: func(b *bench) { withPairing(b); broken(b) }},
	{name: "the store is away", verb: "POST", target: "/v1/pair", token: noToken, body: someCode, status: 503, change: func(b *bench) { withPairing(b); away(b) }},

	{name: "in PostgreSQL", target: "/v1/backup", token: adminToken, change: (*bench).admin},
	{name: "none yet", target: "/v1/backup", token: adminToken, change: func(b *bench) { b.admin(); b.File = b.bolt }},
	{name: "one", target: "/v1/backup", token: adminToken, change: withBackup},
	{name: "one without samples, and a restore", target: "/v1/backup", token: adminToken, change: func(b *bench) {
		b.admin()
		b.File = notedFile{store.Backups{Last: &store.Backup{At: testNow}, Restored: &store.Backup{At: testNow}}}
	}},
	{name: "a restore", target: "/v1/backup", token: adminToken, change: func(b *bench) {
		b.admin()
		b.File = notedFile{store.Backups{Restored: &store.Backup{At: testNow, Devices: new(1), Samples: new(int64(5)), Newest: new(testNow)}}}
	}},
	{name: "a viewer asks", target: "/v1/backup", status: 403},

	{name: "two days", target: "/v1/continuity?device_id=roof&from=2026-06-20&to=2026-06-21"},
	{name: "a unit that sleeps", target: "/v1/continuity?device_id=barn"},
	{name: "no data", target: "/v1/continuity?device_id=shed"},
	{name: "too long", target: "/v1/continuity?device_id=roof&from=2020-01-01", status: 422},
	{name: "another device", target: "/v1/continuity?device_id=barn", token: viewer1, status: 403},

	{name: "hours", target: "/v1/export.csv?device_id=roof&resolution=1h"},
	{name: "semicolons", target: "/v1/export.csv?device_id=roof&resolution=raw&sep=semicolon&from=2026-06-21T07:00:00Z&to=2026-06-21T07:02:00Z"},
	{name: "samples", target: "/v1/export.csv?device_id=barn&resolution=raw&sep=semicolon"},
	{name: "no data", target: "/v1/export.csv?device_id=shed&sep=%09"},
	{name: "a site", target: "/v1/export.csv?site=home&resolution=1h", change: withSite},
	{name: "samples of a site", target: "/v1/export.csv?site=home&resolution=raw", status: 422, change: withSite},
	{name: "another site", target: "/v1/export.csv?site=home", token: viewer1, status: 403, change: withSite},
	{name: "a bad separator", target: "/v1/export.csv?device_id=roof&sep=space", status: 422, refused: true},
	{name: "a bad resolution", target: "/v1/export.csv?device_id=roof&resolution=auto", status: 422, refused: true},
	{name: "another device", target: "/v1/export.csv?device_id=barn", token: viewer1, status: 403},
	{name: "too many exports", target: "/v1/export.csv?device_id=roof", status: 503, change: func(b *bench) {
		occupy(b.Exports, "others", b.Exports.Most)
		b.Exports.Patience = 0
	}},
}

const someWish = `{"role":"viewer","name":"Family","devices":["roof","barn"]}`

// withTokens is a bench with an admin and two tokens: of the ID ID, and one that was used and revoked.
func withSite(b *bench) {
	if err := b.bolt.SetSite(b.t.Context(), store.Site{Name: "home", Devices: []string{"barn", "roof"}}); err != nil {
		b.t.Fatal(err)
	}
}

// notedFile is a store of which only the notes are looked at.
type notedFile struct{ noted store.Backups }

func (f notedFile) Backups() store.Backups                               { return f.noted }
func (notedFile) Copy(context.Context, func(size int64) io.Writer) error { return nil }

func withBackup(b *bench) {
	b.admin()
	b.File = b.bolt
	if err := b.bolt.Copy(b.t.Context(), func(int64) io.Writer { return io.Discard }); err != nil {
		b.t.Fatal(err)
	}
}

const someCode = `{"code":"K7F3-9Q2D-5TXA-M1WE"}`

func withPairing(b *bench) {
	sum := auth.SumOf("K7F39Q2D5TXAM1WE")
	err := b.bolt.AddToken(context.Background(), store.Token{ID: "77a0c3d1e5f6", Sum: sum[:], Name: "pairing of garage", Role: store.RolePairing,
		Devices: []string{"garage"}, Created: testNow, Expires: testNow.Add(auth.PairingTime)})
	if err == nil {
		err = b.Issuer.Read(context.Background())
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func withTokens(b *bench) {
	b.admin()
	ctx := b.t.Context()
	for id, name := range map[string]string{"ID": "Family", "old": "Guest"} {
		if err := b.bolt.AddToken(ctx, store.Token{ID: id, Sum: []byte(id), Name: name, Role: store.RoleViewer, Devices: []string{"roof"}, Created: testNow, Expires: testNow.AddDate(1, 0, 0)}); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := b.bolt.UseTokens(ctx, map[string]time.Time{"old": testNow}); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.bolt.RevokeToken(ctx, "old", testNow); err != nil {
		b.t.Fatal(err)
	}
}

// roofs is a batch of one sample of roof, with more members of the sample.
func roofs(more string) string {
	return strings.Replace(`{"samples":[{"device_id":"roof","ts":"2026-06-21T10:30:00Z","pv_power_w":4510,"battery_power_w":1520,`+
		`"battery_soc_pct":71,"load_power_w":740,"export_power_w":2250,`+more+`}]}`, ",}", "}", 1)
}

func away(b *bench)   { storeFails(b, errDisk) }
func unfit(b *bench)  { storeFails(b, store.ErrUnfit) }
func broken(b *bench) { b.Store, b.Issuer.Store, b.Sites = nil, nil, (*brokenSites)(nil) }
func storeFails(b *bench, err error) {
	b.Store, b.Issuer.Store, b.Sites = brokenStore{b.bolt, err}, brokenTokens{b.bolt, err}, brokenSites{err}
}

func filled(b *bench) {
	var all []wire.Sample
	for i := range store.MostInSpan {
		all = append(all, wire.Sample{Time: time.Date(2026, 6, 21, 10, 34, 0, i*1_000_000, time.UTC), Count: 1})
	}
	if _, err := b.bolt.Insert(b.t.Context(), "roof", all); err != nil {
		b.t.Fatal(err)
	}
}
func crowd(b *bench) {
	occupy(b.Reads, "others", b.Reads.Most)
	occupy(b.Uploads, "others", b.Uploads.Most)
	b.Reads.Patience, b.Uploads.Patience = 0, 0
}

// later is when the last write is no proof any more that the next one can be stored.
func later(change func(b *bench)) func(b *bench) {
	return func(b *bench) {
		b.Now = func() time.Time { return testNow.Add(time.Minute) }
		change(b)
	}
}

// onlyLatest is a store that still knows the newest sample, and what the edge said, when nothing else can be read.
type onlyLatest struct{ brokenStore }

func (s onlyLatest) Latest(ctx context.Context, device string) (wire.Sample, error) {
	return s.Samples.Latest(ctx, device)
}
func (s onlyLatest) About(ctx context.Context, device string) (store.About, error) {
	return s.Samples.About(ctx, device)
}

// newVillage is a bench with a house (roof), a unit without battery and meter that is asleep (barn), and one that never
// sent anything (shed).
func newVillage(t *testing.T) *bench {
	b := newBench(t, func(s *Server) { s.Version = "1.0.0" })
	if err := b.Tokens.Replace(token1+":roof,"+token2+":barn,"+token1b+":shed", viewer1+":roof,"+viewerAll+":*"); err != nil {
		t.Fatal(err)
	}
	send := func(token string, batch wire.Batch) {
		body, _ := json.Marshal(batch)
		if w := b.post(token, string(body)); w.Code != 200 {
			t.Fatal(w.Body)
		}
	}
	house := wire.Batch{Zone: "Europe/Brussels", Edge: &wire.Edge{Version: "1.0.0", Time: testNow.Add(-400 * time.Millisecond), Model: "SH10RT", Serial: "A23…001", Firmware: "ARM_SAPPHIRE-H_V11_V01_B", PollIntervalS: 60, SpoolCount: 2, State: "ok"}}
	total := map[string]float64{"pv": 20_400, "import": 3_120, "export": 9_028, "charge": 4_098, "discharge": 3_815, "direct": 7_274}
	minute := func(at time.Time, pv, load, battery float64) {
		export := pv - load - battery
		for name, w := range map[string]float64{"pv": pv, "import": max(-export, 0), "export": max(export, 0), "charge": max(battery, 0),
			"discharge": max(-battery, 0), "direct": min(pv, load)} {
			total[name] += w / 60_000
		}
		counter := func(name string) *float64 { return new(math.Round(total[name]*10) / 10) }
		house.Samples = append(house.Samples, wire.Sample{DeviceID: "roof", Time: at, Count: 1, PVPowerW: pv, LoadPowerW: &load, BatteryPowerW: &battery,
			ExportPowerW: &export, BatterySOCPct: new(70.5), BatteryTempC: new(24.5), PVDailyKWh: new(11.2),
			PVTotalKWh: counter("pv"), ImportTotalKWh: counter("import"), ExportTotalKWh: counter("export"),
			ChargeTotalKWh: counter("charge"), DischargeTotalKWh: counter("discharge"), DirectTotalKWh: counter("direct"),
			Values: map[string]float64{"grid_frequency_hz": 50.01, "inverter_temp_c": 41.2}})
	}
	for at := testNow.Add(-18*time.Hour - 30*time.Minute); at.Before(testNow.Add(-17*time.Hour - 30*time.Minute)); at = at.Add(time.Minute) {
		minute(at, 300, 1200, -400) // the evening before, from a dozen strings
		values := house.Samples[len(house.Samples)-1].Values
		for _, name := range history.StringMeans {
			input := strings.TrimSuffix(name, "_w")
			values[input+"_voltage"], values[input+"_current"] = 250, 0.1
		}
	}
	for name := range total {
		total[name] += 0.3 // in the night, of which nothing was received
	}
	for at := testNow.Add(-210 * time.Minute); at.Before(testNow); at = at.Add(time.Minute) {
		minute(at, 4510, 740, 1520)
	}
	send(token1, house)

	barn := wire.Batch{}
	for at := testNow.Add(-150 * time.Minute); !at.After(testNow.Add(-2 * time.Hour)); at = at.Add(time.Minute) {
		barn.Samples = append(barn.Samples, wire.Sample{DeviceID: "barn", Time: at, Count: 1, PVPowerW: max(0, 300-10*float64(len(barn.Samples)))})
	}
	send(token2, barn)
	return b
}

// commonRefusals are those of every route that wants a token.
func commonRefusals(t *testing.T) (all []exchange) {
	tooOften := func(b *bench) {
		for range auth.MaxFailures {
			b.get("/v1/realtime", tokenWrong)
		}
	}
	for _, route := range routesOf(t, "../..") {
		if !strings.HasPrefix(route.Guard, "With") {
			continue
		}
		x := exchange{target: route.Example() + "?device_id=shed&frame=day"}
		switch {
		case route.Guard == "WithAdmin":
			x = exchange{verb: route.Method, target: route.Example(), token: adminToken}
			if route.Method == "POST" {
				x.body = someWish
			}
		case route.Method == "POST":
			x = exchange{body: roofs("")}
		}
		for _, r := range []exchange{
			{name: "no token", token: noToken, status: 401, refused: true},
			{name: "a wrong token", token: tokenWrong, status: 401},
			{name: "too many failures", token: tokenWrong, status: 429, change: tooOften},
			{name: "a fault", status: 500, change: broken},
			{name: "the store is away", status: 503, change: away},
			{name: "the store is not what the server needs", status: 503, change: unfit},
			{name: "too much at once", status: 503, change: crowd},
		} {
			if x.target == wire.LastBackupPath && (r.status == 500 || r.name != "too much at once" && r.status == 503) {
				continue // it does not ask the store
			}
			r.verb, r.target, r.body, r.token = x.verb, x.target, x.body, cmp.Or(r.token, x.token)
			if change := r.change; x.token == adminToken {
				r.change = func(b *bench) {
					b.admin()
					if change != nil {
						change(b)
					}
				}
			}
			all = append(all, r)
		}
	}
	return all
}

func (x *exchange) method() string {
	if x.target == "" {
		return "POST"
	}
	return cmp.Or(x.verb, "GET")
}

func (x *exchange) path() string {
	path, _, _ := strings.Cut(x.target, "?")
	return cmp.Or(path, wire.IngestPath)
}
