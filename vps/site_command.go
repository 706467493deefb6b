package vps

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

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
}

// SiteListConfig is the command line of `sunspool site list`.
type SiteListConfig struct {
	JSON bool `name:"json" help:"One JSON object a line for each site."`
}

// SiteRemoveConfig is the command line of `sunspool site remove`.
type SiteRemoveConfig struct {
	Name string `arg:"" help:"The site."`
}

// SetSite has the server keep a site.
func SetSite(ctx context.Context, server MachineConfig, set SiteSetConfig, out io.Writer) error {
	var site store.Site
	if err := server.ask(ctx, http.MethodPut, wire.SitesPath+"/"+url.PathEscape(set.Name), api.SiteWish{Devices: set.Devices}, &site); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s is %s\n", site.Name, read(site.Devices))
	return err
}

// ListSites prints the sites, by name.
func ListSites(ctx context.Context, server MachineConfig, list SiteListConfig, out io.Writer) error {
	var all api.SiteList
	if err := server.ask(ctx, http.MethodGet, wire.SitesPath, nil, &all); err != nil {
		return err
	}
	if list.JSON {
		lines := json.NewEncoder(out)
		for _, s := range all.Sites {
			if err := lines.Encode(s); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all.Sites) == 0 {
		_, err := fmt.Fprintln(out, "there is no site")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SITE\tDEVICES")
	for _, s := range all.Sites {
		fmt.Fprintf(w, "%s\t%s\n", s.Name, strings.Join(s.Devices, ","))
	}
	return w.Flush()
}

// RemoveSite has the server forget a site.
func RemoveSite(ctx context.Context, server MachineConfig, remove SiteRemoveConfig, out io.Writer) error {
	var answer struct{}
	if err := server.ask(ctx, http.MethodDelete, wire.SitesPath+"/"+url.PathEscape(remove.Name), nil, &answer); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s is removed\n", remove.Name)
	return err
}
