package edge

import (
	"fmt"
	"runtime/debug"
)

// crash is a panic as an error.
type crash struct{ text string }

func (c *crash) Error() string { return c.text }

// caught runs f and returns its panic as an error. A fault in a mapped file is a panic on the goroutine that owns the
// spool.
func caught(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &crash{fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	return f()
}
