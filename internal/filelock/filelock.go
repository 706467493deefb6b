// Package filelock names the process that has a lock on a file. Both roles keep what they have in a file that one process
// may have open, and tell a second one which the first is.
package filelock
