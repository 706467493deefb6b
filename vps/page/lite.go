package page

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"sunspool/vps/problem"
	"sunspool/vps/request"
	"sunspool/vps/web"
)

// Lite answers with the page without scripts, as text if the caller does not ask for HTML. Who has no session gets a form.
func (p *Pages) Lite(c *request.Request) (any, error) {
	c.Header().Add("Vary", "Accept")
	if !known(c) {
		who, err := p.Gate.Identify(c)
		if err != nil {
			return nil, p.login(c, err, "")
		}
		c.Caller = who
	}
	l := &web.Lite{Lang: language(c.HTTP), Open: c.Anonymous()}
	err := p.values(c, l)
	c.Release()
	if r, refused := errors.AsType[*problem.Refusal](err); refused && r.Status < http.StatusInternalServerError {
		return nil, err // another device, or none that can be
	}
	if err != nil && c.HTTP.Context().Err() != nil {
		return nil, err // the caller left: nothing is known of the store
	}
	status := http.StatusOK
	if err != nil {
		l.State, status = "", http.StatusServiceUnavailable
	}
	if !wantsHTML(c.HTTP) || wantsText(c.HTTP) {
		web.Write(c, c.HTTP, status, "text/plain; charset=utf-8", l.Text())
		return nil, nil
	}
	p.html(c, status, web.LitePolicy(p.Gate.Ancestors), l.HTML())
	return nil, nil
}

// LiteForm takes the forms of the page without scripts: a token to log in, or the wish to log out.
func (p *Pages) LiteForm(c *request.Request) (any, error) {
	body, err := c.ReadSmall(maxLogin)
	if err != nil {
		return nil, err
	}
	form, _ := url.ParseQuery(string(body))
	if form.Get("logout") != "" {
		p.Gate.SetSession(c, nil)
	} else if err := p.Gate.LogIn(c, form.Get("token"), false); err != nil {
		return nil, p.login(c, err, "wrong")
	}
	c.Header().Set("Location", "lite") // relative, as all links of the page
	c.WriteHeader(http.StatusSeeOther)
	return nil, nil
}

// login writes the form for a token. A program gets the refusal. A browser gets no 401: what knows no Bearer, such as lynx, would
// not show the form.
func (p *Pages) login(c *request.Request, err error, says string) error {
	refused, ok := errors.AsType[*problem.Refusal](err)
	if !ok || wantsText(c.HTTP) || !wantsHTML(c.HTTP) {
		return err
	}
	if refused.RetryAfter > 0 {
		says = "wait"
		c.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(refused.RetryAfter.Seconds()))))
	}
	status := refused.Status
	if status == http.StatusUnauthorized {
		status = http.StatusForbidden
	}
	c.Code = refused.Code
	p.html(c, status, web.LitePolicy(p.Gate.Ancestors), web.LiteLogin(language(c.HTTP), says))
	return nil
}

// values asks the API for what l shows.
func (p *Pages) values(c *request.Request, l *web.Lite) error {
	if c.Slot == nil {
		_, err := p.Gate.WithSlot(c, c.Caller, func(c *request.Request) (any, error) { return nil, p.values(c, l) })
		return err
	}
	var devices struct {
		Devices []struct {
			ID     string
			Tariff struct{ Currency string }
		}
	}
	if err := p.get(c, web.DevicesQuestion, &devices); err != nil {
		return err
	}
	for _, d := range devices.Devices {
		l.Devices = append(l.Devices, d.ID)
	}
	l.State = "never"
	if l.Device = c.HTTP.URL.Query().Get("device_id"); l.Device == "" {
		if len(l.Devices) == 0 {
			return nil
		}
		l.Device = l.Devices[0]
	}
	if i := slices.Index(l.Devices, l.Device); i >= 0 {
		l.Currency = devices.Devices[i].Tariff.Currency
	}
	var now struct {
		Time    time.Time `json:"ts"`
		State   string
		PV      *float64 `json:"pv_power_w"`
		Load    *float64 `json:"load_power_w"`
		Grid    *float64 `json:"grid_power_w"`
		Battery *float64 `json:"battery_power_w"`
		SOC     *float64 `json:"battery_soc_pct"`
	}
	id := url.QueryEscape(l.Device)
	err := p.get(c, "/v1/realtime?device_id="+id, &now)
	if r, ok := errors.AsType[*problem.Refusal](err); ok && r.Status == http.StatusNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	zone, err := p.Zone(c, l.Device)
	if err != nil {
		return err
	}
	l.State, l.At = now.State, now.Time.In(zone)
	l.PVW, l.LoadW, l.GridW, l.BatteryW, l.SOCPct = now.PV, now.Load, now.Grid, now.Battery, now.SOC
	return p.history(c, l, id, p.Gate.Now().In(zone))
}

