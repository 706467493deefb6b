//go:build !linux

package bolt

import "go.etcd.io/bbolt"

func dropPageCache(string)    {}
func releaseMapped(*bbolt.Tx) {}
func mapped() int64           { return 0 }
