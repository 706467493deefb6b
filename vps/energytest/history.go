package energytest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"sunspool/vps/energy"
	"sunspool/wire"
)

// History is what an inverter, its dongle and its senders made of some days or hours of a house.
type History struct {
	Seed     uint64
	House    *House
	From, To time.Time     // of its samples
	Interval time.Duration // of its polls
	Samples  []wire.Sample // ascending

	r        *rand.Rand
	means    bool    // samples are means of their interval, with a count
	jitter   float64 // of the interval
	rated    float64 // W; 0 when no sample has it
	upwards  bool    // counters tremble upwards too
	times    []int64 // ms
	greatest []float64
	gaps     []int  // how many samples until there are not whole, or have a hole before them
	whole    []bool // samples that have every power, and a load that is none of another generator
	counters [5]counter
	log      []logged
}

// logged is something that happened to a counter, or to all.
type logged struct {
	what     string
	counter  int
	from, to int64
}

const everything = -1

var counterNames = [...]string{"pv", "import", "export", "charge", "discharge"}

// counted are the energies that the counters show.
var counted = [5]int{energy.PV, energy.Import, energy.Export, energy.Charge, energy.Discharge}

// New returns the history of that seed, of a house that has hundreds of them.
func New(seed uint64, h *House) *History {
	r := rand.New(rand.NewPCG(seed, 7))
	g := &History{Seed: seed, House: h, r: r}
	if r.IntN(100) < 85 {
		g.slow()
	} else {
		g.fast()
	}
	g.means = g.Interval >= time.Minute && r.IntN(6) == 0
	if r.IntN(3) == 0 && !g.means {
		g.jitter = 0.2
	}
	g.upwards = r.IntN(4) == 0
	g.poll()
	if r.IntN(2) == 0 {
		g.rated = h.rated
	}
	g.powers()
	g.forget()
	replaced := g.replacement()
	for k := range g.counters {
		if (k < 3 || h.Battery) && r.IntN(12) > 0 {
			g.count(k, replaced)
		}
	}
	g.findGaps()
	g.repeat()
	return g
}

func (g *History) slow() {
	g.Interval = []time.Duration{15 * time.Minute, 15 * time.Minute, 15 * time.Minute, 15 * time.Minute, 10 * time.Minute, 10 * time.Minute, 7 * time.Minute, 5 * time.Minute}[g.r.IntN(8)]
	most := min(1.6, 0.12*g.Interval.Minutes())
	days := func() time.Duration { return time.Duration((0.6 + g.r.Float64()*most) * float64(24*time.Hour)) }
	g.From, g.To = g.House.Border.Add(-days()), g.House.Border.Add(days())
}

func (g *History) fast() {
	g.Interval = []time.Duration{5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute}[g.r.IntN(4)]
	g.From = g.House.Border.Add(-time.Duration(g.r.Int64N(int64(400 * g.Interval))))
	if g.r.IntN(2) == 0 {
		g.From = g.House.Border.Add(-time.Duration(g.r.Int64N(int64(50 * time.Hour))))
	}
	g.To = g.From.Add((400 + time.Duration(g.r.IntN(200))) * g.Interval)
}

// note remembers what happened.
func (g *History) note(what string, counter int, from, to int64) {
	g.log = append(g.log, logged{what, counter, from, to})
}

// poll makes the times of the samples, with holes.
func (g *History) poll() {
	step := g.Interval.Milliseconds()
	type span struct{ from, to int64 }
	var holes []span
	from, to := g.From.UnixMilli(), g.To.UnixMilli()
	for range g.r.IntN(3) {
		longest := min(int64(50*time.Hour/time.Millisecond), (to-from)*2/3)
		at, length := from+g.r.Int64N(to-from), max(20*step, int64(math.Pow(g.r.Float64(), 3)*float64(longest)))
		if at > from+25*step+20*minute && at+length < to-25*step-20*minute {
			holes = append(holes, span{at, at + length})
			g.note("hole", everything, at, at+length)
		}
	}
	for i := int64(0); ; i++ {
		at := from + i*step + step/2
		if g.jitter > 0 {
			at += int64((g.r.Float64() - 0.5) * g.jitter * float64(step))
		}
		if at >= to {
			break
		}
		if !slices.ContainsFunc(holes, func(h span) bool { return at >= h.from && at < h.to }) {
			g.times = append(g.times, at)
		}
	}
}

