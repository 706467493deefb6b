//go:build !linux

package store

func dropPageCache(string) {}
