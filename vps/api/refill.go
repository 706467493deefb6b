package api

import (
	"sync"
	"time"

	"sunspool/vps/batch"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// A store that was restored from a backup lacks what came after it, and an edge deletes what it has delivered. But it keeps
// copies for some days. So a server asks each edge after its start, and then once an hour, how much it keeps, and names the
// hours of which it has less itself. The edge sends these again, like any samples.
//
//	edge ── batch ──────────> vps           the receipt has "compare": true
//	edge ── kept: hours ────> vps           the receipt has "missing": spans
//	edge ── batches ────────> vps           what is there already is a duplicate
//
// An edge that keeps nothing, and an earlier one, ignores the question.

const (
	compareEvery = time.Hour
	compareAgain = 5 * time.Minute // after one that found something missing: the edge may have been restarted
	asksInRow    = 20              // receipts that ask, before a rest of compareEvery
)

// comparisons is what this process has compared, by device; as many as there are devices in the tokens.
type comparisons struct {
	mu sync.Mutex
	of map[string]comparison
}

type comparison struct {
	next  time.Time // no question before
	asked int       // receipts that asked since then
}

// due reports whether the next receipt for device is to ask for a comparison.
func (c *comparisons) due(device string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.of[device]
	if now.Before(of.next) {
		return false
	}
	if of.asked++; of.asked >= asksInRow {
		of = comparison{next: now.Add(compareEvery)}
	}
	c.set(device, of)
	return true
}

func (c *comparisons) set(device string, of comparison) {
	if c.of == nil {
		c.of = map[string]comparison{}
	}
	c.of[device] = of
}

// done records that what device keeps was compared.
func (c *comparisons) done(device string, now time.Time, missing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	again := compareEvery
	if missing {
		again = compareAgain
	}
	c.set(device, comparison{next: now.Add(again)})
}

// compare adds to the receipt of a batch which hours of what its edge keeps are missing here, or else, if it is time, the
// question how much it keeps.
func (s *Server) compare(c *request.Request, b *batch.Batch, receipt *wire.Receipt) (err error) {
	switch {
	case b.Kept != nil:
		if receipt.Missing, err = s.missing(c, b.Kept); err != nil {
			return err
		}
		s.compares.done(b.Device, s.Now(), receipt.Missing != nil)
	case b.Edge != nil && b.Device != "":
		receipt.Compare = s.compares.due(b.Device, s.Now())
	}
	return nil
}

// missing returns the hours of which kept has more samples than were ever stored here, those in a row as one span. Rollups
// count what was pruned, so that is not missing.
func (s *Server) missing(c *request.Request, kept *wire.Kept) (spans [][2]int64, err error) {
	if len(kept.Hours) == 0 {
		return nil, nil
	}
	hour := time.Hour.Milliseconds()
	from, to := kept.Hours[0][0], kept.Hours[len(kept.Hours)-1][0]+hour
	periods, err := s.Periods(c, store.Query{Device: kept.DeviceID, From: time.UnixMilli(from), To: time.UnixMilli(to), Resolution: store.Hour})
	if err != nil {
		return nil, err
	}
	stored := make(map[int64]int64, len(periods))
	for i := range periods {
		stored[periods[i].Start.UnixMilli()] += periods[i].Rows
	}
	lacking := int64(0)
	for _, pair := range kept.Hours {
		start, n := pair[0], pair[1]
		if stored[start] >= n {
			continue
		}
		lacking += n - stored[start]
		if last := len(spans) - 1; last >= 0 && spans[last][1] == start {
			spans[last][1] += hour
		} else {
			spans = append(spans, [2]int64{start, start + hour})
		}
	}
	if lacking > 0 {
		s.Log.Info("samples are missing that the edge still keeps: it sends them again", "device", kept.DeviceID, "samples", lacking)
	}
	return spans, nil
}
