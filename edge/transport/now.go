package transport

import "time"

// now is the only place of the package that reads the host's clock, and measures durations. Certificates are verified by
// Transport.Time.
func now() time.Time { return time.Now() }
