package inverter_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/registers"
	"sunspool/edge/simulator"
	"sunspool/health"
)

// swap gives the address to another inverter.
func (b *bed) swap(sim *simulator.Server) {
	b.Sim = sim
	b.In.Dongle.Close()
}

// process is what a restart keeps: the identity in the spool.
func (b *bed) process() {
	known := b.In.Known
	b.In.Dongle.Close()
	b.Restart()
	b.In.Known = known
}

func TestAnotherInverterIsNamedUntilItIsConfirmed(t *testing.T) {
	for name, other := range map[string]func(*testing.T) *simulator.Server{
		"same type": func(t *testing.T) *simulator.Server { return invertertest.TwinOf(t, invertertest.HybridImage) },
		"other type": func(t *testing.T) *simulator.Server {
			return invertertest.OfImage(t, "calc-sh6rt-old-fw-magnitude-discharging")
		},
		"a string": func(t *testing.T) *simulator.Server {
			return invertertest.Altered(t, "calc-sg5rs-sunny-exporting", map[uint16]uint16{4991: 0x3939})
		},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
					ours := b.MustPoll().Serial
					b.swap(other(t))
					begun := time.Now()
					if restart {
						b.process()
					}
					var last error
					for i := range 300 {
						if i == 200 && restart {
							b.process()
						}
						r, err := b.Poll()
						if err == nil {
							t.Fatalf("poll %d: a reading of %s instead of %s", i, r.Serial, ours)
						}
						if i < inverter.Sightings-1 && invertertest.HasCode(err, "inverter_changed") {
							t.Errorf("poll %d: one crossed answer is taken for a replaced inverter: %v", i, err)
						}
						last = err
					}
					f := invertertest.FaultOf(last)
					if f == nil || f.Code != "inverter_changed" || !strings.Contains(f.Next, "SUNGROW_SERIAL=") ||
						!strings.Contains(f.Why, begun.Local().Format("2006-01-02 15:04")) || strings.Contains(last.Error(), ours) {
						t.Fatalf("%v", last)
					}
					// As the sentence proposes it.
					_, set, _ := strings.Cut(f.Next, "SUNGROW_SERIAL=")
					set, _, _ = strings.Cut(set, ";")
					b.process()
					b.In.Serial = set
					r := b.MustPoll()
					if r.Serial == ours || b.In.Known.Serial != r.Serial || b.In.Known.Other != "" {
						t.Errorf("confirmed as %s: a reading of %s, known is %+v", set, r.Serial, b.In.Known)
					}
					b.process() // and without the setting again
					if again := b.MustPoll(); again.Serial != r.Serial {
						t.Errorf("after the confirmation: %s", again.Serial)
					}
					b.Polite()
				})
			})
		}
	}
}

func TestOwnInverterComesBackByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mine := invertertest.OfImage(t, invertertest.HybridImage)
		b := newBed(t, mine)
		ours := b.MustPoll().Serial
		b.swap(invertertest.TwinOf(t, invertertest.HybridImage))
		for range 20 {
			b.Poll()
		}
		b.swap(mine)
		if r := b.MustPoll(); r.Serial != ours || b.In.Known.Other != "" {
			t.Errorf("%s, %+v", r.Serial, b.In.Known)
		}
	})
}

func TestAnotherTypeWithTheSameSerialNumberIsTheSameInverter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
		ours := b.MustPoll().Serial
		b.swap(invertertest.Altered(t, invertertest.HybridImage, map[uint16]uint16{4999: 0x0E00})) // SH5.0RT, say
		if r := b.MustPoll(); r.Serial != ours || r.Model.Code != 0x0E00 || b.In.Known.Type != 0x0E00 {
			t.Errorf("%+v %+v", r.Model, b.In.Known)
		}
	})
}

func TestWrongSerialInTheSettingsIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.OfImage(t, invertertest.HybridImage))
		b.In.Serial = "A2200000000"
		var err error
		for range inverter.Sightings {
			_, err = b.Poll()
		}
		if !invertertest.HasCode(err, "inverter_changed") {
			t.Error(err)
		}
	})
}

const unlisted = 0x0DFE // a type that is in no table

