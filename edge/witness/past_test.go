package witness

import (
	"maps"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"sunspool/edge/registers"
)

const sunnyImage = "calc-sh4rs-sunny-charging-exporting"

// change returns the poll with other words.
func change(in Poll, words registers.Words) Poll {
	changed := registers.Words{}
	maps.Copy(changed, in.Words)
	maps.Copy(changed, words)
	in.Words = changed
	return in
}

// next decides on in, d after the last poll, and takes note of it.
func next(past *Past, in *Poll, d time.Duration) Result {
	in.At = in.At.Add(d)
	r := Decide(*in, past)
	past.Learn(in.At, *in, r)
	return r
}

// A battery that regulates the grid to 0 looks like a unit without a meter, but not for long.
func TestMeterThatWasAliveIsBelievedForThreePolls(t *testing.T) {
	in := openImage(t, sunnyImage)
	ac := registers.Words{13007: in.Words[13033], 13008: in.Words[13034], 13009: 0, 13010: 0, 5600: 0, 5601: 0}
	balanced := change(in, ac)
	var past Past
	if r := next(&past, &balanced, 0); !r.NoMeter || r.ExportPowerW != nil {
		t.Errorf("at the start: %+v", r)
	}
	if r := next(&past, &in, 5*time.Second); r.NoMeter || r.ExportPowerW == nil {
		t.Fatalf("alive: %+v", r)
	}
	balanced.At = in.At
	for i := range 5 {
		r := next(&past, &balanced, 5*time.Second)
		if believed := r.ExportPowerW != nil && *r.ExportPowerW == 0 && *r.LoadPowerW == 2267; believed != (i < 3) {
			t.Errorf("poll %d of all 0: export %v, load %v", i+1, show(r.ExportPowerW), show(r.LoadPowerW))
		}
	}
}

func TestMeterAlarmMakesTheMeterUnknown(t *testing.T) {
	in := change(openImage(t, sunnyImage), registers.Words{13049: 0, 13050: 1 << 14})
	if r := Decide(in, nil); !r.MeterLost || !r.NoMeter || r.LoadPowerW != nil || r.ExportPowerW != nil {
		t.Errorf("%+v", r)
	}
}

// An empty battery reads 0 %, and so does a register that is not there.
func TestZeroChargeIsBelievedAfterALowOne(t *testing.T) {
	in := openImage(t, sunnyImage)
	empty := change(in, registers.Words{13022: 0})
	var past Past
	if r := next(&past, &empty, 0); r.BatterySOCPct != nil {
		t.Errorf("at the start: %v", *r.BatterySOCPct)
	}
	low := change(in, registers.Words{13022: 4})
	low.At = empty.At
	next(&past, &low, 5*time.Second)
	empty.At = low.At
	if r := next(&past, &empty, 5*time.Second); r.BatterySOCPct == nil || *r.BatterySOCPct != 0 {
		t.Errorf("after 0.4 %%: %v", show(r.BatterySOCPct))
	}
	if r := Decide(change(in, registers.Words{13022: 1001}), nil); r.BatterySOCPct == nil || *r.BatterySOCPct != 100 {
		t.Errorf("100.1 %%: %v", show(r.BatterySOCPct))
	}
}

// A dongle that repeats itself is found out by day and by night; counters that move on are no sign of life.
func TestFrozenDongleIsFoundOut(t *testing.T) {
	for _, id := range []string{sunnyImage, "calc-sh4rs-evening-discharging", "calc-sh4rs-night-importing"} {
		in := openImage(t, id)
		var past Past
		for i := range 60 {
			next(&past, &in, 5*time.Second)
			if past.Still() > 0 {
				t.Fatalf("%s: still after %d polls", id, i+1)
			}
			in = change(in, registers.Words{13036: uint16(i)})
		}
		for range 3 {
			next(&past, &in, 5*time.Second)
		}
		if past.Still() < standsFor {
			t.Errorf("%s: not still after %v of the same words", id, 63*5*time.Second)
		}
		in = change(in, registers.Words{5018: in.Words[5018] + 1})
		if next(&past, &in, 5*time.Second); past.Still() != 0 {
			t.Errorf("%s: still though a voltage moves", id)
		}
	}
	in := openImage(t, sunnyImage)
	var slow Past
	for i := range 9 { // of a minute each
		next(&slow, &in, time.Minute)
		if slow.Still() > 0 {
			t.Errorf("still after %d polls", i+1)
		}
	}
}

// Without any power nothing stands still: a string inverter without a meter at night, or a hybrid that is off.
func TestNothingIsFrozenWithoutPower(t *testing.T) {
	in := openImage(t, "real-sh8rt20-lan-standby-no-meter")
	var past Past
	for range 200 {
		if next(&past, &in, 5*time.Second); past.Still() > 0 {
			t.Fatal("still")
		}
	}
}

