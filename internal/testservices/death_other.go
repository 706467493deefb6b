//go:build unix && !linux

package testservices

import "syscall"

// atDeathOfParent is Linux's alone: elsewhere a test that is killed leaves its servers.
func atDeathOfParent(*syscall.SysProcAttr, syscall.Signal) {}
