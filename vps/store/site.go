package store

import (
	"context"
	"fmt"
)

// Site is several devices that belong together, such as the inverters of a household.
type Site struct {
	Name    string   `json:"name"`    // as a device's
	Devices []string `json:"devices"` // sorted, at least one
}

// MaxSites is how many sites there may be.
const MaxSites = 10_000

// Errors of the methods of Sites, that are no failures of the store.
var (
	ErrNoSite    = fmt.Errorf("%w: there is no such site", ErrRefused)
	ErrSitesFull = fmt.Errorf("%w: there are %d sites", ErrRefused, MaxSites)
)

// Sites keeps sites for all processes that share the store.
//
// Sites returns all, by name. SetSite keeps a site, in place of the one of its name; more than MaxSites are refused with
// ErrSitesFull. RemoveSite removes one, or returns ErrNoSite. What was changed is durable.
type Sites interface {
	Sites(ctx context.Context) ([]Site, error)
	SetSite(ctx context.Context, s Site) error
	RemoveSite(ctx context.Context, name string) error
}
