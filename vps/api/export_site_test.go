package api

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sunspool/wire"
)

// exportOfSite returns the columns of an export by their names.
func (b *bench) exportOfSite(query string) (lines [][]string, columns map[string][]float64) {
	b.t.Helper()
	w := b.get("/v1/export.csv?site=home&"+query, viewerAll)
	if w.Code != 200 {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	lines, err := csv.NewReader(w.Body).ReadAll()
	if err != nil {
		b.t.Fatal(err)
	}
	columns = map[string][]float64{}
	for i, name := range lines[0][2:] {
		for _, line := range lines[1:] {
			v, err := strconv.ParseFloat(line[i+2], 64)
			if line[i+2] == "" {
				v, err = math.NaN(), nil
			}
			if err != nil {
				b.t.Error(err)
			}
			columns[name] = append(columns[name], v)
		}
	}
	return lines, columns
}

// An export of a site has what /v1/energy and /v1/series have of it, whether its inverters have a meter each or share one, in
// pages of days as at once, and says how many of them have data.
func TestExportOfASiteIsItsEnergyAndItsPowers(t *testing.T) {
	apart, _ := threeInverters(t)
	now := apart.Now()
	from := now.AddDate(0, 0, -5)
	r := rand.New(rand.NewPCG(3, 4))
	shared := household(t, now, map[string][]wire.Sample{"barn": pvOnly(inverter(r, from, now, 5*time.Minute, false, 1)), "roof": inverter(r, from, now, time.Minute, true, 0.1)})
	for name, b := range map[string]*bench{"apart": apart, "shared": shared} {
		empty, all := 0, float64(len(decodeJSON[SiteList](t, b.get(wire.SitesPath, viewerAll)).Sites[0].Devices))
		for _, c := range []struct{ span, export, energy, series string }{
			{"from=2026-10-23&to=2026-10-27&tz=Europe/Brussels", "1h", "hour", "1h"}, {"from=2026-10-23&to=2026-10-27&tz=Asia/Kathmandu", "1d", "day", "1d"},
			{"from=2026-10-24&to=2026-10-26&tz=Europe/Brussels", "15m", "", "15m"}, {"from=2026-10-25&to=2026-10-26&tz=Europe/Brussels", "5m", "", "5m"},
		} {
			lines, got := b.exportOfSite(c.span + "&resolution=" + c.export)
			at := map[int64]int{}
			for i, line := range lines[1:] {
				start, err := time.Parse(time.RFC3339, line[0])
				if err != nil {
					t.Fatal(err)
				}
				at[start.Unix()] = i
			}
			compared := 0
			same := func(column string, start int64, want, margin float64) {
				i, ok := at[start]
				if !ok {
					if want == want && want != 0 && !strings.HasSuffix(column, "coverage") { // a sample before covers some of it
						t.Errorf("%s %s %s: there is no line of %d, which has %v", name, c.export, column, start, want)
					}
					return
				}
				compared++
				if want != want {
					empty++
				}
				if v := got[column][i]; (v == v) != (want == want) || math.Abs(v-want) > margin {
					t.Errorf("%s %s %s at %s: %v, want %v", name, c.export, column, lines[i+1][1], v, want)
				}
			}
			if c.energy != "" {
				energies := answered[siteEnergy](b, "/v1/energy?site=home&"+c.span+"&resolution="+c.energy)
				for column, values := range energies.Columns {
					for i, start := range energies.From {
						if got[column] != nil {
							same(column, start, float64(values[i]), 0.00051)
						}
					}
				}
			}
			columns := []string{"pv_w", "pv_max_w", "load_w", "battery_w", "grid_w", "soc_pct"}
			means := answered[sitePowers](b, "/v1/series?site=home&"+c.span+"&resolution="+c.series+"&columns="+strings.Join(columns, ","))
			for _, column := range columns {
				for i, v := range means.Columns[column] {
					start := means.Start + int64(i)*means.ResolutionS
					if means.T != nil {
						start = int64(means.T[i])
					}
					same(column, start, float64(v), 1e-9)
				}
			}
			if some := got["devices"]; compared < 20 || slices.Max(some) != all || c.export == "5m" && slices.Min(some) >= all {
				t.Errorf("%s %s: %d cells were compared, and of so many devices there are data: %v", name, c.export, compared, some)
			}
		}
		if empty == 0 {
			t.Errorf("%s: no cell is empty", name)
		}
	}
}

func pvOnly(samples []wire.Sample) []wire.Sample {
	for i := range samples {
		s := &samples[i]
		*s = wire.Sample{Time: s.Time, Count: s.Count, Interval: s.Interval, PVPowerW: s.PVPowerW, PVTotalKWh: s.PVTotalKWh}
	}
	return samples
}

// longAgo is a site of some devices that have half an hour of now, and half an hour of so many days ago.
func longAgo(t *testing.T, devices, days int) *bench {
	now := time.Date(2026, 10, 27, 9, 41, 0, 0, time.UTC)
	all := map[string][]wire.Sample{}
	for i := range devices {
		for _, days := range []int{days, 0} {
			at := now.AddDate(0, 0, -days).Truncate(time.Hour).Add(-time.Hour)
			for k := range 30 {
				s := sample(0)
				s.Time, s.DeviceID = at.Add(time.Duration(k)*time.Minute), ""
				all["inv-"+strconv.Itoa(i)] = append(all["inv-"+strconv.Itoa(i)], s)
			}
		}
	}
	return household(t, now, all)
}

// Flows and peaks of a year of many devices come page by page: none of them is too long for an export.
func TestExportOfALongSpanOfASiteHasFlows(t *testing.T) {
	lines, got := longAgo(t, 12, 400).exportOfSite("from=2025-09-01&resolution=1d")
	if len(lines) != 3 || slices.ContainsFunc(got["solar_home_kwh"], math.IsNaN) || slices.ContainsFunc(got["pv_max_w"], math.IsNaN) || got["devices"][0] != 12 {
		t.Errorf("%d lines: %v %v", len(lines), got["solar_home_kwh"], got["pv_max_w"])
	}
}

// So do those of three years of three devices in one answer, whose short periods are not in memory at once.
func TestALongSpanOfASiteHasFlowsAndPeaks(t *testing.T) {
	b := longAgo(t, 3, 1000)
	energies := answered[siteEnergy](b, "/v1/energy?site=home&resolution=year&from=2024-01-01")
	for _, name := range []string{"pv_peak_w", "pv_peak_at", "solar_home_kwh"} {
		if v := float64(energies.Columns[name][0]); v != v {
			t.Errorf("%s of %s is null", name, energies.Labels[0])
		}
	}
}

// A site has no samples, and a file is named after it.
func TestExportOfASiteIsRefused(t *testing.T) {
	b, _ := threeInverters(t)
	if w := b.get("/v1/export.csv?site=home&resolution=raw", viewerAll); w.Code != 422 || !strings.Contains(w.Body.String(), "a site has no samples") || !strings.Contains(w.Body.String(), `"next":"ask for the samples of a device`) {
		t.Errorf("raw: %d %s", w.Code, w.Body)
	}
	if w := b.get("/v1/export.csv?site=home&from=2026-10-25&to=2026-10-26", viewerAll); w.Header().Get("Content-Disposition") != `attachment; filename="home_2026-10-25_5m.csv"` {
		t.Errorf("%v", w.Header())
	}
	if w := b.get("/v1/export.csv?site=home&from=2020-10-25&to=2020-10-26", viewerAll); w.Code != 200 || strings.Count(w.Body.String(), "\n") != 0 {
		t.Errorf("without data: %d %q", w.Code, w.Body)
	}
}
