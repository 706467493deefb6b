package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"sunspool/health"
)

// flags returns the flags of a demo with a short history.
func flags(scenario string) Config {
	return Config{Scenario: scenario, Model: "SH10RT", Days: 9, Seed: 1, Speed: 1, TZ: "Europe/Brussels", Listen: "127.0.0.1:0"}
}

// openShow returns a demo with its history, of which nothing runs.
func openShow(t *testing.T, c Config) *show {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s := new(show)
	if err := s.open(t.Context(), c, t.TempDir(), "1.2.3", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range s.plants() {
			p.edge.Spool.Close()
			p.modbus.Close()
		}
		s.public.Close()
		s.asked.Close()
		s.store.Close()
	})
	if err := s.remember(t.Context(), &c, newPanel(nil, io.Discard, s)); err != nil {
		t.Fatal(err)
	}
	return s
}

// runShow returns a demo that runs until the test ends, and a context that ends when a part of it does.
func runShow(t *testing.T, c Config) (*show, context.Context) {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g, ctx := errgroup.WithContext(ctx)
	s := new(show)
	if err := s.start(ctx, g, c, t.TempDir(), "1.2.3", slog.New(slog.DiscardHandler)); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		for _, p := range s.plants() {
			p.edge.Spool.Close()
		}
		s.store.Close()
	})
	g.Go(func() error { return s.remember(ctx, &c, newPanel(nil, io.Discard, s)) })
	g.Go(func() error { return s.carry(ctx, &c) })
	if s.with.breaks {
		g.Go(func() error { return s.breakInverter(ctx) })
	}
	return s, ctx
}

