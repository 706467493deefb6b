package energy

// Profile is the mean power of a unit at each hour of the day, of UTC.
type Profile struct {
	energy  [24][Energies]float64 // W·ms
	covered [24]int64             // ms
}

// Add adds an hour of UTC, or a part of one.
func (p *Profile) Add(r *Period) {
	h := int(r.Start.UnixMilli() / hourMS % 24)
	p.covered[h] += r.Covered[KnowsPV]
	for i := range Energies {
		p.energy[h][i] += r.Energy[i]
	}
}

// mean returns the mean power in an hour of the day; for an hour without data, that of the whole day.
func (p *Profile) mean(energy, h int) float64 {
	if p.covered[h] > 0 {
		return p.energy[h][energy] / float64(p.covered[h])
	}
	sum, covered := 0.0, int64(0)
	for i := range p.covered {
		sum += p.energy[i][energy]
		covered += p.covered[i]
	}
	return sum / float64(max(covered, 1))
}

// part returns which part of the usual energy from one time to another is usual before t; false when that is 0.
func (p *Profile) part(energy int, from, to, t int64) (float64, bool) {
	if p == nil {
		return 0, false
	}
	before, all := 0.0, 0.0
	for at := from; at < to; {
		end := min(at-at%hourMS+hourMS, to)
		watts := p.mean(energy, int(at/hourMS%24))
		all += watts * float64(end-at)
		before += watts * float64(max(min(end, t)-at, 0))
		at = end
	}
	if all <= 0 {
		return 0, false
	}
	return before / all, true
}