// The meter words of a string inverter that sleeps are those of the evening, also where its grid voltage is still read.
func TestMeterWordsThatStandStillAtNightAreOld(t *testing.T) {
	in := change(openImage(t, "calc-sg5rs-sunny-exporting"), registers.Words{
		5016: 0, 5017: 0, 5010: 0, 5011: 0, 5012: 0, 5013: 0, 5008: 0, 5021: 0, 5030: 0, 5031: 0,
		5082: 1312, 5083: 0, 5084: 1312, 5090: 1312,
	})
	var past Past
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 70 {
		in = change(in, registers.Words{5018: uint16(2300 + rng.IntN(9))})
		r := next(&past, &in, 5*time.Second)
		old := i > 60
		if r.PVPowerW == nil || old != (r.LoadPowerW == nil) || old != (r.ExportPowerW == nil) {
			t.Fatalf("poll %d: load %v, export %v", i+1, show(r.LoadPowerW), show(r.ExportPowerW))
		}
	}
}

// One block that stands still while the others move is not believed.
func TestBlockThatStandsStillIsNotRead(t *testing.T) {
	in := openImage(t, sunnyImage)
	var past Past
	rng := rand.New(rand.NewPCG(1, 2))
	var r Result
	for range 70 {
		in = change(in, registers.Words{5010: uint16(3000 + rng.IntN(300)), 5018: uint16(2300 + rng.IntN(9))})
		r = next(&past, &in, 5*time.Second)
	}
	if r.LoadPowerW != nil || r.BatterySOCPct != nil || r.ExportPowerW != nil && math.Abs(*r.ExportPowerW-1855) > 1 {
		t.Errorf("block D of six minutes ago: %+v", r)
	}
}

func TestPowersThatNeverAddUpAreHowTheUnitIs(t *testing.T) {
	// a backup output that no register counts takes 2 kW; 5600 and 5213 are not there
	in := change(openImage(t, sunnyImage), registers.Words{5016: 5726, 5600: 0, 5601: 0, 5213: 0, 5214: 0, 5010: 6500})
	var past Past
	for i := range 80 {
		in = change(in, registers.Words{5018: uint16(2300 + i%9), 13007: uint16(412 + i%3), 13009: uint16(1855 - i%3)})
		r := next(&past, &in, 5*time.Second)
		if r.PVPowerW == nil || r.Balance.Adds() {
			t.Fatalf("%+v", r)
		}
		if known := r.LoadPowerW != nil; known != (i > 60) {
			t.Fatalf("poll %d: load %v", i+1, show(r.LoadPowerW))
		}
	}
}

// Meter words of the evening stay out, also when another block is left out for what does not add up.
func TestOldMeterWordsStayOutBesideAContradiction(t *testing.T) {
	in := change(openImage(t, "calc-sg5rs-sunny-exporting"), registers.Words{
		5082: 1312, 5083: 0, 5084: 0, 5085: 0, 5090: 1812, 5091: 0, 5146: 3500, 5147: 5001, 5145: 200,
	})
	delete(in.Words, 5016) // its PV register is refused
	var past Past
	for i := range 70 {
		in = change(in, registers.Words{5018: uint16(2300 + i%9)})
		next(&past, &in, 5*time.Second)
	}
	in = change(in, registers.Words{5018: 2222, 5030: 500}) // trackers and AC power contradict each other
	in.At = in.At.Add(5 * time.Second)
	if len(past.repeated(in)) == 0 || len(decide(in, &past, past.standing(in)).Doubts) == 0 {
		t.Fatal("nothing contradicts, or no block is left out for it")
	}
	if r := Decide(in, &past); r.LoadPowerW != nil || r.ExportPowerW != nil {
		t.Errorf("load %v, export %v of six minutes ago", show(r.LoadPowerW), show(r.ExportPowerW))
	}
}

// A meter whose sign was seen to be the other one keeps it where the load, which showed it, is not there.
func TestMeterOfTheOtherSignIsRemembered(t *testing.T) {
	in := change(openImage(t, "calc-sg5rs-sunny-exporting"), registers.Words{5082: 2901, 5083: 0})
	var past Past
	for range 2 {
		next(&past, &in, 5*time.Second)
	}
	in = change(in, registers.Words{5090: 0})
	if r := next(&past, &in, 5*time.Second); r.ExportPowerW == nil || *r.ExportPowerW != 2901 || r.LoadPowerW == nil || *r.LoadPowerW != 487 {
		t.Errorf("export %v, load %v", show(r.ExportPowerW), show(r.LoadPowerW))
	}
}
