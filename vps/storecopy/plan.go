package storecopy

import (
	"context"
	"fmt"
	"slices"

	"sunspool/health"
	"sunspool/vps/store"
)

// foreign refuses a target that has what the source does not have.
func foreign(why string) error {
	return &health.Fault{Code: "copy_target_foreign", Exit: health.ExitUsage, What: "the target has what is not of this source", Why: why,
		Next: "name an empty database or directory as --to, or the one that an earlier copy of this store filled"}
}

// plan finds what is to be copied, and refuses a target that has anything of its own. It returns how many samples are to be copied,
// and how many are at the target.
func (c *copying) plan(ctx context.Context) (total, there int64, err error) {
	states, err := c.from.States(ctx)
	if err != nil {
		return 0, 0, err
	}
	targets, err := c.to.States(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, s := range targets {
		if find(states, s.Device) == nil {
			return 0, 0, foreign("the source has no device " + s.Device)
		}
	}
	if err := c.planOthers(ctx); err != nil {
		return 0, 0, err
	}
	for _, s := range states {
		at := find(targets, s.Device)
		d := deviceCopy{state: s, stale: at == nil || !s.Equal(*at)}
		if at != nil && at.Aside > s.Aside {
			return 0, 0, foreign("more samples of " + s.Device + " were set aside")
		}
		days, err := c.from.Days(ctx, s.Device, false)
		if err != nil {
			return 0, 0, err
		}
		var stored []store.DayRows
		if at != nil {
			if stored, err = c.to.Days(ctx, s.Device, false); err != nil {
				return 0, 0, err
			}
		}
		if d.days, err = missing(s.Device, days, stored); err != nil {
			return 0, 0, err
		}
		copied := int64(0)
		for _, day := range d.days {
			copied += day.Samples
		}
		total += copied
		for _, day := range days {
			there += day.Samples
		}
		there -= copied
		c.devices = append(c.devices, d)
	}
	return total, there, nil
}

// missing returns the days that are not the same at the target. A day there that the source does not have, or that counts more
// samples, is foreign.
func missing(device string, days, stored []store.DayRows) (all []store.DayRows, err error) {
	at := map[int64]store.DayRows{}
	for _, day := range stored {
		at[day.Start] = day
	}
	for _, day := range days {
		there, known := at[day.Start]
		delete(at, day.Start)
		if there.Known > day.Known {
			return nil, foreign(fmt.Sprintf("%s has more samples there on %s", device, dateOf(day.Start)))
		}
		if !known || !day.Same(there) {
			all = append(all, day)
		}
	}
	for start := range at {
		return nil, foreign(fmt.Sprintf("%s has samples there on %s", device, dateOf(start)))
	}
	return all, nil
}

// planOthers reads tokens and sites. A token that was revoked at the target stays so.
func (c *copying) planOthers(ctx context.Context) (err error) {
	if c.tokens, err = c.from.Tokens(ctx); err != nil {
		return err
	}
	tokens, err := c.to.Tokens(ctx)
	if err != nil {
		return err
	}
	source := byID(c.tokens)
	for _, t := range tokens {
		if _, known := source[t.ID]; !known {
			return foreign("the source has no token " + t.Name)
		}
	}
	keepRevoked(c.tokens, tokens)
	c.staleTokens = !sameJSON(byID(c.tokens), byID(tokens))
	if c.sites, err = c.from.Sites(ctx); err != nil {
		return err
	}
	sites, err := c.to.Sites(ctx)
	for _, s := range sites {
		if !slices.ContainsFunc(c.sites, func(o store.Site) bool { return o.Name == s.Name }) {
			return foreign("the source has no site " + s.Name)
		}
	}
	c.staleSites = !sameJSON(c.sites, sites)
	return err
}
