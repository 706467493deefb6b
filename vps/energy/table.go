package energy

import "math"

// Row is a period and what the lifetime counters rose in it.
type Row struct {
	Period
	Metered [Counters]Metered
}

// Metered is what a lifetime counter rose in a period.
type Metered struct {
	KWh    float64
	Spread float64 // the part of it that rose in a gap across a border of the period: how much is known, not when
	Time   int64   // ms of the period between two readings; 0 for none
	known  bool
}

// Around has the periods beside others, and the properties of their unit.
type Around struct {
	Before, After Period  // what ends where they begin, and begins where they end; the zero Period for none
	GreatestW     float64 // that the unit has ever shown; 0 when it is not known

	// Profile returns the unit's usual day around a gap, ms; nil when it is not known. It is asked only for a gap that
	// is long and in which much was made, and may itself be nil.
	Profile func(from, to int64) *Profile
}

// usualW is the assumed greatest power of a unit that has shown hardly any power.
const usualW = 5000

// Table returns a row for each period. Periods must be consecutive, each beginning where the one before ends; one
// without samples has the zero Rollup.
//
//	─────●──┊──●────●──┊─────────┊─────●──┊──     ● readings, ┊ borders of periods
//	     ^-----^    ^------gap---------^
//
// A counter gives the amount, the powers the time: the energy at a border is the counter when it rose last, plus the powers
// integrated since. So the sum of any periods is the difference of the counter, however they are cut.
func Table(periods []Period, around Around) []Row {
	rows := make([]Row, len(periods))
	all := make([]*Period, 0, len(periods)+2)
	all = append(all, &around.Before)
	for i := range periods {
		rows[i].Period = periods[i]
		all = append(all, &periods[i])
	}
	all = append(all, &around.After)
	switch {
	case around.GreatestW == 0: // not known
		around.GreatestW = mostW
	case around.GreatestW < leastW: // a unit of which only counters are read, or that is new
		around.GreatestW = usualW
	}
	for k := range Counters {
		if _, ok := Meter(measured[k]); !ok {
			continue
		}
		b := newBook(all, k, around)
		if len(b.entries) == 0 {
			continue
		}
		b.walk()
		b.smooth()
		for i := range rows {
			rows[i].Metered[k] = b.row(i + 1)
		}
	}
	return rows
}

// Source is where an energy comes from.
type Source int

const (
	Unknown    Source = iota
	Counted           // by a lifetime counter
	Integrated        // from the powers, in the covered time only
	Mixed             // some rows of a column are counted, the others integrated
)

// KWh returns one of the energies of the row. Where a counter was not read yet, or is no longer read, it is integrated from
// the powers.
func (r *Row) KWh(energy int) (kwh float64, from Source) {
	covered := r.Covered[Needs[energy]]
	if !r.HasData() {
		covered = 0
	}
	if k, ok := Meter(energy); ok {
		if m := &r.Metered[k]; m.known && (m.Time > 0 || covered > 0) {
			if 2*m.Time >= covered {
				return m.KWh, Counted
			}
			return m.KWh, Integrated
		}
	}
	if covered == 0 || ofBattery(energy) && r.Covered[KnowsBattery] == 0 {
		return 0, Unknown
	}
	return r.Energy[energy] / 3.6e9, Integrated
}

// Column returns an energy of each row, NaN where it is not known, and of all together.
func Column(rows []Row, energy int) (kwh []float64, total float64, from Source) {
	kwh = make([]float64, len(rows))
	for i := range rows {
		v, source := rows[i].KWh(energy)
		if source == Unknown {
			kwh[i] = math.NaN()
			continue
		}
		from = from.With(source)
		kwh[i] = v
		total += v
	}
	return kwh, total, from
}

// With returns the source of the energy of rows, some of which have one source and some another.
func (s Source) With(other Source) Source {
	switch {
	case s == Unknown, s == other:
		return other
	case other == Unknown:
		return s
	}
	return Mixed
}

// Gather adds the sums of rows that follow to r, without their ends.
func (r *Rollup) Gather(rows []Row) {
	for i := range rows {
		r.gather(&rows[i].Rollup)
	}
}

// GatherRow adds the sums of one row.
func (r *Rollup) GatherRow(row *Row) { r.gather(&row.Rollup) }

// gather adds the sums of o, and nothing of its ends and its counters.
func (r *Rollup) gather(o *Rollup) {
	if o.Rows > 0 {
		if r.Rows == 0 {
			r.First = o.First
		}
		if r.Rows == 0 || o.PVMax > r.PVMax {
			r.PVMax, r.PVMaxAt = o.PVMax, o.PVMaxAt
		}
		r.Last = o.Last
	}
	r.add(o)
	for _, q := range [...]Quarter{o.from, o.peak, o.to} {
		r.quarter(q)
	}
}
