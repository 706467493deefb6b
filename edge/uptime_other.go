//go:build !linux

package edge

import "time"

var started = now()

func uptime() time.Duration { return now().Sub(started) }
