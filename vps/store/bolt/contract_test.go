package bolt

import (
	"testing"

	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
)

func TestBolt(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string) store.Samples { return open(t, dir) })
}

func TestBoltTokens(t *testing.T) {
	storetest.RunTokens(t, func(t *testing.T, dir string) storetest.TokenStore { return open(t, dir) })
}

func TestBoltSites(t *testing.T) {
	storetest.RunSites(t, func(t *testing.T, dir string) storetest.SiteStore { return open(t, dir) })
}
