//go:build !linux

package vps

func diskOf(string) (size, available int64) { return 0, 0 }
