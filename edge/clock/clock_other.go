//go:build !linux

package clock

import (
	"errors"
	"time"
)

// uptime is that of this process, which is a boot of its own here.
func uptime() time.Duration { return sinceStart() }

func synced() (bool, error) { return false, errors.ErrUnsupported }
