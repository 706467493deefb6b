package edge

import "slices"

// count is a number that the edge reports of itself: in health.json under counts, and as a metric sunspool_edge_NAME. A
// name that ends in _total only grows while the process runs.
type count struct {
	name, help string
	value      func(*Edge) int64
}

// writtenBytes is the count from which the wear of the disk is estimated.
const writtenBytes = "written_bytes_total"

// counts are all of them.
var counts = slices.Concat(processCounts, inverterCounts)

// processCounts are those that all inverters behind a dongle have in common.
var processCounts = []count{
	{"modbus_requests_total", "Modbus requests.", func(e *Edge) int64 { return e.Inverter.Dongle.Link.Requests.Load() }},
	{"modbus_connects_total", "Connections tried to the inverter.", func(e *Edge) int64 { return e.Inverter.Dongle.Link.Connects.Load() }},
	{"modbus_exceptions_total", "Modbus exceptions.", func(e *Edge) int64 { return e.Inverter.Dongle.Exceptions.Load() }},
	{"modbus_retries_total", "Reads tried again after an exception.", func(e *Edge) int64 { return e.Inverter.Dongle.Retries.Load() }},
	{"modbus_stale_total", "Answers to requests of somebody else.", func(e *Edge) int64 { return e.Inverter.Dongle.Link.Stale.Load() }},
	{writtenBytes, "Bytes that this process had written to disks.", func(*Edge) int64 { return bytesWritten() }},
}

// inverterCounts are those of one inverter. Of polls_total, what gave no sample is counted by reason in
// samples_not_made; the others are samples_total, ram_only_samples and samples_lost.
var inverterCounts = []count{
	{"polls_total", "Polls that were due, those included that were left out because the spool fills up.", func(e *Edge) int64 { return e.Report.polls.Load() }},
	{"samples_total", "Samples that were made and are durable.", func(e *Edge) int64 { return e.Report.made.Load() }},
	{"balance_residual_watts", "What PV less battery and AC power leaves: the loss of the conversion.", func(e *Edge) int64 { return e.Report.residual() }},
	{"contradicting_polls", "Polls in a row whose registers contradict each other.", func(e *Edge) int64 { return e.Report.contradicting() }},
	{"upload_requests_total", "Requests to the server.", func(e *Edge) int64 { return e.Uploader.Requests.Load() }},
	{"uploaded_samples_total", "Samples that the server has.", func(e *Edge) int64 { return e.Uploader.Uploaded.Load() }},
	{"duplicate_samples_total", "Samples that the server had already.", func(e *Edge) int64 { return e.Uploader.Duplicates.Load() }},
	{"rejected_samples_total", "Samples that the server will not take.", func(e *Edge) int64 { return e.Uploader.Rejected.Load() }},
	{"suspect_samples", "Samples that the server refused and that are tried again.", func(e *Edge) int64 { return e.Uploader.SuspectSamples() }},
	{"schema_mismatch", "1 while so much is refused that nothing is given up.", func(e *Edge) int64 { return e.Uploader.SchemaMismatch() }},
	{"spool_samples", "Samples that the server does not have yet.", func(e *Edge) int64 { return int64(e.Spool.Waiting()) }},
	{"spool_held_samples", "Samples whose time is not known yet.", func(e *Edge) int64 { return int64(e.Spool.Undated()) }},
	{"estimated_samples_total", "Samples whose time was estimated.", func(e *Edge) int64 { return int64(e.Spool.Estimated()) }},
	{"spool_quarantined_samples", "Samples in quarantine.", func(e *Edge) int64 { return int64(e.Spool.InQuarantine()) }},
	{"spool_bytes", "Size of the spool file.", func(e *Edge) int64 { return e.Spool.Bytes() }},
	{"spool_used_bytes", "Bytes of the spool file that hold something.", func(e *Edge) int64 { return e.Spool.Capacity().Used }},
	{"spool_limit_bytes", "The most that the spool may use.", func(e *Edge) int64 { return e.Spool.Capacity().Limit }},
	{"ram_only_samples", "Samples that are not on the disk yet.", func(e *Edge) int64 { return int64(e.ring.Len()) }},
	{"salvaged_samples", "Samples found in a spool that was damaged, since the start.", func(e *Edge) int64 { return int64(e.Spool.Opening().Salvaged) }},
	{"last_sample_timestamp_seconds", "Unix time of the last sample.", func(e *Edge) int64 { return max(e.Report.lastSample().Unix(), 0) }},
}

// tally returns what all counts are now.
func (e *Edge) tally() map[string]int64 {
	all := make(map[string]int64, len(counts))
	for _, c := range counts {
		all[c.name] = c.value(e)
	}
	return all
}
