package postgres

import (
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/rollup"
	"sunspool/wire"
)

const (
	selectGreatestW = `select case when counted is null then 0 else coalesce(greatest_w, 0) end from devices where device_id = $1`
	selectAbout     = `select about from devices where device_id = $1`
	describeDevice  = `insert into devices (device_id, about, counted) values ($1, $2::text::jsonb, $3)
		on conflict (device_id) do update set about = excluded.about`
)

var (
	selectLatest = selectSamples + ` where device_id = $1 order by ts desc limit 1`
	selectPage   = selectSamples + ` where device_id = $1 and ts >= $2 and ts < $3 order by ts limit $4`
)

// deviceStatements returns all statements on tables that are distributed by device, except insertUnprunedAtOnce and insertNew,
// which are not used with Citus, and the list of states for a copy. Each but the list of devices and the digests has the device as its
// first parameter and reads no other.
func deviceStatements() []database.Statement {
	const device = "a device"
	at := rollup.FromMS(0)
	some := []rollup.Range{{Level: rollup.BaseLevel, From: 0, To: rollup.Spans[rollup.HourLevel]}}
	row := []sampleRow{{device: device, sample: &wire.Sample{Time: at}}}
	packed := packedRollups{[]int16{rollup.BaseLevel}, []time.Time{at}, [][]byte{nil}}
	return []database.Statement{
		{Name: "add a device", SQL: addDevice, Args: []any{device, energy.PackVersion}},
		{Name: "lock a device", SQL: lockDevice, Args: []any{device}},
		{Name: "insert samples", SQL: insertUnpruned, Args: rowArgs(row)},
		{Name: "insert one sample", SQL: insertOne, Args: oneRowArgs(&row[0])},
		{Name: "insert late samples", SQL: insertAll, Args: rowArgs(row)},
		{Name: "compare samples", SQL: sameSamples, Args: rowArgs(row)},
		{Name: "count samples", SQL: countRanges, Args: rangeArgs(device, some)},
		{Name: "rollups", SQL: selectRollups, Args: rangeArgs(device, some)},
		{Name: "rollups above", SQL: selectAbove, Args: []any{device, at, at, at, at, at, at}},
		{Name: "samples of ranges", SQL: selectSamplesOf, Args: rangeArgs(device, some)},
		{Name: "store rollups", SQL: upsertRollups, Args: packed.args(device)},
		{Name: "greatest power", SQL: growDevice, Args: []any{device, 1.0}},
		{Name: "latest sample", SQL: selectLatest, Args: []any{device}},
		{Name: "samples", SQL: selectPage, Args: []any{device, at, at, pageRows}},
		{Name: "greatest power known", SQL: selectGreatestW, Args: []any{device}},
		{Name: "describe a device", SQL: describeDevice, Args: []any{device, "{}", energy.PackVersion}},
		{Name: "about a device", SQL: selectAbout, Args: []any{device}},
		{Name: "extent of a device", SQL: selectExtent, Args: []any{device, rollup.DayLevel}},
		{Name: "day before", SQL: selectDayBefore, Args: []any{device, rollup.DayLevel, at, 1}},
		{Name: "day after", SQL: selectDayAfter, Args: []any{device, rollup.DayLevel, at, 1}},
		{Name: "older samples", SQL: hasOlder, Args: []any{device, at}},
		{Name: "border of pruning", SQL: selectBorder, Args: []any{device, at, rollup.PruneAtOnce}},
		{Name: "pending rollups", SQL: selectPending, Args: []any{device, rollup.BaseLevel, at, at, []byte{energy.PendingVersion}}},
		{Name: "delete samples", SQL: deleteSamples, Args: []any{device, at}},
		{Name: "mark pruned", SQL: markPruned, Args: []any{device, at}},
		{Name: "how far counted again", SQL: selectCounted, Args: []any{device, energy.PackVersion}},
		{Name: "newest sample before", SQL: selectNewestBefore, Args: []any{device, at}},
		{Name: "rollups between", SQL: selectRollupsBetween, Args: []any{device, rollup.DayLevel, at, at}},
		{Name: "samples to count again", SQL: countSamples, Args: []any{device, at, at}},
		{Name: "mark counting", SQL: markCounting, Args: []any{device, 1.0, energy.PackVersion, at}},
		{Name: "mark counted", SQL: markCounted, Args: []any{device, 1.0, energy.PackVersion}},
		{Name: "lock what is set aside", SQL: lockAside, Args: []any{device}},
		{Name: "known among what is set aside", SQL: selectAsideKnown, Args: []any{device, [][]byte{nil}}},
		{Name: "count what is set aside", SQL: countAside, Args: []any{device}},
		{Name: "set aside", SQL: insertAside, Args: []any{device, []int64{1}, [][]byte{nil}, []time.Time{at}, []string{""}, []string{"{}"}}},
		{Name: "mark what is set aside", SQL: markAside, Args: []any{device, int64(1)}},
		{Name: "what is set aside", SQL: selectAside, Args: []any{device, int64(0), 1}},
		{Name: "delete what is set aside", SQL: deleteAside, Args: []any{device, int64(1)}},
		{Name: "all rollups", SQL: selectAllRollups, Args: []any{device}},
		{Name: "days with samples", SQL: selectSampleDays, Args: []any{device}},
		{Name: "all samples", SQL: selectAllSamples, Args: []any{device}},
		{Name: "samples of a day", SQL: selectDaySamples, Args: []any{device, at, at}},
		{Name: "rollups of a day", SQL: selectDayRollups, Args: []any{device, at, at}},
		{Name: "whether a day has samples", SQL: existsInDay, Args: []any{device, at, at}},
		{Name: "delete samples of a day", SQL: deleteInDay, Args: []any{device, at, at}},
		{Name: "delete rollups of a day", SQL: deleteDayRollups, Args: []any{device, at, at}},
		{Name: "delete what is set aside of a device", SQL: deleteDeviceAside, Args: []any{device}},
		{Name: "store the state of a device", SQL: putState, Args: []any{device, nil, 1.0, at, int16(1), int16(1), at, int64(1)}},
		{Name: "ends of devices", SQL: selectEnds, Args: []any{[]string{device}, rollup.DayLevel}},
		{Name: "days of devices", SQL: selectDays, Args: []any{[]string{device}, rollup.DayLevel, at, at}},
		{Name: "devices", SQL: selectDevices, Args: []any{rollup.DayLevel, energy.PackVersion}},
	}
}