// powers makes the samples without counters.
func (g *History) powers() {
	n, step := len(g.times), g.Interval.Milliseconds()
	g.Samples, g.greatest, g.whole = make([]wire.Sample, n), make([]float64, n), make([]bool, n)
	cells := make([][5]float64, n)
	var values map[string]float64
	if g.rated > 0 {
		values = map[string]float64{"nominal_power": g.rated / 1000}
	}
	interval := time.Duration(0)
	if g.r.IntN(2) == 0 {
		interval = g.Interval
	}
	most := g.rated
	for i, at := range g.times {
		p, s := g.House.at(at), &g.Samples[i]
		s.Time, s.Count, s.Values, s.Interval = time.UnixMilli(at).UTC(), 1, values, interval
		if g.means {
			p = g.House.mean(at-step/2, at+step/2)
			s.Count, s.Interval = int(step/5000), 0
		}
		cells[i] = [5]float64{p.Load, p.Export, p.Battery, 50}
		s.PVPowerW, s.LoadPowerW, s.ExportPowerW = p.PV, &cells[i][0], &cells[i][1]
		if g.House.Battery {
			s.BatteryPowerW, s.BatterySOCPct = &cells[i][2], &cells[i][3]
		}
		most = max(most, p.PV, math.Abs(p.Load), math.Abs(p.Export), math.Abs(p.Battery))
		g.greatest[i], g.whole[i] = most, p.Load >= 0
	}
}

// replacement returns the index of the sample that comes from another inverter, or -1.
func (g *History) replacement() int {
	if g.r.IntN(6) > 0 {
		return -1
	}
	i := len(g.times)/4 + g.r.IntN(len(g.times)/2)
	if g.r.IntN(2) == 0 { // after a hole, if there is one
		for k := 25; k < len(g.times)-25; k++ {
			if g.times[k]-g.times[k-1] > 10*g.Interval.Milliseconds() {
				i = k
			}
		}
	}
	return i
}

// forget takes powers away, for hours.
func (g *History) forget() {
	n := len(g.times)
	for range max(0, g.r.IntN(5)-2) {
		from := g.r.IntN(n)
		to := min(n, from+1+g.r.IntN(max(1, n/6)))
		what := g.r.IntN(3)
		g.note([]string{"no load", "no battery", "no meter"}[what], everything, g.times[from], g.times[to-1])
		for i := from; i < to; i++ {
			s := &g.Samples[i]
			switch what {
			case 0:
				s.LoadPowerW = nil
			case 1:
				s.BatteryPowerW = nil
			case 2:
				s.ExportPowerW = nil
			}
			g.whole[i] = g.whole[i] && (what == 1 && !g.House.Battery)
		}
	}
}

// repeat sends some samples a second time, with other milliseconds.
func (g *History) repeat() {
	if !g.twice() {
		return
	}
	from := g.r.IntN(len(g.Samples))
	to := from + g.r.IntN(len(g.Samples)-from)
	g.note("sent twice", everything, g.times[from], g.times[to])
	later := time.Duration(1+g.r.IntN(900)) * time.Millisecond
	all := slices.Clone(g.Samples)
	for _, s := range g.Samples[from:to] {
		s.Time = s.Time.Add(later)
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b wire.Sample) int { return a.Time.Compare(b.Time) })
	g.Samples = all
}

// twice reports whether samples are sent twice: a dip is then half as long.
func (g *History) twice() bool { return g.Seed%8 == 3 }

// Arrival returns the samples in random batches, in random order if they are shuffled.
func (g *History) Arrival(seed uint64, shuffled bool) (batches [][]wire.Sample) {
	r := rand.New(rand.NewPCG(seed, g.Seed))
	all := slices.Clone(g.Samples)
	if shuffled && r.IntN(2) == 0 {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	for len(all) > 0 {
		n := min(len(all), 1+r.IntN(300))
		batches, all = append(batches, all[:n]), all[n:]
	}
	if shuffled {
		r.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	}
	return batches
}

// String is what is needed to understand a fault: how the house was polled, and what happened to whom.
func (g *History) String() string {
	var b strings.Builder
	clock := func(ms int64) string { return time.UnixMilli(ms).In(g.House.Zone).Format("01-02T15:04:05") }
	fmt.Fprintf(&b, "seed %d: %s, %s to %s, each %v", g.Seed, g.House.Zone, clock(g.From.UnixMilli()), clock(g.To.UnixMilli()), g.Interval)
	fmt.Fprintf(&b, " (told %v, jitter %v, means %v), rated %v W, battery %v, other generator %v", g.Samples[0].Interval, g.jitter, g.means, g.rated, g.House.Battery, g.House.Other)
	for _, l := range g.log {
		name := "everything"
		if l.counter != everything {
			name = counterNames[l.counter]
		}
		fmt.Fprintf(&b, "\n    %s to %s %s: %s", clock(l.from), clock(l.to), name, l.what)
	}
	return b.String()
}
