//go:build !linux

package edge

import "os"

// lockHolder cannot be answered here.
func lockHolder(string) string { return "" }

// forgetPages cannot be had here.
func forgetPages(f *os.File) error { return f.Sync() }
