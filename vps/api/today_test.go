package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"sunspool/vps/history"
	"sunspool/vps/store"
	"sunspool/wire"
)

// TestListOfDevicesHasTodaysEnergy: the same numbers as /v1/energy of each device, in its own zone, and none where nothing is
// known. Who did not ask for them does not get them.
func TestListOfDevicesHasTodaysEnergy(t *testing.T) {
	b := newBench(t)
	zones := []string{"Europe/Brussels", "Pacific/Auckland", "America/Los_Angeles"}
	for i, zone := range zones {
		device := fmt.Sprintf("d%d", i)
		b.put(device, newHouse(uint64(i)).live(testNow.Add(-40*time.Hour), testNow))
		if err := b.Store.Describe(t.Context(), device, store.About{Zone: zone}); err != nil {
			t.Fatal(err)
		}
	}
	got := answered[devicesAnswer](b, "/v1/devices?today=1")
	seen := 0
	for _, d := range got.Devices {
		if d.State == "never" {
			if d.Today != nil {
				t.Errorf("%s never sent anything, and has %+v", d.ID, d.Today)
			}
			continue
		}
		now := testNow.In(mustLoad(t, d.TimeZone))
		want := answered[struct {
			Columns map[string][]history.Number
			Labels  []string
		}](b, "/v1/energy?device_id="+d.ID+"&from="+now.Format(time.DateOnly))
		e := d.Today
		if e == nil || e.Date != want.Labels[0] || e.Zone != d.TimeZone || e.Charge == nil {
			t.Fatalf("%s has %+v", d.ID, e)
		}
		for name, v := range map[string]*float64{"pv_kwh": e.PV, "load_kwh": e.Load, "import_kwh": e.Import, "export_kwh": e.Export, "charge_kwh": e.Charge, "discharge_kwh": e.Discharge} {
			if *v != float64(want.Columns[name][0]) {
				t.Errorf("%s: %s is %v in the list, %v in /v1/energy", d.ID, name, *v, want.Columns[name][0])
			}
			seen++
		}
	}
	if seen != 6*len(zones) {
		t.Errorf("%d energies", seen)
	}
	for _, d := range answered[devicesAnswer](b, "/v1/devices").Devices {
		if d.Today != nil {
			t.Errorf("%s has %+v, for which nobody asked", d.ID, d.Today)
		}
	}
}

// TestThePageOfManyDevicesBringsTheirListAlone, because it begins with that, and not with the first of them.
func TestThePageOfManyDevicesBringsTheirListAlone(t *testing.T) {
	b := newBench(t)
	for i, want := range []int{5, 5, 5, 1} { // two devices have tokens; their sites come, too
		b.put(fmt.Sprintf("d%d", i), []wire.Sample{sample(time.Minute)})
		boot := bootOf(t, b.with(b.cookie(viewerAll), "GET", "/", "Accept", "text/html"))
		if len(boot.Answers) != want || boot.Answers["/v1/devices"] == nil {
			t.Errorf("of %d devices: %d answers, want %d", i+3, len(boot.Answers), want)
		}
	}
}

func mustLoad(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// TestListOfDevicesAsksTheStoreLittle: a few short questions about each device, and no more of those with a long history.
func TestListOfDevicesAsksTheStoreLittle(t *testing.T) {
	b := newBench(t)
	for i, days := range []int{1, 3, 60} {
		h := newHouse(uint64(i))
		var all []wire.Sample
		for at := testNow.AddDate(0, 0, -days); at.Before(testNow); at = at.Add(20 * time.Minute) {
			all = append(all, h.live(at, at.Add(time.Millisecond))...)
		}
		b.put(fmt.Sprintf("d%d", i), all)
	}
	calls, asked := map[string]int{}, b.StoreAsked
	b.StoreAsked = func(op string, err error, took time.Duration) {
		calls[op]++
		asked(op, err, took)
	}
	if got := answered[devicesAnswer](b, "/v1/devices?today=1"); len(got.Devices) != 5 {
		t.Fatalf("%d devices", len(got.Devices))
	}
	if calls["devices"] != 1 || calls["each"] != 0 || calls["surrounded"] != 1 || calls["latest"] != 5 || calls["greatest"] > 0 || calls["periods"] > 0 {
		t.Errorf("the store was asked %v", calls)
	}
}

// BenchmarkFleet asks for the list of 30 devices, and of 300, with today's energies. The ratio of the times belongs at ten, and
// that of the list to as many questions about one device below one.
func BenchmarkFleet(b *testing.B) {
	s := newBench(b, func(s *Server) { s.Log = slog.New(slog.DiscardHandler) })
	const most = 300
	for i := range most {
		h, device := newHouse(uint64(i)), fmt.Sprintf("d%03d", i)
		var some []wire.Sample
		for at := testNow.Add(-4 * 24 * time.Hour); at.Before(testNow); at = at.Add(5 * time.Minute) {
			some = append(some, h.live(at, at.Add(time.Millisecond))...)
		}
		s.put(device, some)
	}
	spent := map[string]time.Duration{}
	ask := func(what, target string) {
		began := time.Now()
		if w := do(s.api, "GET", target, viewerAll, nil); w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
		spent[what] += time.Since(began)
	}
	n := 0
	for b.Loop() {
		n++
		ask("300", "/v1/devices?today=1&limit=300")
		ask("30", "/v1/devices?today=1&limit=30")
		for i := range most {
			ask("single", fmt.Sprintf("/v1/energy?device_id=d%03d&from=%s", i, testNow.Format(time.DateOnly)))
		}
	}
	b.ReportMetric(spent["300"].Seconds()*1000/float64(n), "ms/list")
	b.ReportMetric(float64(spent["300"])/float64(spent["30"]), "of-300/of-30")
	b.ReportMetric(float64(spent["300"])/float64(spent["single"]), "list/questions")
}
