package witness

const meterAlarm = 1 << 30 // of inverter_alarm: the inverter has lost its meter

// decideGrid finds load and export: two witnesses of the export, one of the load, and AC power = export + load.
//
// Without a meter an inverter shows no export, and its own AC power as the load. So does a unit that regulates the grid
// to 0, for a poll: it is believed if its meter was alive in the last polls.
func (p *poll) decideGrid() {
	load := p.register(p.family.load, 1, anyLoad)
	var grid []reading
	for _, g := range p.family.grid {
		grid = append(grid, p.register(g.name, g.sign, anyLoad))
	}
	if alarms, err := p.value("inverter_alarm"); err == nil && int64(alarms)&meterAlarm != 0 {
		p.out.MeterLost = true
		p.noMeter()
		return
	}
	if p.out.Asleep {
		p.withhold(p.family.metered...) // they are those of the evening
		return
	}
	export, ok := p.export(grid, load)
	if !ok {
		return
	}
	p.out.metered = p.out.metered || export.alive()
	p.silence(export, grid...)
	p.out.ExportPowerW = new(0 + export.watts)
	p.decideLoad(export, load)
}

// export returns the export that the witnesses agree on. rest is what AC power and load leave over.
func (p *poll) export(grid []reading, load reading) (reading, bool) {
	rest := reading{speaks: p.ac.speaks && load.alive(), watts: p.ac.watts - load.watts}
	ownOutput := rest.speaks && (reading{speaks: true}).agrees(rest) // the load repeats it
	var best reading
	for i, g := range grid {
		if p.minusOne(p.family.grid[i].name) && !g.agrees(rest) {
			continue // a hole
		}
		switch {
		case !g.alive():
		case !best.alive():
			best = g
		case g.agrees(best):
			p.gridTwice = true
		case g.agrees(rest) && !best.agrees(rest):
			best = g
		case best.agrees(rest) && !g.agrees(rest) && !p.Hybrid:
			// three registers of three blocks
		default:
			p.doubt("export_power_w", "%s reads %.0f W, %s %.0f W", best.registers[0], best.watts, g.registers[0], g.watts)
			p.hideGrid()
			return reading{}, false
		}
	}
	switch {
	case !best.alive():
		return p.unmetered(grid, rest, ownOutput)
	case !rest.speaks, best.agrees(rest), ownOutput:
		p.out.straight = rest.speaks && !ownOutput
		if !p.Hybrid && !p.out.straight && p.past.reversed() {
			best = best.negative()
		}
		return best, true
	case !p.Hybrid && best.negative().agrees(rest):
		p.out.reversed = true // once it may be chance, of blocks of two instants
		if p.past.reversed() {
			return best.negative(), true
		}
	}
	p.doubt("export_power_w", "%s reads %.0f W, AC power and load leave %.0f W", best.registers[0], best.watts, rest.watts)
	p.hideGrid()
	return reading{}, false
}

// unmetered is the export where every register of it reads 0 or nothing.
func (p *poll) unmetered(grid []reading, rest reading, ownOutput bool) (reading, bool) {
	zero := reading{}
	for _, g := range grid {
		zero.speaks = zero.speaks || g.speaks
	}
	switch {
	case rest.speaks && !ownOutput && p.Hybrid:
		return rest, true // the load knows a meter; that of a string inverter is of another block than its AC power
	case zero.speaks && ownOutput && p.past.metered():
		return zero, true
	}
	p.noMeter()
	return reading{}, false
}

// decideLoad finds the load beside an export.
func (p *poll) decideLoad(export, load reading) {
	rest := reading{speaks: p.ac.speaks, watts: p.ac.watts - export.watts}
	switch {
	case load.alive() && (!rest.speaks || load.agrees(rest)), load.speaks && load.agrees(rest):
	case rest.speaks:
		if p.minusOne(p.family.load) && near(rest.watts, -1) {
			rest.watts = -1
		}
		p.silence(rest, load)
		load = rest
	default:
		p.withhold(p.family.load)
		return
	}
	p.out.LoadPowerW = new(0 + load.watts)
}

func near(a, b float64) bool { return a-b < 25 && b-a < 25 }

// noMeter leaves out all that only a meter measures.
func (p *poll) noMeter() {
	p.out.NoMeter = p.read(p.family.load) || p.read(p.family.grid[0].name)
	p.withhold(p.family.metered...)
}

func (p *poll) hideGrid() {
	p.withhold(p.family.load)
	for _, g := range p.family.grid {
		p.withhold(g.name)
	}
}
