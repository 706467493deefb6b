package witness

import (
	"testing"

	"sunspool/edge/registers"
	"sunspool/edge/simulator"
)

// openImage is the words of an image as a poll of a hybrid reads them.
func openImage(t *testing.T, id string) Poll {
	t.Helper()
	image, err := simulator.LoadImage(id)
	if err != nil {
		t.Fatal(err)
	}
	return source{Type: *image.DeviceType, Fill: image.Fill, Refused: image.Refused, Words: image.Input}.poll(t)
}

func TestEveryImageAddsUp(t *testing.T) {
	checked := 0
	for _, image := range simulator.Images() {
		if image.DeviceType == nil {
			continue
		}
		s := source{Type: *image.DeviceType, Fill: image.Fill, Refused: image.Refused, Words: image.Input}
		b := Check(s.poll(t).Words)
		whole := true
		for key, residual := range map[string]*float64{
			"check_total_pv_split_kwh": b.TotalPVkWh,
			"check_daily_pv_split_kwh": b.DailyPVkWh,
			"check_load_residual_w":    b.LoadW,
			"check_conversion_loss_w":  b.LossW,
		} {
			want, ok := image.Derived[key]
			if !ok {
				whole = false
				continue
			}
			checked++
			if residual == nil || *residual != want {
				t.Errorf("%s: %s is %v, not %v", image.ID, key, show(residual), want)
			}
		}
		if err := b.Err(); whole && err != nil {
			t.Errorf("%s: %v", image.ID, err)
		}
	}
	if checked < 34 {
		t.Errorf("only %d residuals checked", checked)
	}
}

// A mistake in a map cannot hide: each of these must break an invariant of a real image.
func TestABalanceFindsMistakes(t *testing.T) {
	const evening, full = "real-sh15t-evening-discharging", "real-sh20t-full-exporting"
	for _, c := range []struct {
		mistake, image string
		spoil          func(registers.Words)
	}{
		{"word order of a total", evening, func(w registers.Words) { w[13002], w[13003] = w[13003], w[13002] }},
		{"a daily counter", evening, func(w registers.Words) { w[13004]++ }},
		{"sign of the export", full, func(w registers.Words) { w[13009], w[13010] = ^w[13009], 0xFFFF }},
		{"scale of the AC power", evening, func(w registers.Words) { w[13033] /= 10 }},
		{"a loss that no conversion has", full, func(w registers.Words) { w[5016] += 1000 }},
		{"address of the PV power", full, func(w registers.Words) { w[5016] = w[5015] }},
	} {
		w := openImage(t, c.image).Words
		if err := Check(w).Err(); err != nil {
			t.Fatal(err)
		}
		c.spoil(w)
		if Check(w).Err() == nil {
			t.Errorf("%s: nothing was found", c.mistake)
		}
	}
	if err := Check(registers.Words{}).Err(); err != nil {
		t.Errorf("of nothing: %v", err)
	}
}