// await returns once done does.
func await(t *testing.T, ctx context.Context, what string, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("it ended, and not yet: " + what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ask returns the answer of a handler to a question, from an address.
func ask(t *testing.T, h http.Handler, from, host, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.RemoteAddr, r.Host = from, host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// answer is that of a demo to a reader on the same host.
func answer[T any](t *testing.T, s *show, path string) (v T) {
	t.Helper()
	w := ask(t, s.readers(), "127.0.0.1:5555", "127.0.0.1:8080", path)
	if err := json.Unmarshal(w.Body.Bytes(), &v); w.Code != 200 || err != nil {
		t.Fatal(path, w.Code, err, w.Body)
	}
	return v
}

type deviceAnswer struct {
	ID           string
	State        string
	Zone         string     `json:"time_zone"`
	LastSample   *time.Time `json:"last_sample"`
	Capabilities *struct{ Battery, Grid, Load bool }
	Chain        []struct {
		Hop, State, Version string
		Spool, Quarantined  *int
	}
}

func devicesOf(t *testing.T, s *show) map[string]deviceAnswer {
	t.Helper()
	all := map[string]deviceAnswer{}
	for _, d := range answer[struct{ Devices []deviceAnswer }](t, s, "/v1/devices").Devices {
		all[d.ID] = d
	}
	return all
}

type gapsAnswer struct {
	Gaps []struct {
		From, To time.Time
		Seconds  int
		Reason   string
	} `json:"holes"`
}

type newestAnswer struct {
	Time time.Time `json:"ts"`
	PV   float64   `json:"pv_power_w"`
	SOC  *float64  `json:"battery_soc_pct"`
	Day  float64   `json:"pv_daily_kwh"`
}

// The flag's list and the table are the same.
func TestEachScenarioHasAFlag(t *testing.T) {
	field, _ := reflect.TypeFor[Config]().FieldByName("Scenario")
	names := strings.Split(field.Tag.Get("enum"), ",")
	slices.Sort(names)
	if table := slices.Sorted(maps.Keys(scenarios)); !slices.Equal(names, table) {
		t.Errorf("the flag has %v, the table %v", names, table)
	}
}

func TestSunnyIsAClearSummerDay(t *testing.T) {
	s := openShow(t, flags("sunny"))
	newest := answer[newestAnswer](t, s, "/v1/realtime?device_id=demo")
	if m := newest.Time.Month(); m != time.June && m != time.July {
		t.Errorf("it is %v", newest.Time)
	}
	if newest.PV < 5000 || newest.Day < 20 {
		t.Errorf("%+v", newest)
	}
}

func TestWinterIsAShortGreyDay(t *testing.T) {
	s := openShow(t, flags("winter"))
	newest := answer[newestAnswer](t, s, "/v1/realtime?device_id=demo")
	if m := newest.Time.Month(); m != time.December && m != time.January {
		t.Errorf("it is %v", newest.Time)
	}
	if newest.Day > 4 || newest.SOC == nil || *newest.SOC > 10 {
		t.Errorf("%+v", newest)
	}
}

func TestOutageHasGaps(t *testing.T) {
	s := openShow(t, flags("outage"))
	gaps := answer[gapsAnswer](t, s, "/v1/continuity?device_id=demo&from="+url.QueryEscape(s.started.AddDate(0, 0, -8).Format(time.RFC3339))).Gaps
	if len(gaps) != 2 {
		t.Fatalf("%+v", gaps)
	}
	day, today := gaps[0], gaps[1]
	if today.From.In(s.started.Location()).YearDay() != s.started.YearDay() || today.Seconds != 35*60 || today.Reason != "not_received" {
		t.Errorf("%+v", today)
	}
	if day.Seconds < 22*3600 || day.Reason != "not_received" || day.From.Before(s.started.AddDate(0, 0, -7)) {
		t.Errorf("%+v", day)
	}
}

// The clock is set ahead to see what time alone would show.
func TestStaleStopsAfterTheFirstSample(t *testing.T) {
	t.Parallel()
	s, ctx := runShow(t, flags("stale"))
	broken := func() bool {
		links := s.edge.Report.Now().Links
		return s.delivered() > 0 && s.waiting() == 0 && slices.ContainsFunc(links, func(l health.Status) bool { return l.Name == "inverter" && l.State == health.Broken })
	}
	await(t, ctx, "the inverter is lost", broken)
	last := *devicesOf(t, s)[Device].LastSample
	for _, step := range []struct {
		age   time.Duration
		state string
	}{{30 * time.Second, "delayed"}, {2 * time.Minute, "stale"}, {20 * time.Minute, "offline"}} {
		s.ahead.Add(int64(last.Add(step.age).Sub(s.now())))
		if d := devicesOf(t, s)[Device]; d.State != step.state || !d.LastSample.Equal(last) {
			t.Errorf("after %v: %s, %v", step.age, d.State, d.LastSample)
		}
	}
}

// A day of 25 or 23 hours is among the last three.
func TestDSTHasAChangeOfClocks(t *testing.T) {
	for _, zone := range []string{"Europe/Brussels", "America/New_York", "Australia/Sydney"} {
		c := flags("dst")
		c.TZ = zone
		s := openShow(t, c)
		if d := devicesOf(t, s)[Device]; d.Zone != zone {
			t.Errorf("the zone is %s", d.Zone)
		}
		now := s.started
		y, m, d := now.Date()
		midnight := func(days int) time.Time { return time.Date(y, m, d+days, 0, 0, 0, 0, now.Location()) }
		if length := midnight(-1).Sub(midnight(-2)); length == 24*time.Hour {
			t.Errorf("%s: %v has %v", zone, midnight(-2), length)
		}
		covered := answer[struct {
			Gaps     int `json:"holes_total"`
			From, To time.Time
		}](t, s, "/v1/continuity?device_id=demo&from="+url.QueryEscape(midnight(-2).Format(time.RFC3339))+"&to="+url.QueryEscape(midnight(-1).Format(time.RFC3339)))
		if covered.Gaps != 0 || !covered.To.Equal(midnight(-1)) || !covered.From.Equal(midnight(-2)) {
			t.Errorf("%s: %+v", zone, covered)
		}
	}
	c := flags("dst")
	c.TZ = "Asia/Tokyo"
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "Asia/Tokyo") {
		t.Error(err)
	}
}

func TestScenariosLackWhatTheyName(t *testing.T) {
	for name, want := range map[string]struct{ battery, meter bool }{"mixed": {true, true}, "no-battery": {false, true}, "no-meter": {true, false}} {
		has := devicesOf(t, openShow(t, flags(name)))[Device].Capabilities
		if has == nil || has.Battery != want.battery || has.Grid != want.meter || has.Load != want.meter {
			t.Errorf("%s: %+v", name, has)
		}
	}
}

// Both are read, and what both edges read arrives.
func TestTwoInvertersAreBothRead(t *testing.T) {
	t.Parallel()
	s, ctx := runShow(t, flags("two-inverters"))
	var all map[string]deviceAnswer
	await(t, ctx, "both are live", func() bool {
		all = devicesOf(t, s)
		return all[Device].State == "live" && all["garage"].State == "live"
	})
	if len(all) != 2 || all["garage"].Capabilities.Battery || !all[Device].Capabilities.Battery {
		t.Errorf("%+v", all)
	}
	await(t, ctx, "both edges have delivered", func() bool {
		return !slices.ContainsFunc(s.plants(), func(p *plant) bool { return p.delivered() == 0 })
	})
}

// Each state of a list of devices is there.
func TestFleetHasDevicesInAllStates(t *testing.T) {
	t.Parallel()
	s, ctx := runShow(t, flags("fleet"))
	want := map[string][]string{"live": {"bakery", "barn", "dairy", "demo", "farm", "mill", "office"}, "asleep": {"chapel", "garage"},
		"offline": {"harbour"}, "stale": {"inn"}, "never": {"school"}}
	var all map[string]deviceAnswer
	var got map[string][]string
	await(t, ctx, "all live devices have delivered", func() bool {
		all, got = devicesOf(t, s), map[string][]string{}
		for _, id := range slices.Sorted(maps.Keys(all)) {
			got[all[id].State] = append(got[all[id].State], id)
		}
		return len(got["live"]) == len(want["live"])
	})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	edge := func(id string) (spool, quarantined int) {
		return *all[id].Chain[1].Spool, *all[id].Chain[1].Quarantined
	}
	if spool, _ := edge("farm"); spool < 1000 {
		t.Errorf("%d samples wait on the farm's edge", spool)
	}
	if _, quarantined := edge("mill"); quarantined != 3 {
		t.Errorf("%d samples are in quarantine at the mill", quarantined)
	}
	if all["dairy"].Capabilities.Battery || all["office"].Capabilities.Grid {
		t.Errorf("dairy %+v, office %+v", all["dairy"].Capabilities, all["office"].Capabilities)
	}
	if all["harbour"].Chain[1].Version != "0.9.2" || all["bakery"].Chain[1].Version != "1.2.3" {
		t.Errorf("versions %q and %q", all["harbour"].Chain[1].Version, all["bakery"].Chain[1].Version)
	}
}

// A backlog drains, the newest samples first, until there is no gap.
func TestBacklogOfTheFleetDrains(t *testing.T) {
	s := openShow(t, flags("fleet"))
	server := httptest.NewServer(s.server.Handler())
	defer server.Close()
	c := flags("fleet")
	v, err := newCourier(s, &c)
	if err != nil {
		t.Fatal(err)
	}
	v.url = server.URL + "/v1/ingest"
	farm := s.with.others[slices.IndexFunc(s.with.others, func(n neighbor) bool { return n.backlog > 0 })]
	gaps := func() int {
		return len(answer[gapsAnswer](t, s, "/v1/continuity?device_id=farm&from="+url.QueryEscape(s.started.AddDate(0, 0, -2).Format(time.RFC3339))).Gaps)
	}
	if gaps() != 1 {
		t.Errorf("%d gaps before", gaps())
	}
	for last := len(v.waiting["farm"]); last > 0; last = len(v.waiting["farm"]) {
		if err := v.upload(t.Context(), &farm, s.now()); err != nil {
			t.Fatal(err)
		}
		if len(v.waiting["farm"]) >= last {
			t.Fatal("it does not get shorter")
		}
	}
	if gaps() != 0 {
		t.Errorf("%d gaps after", gaps())
	}
}

// The whole demo lives on that day: the history ends there, and the live samples follow.
func TestDateSetsAllClocks(t *testing.T) {
	t.Parallel()
	c := flags("mixed")
	c.Date = "2024-02-29T14:00"
	s, ctx := runShow(t, c)
	await(t, ctx, "a sample is delivered", func() bool { return s.delivered() > 0 })
	from := time.Date(2024, 2, 29, 13, 0, 0, 0, time.UTC)
	d := devicesOf(t, s)[Device]
	if d.State != "live" || d.LastSample.Before(from) || d.LastSample.After(s.now()) {
		t.Errorf("%s, %v", d.State, d.LastSample)
	}
	if h := s.edge.Report.Now(); h.Status != "ok" {
		t.Errorf("%s: %s", h.Status, h.Sentence)
	}
	for date, good := range map[string]bool{"2024-02-30": false, "yesterday": false, "2009-06-01": false, "2100-01-01": false, "2100-01-01T00:30": false, "2099-12-31T23:30": true, "2015-06-01": true, "2031-06-01T08:00": true} {
		c.Date = date
		if err := c.Validate(); (err == nil) != good {
			t.Errorf("%s: %v", date, err)
		}
	}
}

// Who is not on this host needs the token of the link, and may write nothing; this host needs none.
func TestLANAsksOtherHostsForTheToken(t *testing.T) {
	c := flags("two-inverters")
	c.LAN, c.Days = true, 1
	s := openShow(t, c)
	const path = "/v1/devices"
	for name, from := range map[string]struct {
		address, host string
		code          int
	}{
		"this host":                         {"127.0.0.1:5555", "localhost:8080", 200},
		"this host, IPv6":                   {"[::1]:5555", "[::1]:8080", 200},
		"another host":                      {"192.168.1.7:5555", "192.168.1.5:8080", 401},
		"another host that says localhost":  {"192.168.1.7:5555", "localhost:8080", 401},
		"a page of another site, rebinding": {"127.0.0.1:5555", "evil.example.org:8080", 401},
		"its name ends as ours":             {"127.0.0.1:5555", "localhost.evil.example.org", 401},
		"the last of names":                 {"127.0.0.1:5555", "localhost.:8080", 200},
	} {
		if w := ask(t, s.readers(), from.address, from.host, path); w.Code != from.code {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
		for _, value := range []string{"", "127.0.0.1"} {
			r := httptest.NewRequest("GET", "http://localhost:8080"+path, nil)
			r.RemoteAddr = "127.0.0.1:5555"
			r.Header.Set(name, value)
			w := httptest.NewRecorder()
			if s.readers().ServeHTTP(w, r); w.Code != 401 {
				t.Errorf("through a proxy with %s: %d", name, w.Code)
			}
		}
	}
	_, token, ok := strings.Cut(s.link(), "/#t=")
	if !ok || len(token) < 20 {
		t.Fatal(s.link())
	}
	r := httptest.NewRequest("POST", "http://192.168.1.5:8080/v1/session", strings.NewReader(`{"token":"`+token+`"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.readers().ServeHTTP(w, r)
	if w.Code != 200 || len(w.Result().Cookies()) != 1 {
		t.Fatal(w.Code, w.Body)
	}
	again := httptest.NewRequest("GET", "http://192.168.1.5:8080"+path, nil)
	again.AddCookie(w.Result().Cookies()[0])
	w = httptest.NewRecorder()
	s.readers().ServeHTTP(w, again)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "garage") {
		t.Error(w.Code, w.Body)
	}
	post := httptest.NewRequest("POST", "http://192.168.1.5:8080/v1/ingest", strings.NewReader(`{"samples":[]}`))
	post.Header.Set("Authorization", "Bearer "+token)
	w = httptest.NewRecorder()
	s.readers().ServeHTTP(w, post)
	if w.Code != 403 {
		t.Error(w.Code, w.Body)
	}
}

// A demo asks nobody for a token, so it has the names of the loopback alone: a page of another site that has pointed its own name
// here reads nothing, and a person is shown the way.
func TestTheDemoHasNoOtherNames(t *testing.T) {
	c := flags("mixed")
	c.Days = 1
	s := openShow(t, c)
	for host, want := range map[string]int{
		"127.0.0.1:8080": 200, "localhost:8080": 200, "LocalHost": 200, "localhost.": 200, "[::1]:8080": 200, "127.8.9.1": 200, "demo.localhost:1": 200,
		"evil.example.org:8080": 403, "localhost.evil.example.org": 403, "evillocalhost": 403, "192.168.1.5:8080": 403, "solar.local": 403, "2130706433": 403, "0.0.0.0:8080": 403, "": 403,
	} {
		for _, path := range []string{"/", "/v1/devices", "/lite"} {
			w := ask(t, s.readers(), "127.0.0.1:5555", host, path)
			if w.Code != want || want == 403 && (!strings.Contains(w.Body.String(), "open http://") || !strings.Contains(w.Body.String(), "--lan") || strings.Contains(w.Body.String(), Device+`"`)) {
				t.Errorf("%s of %q: %d %s", path, host, w.Code, w.Body)
			}
		}
	}
}

// The link for other devices follows the one for this host, and each is a new one.
func TestLANPrintsTheLink(t *testing.T) {
	var out bytes.Buffer
	s := &show{viewer: "TOKEN"}
	s.addresses.readers = "[::]:8080"
	newPanel(nil, &out, s).greet(Config{Model: "SH10RT"}, "1.2.3")
	lines := strings.Split(out.String(), "\n")
	if lines[0] != "Open http://127.0.0.1:8080/" || !strings.HasPrefix(lines[1], "Open http://") || !strings.Contains(lines[1], ":8080/#t=TOKEN") {
		t.Errorf("%q", lines[:2])
	}
	s.addresses.readers = "192.168.1.5:8080"
	if s.page() != "http://192.168.1.5:8080/#t=TOKEN" {
		t.Error(s.page())
	}
	c := flags("mixed")
	for listen, good := range map[string]bool{"": true, "0.0.0.0:0": true, "192.168.1.5:8080": true, "nonsense": false} {
		c.Listen, c.LAN = listen, true
		if err := c.Validate(); (err == nil) != good {
			t.Errorf("%q: %v", listen, err)
		}
	}
	if c.Listen, c.LAN = "0.0.0.0:0", false; c.Validate() == nil {
		t.Error("all addresses without --lan")
	}
}
