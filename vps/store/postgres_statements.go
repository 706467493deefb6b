package store

import (
	"time"

	"sunspool/vps/energy"
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

// deviceStatements are all statements on tables that are distributed by device. Each but the list of devices has the
// device as its first parameter and asks for no other.
func deviceStatements() []statement {
	const device = "a device"
	at := fromMS(0)
	some := []stretch{{level: baseLevel, from: 0, to: spans[hourLevel]}}
	row := []pgRow{{device: device, sample: &wire.Sample{Time: at}}}
	packed := packedRollups{[]int16{baseLevel}, []time.Time{at}, [][]byte{nil}}
	return []statement{
		{name: "know a device", sql: knowDevice, args: []any{device, energy.PackVersion}},
		{name: "lock a device", sql: lockDevice, args: []any{device}},
		{name: "insert samples", sql: insertUnpruned, args: rowArgs(row)},
		{name: "insert one sample", sql: insertOne, args: oneRowArgs(&row[0])},
		{name: "insert late samples", sql: insertAll, args: rowArgs(row)},
		{name: "compare samples", sql: sameSamples, args: rowArgs(row)},
		{name: "count samples", sql: countStretches, args: stretchArgs(device, some)},
		{name: "rollups", sql: selectRollups, args: stretchArgs(device, some)},
		{name: "rollups above", sql: selectAbove, args: []any{device, at, at, at, at, at, at}},
		{name: "samples of stretches", sql: selectStretches, args: stretchArgs(device, some)},
		{name: "store rollups", sql: upsertRollups, args: packed.args(device)},
		{name: "greatest power", sql: growDevice, args: []any{device, 1.0}},
		{name: "latest sample", sql: selectLatest, args: []any{device}},
		{name: "samples", sql: selectPage, args: []any{device, at, at, pageRows}},
		{name: "greatest power known", sql: selectGreatestW, args: []any{device}},
		{name: "describe a device", sql: describeDevice, args: []any{device, "{}", energy.PackVersion}},
		{name: "about a device", sql: selectAbout, args: []any{device}},
		{name: "extent of a device", sql: selectExtent, args: []any{device, dayLevel}},
		{name: "day before", sql: selectDayBefore, args: []any{device, dayLevel, at, 1}},
		{name: "day after", sql: selectDayAfter, args: []any{device, dayLevel, at, 1}},
		{name: "older samples", sql: hasOlder, args: []any{device, at}},
		{name: "border of pruning", sql: selectBorder, args: []any{device, at, pruneAtOnce}},
		{name: "pending rollups", sql: selectPending, args: []any{device, baseLevel, at, at, []byte{energy.PendingVersion}}},
		{name: "delete samples", sql: deleteSamples, args: []any{device, at}},
		{name: "mark pruned", sql: markPruned, args: []any{device, at}},
		{name: "how far counted anew", sql: selectCounted, args: []any{device, energy.PackVersion}},
		{name: "newest sample before", sql: selectNewestBefore, args: []any{device, at}},
		{name: "rollups between", sql: selectRollupsBetween, args: []any{device, dayLevel, at, at}},
		{name: "samples to count anew", sql: countSamples, args: []any{device, at, at}},
		{name: "mark counting", sql: markCounting, args: []any{device, 1.0, energy.PackVersion, at}},
		{name: "mark counted", sql: markCounted, args: []any{device, 1.0, energy.PackVersion}},
		{name: "lock what is set aside", sql: lockAside, args: []any{device}},
		{name: "known among what is set aside", sql: selectAsideKnown, args: []any{device, [][]byte{nil}}},
		{name: "count what is set aside", sql: countAside, args: []any{device}},
		{name: "set aside", sql: insertAside, args: []any{device, []int64{1}, [][]byte{nil}, []time.Time{at}, []string{""}, []string{"{}"}}},
		{name: "mark what is set aside", sql: markAside, args: []any{device, int64(1)}},
		{name: "what is set aside", sql: selectAside, args: []any{device, int64(0), 1}},
		{name: "delete what is set aside", sql: deleteAside, args: []any{device, int64(1)}},
		{name: "devices", sql: selectDevices, args: []any{dayLevel, energy.PackVersion}},
	}
}
