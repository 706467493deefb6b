package history

import (
	"reflect"
	"slices"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/tariff"
)

// siteMoney is what the rows of a site cost. Each connection to the grid pays by the prices of its own device, and bills add up.
// Where devices are behind the meter of another one, what they save is that of the house, by the prices of its meters.
type siteMoney struct {
	site   *deviceinfo.Site
	zone   *time.Location
	starts []time.Time       // of the rows, and their end
	prices []tariff.Schedule // of each member
	bills  [][]bill          // of each row, of each member
	data   [][]bool          // of each row, which members have any
	houses []bill            // of each row, of a house with shared meters
	cuts   []time.Time       // of these: where rows begin, and where in them a price changes; nil if the meters have different ones
	row    int               // that parts are added to
}

// newSiteMoney returns the money, not known yet, of rows that begin at starts, as far as they are over.
func newSiteMoney(site *deviceinfo.Site, t *tariff.Tariff, starts []time.Time, sp query.Span) *siteMoney {
	m := &siteMoney{site: site, zone: sp.Zone, starts: starts, houses: make([]bill, len(starts)-1)}
	for _, member := range site.Members {
		m.prices = append(m.prices, t.Of(member.ID))
	}
	for range m.houses {
		m.bills, m.data = append(m.bills, make([]bill, len(m.prices))), append(m.data, make([]bool, len(m.prices)))
	}
	if site.Shared() && m.all(func(i int) bool { return reflect.DeepEqual(m.prices[i], m.ofHouse()) }) {
		for i := range m.houses {
			m.cuts = append(append(m.cuts, starts[i]), m.ofHouse().Borders(starts[i].In(m.zone), query.Earlier(starts[i+1], sp.To).In(m.zone))...)
		}
		m.cuts = append(m.cuts, starts[len(m.houses)])
	}
	return m
}

// pays reports whether a member has a connection to the grid: one without a meter is behind that of another one, if there is one.
func (m *siteMoney) pays(member int) bool { return !m.site.Shared() || m.site.Members[member].Meter }

// all reports whether something holds for each member that pays.
func (m *siteMoney) all(is func(member int) bool) bool {
	for i := range m.prices {
		if m.pays(i) && !is(i) {
			return false
		}
	}
	return true
}

// ofHouse returns the prices of the first meter of a house.
func (m *siteMoney) ofHouse() tariff.Schedule {
	return m.prices[slices.IndexFunc(m.site.Members, func(d deviceinfo.Member) bool { return d.Meter })]
}

// add adds a row, of which only that is taken for which it needs no parts.
func (m *siteMoney) add(row int, r *siteRow) {
	for i, p := range r.parts {
		m.data[row][i] = p.HasData()
	}
	if len(m.cuts) == len(m.starts) {
		m.addHouse(r)
	}
}

// addHouse adds a part of a row, in which no price changes. Parts come in the order of time.
func (m *siteMoney) addHouse(part *siteRow) {
	at := part.joint.Start.In(m.zone)
	for !at.Before(m.starts[m.row+1]) {
		m.row++
	}
	m.houses[m.row].addOwn(part.joint, m.ofHouse().On(at), at)
}

// of returns a column of a row, and which members do not know their part.
func (m *siteMoney) of(row int, name string) (sum float64, lacking []int) {
	f := moneyColumns[name]
	if m.site.Shared() && (name == "saved" || name == "co2_avoided_kg") {
		v := f(&m.houses[row])
		for i := range m.prices {
			if v != v && (!m.data[row][i] || m.cuts == nil && m.pays(i)) {
				lacking = append(lacking, i)
			}
		}
		return v, lacking
	}
	for i := range m.prices {
		if !m.pays(i) {
			continue
		}
		v := f(&m.bills[row][i])
		if sum += v; v != v {
			lacking = append(lacking, i)
		}
	}
	return sum, lacking
}

// siteBills computes the bills of rows, the last of which is over at now.
func (h *History) siteBills(c *request.Request, m *siteMoney, r store.Resolution, now time.Time) error {
	n := len(m.houses)
	for member, prices := range m.prices {
		if !m.pays(member) {
			continue
		}
		id := m.site.Members[member].ID
		for i := 0; i < n; i += request.RowsAtOnce {
			starts := m.starts[i : min(i+request.RowsAtOnce, n)+1]
			var rows []energy.Row
			err := h.Step(c, func() (err error) {
				rows, err = h.rowsAt(c, starts, store.Query{Device: id, Resolution: r, Zone: m.zone})
				return err
			})
			if err != nil {
				return err
			}
			some, err := h.bills(c, id, rows, query.Span{Zone: m.zone}, r, prices, now)
			if err != nil {
				return err
			}
			for k := range some {
				m.bills[i+k][member] = some[k]
			}
		}
	}
	if len(m.cuts) <= len(m.starts) {
		return nil
	}
	return h.eachRow(c, m.site, m.cuts, store.FiveMinutes, siteRow{site: m.site, value: (*energy.Row).KWh}, h.Now(), func(starts []time.Time, _ []store.Digest) ([][]energy.Row, error) {
		all := make([][]energy.Row, len(m.site.Members))
		for i := range all {
			all[i] = make([]energy.Row, len(starts)-1) // nothing but what is joint is asked of them
		}
		return all, nil
	}, m.addHouse)
}

// addSiteMoney adds the money of rows to the table of a site.
func (s *siteSummary) addSiteMoney(m *siteMoney) {
	fees := !m.all(func(i int) bool { return !m.prices[i].HasFees() })
	spread := !m.all(func(i int) bool {
		return !slices.ContainsFunc(m.bills, func(row []bill) bool { return row[i].spread > 0 })
	})
	s.addMoney(len(m.bills), fees, spread, func(row int, name string) float64 {
		v, lacking := m.of(row, name)
		s.Incomplete.note(m.site, name, lacking, func(i int) bool { return m.data[row][i] })
		return v
	})
}
