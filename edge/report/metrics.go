package report

import (
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"sunspool/edge/spool"
	"sunspool/edge/upload"
	"sunspool/health"
	"sunspool/internal/durable"
	"sunspool/internal/metrics"
)

// edgeMetrics are the metrics of the reports of a process: the same numbers as health.json and a few more, those of an
// inverter with the label device. They are read when they are scraped.
func edgeMetrics(reports ...*Report) *metrics.Set {
	set := metrics.NewSet()
	set.ShowProcess("edge", reports[0].version)
	showCounts(set, processCounts, reports[0])
	set.Show(func(v *metrics.Values) { addTime(v, touchFamily, reports[0].parts().Pace.LastTouch()) }, touchFamily)
	for _, r := range reports {
		set.ShowLinks(r.Chain, r.device)
		showCounts(set, inverterCounts, r, r.device)
		set.Show(r.addMetrics, inverterFamilies...)
	}
	return set
}

func edgeFamily(name, help string, labels ...string) metrics.Family {
	return metrics.Family{Name: "sunspool_edge_" + name, Help: help, Labels: labels}
}

// inverterFamily returns a family that has values for each inverter.
func inverterFamily(name, help string, labels ...string) metrics.Family {
	return edgeFamily(name, help, append([]string{"device"}, labels...)...)
}

// showCounts adds counts of an edge to set, those of an inverter by its device.
func showCounts(set *metrics.Set, counts []count, r *Report, device ...string) {
	var families []metrics.Family
	for _, c := range counts {
		f := edgeFamily(c.name, c.help)
		if device != nil {
			f = inverterFamily(c.name, c.help)
		}
		families = append(families, f)
	}
	set.Show(func(v *metrics.Values) {
		for i, c := range counts {
			n := c.value(r)
			if n == 0 && strings.HasSuffix(c.name, "_timestamp_seconds") {
				continue // it has not happened yet
			}
			v.Add(families[i], float64(n), device...)
		}
	}, families...)
}

// touchFamily is of the dongle, which several inverters may be behind.
var touchFamily = edgeFamily("last_touch_timestamp_seconds", "Unix time when the dongle was last asked for a connection or for the first registers of a poll.")

// Of one inverter, beside its counts.
var (
	infoFamily        = inverterFamily("inverter_info", "Always 1: the model of the inverter, once it is known.", "model")
	statusFamily      = inverterFamily("status", "1 for how the edge is: ok, degraded (it recovers by itself) or blocked (somebody must act); 0 for the others.", "status")
	faultFamily       = inverterFamily("fault", "1 for each reason why the edge is not ok at present, by its code (see errors.md).", "code")
	clockFamily       = inverterFamily("clock_source", "1 for the source of the time of a sample made now: synced, server, believed or unsynced; 0 for the others.", "source")
	notMadeFamily     = inverterFamily("samples_not_made_total", "Polls without a sample, by reason: of polls_total, all but those that gave one.", "reason")
	lostFamily        = inverterFamily("samples_lost_total", "Samples that were made but never reached the disk, by reason.", "reason")
	uploadsFamily     = inverterFamily("uploads_total", "Uploads tried, by result: ok, refused (samples), or the code of what went wrong.", "result")
	intervalFamily    = inverterFamily("poll_interval_seconds", "Time between two polls of the inverter while the spool has room.")
	pollFamily        = inverterFamily("last_poll_timestamp_seconds", "Unix time of the last poll that gave a sample.")
	uploadFamily      = inverterFamily("last_upload_timestamp_seconds", "Unix time of the last upload of which the server took samples.")
	oldestFamily      = inverterFamily("spool_oldest_sample_timestamp_seconds", "Unix time of the oldest sample that the server does not have yet; none while it has all.")
	damagedFamily     = inverterFamily("damaged_spool_bytes", "Size of damaged spools that are kept beside the spool.")
	diskFamily        = inverterFamily("spool_disk_available_bytes", "Bytes that the edge can still write to the disk of the spool.")
	certificateFamily = inverterFamily("server_certificate_expiry_timestamp_seconds", "Unix time until which the server's certificate is valid, as it was last shown.")

	inverterFamilies = []metrics.Family{infoFamily, statusFamily, faultFamily, clockFamily, notMadeFamily, lostFamily, uploadsFamily,
		intervalFamily, pollFamily, uploadFamily, oldestFamily, damagedFamily, diskFamily, certificateFamily}
)

