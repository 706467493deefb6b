package health

import (
	"fmt"
	"time"
)

// Span is a duration for people, in its two largest units.
func Span(d time.Duration) string {
	d = max(d, 0)
	switch days := int(d.Hours()) / 24; {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, int(d.Hours())%24)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}
