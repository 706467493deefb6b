package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"sunspool/docs/reference"
	"sunspool/internal/race"
	"sunspool/vps/api"
	"sunspool/vps/auth"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

// The answers in docs/api*.md are those of this server: its clock stands at half past twelve of a summer's day in Brussels.
var exampleNow = time.Date(2026, 6, 21, 10, 30, 0, 0, time.UTC)

// The tokens of the examples. $DEVICE_TOKEN and $VIEWER_TOKEN are in the environment of the commands.
const (
	exampleDevice = "example-device-0123456789abcdef"
	exampleViewer = "example-viewer-0123456789abcdef"
	exampleGarage = "example-garage-0123456789abcdef"
	exampleAdmin  = "example-admin-0123456789abcdef"
)

// TestAPIReferenceExamples sends each request of docs/api*.md to a server with the same history, and compares its answer with
// the one in the page.
func TestAPIReferenceExamples(t *testing.T) {
	race.Skip(t, "one request after the other")
	environment := map[string]string{"DEVICE_TOKEN": exampleDevice, "VIEWER_TOKEN": exampleViewer, "ADMIN_TOKEN": exampleAdmin}
	reference.Examples(t, "api*.md", environment, func(t *testing.T, r *http.Request) *http.Response {
		return newExampleServer(t).send(r)
	})
}

// exampleServer is a server of a house (roof) and of a garage, which has neither a battery nor much of a past.
type exampleServer struct {
	t                testing.TB
	tokens           *auth.Tokens
	public, internal *httptest.Server
}

