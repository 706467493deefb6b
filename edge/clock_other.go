//go:build !linux

package edge

import (
	"errors"
	"time"
)

// uptime is that of this process, which bootID makes a boot of its own.
func uptime() time.Duration { return now().Sub(started) }

func synced() (bool, error) { return false, errors.ErrUnsupported }
