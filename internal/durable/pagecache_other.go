//go:build !linux

package durable

import "os"

// What only Linux is asked for.
func DropPageCache(*os.File) error { return nil }
func ReleasePages(uintptr, int64)  {}
