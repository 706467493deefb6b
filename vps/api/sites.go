package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"sunspool/vps/deviceinfo"
	"sunspool/vps/problem"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

const mostOfSite = 100 // devices

var (
	errNoSite    = problem.New(404, "no_such_site", "There is no site of this name.").WithNext("`sunspool site list` lists them")
	errSitesFull = problem.New(409, "too_many_sites", fmt.Sprintf("There are %d sites, as many as there may be.", store.MaxSites)).WithNext("remove those that are not used: `sunspool site list`")
)

// SiteList is the answer of GET /v1/sites.
type SiteList struct {
	Sites []store.Site `json:"sites"`
}

// SiteWish is the body of PUT /v1/sites/{name}.
type SiteWish struct {
	Devices []string `json:"devices"`
}

// sites answers GET /v1/sites: those of which the caller may read every device.
func (s *Server) sites(c *request.Request) (any, error) {
	list := SiteList{Sites: []store.Site{}}
	if s.Sites == nil {
		return list, nil
	}
	all, err := request.Ask(&s.Gate, c, "sites", s.Sites.Sites)
	if err != nil {
		return nil, err
	}
	for _, site := range all {
		if deviceinfo.MayReadAll(c, site) {
			list.Sites = append(list.Sites, site)
		}
	}
	return list, nil
}

// setSite answers PUT /v1/sites/{name} of the operator.
func (s *Server) setSite(c *request.Request) (any, error) {
	body, err := c.ReadSmall(maxWish)
	if err != nil {
		return nil, err
	}
	var wish SiteWish
	if err := json.Unmarshal(body, &wish); err != nil {
		return nil, problem.Invalid("json_invalid", "Input should be an object with devices", "body")
	}
	site := store.Site{Name: c.HTTP.PathValue("name"), Devices: wish.Devices}
	slices.Sort(site.Devices)
	site.Devices = slices.Compact(site.Devices)
	switch {
	case !wire.ValidDeviceID(site.Name):
		return nil, problem.Invalid("site_invalid", "is not 1 to 64 characters of A-Z a-z 0-9 . _ ~ -", "path", "name")
	case len(site.Devices) == 0 || len(site.Devices) > mostOfSite:
		return nil, problem.Invalid("site_invalid", fmt.Sprintf("are not 1 to %d", mostOfSite), "body", "devices")
	case slices.ContainsFunc(site.Devices, func(id string) bool { return !wire.ValidDeviceID(id) }):
		return nil, problem.Invalid("site_invalid", "have one that is not 1 to 64 characters of A-Z a-z 0-9 . _ ~ -", "body", "devices")
	}
	if err := s.changeSite(c, "set_site", func(ctx context.Context) error { return s.Sites.SetSite(ctx, site) }); err != nil {
		return nil, err
	}
	s.Log.Info("site set", "site", site.Name, "devices", site.Devices)
	return site, nil
}

// removeSite answers DELETE /v1/sites/{name} of the operator.
func (s *Server) removeSite(c *request.Request) (any, error) {
	name := c.HTTP.PathValue("name")
	if err := s.changeSite(c, "remove_site", func(ctx context.Context) error { return s.Sites.RemoveSite(ctx, name) }); err != nil {
		return nil, err
	}
	s.Log.Info("site removed", "site", request.Capped(name))
	return statusOK, nil
}

func (s *Server) changeSite(c *request.Request, op string, change func(context.Context) error) error {
	_, err := request.Ask(&s.Gate, c, op, func(ctx context.Context) (struct{}, error) { return struct{}{}, change(ctx) })
	switch {
	case errors.Is(err, store.ErrNoSite):
		return errNoSite
	case errors.Is(err, store.ErrSitesFull):
		return errSitesFull
	}
	return err
}
