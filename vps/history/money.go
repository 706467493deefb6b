package history

import (
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/tariff"
)

// bill is what a row costs: the sum of parts, in each of which one price holds. What is known of a part counts; how much of
// the row was measured is its coverage.
type bill struct {
	cost, saved, kg float64 // kg of CO2 that the grid did not make
	spread          float64 // of the cost, that of a counter's rise in a gap across the border of a part: when it rose is not known
	fee             float64
	bought, sold    bool // import and export are known of a part
	used            bool // of which load and grid are known
	noPrice, noCO2  bool // of a part with energy
}

// moneyColumns are those that an answer has where there is a tariff.
var moneyColumns = map[string]func(*bill) float64{
	"cost":           func(b *bill) float64 { return known(b.cost, b.bought && b.sold && !b.noPrice) },
	"saved":          func(b *bill) float64 { return known(b.saved, b.used && !b.noPrice) },
	"co2_avoided_kg": func(b *bill) float64 { return known(b.kg, b.used && !b.noPrice && !b.noCO2) },
	"fee":            func(b *bill) float64 { return b.fee },
	"spread_cost":    func(b *bill) float64 { return known(b.spread, b.bought && b.sold && !b.noPrice) },
}

// add adds a part in which p holds. Its cost is of what the counters show, also in gaps. Saved is the difference of load and
// import, of the time for which there are powers: the load has no counter, and is not known in gaps.
func (b *bill) add(part *energy.Row, p *tariff.Prices, at time.Time) {
	var price [2]float64 // of import, and what export brings
	if p != nil {
		price[0], price[1] = p.At(at)
	}
	anything := false
	for i, e := range [...]int{energy.Import, energy.Export} {
		kwh, from := part.KWh(e)
		if from == energy.Unknown {
			continue
		}
		anything = true
		if i == 0 {
			b.bought, b.cost = true, b.cost+kwh*price[0]
		} else {
			b.sold, b.cost = true, b.cost-kwh*price[1]
		}
		if k, ok := energy.Meter(e); ok && from == energy.Counted {
			b.spread += part.Metered[k].Spread * max(price[i], -price[i])
		}
	}
	b.noPrice = b.noPrice || anything && p == nil
	b.addOwn(part, p, at)
}

// addOwn adds what a part in which p holds saved, and what it spared the grid.
func (b *bill) addOwn(part *energy.Row, p *tariff.Prices, at time.Time) {
	if part.Covered[energy.KnowsLoad] == 0 || part.Covered[energy.KnowsGrid] == 0 {
		return
	}
	if p == nil {
		b.noPrice = true
		return
	}
	price, brings := p.At(at)
	own, _ := part.Rollup.KWh(energy.Load)
	bought, _ := part.Rollup.KWh(energy.Import)
	sold, _ := part.Rollup.KWh(energy.Export)
	own -= bought
	b.used, b.saved = true, b.saved+own*price+sold*brings
	if b.noCO2 = b.noCO2 || p.CO2 == nil; !b.noCO2 {
		b.kg += (own + sold) * *p.CO2 / 1000
	}
}

// bills returns what rows cost, which are consecutive and begin at starts. A row in which a price changes is cut there, and its
// parts are computed as rows are, so that they add up to it.
func (h *History) bills(c *request.Request, device string, rows []energy.Row, sp query.Span, r store.Resolution, prices tariff.Schedule, now time.Time) ([]bill, error) {
	all := make([]bill, len(rows))
	if len(rows) == 0 {
		return all, nil
	}
	var starts []time.Time
	for i := range rows {
		start, end := rows[i].Start.In(sp.Zone), query.Earlier(rows[i].End, now).In(sp.Zone)
		starts = append(append(starts, start), prices.Borders(start, end)...)
		if prices.HasFees() {
			all[i].fee = fees(prices, start, end)
		}
	}
	n := len(starts)
	starts = append(starts, rows[len(rows)-1].End)
	row := 0
	add := func(parts []energy.Row) {
		for i := range parts {
			for !parts[i].Start.Before(rows[row].End) {
				row++
			}
			at := parts[i].Start.In(sp.Zone)
			all[row].add(&parts[i], prices.On(at), at)
		}
	}
	if n == len(rows) {
		add(rows)
		return all, nil
	}
	if err := h.Weigh(c, n); err != nil {
		return nil, err
	}
	for i := 0; i < n; i += request.RowsAtOnce {
		part := starts[i : min(i+request.RowsAtOnce, n)+1]
		err := h.Step(c, func() error {
			parts, err := h.rowsAt(c, part, store.Query{Device: device, Resolution: r, Zone: sp.Zone, Cuts: part[:len(part)-1]})
			add(parts)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// fees returns the fixed fees of a span, NaN if those of a day are not known. A part of a day has its part of them.
func fees(prices tariff.Schedule, from, to time.Time) (sum float64) {
	for t := from; t.Before(to); {
		start, end := store.Day.Period(t, from.Location())
		p, until := prices.On(t), query.Earlier(end, to)
		if p == nil {
			return unknown
		}
		sum += p.Fees(start) * float64(until.Sub(t)) / float64(end.Sub(start))
		t = until
	}
	return sum
}

// addMoney adds the money of n rows to a table, and shows fees and what is uncertain only where there is any. A total is that
// of the rows that are known.
func (s *summary) addMoney(n int, fees, spread bool, value func(row int, name string) float64) {
	for name := range moneyColumns {
		if name == "fee" && !fees || name == "spread_cost" && !spread {
			continue
		}
		total, any := 0.0, false
		column := make(column, n)
		for i := range column {
			v := value(i, name)
			column[i] = round(v, 4)
			if v == v {
				total, any = total+v, true
			}
		}
		s.Columns[name], s.Totals[name] = column, Number(round(known(total, any), 4))
	}
}
