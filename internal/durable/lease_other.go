//go:build !linux

package durable

import "os"

// Lease reports whether file is open nowhere else, which is unknown here.
func Lease(*os.File) bool { return false }

// OpenUnleased opens the file at path to read. No writer reserves one here.
func OpenUnleased(path string) (file *os.File, reserved bool, err error) {
	file, err = os.Open(path)
	return file, false, err
}
