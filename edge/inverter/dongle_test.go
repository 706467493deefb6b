package inverter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/simulator"
)

// pair is two inverters behind one dongle, unit 2 a string inverter.
func pair(t *testing.T) (b *bed, second *inverter.Inverter) {
	t.Helper()
	load := func(id string) *simulator.Image {
		image, err := simulator.LoadImage(id)
		if err != nil {
			t.Fatal(err)
		}
		return image
	}
	sim, err := simulator.New(simulator.Options{Image: load(invertertest.HybridImage), Others: []simulator.Unit{{ID: 2, Image: load("calc-sg5rs-sunny-exporting")}}})
	if err != nil {
		t.Fatal(err)
	}
	b = newBed(t, sim)
	return b, b.Unit(2)
}

func TestTwoUnitsShareOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, second := pair(t)
		for i := range 200 {
			if i == 100 {
				b.In.Dongle.Close()
			}
			one, err1 := b.PollOf(b.In)
			two, err2 := b.PollOf(second)
			if err1 != nil || err2 != nil || one.Model.Name != "SH4.0RS" || two.Model.Name != "SG5.0RS" || one.Serial == two.Serial {
				t.Fatalf("%s %s, %v; %s %s, %v", one.Model.Name, one.Serial, err1, two.Model.Name, two.Serial, err2)
			}
		}
		if a := b.Sim.Audit(); a.Connects != 2 || a.Polls != 400 {
			t.Errorf("%+v", a)
		}
		b.Polite()
	})
}

// What is wrong with one unit does not keep the other from being read; a lost connection concerns both.
func TestTroubleOfOneUnitIsNotTheOthers(t *testing.T) {
	for _, fault := range []simulator.Fault{
		{Kind: "exception", Value: 11, Unit: 2}, {Kind: "exception", Value: 10, Unit: 2}, {Kind: "exception", Value: 2, Unit: 2},
		{Kind: "exception", Value: 4, Unit: 2}, {Kind: "zeros", Unit: 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, second := pair(t)
			b.Sim.SetFaults(fault)
			for range 200 {
				if _, err := b.PollOf(b.In); err != nil {
					t.Fatalf("%v: %v", fault, err)
				}
				if _, err := b.PollOf(second); err == nil {
					t.Fatalf("%v: unit 2 was read", fault)
				}
			}
			if a := b.Sim.Audit(); a.Connects != 1 {
				t.Errorf("%v: %d connections", fault, a.Connects)
			}
			b.Sim.SetFaults()
			if _, err := b.PollOf(second); err != nil {
				t.Errorf("%v: unit 2 is well again: %v", fault, err)
			}
			b.Sim.SetFaults(simulator.Fault{Kind: "silent", Times: 1})
			start := time.Now()
			b.PollOf(b.In)
			if _, err := b.PollOf(second); err == nil || time.Since(start) < 5*time.Second {
				t.Errorf("%v: the dongle was not left alone after a lost connection", fault)
			}
			b.Polite()
		})
	}
}

func TestAnotherInverterAtOneUnitDoesNotKeepTheOtherFromBeingRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, second := pair(t)
		second.Serial = "A2200000000"
		for range 200 {
			if _, err := b.PollOf(b.In); err != nil {
				t.Fatal(err)
			}
			if _, err := b.PollOf(second); err == nil {
				t.Fatal("another inverter is read")
			}
		}
		if a := b.Sim.Audit(); a.Connects > 8 { // 2000 s: at once, then 1, 2, 4 ... min later
			t.Errorf("%d connections", a.Connects)
		}
		b.Polite()
	})
}
