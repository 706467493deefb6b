package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/vps/history"
	"sunspool/vps/store"
	"sunspool/wire"
)

// household is a bench with a site of some devices, each with a zone of its own.
func household(t testing.TB, now time.Time, devices map[string][]wire.Sample) *bench {
	t.Helper()
	b := newBench(t, func(s *Server) { s.Now = func() time.Time { return now } })
	zones := []string{"Europe/Brussels", "America/St_Johns", "Asia/Kathmandu"}
	ids := slices.Sorted(maps.Keys(devices))
	for i, id := range ids {
		b.put(id, devices[id])
		if err := b.bolt.Describe(t.Context(), id, store.About{Zone: zones[i%len(zones)], Seen: now}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.bolt.SetSite(t.Context(), store.Site{Name: "home", Devices: ids}); err != nil {
		t.Fatal(err)
	}
	return b
}

// inverter returns the samples of a device with or without a battery, with a meter of its own, at so many seconds, some hours
// of which are lost.
func inverter(r *rand.Rand, from, to time.Time, every time.Duration, battery bool, step float64) (samples []wire.Sample) {
	var total [5]float64
	lost, until := time.Duration(0), from
	var pv, load, charge float64
	for at := from; at.Before(to); at = at.Add(every) {
		if at.After(until) {
			pv, load, charge, until = max(0, 6000*r.Float64()-1500), 3000*r.Float64(), 3000*r.Float64()-1500, at.Add(time.Duration(5+r.IntN(50))*time.Minute)
			if lost = 0; r.IntN(6) == 0 {
				lost, until = 1, at.Add(time.Duration(r.IntN(300))*time.Minute)
			}
		}
		if !battery {
			charge = 0
		}
		export := pv - load - charge
		for i, w := range []float64{pv, -export, export, charge, -charge} {
			total[i] += max(w, 0) / 1000 * every.Hours()
		}
		counter := func(i int) *float64 { return new(math.Floor((100+total[i])/step) * step) }
		s := wire.Sample{Time: at, Count: 1, Interval: every, PVPowerW: pv, LoadPowerW: new(load), ExportPowerW: new(export),
			PVTotalKWh: counter(0), ImportTotalKWh: counter(1), ExportTotalKWh: counter(2)}
		if battery {
			s.BatteryPowerW, s.BatterySOCPct, s.ChargeTotalKWh, s.DischargeTotalKWh = new(charge), new(50+charge/100), counter(3), counter(4)
		}
		if lost == 0 {
			samples = append(samples, s)
		}
	}
	return samples
}

type siteEnergy struct {
	energyTest
	Incomplete map[string][]string
}

// threeInverters are a site whose devices all have a meter.
func threeInverters(t *testing.T) (b *bench, ids []string) {
	now := time.Date(2026, 10, 27, 9, 41, 0, 0, time.UTC)
	from := time.Date(2026, 10, 23, 3, 0, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(1, 2))
	return household(t, now, map[string][]wire.Sample{
		"roof":   inverter(r, from, now, time.Minute, true, 0.1),
		"garage": inverter(r, from.Add(30*time.Hour), now, 2*time.Minute, false, 1),
		"barn":   inverter(r, from, now.Add(-9*time.Hour), 10*time.Minute, true, 0.1),
	}), []string{"barn", "garage", "roof"}
}

// Each column of a site is the sum of those of its devices, whose zones, intervals, gaps and counters differ; null where one
// of them does not know its part, which the answer names. A device without a battery has no part in what batteries do.
func TestASiteIsTheSumOfItsDevices(t *testing.T) {
	b, ids := threeInverters(t)
	priced(b, villagePrices)
	nulls, sums, money := 0, 0, 0
	for _, query := range []string{"resolution=hour&from=2026-10-24&to=2026-10-27", "resolution=day", "resolution=month", "resolution=year", "resolution=day&compare=previous&from=2026-10-26",
		"resolution=day&tz=Asia/Kathmandu"} {
		site := answered[siteEnergy](b, "/v1/energy?site=home&"+query)
		tz := "tz=Europe/Brussels&" // of barn, the first
		devices := map[string]energyTest{}
		for _, id := range ids {
			devices[id] = answered[energyTest](b, "/v1/energy?device_id="+id+"&"+tz+query)
		}
		check := func(name string, where string, got history.Number, of func(energyTest) history.Number) {
			sum, lacking, any := 0.0, []string{}, false
			for _, id := range ids {
				v := float64(of(devices[id]))
				switch {
				case v == v:
					sum, any = sum+v, true
				case id == "garage" && ofBattery(name):
				default:
					lacking = append(lacking, id)
				}
			}
			if len(lacking) > 0 || !any {
				if nulls++; got == got {
					t.Errorf("%s %s %s: %v, but %v does not know", query, name, where, got, lacking)
				}
				for _, id := range lacking {
					if any && !slices.Contains(site.Incomplete[id], name) {
						t.Errorf("%s %s %s: null because of %s, of which the answer says %v", query, name, where, id, site.Incomplete[id])
					}
				}
				return
			}
			if sums++; math.Abs(sum-float64(got)) > 0.0021 {
				t.Errorf("%s %s %s: %v, the devices have %.3f", query, name, where, got, sum)
			}
		}
		for _, name := range append(history.EnergyColumns[:], "cost", "saved", "co2_avoided_kg", "fee", "spread_cost") {
			for id, d := range devices {
				if d.Columns[name] == nil { // no fee, or nothing that is spread
					devices[id].Columns[name] = make([]history.Number, len(d.Labels))
				}
				if d.Compare != nil && d.Compare.Columns[name] == nil {
					devices[id].Compare.Columns[name] = make([]history.Number, len(d.Compare.Labels))
				}
			}
			if name == "cost" {
				money = sums
			} else if site.Columns[name] == nil || site.Compare != nil && site.Compare.Columns[name] == nil {
				if name != "spread_cost" {
					t.Errorf("%s: no %s", query, name)
				}
				continue
			}
			for i := range site.Labels {
				check(name, site.Labels[i], site.Columns[name][i], func(d energyTest) history.Number { return d.Columns[name][i] })
			}
			if site.Compare != nil {
				for i := range site.Compare.Labels {
					check(name, "compared "+site.Compare.Labels[i], site.Compare.Columns[name][i], func(d energyTest) history.Number { return d.Compare.Columns[name][i] })
				}
			}
			total := 0.0
			for _, v := range site.Columns[name] {
				if v == v {
					total += float64(v)
				}
			}
			if got := float64(site.Totals[name]); got == got && math.Abs(got-total) > 0.05 {
				t.Errorf("%s %s: the total is %v, the rows have %v", query, name, got, total)
			}
		}
	}
	if nulls < 100 || sums < 500 || money == sums {
		t.Errorf("only %d sums, %d of them of energy, and %d nulls", sums, money, nulls)
	}
}

func ofBattery(name string) bool {
	return strings.Contains(name, "battery") || strings.Contains(name, "charge")
}

// oneMeter is a site of two inverters with one meter, and a device that has the panels of both.
func oneMeter(t *testing.T) *bench {
	now := time.Date(2026, 6, 21, 18, 0, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(3, 4))
	var master, slave, whole []wire.Sample
	var pv, more, load, charge float64
	for at := now.Add(-40 * time.Hour); at.Before(now); at = at.Add(time.Minute) {
		if at.Minute() == 0 && at.Hour()%2 == 0 {
			pv, more, load, charge = 5000*r.Float64(), 4000*r.Float64(), 6000*r.Float64(), 4000*r.Float64()-2000
		}
		export := pv + more - load - charge
		own := load - more // what the hybrid inverter takes for the load of the house
		one := wire.Sample{Time: at, Count: 1, Interval: time.Minute, PVPowerW: pv, LoadPowerW: &own, BatteryPowerW: new(charge), BatterySOCPct: new(60.0), ExportPowerW: &export}
		master = append(master, one)
		slave = append(slave, wire.Sample{Time: at.Add(-7 * time.Second), Count: 1, Interval: time.Minute, PVPowerW: more})
		one.PVPowerW, one.LoadPowerW = pv+more, new(load)
		whole = append(whole, one)
	}
	b := household(t, now, map[string][]wire.Sample{"garage": slave, "roof": master})
	b.put("both", whole)
	return b
}

// Two inverters behind one meter are one house: a site of them answers as one inverter would that has both of their panels.
func TestInvertersBehindOneMeterAreOneHouse(t *testing.T) {
	b := oneMeter(t)
	priced(b, villagePrices)
	for _, query := range []string{"resolution=hour&from=2026-06-20&to=2026-06-21", "resolution=day&from=2026-06-20&to=2026-06-21", "resolution=month"} {
		site := answered[siteEnergy](b, "/v1/energy?tz=Europe/Brussels&site=home&"+query)
		want := answered[energyTest](b, "/v1/energy?tz=Europe/Brussels&device_id=both&"+query)
		for name, column := range want.Columns {
			near := func(where string, got, want history.Number) {
				margin := 0.01*math.Abs(float64(want)) + 0.05
				switch { // means of five minutes are not those of samples where the powers change
				case strings.HasPrefix(name, "pv_peak") && strings.Contains(query, "hour"):
					return
				case strings.HasSuffix(name, "_at"):
					margin = 300
				case strings.HasSuffix(name, "_pct"):
					margin = 4
				case strings.HasSuffix(name, "_w"):
					margin = 20
				}
				if got != got && want != want {
					return
				}
				if !(math.Abs(float64(got-want)) <= margin) {
					t.Errorf("%s %s %s: %v, want %v", query, name, where, got, want)
				}
			}
			for i := range column {
				near(site.Labels[i], site.Columns[name][i], column[i])
			}
			near("in all", site.Totals[name], want.Totals[name])
		}
		if got := fmt.Sprint(*site.Source["load_kwh"], " ", *site.Source["import_kwh"], site.Incomplete); got != "derived integratedmap[]" {
			t.Errorf("%s: load, import and what is incomplete: %s", query, got)
		}
	}
}

// A site is no way to a device that the token may not read, and no news of its existence.
func TestASiteIsReadByWhoMayReadAllOfIt(t *testing.T) {
	b := newVillage(t)
	if err := b.bolt.SetSite(t.Context(), store.Site{Name: "farm", Devices: []string{"barn", "roof"}}); err != nil {
		t.Fatal(err)
	}
	_, both := b.made(store.RoleViewer, time.Time{}, "roof", "barn")
	for _, path := range []string{"/v1/energy?", "/v1/realtime?", "/v1/series?resolution=1h&"} {
		for _, token := range []string{both, viewerAll} {
			if w := b.get(path+"site=farm", token); w.Code != 200 {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		unknown := b.get(path+"site=other", viewer1)
		for _, name := range []string{"farm", "", "no%20name"} {
			if w := b.get(path+"site="+name, viewer1); w.Code != 403 || w.Body.String() != unknown.Body.String() {
				t.Errorf("%s of %q: %d %s, of an unknown one %d %s", path, name, w.Code, w.Body, unknown.Code, unknown.Body)
			}
		}
		if w := b.get(path+"site=farm&device_id=roof", viewerAll); w.Code != 422 || !strings.Contains(w.Body.String(), "site_and_device") {
			t.Errorf("%s of both: %d %s", path, w.Code, w.Body)
		}
	}
}

// An inverter without a battery sleeps at night, and makes nothing then: what the others know of the night is known.
func TestAnInverterThatSleepsMakesNothing(t *testing.T) {
	now := time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)
	var hybrid, plain []wire.Sample
	for at := now.Add(-10 * 24 * time.Hour); at.Before(now); at = at.Add(time.Minute) {
		pv := 0.0
		if h := at.Hour(); h >= 6 && h < 18 {
			pv = float64(min(h-5, 18-h)) * 500
			plain = append(plain, wire.Sample{Time: at, Count: 1, Interval: time.Minute, PVPowerW: pv})
		} else if h == 18 && at.Minute() < 20 {
			plain = append(plain, wire.Sample{Time: at, Count: 1, Interval: time.Minute})
		}
		hybrid = append(hybrid, wire.Sample{Time: at, Count: 1, Interval: time.Minute, PVPowerW: 0, LoadPowerW: new(1000 - pv), BatteryPowerW: new(0.0), ExportPowerW: new(pv - 1000)})
	}
	b := household(t, now, map[string][]wire.Sample{"garage": plain, "roof": hybrid})
	hours := answered[siteEnergy](b, "/v1/energy?site=home&tz=UTC&resolution=hour&from=2026-06-19&to=2026-06-20")
	for i, label := range hours.Labels {
		h := i % 24
		want := 0.0
		if h >= 6 && h < 18 {
			want = float64(min(h-5, 18-h)) * 0.5
		}
		for name, want := range map[string]float64{"pv_kwh": want, "load_kwh": 1, "grid_home_kwh": max(0, 1-want), "coverage": 1} {
			if got := float64(hours.Columns[name][i]); !(math.Abs(got-want) < 0.03) {
				t.Errorf("%s of %s is %v, want %v", name, label, got, want)
			}
		}
	}
	if len(hours.Incomplete) > 0 {
		t.Errorf("incomplete: %v", hours.Incomplete)
	}
	if got := float64(hours.Totals["self_sufficiency_pct"]); !(math.Abs(got-45.8) < 0.3) { // of 24 hours, not of the day alone
		t.Errorf("self-sufficiency is %v %%", got)
	}
	w := b.get("/v1/energy?device_id=garage&tz=UTC&resolution=hour&from=2026-06-19&to=2026-06-20", viewerAll)
	if got := decodeJSON[energyTest](t, w).Columns["pv_kwh"][2]; got == got {
		t.Errorf("the device alone has %v kWh at night", got)
	}
}

// The powers of a site are the sums of the newest samples, of one house behind one meter, and its state is that of the worst.
func TestNowOfASiteIsTheSumOfItsDevices(t *testing.T) {
	now := time.Date(2026, 6, 21, 12, 0, 0, 0, time.UTC)
	at := func(ago time.Duration, pv float64, rest ...float64) wire.Sample { // load, battery, soc, export, capacity
		s := wire.Sample{Time: now.Add(-ago), Count: 1, PVPowerW: pv, Values: map[string]float64{}}
		for i, v := range rest {
			if v != v {
				continue
			}
			switch i {
			case 0:
				s.LoadPowerW = &v
			case 1:
				s.BatteryPowerW = &v
			case 2:
				s.BatterySOCPct = &v
			case 3:
				s.ExportPowerW = &v
			case 4:
				s.Values["battery_capacity"] = v
			}
		}
		return s
	}
	no := math.NaN()
	for _, c := range []struct {
		name         string
		garage, roof wire.Sample
		want         string // pv, load, battery, soc, grid; age, state, quality, what is incomplete; solar to home, battery, grid, grid to home
	}{
		{"a connection each", at(5*time.Second, 1000, 400, no, no, 600), at(10*time.Second, 500, 800, -100, 40, -200),
			"1500 1200 -100 40 -400; 10 live map[] map[]; 900 0 600 200"},
		{"one meter", at(5*time.Second, 1000), at(time.Minute, 500, -200, 300, 40, 400), // the house takes 800
			"1500 800 300 40 -400; 60 delayed map[load_power_w:derived] map[]; 800 300 400 0"},
		{"batteries of known sizes", at(0, 0, 100, -100, 20, 0, 5), at(0, 0, 100, -100, 60, 0, 15), "0 200 -200 50 0; 0 live map[] map[]; 0 0 0 0"},
		{"batteries of unknown sizes", at(0, 0, 100, -100, 20, 0), at(0, 0, 100, -100, 60, 0, 15), "0 200 -200 - 0; 0 live map[] map[]; 0 0 0 0"},
		{"a battery that is not read", at(0, 1000), at(0, 500, -200, no, 40, 400), "1500 - - 40 -400; 0 live map[] map[roof:[battery_power_w load_power_w flows]]; - - - -"},
		{"a load that is not known", at(0, 1000, no, no, no, 100), at(0, 500, 200, no, no, 300), "1500 - - - -400; 0 live map[] map[garage:[load_power_w flows]]; - - - -"},
		{"one is silent", at(2*time.Hour, 1000, 400, no, no, 600), at(0, 500, 200, no, no, 300), "1500 600 - - -900; 7200 offline map[] map[]; 600 0 900 0"},
		{"a meter that is lost", func() wire.Sample {
			s := at(0, 1000)
			s.ImportTotalKWh = new(12.5)
			return s
		}(), at(0, 500, 200, no, no, 300), "1500 - - - -; 0 live map[] map[garage:[load_power_w grid_power_w flows]]; - - - -"},
	} {
		b := household(t, now, map[string][]wire.Sample{"garage": {c.garage}, "roof": {c.roof}})
		a := answered[siteRealtime](b, "/v1/realtime?site=home")
		show := func(all ...*float64) string {
			var texts []string
			for _, v := range all {
				text := "-"
				if v != nil {
					text = fmt.Sprint(*v)
				}
				texts = append(texts, text)
			}
			return strings.Join(texts, " ")
		}
		got := fmt.Sprintf("%s; %v %s %v %v; %s", show(a.PVPowerW, a.LoadPowerW, a.BatteryPowerW, a.BatterySOCPct, a.GridPowerW), a.AgeS, a.State,
			a.Quality, a.Incomplete, show(a.Flows.SolarHome, a.Flows.SolarBattery, a.Flows.SolarGrid, a.Flows.GridHome))
		if got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, got, c.want)
		}
	}
}

// What inverters count of the day is added up where their days are the same one; yesterday's is not today's.
func TestPVOfTheDayOfASiteIsWhatItsDevicesCount(t *testing.T) {
	now := time.Date(2026, 6, 21, 10, 30, 0, 0, time.UTC)
	counted := func(ago time.Duration, kwh float64) []wire.Sample {
		return []wire.Sample{{Time: now.Add(-ago), Count: 1, PVPowerW: 1000, PVDailyKWh: &kwh}}
	}
	for _, c := range []struct {
		garage    []wire.Sample
		zone      string // of the roof
		want      string
		isMissing bool
	}{
		{counted(10*time.Second, 3.25), "Europe/Brussels", "7.75", false},
		{counted(24*time.Hour, 30), "Europe/Brussels", "null", true},
		{counted(10*time.Second, 3.25), "Asia/Kathmandu", "3.251", false}, // its day is another one: what it made in that of the site, of one sample
	} {
		b := household(t, now, map[string][]wire.Sample{"garage": c.garage, "roof": counted(0, 4.5)})
		if err := b.bolt.Describe(t.Context(), "roof", store.About{Zone: c.zone, Seen: now}); err != nil {
			t.Fatal(err)
		}
		a := answered[siteRealtime](b, "/v1/realtime?site=home")
		if got, _ := json.Marshal(a.PVDailyKWh); string(got) != c.want || c.isMissing != slices.Contains(a.Incomplete["garage"], "pv_daily_kwh") {
			t.Errorf("%v, roof in %s: %s, want %s; incomplete %v", c.garage[0].Time, c.zone, got, c.want, a.Incomplete)
		}
	}
}

type sitePowers struct {
	powersTest
	Incomplete map[string][]string
}

// So are the powers of a site, in each resolution.
func TestPowersOfASiteAreTheSumOfItsDevices(t *testing.T) {
	b, ids := threeInverters(t)
	nulls, sums := 0, 0
	for _, query := range []string{"resolution=1m&from=2026-10-25T20:00:00Z&to=2026-10-26T20:00:00Z", "resolution=5m&from=2026-10-24", "resolution=15m&from=2026-10-24", "resolution=1h&from=2026-10-22", "resolution=1d&from=2026-10-20"} {
		query += "&tz=Asia/Kathmandu&columns=" + strings.Join(history.AllMeans, ",")
		site := answered[sitePowers](b, "/v1/series?site=home&"+query)
		var devices []powersTest
		for _, id := range ids {
			devices = append(devices, answered[powersTest](b, "/v1/series?device_id="+id+"&"+query))
		}
		for _, name := range history.AllMeans {
			if name == "soc_pct" || name == "pv_max_w" || strings.HasSuffix(name, "coverage") {
				continue
			}
			for i := range site.Count {
				sum, unknown, any := 0.0, "", false
				for k, d := range devices {
					v := float64(d.Columns[name][i])
					if v == v {
						sum, any = sum+v, true
					} else if ids[k] != "garage" || !ofBattery(name) {
						unknown = ids[k]
					}
				}
				switch got := float64(site.Columns[name][i]); {
				case unknown == "" && any:
					if sums++; !(math.Abs(sum-got) < 0.16) {
						t.Errorf("%s %s %d: %v, the devices have %v", query, name, i, got, sum)
					}
				case got == got:
					t.Errorf("%s %s %d: %v, but %s does not know", query, name, i, got, unknown)
				default:
					if nulls++; any && !slices.Contains(site.Incomplete[unknown], name) {
						t.Errorf("%s %s %d: null because of %s, of which the answer says %v", query, name, i, unknown, site.Incomplete[unknown])
					}
				}
			}
		}
		gaps := 0
		for i, d := range devices {
			gaps += len(d.Gaps)
			for _, gap := range d.Gaps {
				if gap.Device = ids[i]; !slices.Contains(site.Gaps, gap) {
					t.Errorf("%s: the gap %v is not the site's", query, gap)
				}
			}
		}
		if len(site.Gaps) != gaps {
			t.Errorf("%s: %d gaps, the devices have %d", query, len(site.Gaps), gaps)
		}
	}
	if nulls < 1000 || sums < 1000 {
		t.Errorf("only %d sums and %d nulls", sums, nulls)
	}
}

// So are the powers of one house.
func TestPowersBehindOneMeterAreThoseOfOneHouse(t *testing.T) {
	b := oneMeter(t)
	for _, resolution := range []string{"1m", "5m", "15m", "1h", "1d"} {
		query := "&from=2026-06-20T04:00:00Z&to=2026-06-21T17:00:00Z&tz=UTC&columns=" + strings.Join(history.AllMeans, ",") + "&resolution=" + resolution
		site, want := answered[sitePowers](b, "/v1/series?site=home"+query), answered[powersTest](b, "/v1/series?device_id=both"+query)
		for name, column := range want.Columns {
			differ := 0
			for i, v := range column {
				got, want := float64(site.Columns[name][i]), float64(v)
				margin := 0.02*math.Abs(want) + 40
				if name == "pv_max_w" {
					margin = 600 // the mean of five minutes has some of the hour before
				}
				if !(math.Abs(got-want) <= margin) && !(got != got && want != want) {
					differ++
				}
			}
			// Where the powers change in the middle of a minute, or of five, the means of both sides are one.
			if differ > len(column)/20+1 {
				t.Errorf("%s in %s: %d of %d differ: %v, want %v", name, resolution, differ, len(column), site.Columns[name], column)
			}
		}
		if len(site.Incomplete) > 0 || site.Quality["load_w"] != "derived" {
			t.Errorf("%s: incomplete %v, quality %v", resolution, site.Incomplete, site.Quality)
		}
	}
}

// A site of one device is that device.
func TestASiteOfOneIsItsDevice(t *testing.T) {
	b := oneMeter(t)
	if err := b.bolt.SetSite(t.Context(), store.Site{Name: "alone", Devices: []string{"both"}}); err != nil {
		t.Fatal(err)
	}
	priced(b, villagePrices)
	for _, question := range []string{"/v1/energy?resolution=hour&compare=previous&", "/v1/energy?resolution=day&from=2026-06-18&", "/v1/energy?resolution=month&", "/v1/series?from=2026-06-20&", "/v1/series?from=2026-06-20&resolution=1h&columns=" + strings.Join(history.AllMeans, ",") + "&"} {
		site, device := b.get(question+"site=alone", viewerAll).Body.String(), b.get(question+"device_id=both", viewerAll).Body.String()
		site = strings.NewReplacer(`"site":"alone"`, `"device_id":"both"`, `,"incomplete":{}`, "", `,"device_id":"both"}`, "}").Replace(site)
		if site != device || len(site) < 500 {
			t.Errorf("%s: the site has\n%s\nthe device\n%s", question, site, device)
		}
	}
}

// The peaks of a site are those of the sums, not the sums of peaks at different times.
func TestPeaksOfASiteAreThoseOfTheSums(t *testing.T) {
	now := time.Date(2026, 6, 21, 15, 0, 0, 0, time.UTC)
	peaking := func(hour int, watts float64, every time.Duration) (samples []wire.Sample) {
		for at := now.Add(-8 * time.Hour); at.Before(now); at = at.Add(every) {
			power := 1000.0
			if at.Hour() == hour && at.Minute() < 15 {
				power = watts
			}
			samples = append(samples, wire.Sample{Time: at, Count: 1, Interval: every, PVPowerW: power, LoadPowerW: new(2 * power), ExportPowerW: new(-power)})
		}
		return samples
	}
	b := household(t, now, map[string][]wire.Sample{"garage": peaking(10, 3000, time.Minute), "roof": peaking(11, 2500, 30*time.Second)})
	for _, resolution := range []string{"hour", "day"} {
		site := answered[siteEnergy](b, "/v1/energy?site=home&tz=UTC&from=2026-06-21&to=2026-06-21&resolution="+resolution)
		for name, want := range map[string]float64{"import_peak15_w": 4000, "pv_peak_w": 4000, "import_peak15_at": 1782036000, "pv_peak_at": 1782036000} {
			if got := float64(site.Totals[name]); !(math.Abs(got-want) <= 70) && !(name == "pv_peak_at" && math.Abs(got-want) < 900) {
				t.Errorf("%s: %s is %v, want %v", resolution, name, got, want)
			}
		}
	}
}

// A meter and a battery that are not heard of for a while are there still: what they would show is not known then, and the
// answer says so. After thirty days they were taken away.
func TestAMeterAndABatteryThatAreSilentAreNotAbsent(t *testing.T) {
	now := time.Date(2026, 10, 27, 9, 41, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(8, 9))
	from := now.Add(-50 * time.Hour)
	for days, has := range map[int]bool{0: true, 20: true, 40: false} {
		roof := inverter(r, from, now.Add(-2*time.Hour), time.Minute, true, 0.1)
		for i := range roof {
			roof[i].Time = roof[i].Time.AddDate(0, 0, -days)
		}
		for at := now.Add(-time.Hour); at.Before(now); at = at.Add(time.Minute) {
			roof = append(roof, wire.Sample{Time: at, Count: 1, Interval: time.Minute, PVPowerW: 1000})
		}
		garage := pvOnly(inverter(r, from, now, time.Minute, false, 0.1))
		b := household(t, now, map[string][]wire.Sample{"garage": append(garage, wire.Sample{Time: now, Count: 1, PVPowerW: 500}), "roof": roof})
		site := answered[siteRealtime](b, "/v1/realtime?site=home")
		if *site.PVPowerW != 1500 || slices.Contains(site.Incomplete["roof"], "grid_power_w") != has || slices.Contains(site.Incomplete["roof"], "battery_power_w") != has {
			t.Errorf("%d days: %v W, incomplete %v", days, *site.PVPowerW, site.Incomplete)
		}
		energies := answered[siteEnergy](b, "/v1/energy?site=home&resolution=hour&from="+now.Format(time.DateOnly))
		last := len(energies.Labels) - 1
		if slices.Contains(energies.Incomplete["roof"], "charge_kwh") != has || float64(energies.Columns["charge_kwh"][last]) == 0 {
			t.Errorf("%d days: charge %v, incomplete %v", days, energies.Columns["charge_kwh"], energies.Incomplete)
		}
	}
}