// A type that is not in the table is settled by an answer or exception 2; until then what all families share is read.
func TestFamilyOfAnUnknownTypeIsSettledByAnswersOnly(t *testing.T) {
	for image, wantHybrid := range map[string]bool{invertertest.HybridImage: true, "calc-sg5rs-sunny-exporting": false} {
		for _, fault := range []string{"exception=4", "exception=6", "exception=11", "code0"} {
			t.Run(fault, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBed(t, invertertest.Altered(t, image, map[uint16]uint16{4999: unlisted}))
					b.Faults(fault + ":12999-12999")
					for range 20 {
						r := b.MustPoll()
						reg, _ := r.Map.Lookup("total_dc_power")
						pv, err := reg.Decode(r.Words)
						if err != nil || pv == 0 || r.Lost["D"] == nil {
							t.Fatalf("PV %v, %v, lost %v", pv, err, r.Lost)
						}
						for reg := range r.Map.All() {
							if twin, ok := registers.String().Lookup(reg.Name); reg.Kind == registers.Input && (!ok || twin.Address() != reg.Address()) {
								if v, err := reg.Decode(r.Words); err == nil {
									t.Fatalf("%s = %v, which another family does not have there", reg.Name, v)
								}
							}
						}
					}
					b.Faults()
					r := b.MustPoll()
					for range 14 { // zeros are an answer when they last
						r = b.MustPoll()
					}
					if r.Model.Hybrid != wantHybrid || len(r.Lost) > 0 {
						t.Errorf("hybrid %v, lost %v", r.Model.Hybrid, r.Lost)
					}
					b.Polite()
				})
			})
		}
	}
}

// Behind a WiNet-S the registers that a string inverter does not have read 0, as all do while the dongle starts.
func TestZerosAtBlockDSettleAnUnknownTypeWhenTheyLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.Altered(t, invertertest.HybridImage, map[uint16]uint16{4999: unlisted}))
		b.Faults("zeros:12999-12999")
		for range 10 {
			if r := b.MustPoll(); r.Lost["D"] == nil || !has(r, "total_dc_power") || has(r, "total_yield_string") {
				t.Fatalf("a dongle that starts: lost %v", r.Lost)
			}
		}
		b.Faults()
		if r := b.MustPoll(); !r.Model.Hybrid || !has(r, "load_power") {
			t.Error("it is not read as a hybrid")
		}
		b.swap(invertertest.Altered(t, "calc-sg5rs-sunny-exporting", map[uint16]uint16{4999: unlisted}))
		b.Restart()
		b.Faults("zeros:12999-12999")
		for range 14 {
			b.MustPoll()
		}
		if r := b.MustPoll(); r.Model.Hybrid || !has(r, "total_yield_string") {
			t.Error("it is not read as a string inverter after a minute")
		}
		b.Faults("exception=4:12999-12999") // and that is not forgotten
		b.In.Dongle.Close()
		if r := b.MustPoll(); r.Model.Hybrid || !has(r, "total_yield_string") {
			t.Error("it is not read as a string inverter any more")
		}
	})
}

// An exception 2 that came by chance does not make a hybrid a string inverter for long.
func TestUnknownTypeIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.Altered(t, invertertest.HybridImage, map[uint16]uint16{4999: unlisted}))
		b.Faults("exception=2:12999-12999*2")
		b.Poll()
		b.Poll()
		if r := b.MustPoll(); !r.Model.Hybrid {
			t.Error("it is still read as a string inverter")
		}
	})
}

func TestUnknownTypeThatHangsAtBlockDIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, invertertest.Altered(t, "calc-sg5rs-sunny-exporting", map[uint16]uint16{4999: unlisted}))
		b.Faults("silent:12999-12999")
		good := 0
		for start := time.Now(); time.Since(start) < 6*time.Hour; {
			if _, err := b.Poll(); err == nil {
				good++
			}
		}
		if good < 4300 {
			t.Errorf("%d polls of 4320 gave a reading", good)
		}
		b.Polite()
	})
}

func TestHomeManagerIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, err := simulator.New(simulator.Options{Unit: 247, Image: &simulator.Image{Refused: [][2]uint16{{0, 65535}}}})
		if err != nil {
			t.Fatal(err)
		}
		b := newBed(t, sim)
		b.In.Unit = 247
		for range 300 {
			_, err = b.Poll()
			if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "ihomemanager" || !strings.Contains(f.Next, "SUNGROW_SLAVE_ID") {
				t.Fatalf("%v", err)
			}
		}
		if a := sim.Audit(); a.Requests > 300*6 {
			t.Errorf("%d requests in 300 polls", a.Requests)
		}
		b.Polite()
	})
}

func TestFirmwareIsWhatTheIdentityBlockHasOfIt(t *testing.T) {
	for image, want := range map[string]string{
		"real-sh8rt20-lan-standby-no-meter": "ARM_SAPPHIRE-H_V11_V01_B, MDSP_SAPPHIRE-H_V11_V01_B",
		"real-sh15t-evening-discharging":    "", // zeros
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t, invertertest.OfImage(t, image))
			for i := range 3 { // it is read once
				if r := b.MustPoll(); r.Firmware != want || r.Serial == "" {
					t.Errorf("%s, poll %d: firmware %q of %q, want %q", image, i, r.Firmware, r.Serial, want)
				}
			}
		})
	}
}