// history asks for what l shows of today, yesterday and this month.
func (p *Pages) history(c *request.Request, l *web.Lite, id string, now time.Time) error {
	today, yesterday := now.Format(time.DateOnly), now.AddDate(0, 0, -1).Format(time.DateOnly)
	var days, month table
	if err := p.get(c, "/v1/energy?device_id="+id+"&resolution=day&from="+yesterday+"&to="+today, &days); err != nil {
		return err
	}
	if err := p.get(c, "/v1/energy?device_id="+id+"&resolution=month&from="+now.Format("2006-01")+"-01&to="+today, &month); err != nil {
		return err
	}
	for _, r := range []struct {
		span, label string
		of          table
	}{{"today", today, days}, {"yesterday", yesterday, days}, {"month", now.Format("2006-01"), month}} {
		if i := slices.Index(r.of.Labels, r.label); i >= 0 {
			l.Rows = append(l.Rows, r.of.row(r.span, i))
		}
	}
	var day struct {
		From, To    time.Time
		Start       int64
		ResolutionS int64 `json:"resolution_s"`
		Count       int
		Columns     map[string][]*float64
	}
	if err := p.get(c, "/v1/series?device_id="+id+"&from="+today+"&to="+today+"&resolution=5m", &day); err != nil {
		return err
	}
	l.Curve = web.Curve{Zone: now.Location(), From: day.From.Unix(), To: day.To.Unix(), PV: day.Columns["pv_w"], Load: day.Columns["load_w"]}
	for i := range int64(day.Count) {
		l.Curve.Times = append(l.Curve.Times, day.Start+i*day.ResolutionS)
	}
	return nil
}

// table is an answer of /v1/energy.
type table struct {
	Labels  []string
	Columns map[string][]*float64
	Source  map[string]*string
}

func (t *table) row(span string, i int) web.LiteRow {
	of := func(name string) *float64 {
		if column := t.Columns[name]; i < len(column) {
			return column[i]
		}
		return nil
	}
	r := web.LiteRow{Span: span, PV: of("pv_kwh"), Load: of("load_kwh"), Import: of("import_kwh"), Export: of("export_kwh"),
		SelfSufficiency: of("self_sufficiency_pct"), Cost: of("cost"), Saved: of("saved"), Fee: of("fee")}
	less := func(coverage *float64) bool { return coverage != nil && *coverage < 0.98 }
	r.SavedAbove = less(of("load_coverage"))
	if spread := of("spread_cost"); spread != nil && r.Cost != nil {
		r.CostEstimated = *spread > 0.05*math.Abs(*r.Cost)
	}
	if source := t.Source["import_kwh"]; source == nil || *source != "counter" {
		r.CostEstimated = r.CostEstimated || less(of("grid_coverage"))
	}
	if coverage := of("coverage"); coverage != nil {
		r.PVMissing = new(1 - *coverage)
	}
	return r
}

// get reads the answer of the API to a question into v.
func (p *Pages) get(c *request.Request, question string, v any) error {
	answer, err := p.ask(c, question)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, v)
}
