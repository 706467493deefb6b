package vps

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"sunspool/internal/answer"
	"sunspool/vps/api"
	"sunspool/vps/store"
	"sunspool/wire"
)

// SiteConfig is the command line of `sunspool site`.
type SiteConfig struct {
	Server MachineConfig    `embed:""`
	Set    SiteSetConfig    `cmd:"" help:"Say which devices are a site, in place of what was said before."`
	List   SiteListConfig   `cmd:"" help:"List the sites."`
	Remove SiteRemoveConfig `cmd:"" help:"Remove a site; its devices and what they sent stay."`
}

// SiteSetConfig is the command line of `sunspool site set`.
type SiteSetConfig struct {
	Name    string   `arg:"" help:"The site."`
	Devices []string `name:"device" sep:"," required:"" placeholder:"NAME,..." help:"Its devices."`
	JSON    bool     `name:"json" help:"One JSON document: the site."`
}

// SiteListConfig is the command line of `sunspool site list`.
type SiteListConfig struct {
	JSON bool `name:"json" help:"One JSON object a line for each site."`
}

// SiteRemoveConfig is the command line of `sunspool site remove`.
type SiteRemoveConfig struct {
	Name string `arg:"" help:"The site."`
	JSON bool   `name:"json" help:"One JSON document."`
}

// SetSite has the server keep a site.
func SetSite(ctx context.Context, server MachineConfig, set SiteSetConfig, out io.Writer) error {
	var site store.Site
	if err := server.ask(ctx, http.MethodPut, wire.SitesPath+"/"+url.PathEscape(set.Name), api.SiteWish{Devices: set.Devices}, &site); err != nil {
		return err
	}
	return answer.Print(out, set.JSON, site, site.Name+" is "+read(site.Devices))
}

// ListSites prints the sites, by name.
func ListSites(ctx context.Context, server MachineConfig, config SiteListConfig, out io.Writer) error {
	var all api.SiteList
	if err := server.ask(ctx, http.MethodGet, wire.SitesPath, nil, &all); err != nil {
		return err
	}
	return siteList.print(out, all.Sites, config.JSON)
}

var siteList = list[store.Site]{
	none: "there is no site",
	head: []string{"SITE", "DEVICES"},
	row:  func(s store.Site) []string { return []string{s.Name, strings.Join(s.Devices, ",")} },
}

// RemoveSite has the server forget a site.
func RemoveSite(ctx context.Context, server MachineConfig, remove SiteRemoveConfig, out io.Writer) error {
	var nothing struct{}
	if err := server.ask(ctx, http.MethodDelete, wire.SitesPath+"/"+url.PathEscape(remove.Name), nil, &nothing); err != nil {
		return err
	}
	return answer.Print(out, remove.JSON, map[string]string{"removed": remove.Name}, remove.Name+" is removed")
}
