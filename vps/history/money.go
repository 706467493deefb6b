package history

import (
	"math"

	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/tariff"
)

// noMoney is that of a span of which not all is known.
var noMoney = tariff.Money{Cost: unknown, Saved: unknown, CO2: unknown}

// moneyColumns are those that an answer has where there is a tariff.
var moneyColumns = map[string]func(tariff.Money) float64{
	"cost":           func(m tariff.Money) float64 { return round(m.Cost, 2) },
	"saved":          func(m tariff.Money) float64 { return round(m.Saved, 2) },
	"co2_avoided_kg": func(m tariff.Money) float64 { return round(m.CO2, 2) },
}

// money returns what rows cost: of each as a whole if one price holds in it, else of its days.
func (h *History) money(c *request.Request, device string, rows []energy.Row, sp query.Span) ([]tariff.Money, error) {
	if h.Tariff == nil {
		return nil, nil
	}
	all := make([]tariff.Money, 0, len(rows))
	for i := range rows {
		start, end := rows[i].Start.In(sp.Zone), rows[i].End.In(sp.Zone)
		if h.Tariff.Same(start, end) {
			all = append(all, h.moneyOf(&rows[i], sp))
			continue
		}
		days, err := h.Rows(c, device, query.Span{From: start, To: end, Zone: sp.Zone}, store.Day)
		if err != nil {
			return nil, err
		}
		sum := tariff.Money{}
		for j := range days {
			if days[j].Rows > 0 { // a day without samples adds nothing to the others
				sum = sum.Plus(h.moneyOf(&days[j], sp))
			}
		}
		if rows[i].Rows == 0 {
			sum = noMoney
		}
		all = append(all, sum)
	}
	return all, nil
}

// moneyOf returns what a row costs in which one price holds.
func (h *History) moneyOf(row *energy.Row, sp query.Span) tariff.Money {
	p := h.Tariff.On(row.Start.In(sp.Zone))
	if p == nil {
		return noMoney
	}
	kwh := func(e int) float64 {
		v, from := row.KWh(e)
		return known(v, from != energy.Unknown)
	}
	return p.Money(tariff.Energies{Load: kwh(energy.Load), Import: kwh(energy.Import), Export: kwh(energy.Export)})
}

// addMoney adds the money of rows to a table. A total is that of the rows that are known.
func (s *summary) addMoney(money []tariff.Money) {
	for name, f := range moneyColumns {
		for _, m := range money {
			v := f(m)
			s.Columns[name] = append(s.Columns[name], v)
			switch total := float64(s.Totals[name]); {
			case math.IsNaN(v):
			case math.IsNaN(total):
				s.Totals[name] = Number(v)
			default:
				s.Totals[name] = Number(round(total+v, 2))
			}
		}
	}
}