// addMetrics adds the values of inverterFamilies.
func (r *Report) addMetrics(v *metrics.Values) {
	add := func(f metrics.Family, value float64, labels ...string) {
		v.Add(f, value, append([]string{r.device}, labels...)...)
	}
	addStates := func(f metrics.Family, now string, states ...string) {
		for _, state := range states {
			value := 0.0
			if state == now {
				value = 1
			}
			add(f, value, state)
		}
	}
	addAll := func(f metrics.Family, of map[string]int) {
		for label, n := range of {
			add(f, float64(n), label)
		}
	}
	h := r.Now()
	if h.Model != "" {
		add(infoFamily, 1, h.Model)
	}
	addStates(statusFamily, h.Status, StateOK, StateDegraded, StateBlocked)
	for _, code := range h.Reasons {
		add(faultFamily, 1, code)
	}
	addStates(clockFamily, h.Clock, spool.Synced.String(), spool.ByServer.String(), spool.Believed.String(), spool.Undated.String())
	addAll(notMadeFamily, h.Missing)
	addAll(lostFamily, h.Lost)
	addAll(uploadsFamily, r.results())
	add(intervalFamily, h.PollS)
	if h.LastPoll != nil {
		addTime(v, pollFamily, *h.LastPoll, r.device)
	}
	if h.LastUpload != nil {
		addTime(v, uploadFamily, *h.LastUpload, r.device)
	}
	addTime(v, oldestFamily, r.oldest.of(r.parts().Spool), r.device)
	add(damagedFamily, float64(h.Damaged))
	add(diskFamily, float64(durable.FreeBytes(filepath.Dir(r.parts().Spool.Path()))))
	if t, ok := r.parts().Uploader.Client.Transport.(interface{ CertificateExpiry() time.Time }); ok {
		addTime(v, certificateFamily, t.CertificateExpiry(), r.device)
	}
}

// addTime adds a time, unless it is zero.
func addTime(v *metrics.Values, f metrics.Family, t time.Time, labels ...string) {
	if !t.IsZero() {
		v.Add(f, float64(t.UnixMilli())/1000, labels...)
	}
}

// oldestAsk reads the time of a spool's oldest sample without waiting for a disk that hangs: at most one read is in progress.
type oldestAsk struct{ asking atomic.Bool }

const oldestWait = time.Second

// of returns the time of the oldest sample that waits, zero if there is none or the disk does not answer within oldestWait.
func (o *oldestAsk) of(s *spool.Spool) time.Time {
	if s.Ready() == 0 || !o.asking.CompareAndSwap(false, true) {
		return time.Time{}
	}
	answer := make(chan time.Time, 1)
	go func() {
		defer o.asking.Store(false)
		oldest, _ := s.Oldest()
		answer <- oldest
	}()
	select {
	case oldest := <-answer:
		return oldest
	case <-time.After(oldestWait):
		return time.Time{}
	}
}

// resultOf returns the result of an upload for sunspool_edge_uploads_total: accepted is whether the server took anything.
func resultOf(accepted bool, err error) string {
	if f, ok := errors.AsType[*health.Fault](upload.Explain(err)); ok {
		return f.Code
	}
	if !accepted {
		return "refused"
	}
	return "ok"
}

// Tried counts an upload by its result: accepted is whether the server took anything.
func (r *Report) Tried(accepted bool, err error) {
	result := resultOf(accepted, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.uploads == nil {
		r.uploads = make(map[string]int)
	}
	r.uploads[result]++
}

// results returns how many uploads were tried, by result.
func (r *Report) results() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.uploads)
}
