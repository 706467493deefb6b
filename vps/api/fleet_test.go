//go:build unix

package api

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/vps/store"
	"sunspool/wire"
)

var (
	fleetDevices = flag.Int("fleet-devices", 24, "devices of TestAFleetSendsForWeeks; `make test-fleet` takes DEVICES")
	fleetDays    = flag.Int("fleet-days", 3, "days for which they send; `make test-fleet` takes DAYS")
)

// fleetDay is a day of a device of a fleet at five minutes: every third one has a battery and a meter, the others have PV alone
// and sleep at night.
func fleetDay(n int, day time.Time) (b wire.Batch) {
	b.Zone, b.Edge = "Europe/Brussels", &wire.Edge{Version: "1.0.0", Model: "SH10RT", PollIntervalS: 300, State: "ok"}
	hybrid := n%3 == 0
	before := day.Sub(testNow.AddDate(0, -2, 0)).Hours() / 24
	for i := range 288 {
		hour := float64(i) / 12
		sun := max(0, math.Sin((hour-5)/15*math.Pi))
		if hour < 5 || hour > 20 {
			sun = 0
		}
		s := wire.Sample{DeviceID: fleetName(n), Time: day.Add(time.Duration(i) * 5 * time.Minute), Count: 1, PVPowerW: math.Round(sun * float64(3000+n))}
		total := math.Round(10*30*(before+(1-math.Cos(min(max(hour-5, 0)/15, 1)*math.Pi))/2)) / 10
		s.PVTotalKWh, s.Values = &total, map[string]float64{"grid_frequency_hz": 50.01, "inverter_temp_c": 41.2, "battery_capacity": 9.6}
		if hybrid {
			load, battery := 800.0, math.Round(sun*1000-300)
			s.LoadPowerW, s.BatteryPowerW, s.BatterySOCPct, s.ExportPowerW = &load, &battery, new(50.0), new(s.PVPowerW-load-battery)
			s.ImportTotalKWh, s.ExportTotalKWh = new(total/4), new(total/3)
		} else if sun == 0 {
			continue
		}
		if n%10 > 0 { // the others do not count the day
			s.PVDailyKWh = new(math.Round(10*(total-30*before)) / 10)
		}
		b.Samples = append(b.Samples, s)
	}
	return b
}

func fleetName(n int) string { return fmt.Sprintf("inv-%03d", n) }

