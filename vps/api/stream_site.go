package api

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/live"
	"sunspool/vps/request"
	"sunspool/wire"
)

// The inverters of a site are polled one after the other: what follows a sample soon is in the same event.
const (
	siteSettles = time.Second
	siteEvery   = 5 * time.Second // at most
)

// siteEvents are those of a stream about a site. Each has all of it, so that a reader which comes back has missed nothing.
type siteEvents struct {
	*connection
	site *deviceinfo.Site
	sub  *live.Subscription

	timer   *time.Timer
	waiting <-chan time.Time // for what was stored; nil for nothing
	sent    time.Time
	last    []byte // as sent, without ages; nil for nothing
	today   todaySent
}

type helloSite struct {
	Name    string   `json:"name"`
	Devices []string `json:"devices"`
	Zone    string   `json:"time_zone"`
}

func (e *siteEvents) begin(string) error {
	zone, err := e.s.ZoneOf(e.c, e.site.Members[0].ID)
	if err != nil {
		return err
	}
	h := e.hello()
	h.Site = &helloSite{e.site.Name, e.site.IDs(), zone.String()}
	e.add("hello", h)
	return e.follow()
}

// stored makes the next event come soon.
func (e *siteEvents) stored([]wire.Sample) {
	e.today.outdated = true
	if e.waiting != nil {
		return
	}
	now := e.s.Now()
	wait := max(siteSettles, e.sent.Add(siteEvery).Sub(now))
	if e.timer == nil {
		e.timer = time.NewTimer(wait)
	} else {
		e.timer.Reset(wait)
	}
	e.waiting = e.timer.C
}

func (e *siteEvents) due() <-chan time.Time { return e.waiting }

// look finds what is another now: by samples of this process or of another one, by the clock, or because the operator changed
// the site.
func (e *siteEvents) look(pinged bool) (reason string) {
	if pinged && e.waiting != nil {
		return "" // soon
	}
	e.waiting = nil
	site, err := e.s.Site(e.c, e.site.Name)
	if errors.Is(err, deviceinfo.ErrForeignSite) {
		return "site_gone"
	}
	if err != nil {
		return "" // the store's trouble is not the reader's: the next tick tries again
	}
	if ids := site.IDs(); !slices.Equal(ids, e.site.IDs()) {
		e.s.live.Follow(e.sub, ids...)
		e.today.date = ""
	}
	e.site = site
	_ = e.follow()
	return ""
}

// follow adds the sum if it is another, and the energy of today.
func (e *siteEvents) follow() error {
	now := e.s.Now()
	all, err := e.s.siteRealtime(e.c, e.site)
	if err != nil && !errors.Is(err, errEmptySite) {
		return err
	}
	if err == nil {
		if ageless := request.ToJSON(all.withoutAges()); !bytes.Equal(ageless, e.last) {
			e.sent, e.last, e.today.outdated = now, ageless, true
			e.add("site", all)
		}
	}
	zone, err := e.s.ZoneOf(e.c, e.site.Members[0].ID)
	if err != nil {
		return err
	}
	day := dayOf(now, zone)
	if date := day.From.Format(time.DateOnly); e.today.due(date, now) {
		kwh, err := e.s.history.SiteDay(e.c, e.site, day)
		if err != nil {
			return err
		}
		e.today = todaySent{date: date, sent: now}
		e.add("today", energiesOf(day, kwh))
	}
	return nil
}
