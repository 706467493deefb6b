//go:build !linux

package durable

import (
	"errors"
	"io/fs"
	"math"
	"os"
)

// What only Linux is asked for.
func Preallocate(*os.File, int64) error     { return errors.ErrUnsupported }
func FreeBytes(string) int64                { return math.MaxInt64 }
func AllocatedBytes(info fs.FileInfo) int64 { return info.Size() }
