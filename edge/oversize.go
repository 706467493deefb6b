package edge

import (
	"fmt"

	"sunspool/health"
)

// mostOversize is how many samples may be set apart because they are larger than what stands between lets pass. When
// that many are, and none has passed since, it is not these samples: then the oldest wait like any other.
const mostOversize = 10

// oversize are samples that were refused alone, as too large, by something between. That says nothing about them, so they
// are never given up: they stay out of all batches, so that smaller ones pass, and one is tried again from time to time.
// When it is taken, or when two samples pass in one request, the limit is another one and all are samples like others.
type oversize struct{ group }

// tooLarge takes note that something between found a batch of these records too large. What cannot be made smaller is
// set apart.
func (u *Uploader) tooLargeBetween(b batch, records []Record) {
	h := &u.poison.hunt
	switch {
	case len(records) > 1 && b.hunted:
		h.refused(len(records))
	case len(records) > 1 || b.probe:
		u.rename.probe = false
	default:
		if b.hunted {
			h.took(1, false)
		}
		seq := records[0].Seq
		if u.oversize.has(seq) || len(u.oversize.seqs) < mostOversize {
			u.poison.forget([]uint64{seq})
			u.oversize.add([]uint64{seq})
		}
	}
}

// oversized reports samples that something between finds too large.
func oversized(e *Edge) *health.Fault {
	n := e.Uploader.oversize.Waiting.Load()
	if n == 0 {
		return nil
	}
	return &health.Fault{
		Code: "body_limit", What: fmt.Sprintf("something between here and the server finds single samples too large: %d wait", n),
		Next: "raise the limit of what stands between (nginx: client_max_body_size 2m); nothing is given up",
	}
}
