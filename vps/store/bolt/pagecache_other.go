//go:build !linux

package bolt

import bolt "go.etcd.io/bbolt"

func dropPageCache(string) {}
func unmap(*bolt.Tx)       {}
func mapped() int64        { return 0 }
