package simulator

import (
	"math"
	"testing"
	"time"

	"sunspool/edge/registers"
	"sunspool/edge/witness"
	"sunspool/internal/race"
)

// Every home, at thousands of instants of a year that no clock prefers.
func TestInvariantsHoldAtEveryInstant(t *testing.T) {
	race.Skip(t, "arithmetic")
	var options []HomeOptions
	for _, model := range Models() {
		for seed := range uint64(2) {
			options = append(options, HomeOptions{Model: model, Seed: seed})
		}
		options = append(options, HomeOptions{Model: model, NoBattery: true}, HomeOptions{Model: model, NoMeter: true})
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, brussels)
	for _, o := range options {
		h := newHome(t, o)
		b, err := newBank(h)
		if err != nil {
			t.Fatal(err)
		}
		for p := range h.History(from, from.AddDate(1, 0, 0), 7*time.Hour+13*time.Minute+3*time.Second) {
			w, _, err := b.read(&p)
			if err != nil {
				t.Fatalf("%+v at %v: %v", o, p.Time, err)
			}
			checkPlausible(t, b, w)
			if loss := p.PVPower - p.BatteryPower - p.ACPower; loss < 0 || loss > 350 {
				t.Fatalf("%+v at %v: the inverter loses %v W", o, p.Time, loss)
			}
			if !h.site.hybrid {
				continue
			}
			sums := witness.Check(w)
			if sums.TotalPVkWh == nil || math.Abs(*sums.TotalPVkWh) > 1e-6 || sums.DailyPVkWh == nil || math.Abs(*sums.DailyPVkWh) > 1e-6 {
				t.Fatalf("%+v at %v: PV is not the sum of its parts: %v", o, p.Time, sums)
			}
			if sums.LoadW == nil || *sums.LoadW != 0 {
				t.Fatalf("%+v at %v: load is not AC power less export: %v", o, p.Time, sums)
			}
			if sums.LossW == nil || *sums.LossW < 0 || *sums.LossW > 350 {
				t.Fatalf("%+v at %v: conversion loss: %v", o, p.Time, sums)
			}
		}
	}
}

// checkPlausible decodes every register that a poller reads.
func checkPlausible(t *testing.T, b *bank, w registers.Words) {
	t.Helper()
	filled := make(registers.Words)
	for _, block := range b.model.Map().Reads() {
		if block.Kind == registers.Holding {
			continue
		}
		for _, r := range block.Registers {
			for i := range r.Words {
				filled[r.Address()+i] = w[r.Address()+i]
			}
			var err error
			if r.Type == registers.UTF8 {
				_, err = r.Text(filled)
			} else {
				_, err = r.Decode(filled)
			}
			signed := r.Type == registers.S16 || r.Type == registers.S32
			minusOne := signed && w[r.Address()] == 0xFFFF // which reads like a reserved hole
			if err != nil && !minusOne {
				t.Fatalf("%v: %v", r, err)
			}
		}
	}
}

// A gauge whose name is misspelled would silently read 0.
func TestGaugesAreNamesOfTheMap(t *testing.T) {
	for _, model := range Models() {
		h := newHome(t, HomeOptions{Model: model})
		b, err := newBank(h)
		if err != nil {
			t.Fatal(err)
		}
		for name := range b.values(h) {
			_, hybrid := registers.Hybrid().Lookup(name)
			_, str := registers.String().Lookup(name)
			if !hybrid && !str {
				t.Errorf("%s: no register %q", model, name)
			}
		}
		_, known := registers.ModelOf(b.model.Code)
		if !known || b.model.Name == "" {
			t.Errorf("%s: model %+v", model, b.model)
		}
	}
}

func TestRegistersSayWhatThePlantMeasures(t *testing.T) {
	h := newHome(t, HomeOptions{Model: "SH4.0RS", Seed: 3})
	b, err := newBank(h)
	if err != nil {
		t.Fatal(err)
	}
	var charging, discharging, selling, buying int
	from := time.Date(2026, 4, 1, 0, 0, 0, 0, brussels)
	for p := range h.History(from, from.AddDate(0, 0, 20), 11*time.Minute) {
		w, _, err := b.read(&p)
		if err != nil {
			t.Fatal(err)
		}
		value := func(name string) float64 {
			r, ok := registers.Hybrid().Lookup(name)
			if !ok {
				t.Fatalf("no register %s", name)
			}
			v, err := r.Decode(w)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return v
		}
		means := func() witness.Result {
			return witness.Decide(witness.Poll{At: p.Time, Words: w, Map: b.model.Map(), Hybrid: true}, nil)
		}
		if r := means(); r.BatteryPowerW == nil || *r.BatteryPowerW != p.BatteryPower {
			t.Fatalf("%v: battery %+v, want %v", p.Time, r, p.BatteryPower)
		}
		if p.BatteryPower != 1 && value("battery_power_signed") != -p.BatteryPower { // -1 reads like a reserved hole
			t.Fatalf("%v: battery %v W, want %v", p.Time, value("battery_power_signed"), -p.BatteryPower)
		}
		delete(w, 5213) // older firmware: flow bits and a magnitude
		if r := means(); r.BatteryPowerW == nil || *r.BatteryPowerW != p.BatteryPower {
			t.Fatalf("%v: battery %+v by the old registers, want %v", p.Time, r, p.BatteryPower)
		}
		if value("export_power") != p.ExportPower {
			t.Fatalf("%v: export %v, want %v", p.Time, value("export_power"), p.ExportPower)
		}
		if p.ExportPower != 1 && value("meter_active_power") != -p.ExportPower {
			t.Fatalf("%v: meter %v, export %v", p.Time, value("meter_active_power"), p.ExportPower)
		}
		bits := uint16(value("power_flow_status"))
		count := func(n *int, really bool, bit int) {
			if really {
				*n++
			}
			if really && bits&(1<<bit) == 0 {
				t.Fatalf("%v: flow bits %08b: %+v", p.Time, bits, p)
			}
		}
		count(&charging, p.BatteryPower > 0, 1)
		count(&discharging, p.BatteryPower < 0, 2)
		count(&selling, p.ExportPower > 50, 4)
		count(&buying, p.ExportPower < -50, 5)
	}
	if charging < 50 || discharging < 50 || selling < 50 || buying < 5 {
		t.Errorf("too one-sided to prove signs: %d charging, %d discharging, %d selling, %d buying", charging, discharging, selling, buying)
	}
}

// What a poll costs the server.
func BenchmarkRead(b *testing.B) {
	h := newHome(b, HomeOptions{})
	bank, err := newBank(h)
	if err != nil {
		b.Fatal(err)
	}
	p := h.At(noon)
	for b.Loop() {
		if _, _, err := bank.read(&p); err != nil {
			b.Fatal(err)
		}
	}
}