// asked asks so often and returns the median and the worst of the times, and what one answer takes of the processors, that of
// a database left out. The answer is not kept.
func asked(t *testing.T, h http.Handler, target string, times int) (median, worst, processor time.Duration, bytes int) {
	t.Helper()
	var took []time.Duration
	began := processorTime()
	defer func() { processor = (processorTime() - began) / time.Duration(times) }()
	for range times {
		r := httptest.NewRequest("GET", target, nil)
		r.Header.Set("Authorization", "Bearer "+viewerAll)
		w := httptest.NewRecorder()
		began := time.Now()
		h.ServeHTTP(w, r)
		took = append(took, time.Since(began))
		if w.Code != 200 {
			t.Fatalf("%s: %d %.300s", target, w.Code, w.Body)
		}
		bytes = w.Body.Len()
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)-1], 0, bytes
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// Many devices send for weeks, on each store. The list of all of them, sites of three and of a hundred, and the metrics are
// answered, and what the server has in memory does not grow with what is stored, but for what it keeps of what it computed, which
// is bounded. The times are printed, beside those of a
// server that has just been started and has nothing to begin with: a machine that is busy makes all of them longer.
func TestAFleetSendsForWeeks(t *testing.T) {
	race.Skip(t, "one device after the other")
	onBothStores(t, func(t *testing.T, b *bench) {
		b.Store = store.NewCached(b.Store, 5*time.Second) // as in service
		now := testNow
		b.Now = func() time.Time { return now }
		devices, days := *fleetDevices, *fleetDays
		var tokens []string
		for n := range devices {
			tokens = append(tokens, fmt.Sprintf("fleet-token-%04d-0123456789:%s", n, fleetName(n)))
		}
		if err := b.Tokens.Replace(strings.Join(tokens, ","), viewerAll+":*"); err != nil {
			t.Fatal(err)
		}
		ids := func(n int) (all []string) {
			for i := range min(n, devices) {
				all = append(all, fleetName(i))
			}
			return all
		}
		b.setSite("three", ids(3)...)
		b.setSite("many", ids(mostOfSite)...)
		internal := b.Internal()
		heap := func() float64 {
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return float64(m.HeapAlloc) / (1 << 20)
		}
		targets := []struct {
			h      http.Handler
			target string
		}{
			{b.api, "/v1/devices?limit=1000"}, {b.api, "/v1/devices?limit=1000&today=1"}, {b.api, "/v1/sites"},
			{b.api, "/v1/realtime?site=three"}, {b.api, "/v1/realtime?site=many"}, {b.api, "/v1/energy?site=three"}, {b.api, "/v1/energy?site=three&resolution=hour"},
			{b.api, "/v1/series?site=three"}, {b.api, "/v1/energy?site=many"}, {b.api, "/v1/series?site=many&resolution=1d"}, {internal, "/metrics"}, {internal, wire.DeviceMetricsPath},
		}
		begin := testNow.Truncate(24*time.Hour).AddDate(0, 0, -days)
		targets[9].target += "&from=" + begin.Format(time.DateOnly)
		samples, sent, early, loading := 0, 0, 0.0, time.Now()
		for day := range days {
			now = begin.AddDate(0, 0, day+1).Add(-time.Minute)
			for n := range devices {
				batch := fleetDay(n, begin.AddDate(0, 0, day))
				body, _ := json.Marshal(batch)
				token, _, _ := strings.Cut(tokens[n], ":")
				if w := b.post(token, string(body)); w.Code != 200 || w.Body.String() != fmt.Sprintf(`{"inserted":%d}`, len(batch.Samples)) {
					t.Fatalf("%s: %d %s", fleetName(n), w.Code, w.Body)
				}
				samples += len(batch.Samples)
			}
			if day == days/3 {
				for _, q := range targets {
					asked(t, q.h, q.target, 1)
				}
				early = heap()
			}
		}
		t.Logf("%d devices, %d days, %d samples in %v", devices, days, samples, time.Since(loading).Round(100*time.Millisecond))
		times := 21
		if devices < 100 {
			times = 3
		}
		print := func(target, when string, median, worst, processor, first time.Duration, bytes int) {
			t.Logf("%-50s %-11s %8.1f ms, worst %7.1f ms, %6.1f ms of a processor, %7d bytes; %5.1f times as fast as the first", target, when,
				median.Seconds()*1000, worst.Seconds()*1000, processor.Seconds()*1000, bytes, first.Seconds()/median.Seconds())
		}
		first := map[string]time.Duration{}
		for _, q := range targets {
			if strings.HasPrefix(q.target, "/v1/") {
				first[q.target], _, _, _ = asked(t, b.other(), q.target, 1)
			}
			asked(t, q.h, q.target, 1) // of the state of devices at this time
			median, worst, processor, bytes := asked(t, q.h, q.target, times)
			print(q.target, "again", median, worst, processor, cmp.Or(first[q.target], median), bytes)
		}
		// Each device sends a sample before each answer.
		for _, q := range targets {
			if first[q.target] < time.Millisecond {
				continue
			}
			var took []time.Duration
			var used time.Duration
			var bytes int
			for range 3 {
				sent++
				for n := range devices {
					all := fleetDay(n, begin.AddDate(0, 0, days-1)).Samples
					last := all[len(all)-1]
					last.Time = now.Add(-time.Minute + time.Duration(sent)*time.Second)
					if _, err := b.Store.Insert(t.Context(), last.DeviceID, []wire.Sample{last}); err != nil {
						t.Fatal(err)
					}
				}
				median, _, processor, n := asked(t, q.h, q.target, 1)
				took, used, bytes = append(took, median), used+processor, n
			}
			slices.Sort(took)
			print(q.target, "all sent", took[len(took)/2], took[len(took)-1], used/time.Duration(len(took)), first[q.target], bytes)
		}
		late := heap()
		t.Logf("in memory after a third of the time %.1f MiB, at the end %.1f MiB", early, late)
		const kept = 3 * store.MostKept * 1300.0 / (1 << 20) // of what was computed, at most: rollups, and hours
		if late > 1.25*early+8+kept {
			t.Errorf("memory grows with what is stored: %.1f MiB, then %.1f MiB", early, late)
		}
		list := decodeJSON[devicesAnswer](t, b.get("/v1/devices?limit=1000", viewerAll))
		if len(list.Devices) != devices || slices.ContainsFunc(list.Devices, func(d deviceLine) bool { return d.State != "live" && d.State != "asleep" }) {
			t.Errorf("%d devices are listed of %d: %+v", len(list.Devices), devices, list.Devices[0])
		}
		for _, site := range []string{"three", "many"} {
			energies := answered[siteEnergy](b, "/v1/energy?site="+site+"&resolution=day&tz=UTC&from="+begin.Format(time.DateOnly)+"&to="+now.Format(time.DateOnly))
			// From the first sample to the last one a counter rises by a little less than 30 kWh a day.
			members := min(devices, map[string]int{"three": 3, "many": mostOfSite}[site])
			most, least := float64(30*days*members), float64(30*days*members-2*members)
			if got := float64(energies.Totals["pv_kwh"]); !(least <= got && got <= most) || len(energies.Incomplete) > 0 {
				t.Errorf("%s made %v kWh in %d days, want %v to %v; incomplete %v", site, got, days, least, most, energies.Incomplete)
			}
		}
	}, func(s *Server) { s.Log = slog.New(slog.NewJSONHandler(io.Discard, nil)) })
}

// What the store is asked of a site grows with its devices and its days, not with their product of short periods: a site of a
// hundred has a month's energies within the time of a request.
func TestASiteOfManyAsksTheStoreSeldom(t *testing.T) {
	b := newBench(t, func(s *Server) { s.Log = slog.New(slog.DiscardHandler) })
	const devices = 20
	var tokens, ids []string
	for n := range devices {
		tokens, ids = append(tokens, fmt.Sprintf("fleet-token-%04d-0123456789:%s", n, fleetName(n))), append(ids, fleetName(n))
	}
	if err := b.Tokens.Replace(strings.Join(tokens, ","), viewerAll+":*"); err != nil {
		t.Fatal(err)
	}
	b.setSite("many", ids...)
	for n := range devices {
		b.put(fleetName(n), fleetDay(n, testNow.Truncate(24*time.Hour).AddDate(0, 0, -2)).Samples)
	}
	for target, most := range map[string]int{"/v1/energy?site=many": 15 * devices, "/v1/series?site=many&resolution=1h&from=2026-06-01": 30 * devices,
		"/v1/energy?site=many&resolution=month": 80 * devices, "/v1/export.csv?site=many&resolution=1d&from=2026-06-01": 20 * devices} {
		calls := 0
		b.StoreAsked = func(string, error, time.Duration) { calls++ }
		if w := b.get(target, viewerAll); w.Code != 200 || calls > most {
			t.Errorf("%s: %d, the store was asked %d times, want %d at most", target, w.Code, calls, most)
		}
	}
}
