package postgres

import (
	"context"

	"sunspool/vps/store"
	"sunspool/vps/store/postgres/database"
)

const (
	selectSites = `select name, devices from sites order by name`
	// Nothing is inserted where there are too many; two that are inserted at once may be one too many.
	upsertSite = `insert into sites (name, devices) select $1::text, $2::text[]
		where exists (select from sites where name = $1) or (select count(*) from sites) < $3::bigint
		on conflict (name) do update set devices = excluded.devices`
	deleteSite = `delete from sites where name = $1`
)

func (p *Store) Sites(ctx context.Context) (all []store.Site, err error) {
	err = p.db.Read(ctx, "sites", func(ctx context.Context, db database.Querier) error {
		all, err = readSites(ctx, db)
		return err
	})
	return all, err
}

func readSites(ctx context.Context, db database.Querier) (all []store.Site, err error) {
	rows, err := db.Query(ctx, selectSites)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s store.Site
		if err := rows.Scan(&s.Name, &s.Devices); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

func (p *Store) SetSite(ctx context.Context, s store.Site) error {
	return p.changeSite(ctx, store.ErrSitesFull, upsertSite, s.Name, s.Devices, store.MaxSites)
}

func (p *Store) RemoveSite(ctx context.Context, name string) error {
	return p.changeSite(ctx, store.ErrNoSite, deleteSite, name)
}

// changeSite runs a statement that changes one row, or none if it is refused.
func (p *Store) changeSite(ctx context.Context, none error, sql string, args ...any) error {
	var rows int64
	err := p.db.Change(ctx, "change a site", func(ctx context.Context, db database.Querier) error {
		tag, err := db.Exec(ctx, sql, args...)
		rows = tag.RowsAffected()
		return err
	})
	if err == nil && rows == 0 {
		return none
	}
	return err
}
