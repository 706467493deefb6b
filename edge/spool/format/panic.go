package format

import (
	"fmt"
	"runtime/debug"
)

// Panic is a panic as an error.
type Panic struct{ text string }

func (c *Panic) Error() string { return c.text }

// Catch runs f and returns its panic as an error. A fault in a mapped file is a panic on the goroutine that owns the spool.
func Catch(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Panic{fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	return f()
}
