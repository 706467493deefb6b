package main

import (
	"fmt"
	"strings"
	"time"

	"sunspool/edge/report"
	"sunspool/internal/checklist"
)

// What a watched status draws of the power: that of the last ten minutes, as far as they were watched.
const (
	drawnTime = 10 * time.Minute
	drawnMark = 15 * time.Second // in one mark
)

// recentPV is the PV power that was seen of each device, by the marks that time has.
type recentPV map[string]map[int64]power

// power is a mean.
type power struct {
	sum float64
	n   int
}

// add takes the samples that edges have now. One that is seen twice counts twice, which changes little.
func (all recentPV) add(edges []report.Health) {
	for _, h := range edges {
		if h.Sample == nil {
			continue
		}
		of := all[h.DeviceID]
		if of == nil {
			of = map[int64]power{}
			all[h.DeviceID] = of
		}
		at := h.Sample.Time.UnixNano() / int64(drawnMark)
		of[at] = power{of[at].sum + max(h.Sample.PVPowerW, 0), of[at].n + 1}
		for old := range of {
			if old <= at-int64(drawnTime/drawnMark) {
				delete(of, old)
			}
		}
	}
}

// line draws the power of a device; false if too little was seen. A mark without a sample is a space: nobody knows.
func (all recentPV) line(device string, plain bool) (c checklist.Check, ok bool) {
	of := all[device]
	if len(of) < 2 {
		return c, false
	}
	marks := []rune("▁▂▃▄▅▆▇█")
	if plain {
		marks = []rune("_.-~=+*#")
	}
	first, last, most := int64(0), int64(0), 0.0
	for at, p := range of {
		if first == 0 || at < first {
			first = at
		}
		last, most = max(last, at), max(most, p.sum/float64(p.n))
	}
	var drawn strings.Builder
	for at := first; at <= last; at++ {
		p, seen := of[at]
		if !seen {
			drawn.WriteByte(' ')
			continue
		}
		drawn.WriteRune(marks[min(int(p.sum/float64(p.n)/max(most, 1)*float64(len(marks))), len(marks)-1)])
	}
	return checklist.Check{Area: "10 minutes", State: checklist.OK, What: fmt.Sprintf("PV %s up to %s", drawn.String(), kilowatts(most))}, true
}
