package bolt

import (
	"context"
	"encoding/json"

	"go.etcd.io/bbolt"

	"sunspool/vps/store"
)

var sitesBucket = []byte("sites") // name -> JSON of its devices, checksum

func (b *Store) Sites(ctx context.Context) (all []store.Site, err error) {
	err = b.view(ctx, func(tx *bbolt.Tx) error {
		sites := tx.Bucket(sitesBucket)
		if sites == nil {
			return nil
		}
		return sites.ForEach(func(k, v []byte) error {
			s := store.Site{Name: string(k)}
			if text, whole := unseal(k, v); !whole || json.Unmarshal(text, &s.Devices) != nil {
				b.damaged.Add(1)
				return nil
			}
			all = append(all, s)
			return nil
		})
	})
	return all, err
}

func (b *Store) SetSite(ctx context.Context, s store.Site) error {
	return b.changeBeside(ctx, sitesBucket, func(sites *bbolt.Bucket) (changed bool, err error) {
		k := []byte(s.Name)
		if sites.Get(k) == nil && sites.Stats().KeyN >= store.MaxSites {
			return false, store.ErrSitesFull
		}
		text, err := json.Marshal(s.Devices)
		if err != nil {
			return false, err
		}
		return true, sites.Put(k, seal(k, text))
	})
}

func (b *Store) RemoveSite(ctx context.Context, name string) error {
	return b.changeBeside(ctx, sitesBucket, func(sites *bbolt.Bucket) (changed bool, err error) {
		if sites.Get([]byte(name)) == nil {
			return false, store.ErrNoSite
		}
		return true, sites.Delete([]byte(name))
	})
}
