package api

import (
	"math"
	"math/rand/v2"
	"time"

	"sunspool/vps/history"
	"sunspool/vps/query"
	"sunspool/wire"
)

// house is a house with PV, battery, meter and lifetime counters, of which each sample is a reading.
type house struct {
	r                                  *rand.Rand
	pvKWh, imported, exported, in, out float64
	counters                           bool
}

func newHouse(seed uint64) *house {
	return &house{r: rand.New(rand.NewPCG(seed, seed)), pvKWh: 20_000, imported: 4000, exported: 9000, in: 7000, out: 6500, counters: true}
}

// live returns samples in [from, to), some 5 to 60 s apart. It lives on from call to call.
func (h *house) live(from, to time.Time) (samples []wire.Sample) {
	for at := from; at.Before(to); {
		hour := float64(at.Unix()%86400) / 3600
		pv := math.Round(max(0, 6000*math.Sin((hour-5)/14*math.Pi)))
		load := math.Round(300 + 900*math.Abs(math.Sin(hour*2)))
		battery := math.Round(max(-1500, min(2000, pv-load)))
		export := pv - load - battery
		tenth := func(v float64) *float64 { return new(math.Floor(v*10) / 10) }
		s := wire.Sample{Time: at, PVPowerW: pv, LoadPowerW: &load, BatteryPowerW: &battery, BatterySOCPct: new(50.0), ExportPowerW: &export, Count: 1}
		if h.counters {
			s.PVTotalKWh, s.ImportTotalKWh, s.ExportTotalKWh = tenth(h.pvKWh), tenth(h.imported), tenth(h.exported)
			s.ChargeTotalKWh, s.DischargeTotalKWh = tenth(h.in), tenth(h.out)
		}
		samples = append(samples, s)
		step := time.Duration(5_000+h.r.Int64N(55_000)) * time.Millisecond
		h.grow(s, step)
		at = at.Add(step)
	}
	return samples
}

func (h *house) grow(s wire.Sample, step time.Duration) {
	hours := step.Hours() / 1000
	h.pvKWh += s.PVPowerW * hours
	h.imported += max(-*s.ExportPowerW, 0) * hours
	h.exported += max(*s.ExportPowerW, 0) * hours
	h.in += max(*s.BatteryPowerW, 0) * hours
	h.out += max(-*s.BatteryPowerW, 0) * hours
}

// dark lets the house live unseen.
func (h *house) dark(from, to time.Time) { h.live(from, to) }

func totalOf(all []history.Number) (sum float64) {
	for _, v := range all {
		if !math.IsNaN(float64(v)) {
			sum += float64(v)
		}
	}
	return sum
}

// besideHoles is what the samples on both sides of the holes in an hour say more than the trapezes: each speaks for at
// most 150 s of the hole.
func besideHoles(samples []wire.Sample, from int64, power func(*wire.Sample) float64) (kwh float64) {
	for i := range samples[1:] {
		if a, b := &samples[i], &samples[i+1]; b.Time.Sub(a.Time) > 5*time.Minute {
			for _, s := range []*wire.Sample{a, b} {
				if at := s.Time.Unix(); at >= from && at < from+3600 {
					kwh += power(s) * 150 / 3.6e6
				}
			}
		}
	}
	return kwh
}

func plain(samples []wire.Sample, from, to time.Time, power func(*wire.Sample) float64) (kwh float64) {
	for i := range samples[1:] {
		a, b := &samples[i], &samples[i+1]
		length := b.Time.Sub(a.Time)
		if length > 5*time.Minute {
			continue
		}
		overlap := query.Earlier(b.Time, to).Sub(query.Later(a.Time, from))
		if overlap > 0 {
			kwh += (power(a) + power(b)) / 2 * overlap.Hours() / 1000
		}
	}
	return kwh
}
