// Package page answers browsers: the page with what it asks for first, its files, sessions, and the page without scripts. The
// values are those of the API, asked for by the same questions; package web makes text of them.
//
//	GET / ──> who asks ──> Handlers: devices, realtime, energy, series ──> web.Boot ──> HTML
//	POST /v1/session {token} ──> request.LogIn ──> cookie
//	GET /lite ──> Handlers ──> web.Lite ──> HTML or text
package page

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/problem"
	"sunspool/vps/request"
	"sunspool/vps/web"
	"sunspool/wire"
)

// Pages are what a browser may open. All fields are required.
type Pages struct {
	Gate     *request.Gate
	Site     *web.Site
	Handlers map[string]request.Handler // of the API, by path
	Zone     func(c *request.Request, device string) (*time.Location, error)
}

var statusOK = map[string]string{"status": "ok"}

var errNotFound = problem.New(404, "", "Not Found").WithNext("open the page again: its files have changed")

// Root answers a browser with the page, and every other program with the API's sign of life.
func (p *Pages) Root(c *request.Request) (any, error) {
	c.Header().Add("Vary", "Accept")
	if !wantsHTML(c.HTTP) {
		return statusOK, nil
	}
	boot := web.Boot{Build: p.Gate.Version, Lang: language(c.HTTP), Answers: map[string]json.RawMessage{}}
	if known(c) {
		p.fill(c, &boot)
	} else if who, err := p.Gate.Identify(c); err == nil {
		c.Caller = who
		_, _ = p.Gate.WithSlot(c, who, func(c *request.Request) (any, error) { // busy: the page asks itself, later
			p.fill(c, &boot)
			return nil, nil
		})
	}
	c.Release() // to take the page slowly occupies nothing
	if known(c) {
		boot.Session = sessionOf(c)
	}
	p.html(c, http.StatusOK, web.Policy(p.Gate.Ancestors), p.Site.Index(boot))
	return nil, nil
}

// fill puts the answers into boot that the first view asks for. One that cannot be had is left out: the page asks for it, and
// shows why.
func (p *Pages) fill(c *request.Request, boot *web.Boot) {
	device, zone, ok := p.first(c, boot.Answers)
	if !ok {
		return
	}
	for _, question := range web.FirstQuestions(device, p.Gate.Now().In(zone)) {
		if answer, err := p.ask(c, question); err == nil {
			boot.Answers[question] = answer
		}
	}
}

// fewDevices is with how many the page begins with the first one. With more it begins with their list.
const fewDevices = 5

// first returns the device that is shown at first, and its zone: the first one of the list that has ever sent something.
func (p *Pages) first(c *request.Request, answers map[string]json.RawMessage) (device string, zone *time.Location, ok bool) {
	answer, err := p.ask(c, web.DevicesQuestion)
	if err != nil {
		return "", nil, false
	}
	answers[web.DevicesQuestion] = answer
	var all struct{ Devices []struct{ ID, State string } }
	if json.Unmarshal(answer, &all) != nil || len(all.Devices) == 0 {
		return "", nil, false
	}
	if len(all.Devices) > fewDevices {
		return "", nil, false
	}
	if len(all.Devices) > 1 { // of which some may be a site, which the address may name
		if sites, err := p.ask(c, wire.SitesPath); err == nil {
			answers[wire.SitesPath] = sites
		}
	}
	device = all.Devices[0].ID
	for _, d := range all.Devices {
		if d.State != "never" { // one that has a token and no samples yet hides none of the others
			device = d.ID
			break
		}
	}
	zone, err = p.Zone(c, device)
	return device, zone, err == nil
}

// ask returns the answer of the API to a question of c's caller.
func (p *Pages) ask(c *request.Request, question string) (json.RawMessage, error) {
	inner, end := c.Inner(question)
	defer end()
	h := p.Handlers[inner.HTTP.URL.Path]
	if h == nil {
		return nil, errNotFound
	}
	answer, err := h(inner)
	if err != nil {
		return nil, err
	}
	if raw, ok := answer.(request.RawJSON); ok {
		return json.RawMessage(raw), nil
	}
	return request.ToJSON(answer), nil
}

// File answers with a file of the page.
func (p *Pages) File(c *request.Request) (any, error) {
	if !p.Site.Serve(c, c.HTTP, c.HTTP.PathValue("hash"), c.HTTP.PathValue("file")) {
		return nil, errNotFound
	}
	return nil, nil
}

// Manifest answers with what a phone needs to install the page.
func (p *Pages) Manifest(c *request.Request) (any, error) {
	c.Header().Set("Cache-Control", "no-cache")
	web.Write(c, c.HTTP, http.StatusOK, "application/manifest+json", p.Site.Manifest())
	return nil, nil
}

// Icon leads a browser that asks by itself to the picture of the program.
func (p *Pages) Icon(c *request.Request) (any, error) {
	name := p.Site.Icon()
	if name == "" {
		return nil, errNotFound
	}
	c.Header().Set("Location", strings.TrimPrefix(web.Prefix, "/")+p.Site.Hash+"/"+name)
	c.WriteHeader(http.StatusFound)
	return nil, nil
}

// Robots keeps search engines out.
func (p *Pages) Robots(c *request.Request) (any, error) {
	web.Write(c, c.HTTP, http.StatusOK, "text/plain; charset=utf-8", []byte(web.Robots))
	return nil, nil
}

// html writes a page. Its own forms say where they come from, which no-referrer would hide; other sites learn nothing.
func (p *Pages) html(c *request.Request, status int, policy string, body []byte) {
	h := c.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "private, no-cache")
	h.Add("Vary", "Cookie")
	web.Write(c, c.HTTP, status, "text/html; charset=utf-8", body)
}

func language(r *http.Request) string {
	return web.Language(r.URL.Query().Get("lang"), strings.Join(r.Header.Values("Accept-Language"), ","))
}

// known reports whether c's caller is known already.
func known(c *request.Request) bool { return c.Caller != auth.Caller{} }
