package report

import (
	"slices"

	"sunspool/edge/delivered"
)

// count is a number that the edge reports of itself: in health.json under counts, and as a metric sunspool_edge_NAME. A
// name that ends in _total only grows while the process runs.
type count struct {
	name, help string
	value      func(*Report) int64
}

// writtenBytes is the count from which the wear of the disk is estimated.
const writtenBytes = "written_bytes_total"

// counts are those of the process and those of an inverter.
var counts = slices.Concat(processCounts, inverterCounts)

// processCounts are those that all inverters behind a dongle have in common.
var processCounts = []count{
	{"modbus_requests_total", "Modbus requests.", func(r *Report) int64 { return r.parts().Inverter.Dongle.Link.Requests.Load() }},
	{"modbus_connects_total", "Connections tried to the inverter.", func(r *Report) int64 { return r.parts().Inverter.Dongle.Link.Connects.Load() }},
	{"modbus_exceptions_total", "Modbus exceptions.", func(r *Report) int64 { return r.parts().Inverter.Dongle.Exceptions.Load() }},
	{"modbus_retries_total", "Reads tried again after an exception.", func(r *Report) int64 { return r.parts().Inverter.Dongle.Retries.Load() }},
	{"modbus_stale_total", "Answers to requests of another client.", func(r *Report) int64 { return r.parts().Inverter.Dongle.Link.Stale.Load() }},
	{writtenBytes, "Bytes that this process had written to disks.", func(*Report) int64 { return bytesWritten() }},
}

// inverterCounts are those of one inverter. Of polls_total, what gave no sample is counted by reason in
// samples_not_made; the others are samples_total, ram_only_samples and samples_lost.
var inverterCounts = []count{
	{"polls_total", "Polls that were due, those included that were left out because the spool fills up.", func(r *Report) int64 { return r.polls.Load() }},
	{"samples_total", "Samples that were made and are durable.", func(r *Report) int64 { return r.made.Load() }},
	{"balance_residual_watts", "What PV less battery and AC power leaves: the loss of the conversion.", func(r *Report) int64 { return r.residual() }},
	{"contradicting_polls", "Polls in a row whose registers contradict each other.", func(r *Report) int64 { return r.contradicting() }},
	{"upload_requests_total", "Requests to the server.", func(r *Report) int64 { return r.parts().Uploader.Requests.Load() }},
	{"uploaded_samples_total", "Samples that the server has.", func(r *Report) int64 { return r.parts().Uploader.Uploaded.Load() }},
	{"duplicate_samples_total", "Samples that the server had already.", func(r *Report) int64 { return r.parts().Uploader.Duplicates.Load() }},
	{"rejected_samples_total", "Samples that the server will not take.", func(r *Report) int64 { return r.parts().Uploader.Rejected.Load() }},
	{"refilled_samples_total", "Samples that the server had lost and has again.", func(r *Report) int64 { return r.parts().Uploader.Refilled.Load() }},
	{"refill_rejected_samples_total", "Samples sent again that the server rejected.", func(r *Report) int64 { return r.parts().Uploader.RefillRejected.Load() }},
	{"suspect_samples", "Samples that the server refused and that are tried again.", func(r *Report) int64 { return r.parts().Uploader.SuspectSamples() }},
	{"schema_mismatch", "1 while so much is refused that nothing is given up.", func(r *Report) int64 { return r.parts().Uploader.SchemaMismatch() }},
	{"spool_samples", "Samples that the server does not have yet.", func(r *Report) int64 { return int64(r.parts().Spool.Waiting()) }},
	{"spool_held_samples", "Samples whose time is not known yet.", func(r *Report) int64 { return int64(r.parts().Spool.Undated()) }},
	{"estimated_samples_total", "Samples whose time was estimated.", func(r *Report) int64 { return int64(r.parts().Spool.Estimated()) }},
	{"spool_quarantined_samples", "Samples in quarantine.", func(r *Report) int64 { return int64(r.parts().Spool.InQuarantine()) }},
	{"spool_bytes", "Size of the spool file.", func(r *Report) int64 { return r.parts().Spool.Bytes() }},
	{"spool_used_bytes", "Bytes of the spool file that hold something.", func(r *Report) int64 { return r.parts().Spool.Capacity().Used }},
	{"spool_limit_bytes", "The most that the spool may use.", func(r *Report) int64 { return r.parts().Spool.Capacity().Limit }},
	{"kept_samples", "Copies of delivered samples that are kept.", func(r *Report) int64 { return r.kept(func(c *delivered.Copies) int64 { return c.Samples.Load() }) }},
	{"kept_bytes", "Bytes of the files of these copies.", func(r *Report) int64 { return r.kept(func(c *delivered.Copies) int64 { return c.Bytes.Load() }) }},
	{"kept_errors_total", "Errors of writing or deleting copies, and copies that were not kept because of them.", func(r *Report) int64 { return r.kept(func(c *delivered.Copies) int64 { return c.Errors.Load() }) }},
	{"kept_since_timestamp_seconds", "Unix time from which on copies are kept.", func(r *Report) int64 { return r.kept(func(c *delivered.Copies) int64 { return c.Since.Load() }) / 1000 }},
	{"ram_only_samples", "Samples that are not on the disk yet.", func(r *Report) int64 { return int64(r.parts().InMemory) }},
	{"salvaged_samples", "Samples found in a spool that was damaged, since the start.", func(r *Report) int64 { return int64(r.parts().Spool.Opening().Salvaged) }},
	{"last_sample_timestamp_seconds", "Unix time of the last sample.", func(r *Report) int64 { return max(r.lastSample().Unix(), 0) }},
}

// kept returns a number of the copies of delivered samples, 0 if none are kept.
func (r *Report) kept(number func(*delivered.Copies) int64) int64 {
	if c := r.parts().Uploader.Copies; c != nil {
		return number(c)
	}
	return 0
}

// values returns the present value of each count, by its name.
func (r *Report) values() map[string]int64 {
	all := make(map[string]int64, len(counts))
	for _, c := range counts {
		all[c.name] = c.value(r)
	}
	return all
}
