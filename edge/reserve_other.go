//go:build !linux

package edge

import "os"

// reserve reports whether file is open nowhere else, which is unknown here.
func reserve(*os.File) bool { return false }

// openUnreserved opens the file at path to read. No writer reserves one here.
func openUnreserved(path string) (file *os.File, reserved bool, err error) {
	file, err = os.Open(path)
	return file, false, err
}
