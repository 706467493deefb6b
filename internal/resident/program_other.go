//go:build !linux

package resident

// releaseProgram does nothing here.
func releaseProgram() {}