func newExampleServer(t *testing.T) *exampleServer {
	t.Helper()
	samples, err := bolt.Open(filepath.Join(t.TempDir(), "vps.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { samples.Close() })
	tokens, err := auth.ParseTokens(exampleDevice+":roof,"+exampleGarage+":garage", exampleViewer+":*")
	if err != nil {
		t.Fatal(err)
	}
	s := &api.Server{}
	s.Store, s.Tokens, s.Version, s.Now = samples, tokens, "1.0.0", func() time.Time { return exampleNow }
	s.Log = slog.New(slog.DiscardHandler)
	s.Issuer = &auth.Issuer{Store: samples, Tokens: tokens, Log: s.Log, Now: s.Now}
	exampleTokens(t, samples, s.Issuer)
	s.Sites = samples
	s.File = backedUp{samples}
	if err := samples.SetSite(t.Context(), store.Site{Name: "home", Devices: []string{"garage", "roof"}}); err != nil {
		t.Fatal(err)
	}
	e := &exampleServer{t: t, tokens: tokens, public: httptest.NewServer(s.Handler()), internal: httptest.NewServer(s.Internal())}
	t.Cleanup(e.public.Close)
	t.Cleanup(e.internal.Close)
	for part := range slices.Chunk(exampleHouse(), wire.MaxSamples) {
		e.put(exampleDevice, wire.Batch{Zone: "Europe/Brussels", Samples: part,
			Edge: &wire.Edge{Version: "1.0.0", Time: exampleNow.Add(-400 * time.Millisecond), Model: "SH10RT", Serial: "A23…001", Firmware: "ARM_SAPPHIRE-H_V11_V01_B", PollIntervalS: 60, State: "ok"}})
	}
	e.put(exampleGarage, wire.Batch{Zone: "Europe/Brussels", Samples: exampleGarageSamples(),
		Edge: &wire.Edge{Version: "1.0.0", Model: "SG5.0RT", PollIntervalS: 60, SpoolCount: 12, State: "ok"}})
	e.put(exampleDevice, wire.Batch{Samples: []wire.Sample{{DeviceID: "roof", Time: time.Unix(60, 0).UTC(), Count: 1}}}) // a clock that was not set yet
	return e
}

// backedUp is a store of which a backup was taken at night.
type backedUp struct{ *bolt.Store }

func (backedUp) Backups() store.Backups {
	at := time.Date(2026, 6, 21, 1, 42, 10, 0, time.UTC)
	return store.Backups{Last: &store.Backup{At: at, Bytes: 41_246_720, Devices: new(2), Samples: new(int64(531_204)), Newest: new(at.Add(-10 * time.Second))}}
}

// exampleTokens are an admin and a family.
func exampleTokens(t *testing.T, to store.Tokens, issuer *auth.Issuer) {
	admin, family, code := auth.SumOf(exampleAdmin), auth.SumOf("example-family-0123456789abcdef"), auth.SumOf("K7F39Q2D5TXAM1WE")
	for _, token := range []store.Token{
		{ID: "0b7e63d18a25", Sum: admin[:], Name: "Installer", Role: store.RoleAdmin, Created: exampleNow.AddDate(0, -2, 0), Used: exampleNow.Add(-time.Minute)},
		{ID: "77a0c3d1e5f6", Sum: code[:], Name: "pairing of garage", Role: store.RolePairing, Devices: []string{"garage"}, Created: exampleNow, Expires: exampleNow.Add(auth.PairingTime)},
		{ID: "5d1c0a9be2f4", Sum: family[:], Name: "Family", Role: store.RoleViewer, Devices: []string{"garage", "roof"}, Created: exampleNow.AddDate(0, -1, 0), Expires: exampleNow.AddDate(1, 0, 0)},
	} {
		if err := to.AddToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if err := issuer.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (e *exampleServer) put(token string, batch wire.Batch) {
	e.t.Helper()
	body, err := json.Marshal(batch)
	if err != nil {
		e.t.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(e.t.Context(), "POST", "https://solar.example.org"+wire.IngestPath, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	answer := e.send(r)
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		text, _ := io.ReadAll(answer.Body)
		e.t.Fatalf("%d %s", answer.StatusCode, text)
	}
}

// send sends r to the listener that its address is of. A stream is ended as an operator does who takes the token out, that of a
// device after one more sample was stored.
func (e *exampleServer) send(r *http.Request) *http.Response {
	e.t.Helper()
	to := e.public
	if r.URL.Host == "127.0.0.1:8001" {
		to = e.internal
	}
	r.URL.Scheme, r.URL.Host, r.Host = "http", strings.TrimPrefix(to.URL, "http://"), ""
	answer, err := to.Client().Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	if r.URL.Path == wire.StreamPath && answer.StatusCode == 200 {
		answer.Body = e.live(answer.Body, r.URL.Query().Has("site"))
	}
	return answer
}

func (e *exampleServer) live(stream io.ReadCloser, site bool) io.ReadCloser {
	defer stream.Close()
	var all bytes.Buffer
	until := func(text string) {
		for part := make([]byte, 4096); !strings.Contains(all.String(), text); {
			n, err := stream.Read(part)
			all.Write(part[:n])
			if err != nil {
				e.t.Fatalf("%v, without %q:\n%s", err, text, &all)
			}
		}
	}
	if site {
		until("event: today")
	} else {
		until("event: state")
		samples := exampleHouse()
		next := samples[len(samples)-1]
		next.Time = exampleNow
		e.put(exampleDevice, wire.Batch{Samples: []wire.Sample{next}})
		until("id: 1782037800000")
	}
	if err := e.tokens.Replace(exampleDevice+":roof", ""); err != nil {
		e.t.Fatal(err)
	}
	if _, err := io.Copy(&all, stream); err != nil {
		e.t.Fatal(err)
	}
	return io.NopCloser(strings.NewReader(strings.ReplaceAll(all.String(), ": ping\n\n", ""))) // which a slow machine may get
}

// exampleHouse is a house with a battery of 10 kWh, of which a minute's sample came since the midnight before the last, but for
// three hours around the last one. All powers are whole W, all energies whole W·min: no rounding differs between processors.
func exampleHouse() (samples []wire.Sample) {
	zone, _ := time.LoadLocation("Europe/Brussels")
	start := time.Date(2026, 6, 20, 0, 0, 0, 0, zone)
	counters := [...]int{pv: 20_400 * kWh, imported: 3_120 * kWh, exported: 9_028 * kWh, charged: 4_098 * kWh, discharged: 3_815 * kWh, direct: 7_274 * kWh}
	stored, today := 2*kWh, 0
	for at := start; at.Before(exampleNow); at = at.Add(time.Minute) {
		minute := at.In(zone).Hour()*60 + at.In(zone).Minute()
		if minute == 0 {
			today = 0
		}
		w := houseAt(minute, stored)
		stored += w.battery
		today += w.pv
		for i, rise := range [...]int{pv: w.pv, imported: max(-w.export(), 0), exported: max(w.export(), 0), charged: max(w.battery, 0),
			discharged: max(-w.battery, 0), direct: min(w.pv, w.load)} {
			counters[i] += rise
		}
		if away := at.Sub(start); away >= 22*time.Hour+30*time.Minute && away < 25*time.Hour+30*time.Minute {
			continue
		}
		total := func(of int) *float64 { return new(float64(counters[of]/(kWh/10)) / 10) }
		samples = append(samples, wire.Sample{DeviceID: "roof", Time: at.UTC(), Count: 1,
			PVPowerW: float64(w.pv), LoadPowerW: new(float64(w.load)), BatteryPowerW: new(float64(w.battery)), ExportPowerW: new(float64(w.export())),
			BatterySOCPct: new(float64(stored/kWh) * 10), BatteryTempC: new(24.5), PVDailyKWh: new(float64(today/(kWh/10)) / 10),
			PVTotalKWh: total(pv), ImportTotalKWh: total(imported), ExportTotalKWh: total(exported), ChargeTotalKWh: total(charged),
			DischargeTotalKWh: total(discharged), DirectTotalKWh: total(direct),
			Values: map[string]float64{"grid_frequency_hz": 50.01, "inverter_temp_c": 41.2}})
	}
	return samples
}

const kWh = 60_000 // W·min

// The counters of a house.
const (
	pv = iota
	imported
	exported
	charged
	discharged
	direct
)

// watts are the powers of a house.
type watts struct {
	pv, load, battery int // battery > 0 charges
}

func (w watts) export() int { return w.pv - w.load - w.battery }

// houseAt is the house in a minute of its day, with so much in its battery.
func houseAt(minute, stored int) (w watts) {
	if minute >= 340 && minute <= 1310 { // from dawn to dusk
		w.pv = 4500 * 4 * (minute - 340) * (1310 - minute) / (970 * 970) / 10 * 10
	}
	w.load = 350
	switch {
	case minute >= 390 && minute < 480, minute >= 720 && minute < 780:
		w.load = 1400
	case minute >= 1080 && minute < 1290:
		w.load = 3200
	}
	if surplus := w.pv - w.load; surplus > 0 {
		w.battery = min(surplus, 2500, 10*kWh-stored)
	} else {
		w.battery = max(surplus, -2500, 1*kWh-stored)
	}
	return w
}

// exampleGarageSamples are of a unit without a battery that was connected this morning.
func exampleGarageSamples() (samples []wire.Sample) {
	for at := exampleNow.Add(-50 * time.Minute); !at.After(exampleNow); at = at.Add(time.Minute) {
		n := len(samples)
		load := 2600.0
		if n >= 20 && n < 35 {
			load = 3400
		}
		const pv = 1800
		samples = append(samples, wire.Sample{DeviceID: "garage", Time: at, Count: 1, PVPowerW: pv, LoadPowerW: &load, ExportPowerW: new(pv - load)})
	}
	return samples
}

// TestOpenAPIDefaultsAreThoseOfTheHandlers: a request with the default of a parameter has the answer of one without the parameter.
func TestOpenAPIDefaultsAreThoseOfTheHandlers(t *testing.T) {
	e := newExampleServer(t)
	document, err := openapi3.NewLoader().LoadFromData([]byte(e.get("/openapi.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for path, item := range document.Paths.Map() {
		if item.Get == nil {
			continue
		}
		for _, parameter := range item.Get.Parameters {
			p := parameter.Value
			if p.Schema.Value.Default == nil {
				continue
			}
			query := url.Values{"from": {"2026-06-21T08:00:00Z"}, "to": {"2026-06-21T10:00:00Z"}}
			if device := item.Get.Parameters.GetByInAndName("query", "device_id"); device != nil && (device.Required || item.Get.Parameters.GetByInAndName("query", "site") != nil) {
				query.Set("device_id", "roof")
			}
			if p.Name == "partial" {
				query.Set("frame", "day")
			}
			without := e.get(path + "?" + query.Encode())
			value := fmt.Sprint(p.Schema.Value.Default)
			if strings.HasPrefix(value, "[") {
				value = strings.ReplaceAll(strings.Trim(value, "[]"), " ", ",")
			}
			query.Set(p.Name, value)
			if with := e.get(path + "?" + query.Encode()); with != without {
				t.Errorf("%s: %s=%s is not the default: it is answered\n%s\nand without it\n%s", path, p.Name, value, with, without)
			}
			compared++
		}
	}
	if compared < 5 {
		t.Errorf("%d defaults were compared", compared)
	}
}

// get returns the body of an answer 200.
func (e *exampleServer) get(target string) string {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), "GET", "https://solar.example.org"+target, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+exampleViewer)
	answer := e.send(r)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		e.t.Fatalf("%s: %v, %d %s", target, err, answer.StatusCode, body)
	}
	return string(body)
}
