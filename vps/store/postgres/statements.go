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

// deviceStatements are all statements on tables that are distributed by device. Each but the list of devices has the
// device as its first parameter and asks for no other.
func deviceStatements() []database.Statement {
	const device = "a device"
	at := rollup.FromMS(0)
	some := []rollup.Range{{Level: rollup.BaseLevel, From: 0, To: rollup.Spans[rollup.HourLevel]}}
	row := []pgRow{{device: device, sample: &wire.Sample{Time: at}}}
	packed := packedRollups{[]int16{rollup.BaseLevel}, []time.Time{at}, [][]byte{nil}}
	return []database.Statement{
		{Name: "know a device", Sql: knowDevice, Args: []any{device, energy.PackVersion}},
		{Name: "lock a device", Sql: lockDevice, Args: []any{device}},
		{Name: "insert samples", Sql: insertUnpruned, Args: rowArgs(row)},
		{Name: "insert one sample", Sql: insertOne, Args: oneRowArgs(&row[0])},
		{Name: "insert late samples", Sql: insertAll, Args: rowArgs(row)},
		{Name: "compare samples", Sql: sameSamples, Args: rowArgs(row)},
		{Name: "count samples", Sql: countStretches, Args: stretchArgs(device, some)},
		{Name: "rollups", Sql: selectRollups, Args: stretchArgs(device, some)},
		{Name: "rollups above", Sql: selectAbove, Args: []any{device, at, at, at, at, at, at}},
		{Name: "samples of stretches", Sql: selectStretches, Args: stretchArgs(device, some)},
		{Name: "store rollups", Sql: upsertRollups, Args: packed.args(device)},
		{Name: "greatest power", Sql: growDevice, Args: []any{device, 1.0}},
		{Name: "latest sample", Sql: selectLatest, Args: []any{device}},
		{Name: "samples", Sql: selectPage, Args: []any{device, at, at, pageRows}},
		{Name: "greatest power known", Sql: selectGreatestW, Args: []any{device}},
		{Name: "describe a device", Sql: describeDevice, Args: []any{device, "{}", energy.PackVersion}},
		{Name: "about a device", Sql: selectAbout, Args: []any{device}},
		{Name: "extent of a device", Sql: selectExtent, Args: []any{device, rollup.DayLevel}},
		{Name: "day before", Sql: selectDayBefore, Args: []any{device, rollup.DayLevel, at, 1}},
		{Name: "day after", Sql: selectDayAfter, Args: []any{device, rollup.DayLevel, at, 1}},
		{Name: "older samples", Sql: hasOlder, Args: []any{device, at}},
		{Name: "border of pruning", Sql: selectBorder, Args: []any{device, at, rollup.PruneAtOnce}},
		{Name: "pending rollups", Sql: selectPending, Args: []any{device, rollup.BaseLevel, at, at, []byte{energy.PendingVersion}}},
		{Name: "delete samples", Sql: deleteSamples, Args: []any{device, at}},
		{Name: "mark pruned", Sql: markPruned, Args: []any{device, at}},
		{Name: "how far counted anew", Sql: selectCounted, Args: []any{device, energy.PackVersion}},
		{Name: "newest sample before", Sql: selectNewestBefore, Args: []any{device, at}},
		{Name: "rollups between", Sql: selectRollupsBetween, Args: []any{device, rollup.DayLevel, at, at}},
		{Name: "samples to count anew", Sql: countSamples, Args: []any{device, at, at}},
		{Name: "mark counting", Sql: markCounting, Args: []any{device, 1.0, energy.PackVersion, at}},
		{Name: "mark counted", Sql: markCounted, Args: []any{device, 1.0, energy.PackVersion}},
		{Name: "lock what is set aside", Sql: lockAside, Args: []any{device}},
		{Name: "known among what is set aside", Sql: selectAsideKnown, Args: []any{device, [][]byte{nil}}},
		{Name: "count what is set aside", Sql: countAside, Args: []any{device}},
		{Name: "set aside", Sql: insertAside, Args: []any{device, []int64{1}, [][]byte{nil}, []time.Time{at}, []string{""}, []string{"{}"}}},
		{Name: "mark what is set aside", Sql: markAside, Args: []any{device, int64(1)}},
		{Name: "what is set aside", Sql: selectAside, Args: []any{device, int64(0), 1}},
		{Name: "delete what is set aside", Sql: deleteAside, Args: []any{device, int64(1)}},
		{Name: "devices", Sql: selectDevices, Args: []any{rollup.DayLevel, energy.PackVersion}},
	}
}
