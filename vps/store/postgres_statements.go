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

// statement is one that asks for rows of a device or changes them, with parameters that it may have.
type statement struct {
	name, sql string
	args      []any
}

// deviceStatements are all statements on tables that are distributed by device. Each but the list of devices has the
// device as its first parameter and asks for no other.
func deviceStatements() []statement {
	const device = "a device"
	at := fromMS(0)
	some := []stretch{{baseLevel, 0, spans[hourLevel]}}
	row := []pgRow{{device: device, sample: &wire.Sample{Time: at}}}
	rollup := packedRollups{[]int16{baseLevel}, []time.Time{at}, [][]byte{nil}}
	return []statement{
		{"know a device", knowDevice, []any{device, energy.PackVersion}},
		{"lock a device", lockDevice, []any{device}},
		{"insert samples", insertUnpruned, rowArgs(row)},
		{"insert one sample", insertOne, oneRowArgs(&row[0])},
		{"insert late samples", insertAll, rowArgs(row)},
		{"compare samples", sameSamples, rowArgs(row)},
		{"count samples", countStretches, stretchArgs(device, some)},
		{"rollups", selectRollups, stretchArgs(device, some)},
		{"rollups above", selectAbove, []any{device, at, at, at, at, at, at}},
		{"samples of stretches", selectStretches, stretchArgs(device, some)},
		{"store rollups", upsertRollups, rollup.args(device)},
		{"greatest power", growDevice, []any{device, 1.0}},
		{"latest sample", selectLatest, []any{device}},
		{"samples", selectPage, []any{device, at, at, pageRows}},
		{"greatest power known", selectGreatestW, []any{device}},
		{"describe a device", describeDevice, []any{device, "{}", energy.PackVersion}},
		{"about a device", selectAbout, []any{device}},
		{"extent of a device", selectExtent, []any{device, dayLevel}},
		{"day before", selectDayBefore, []any{device, dayLevel, at, 1}},
		{"day after", selectDayAfter, []any{device, dayLevel, at, 1}},
		{"older samples", hasOlder, []any{device, at}},
		{"border of pruning", selectBorder, []any{device, at, pruneAtOnce}},
		{"pending rollups", selectPending, []any{device, baseLevel, at, at, []byte{energy.PendingVersion}}},
		{"delete samples", deleteSamples, []any{device, at}},
		{"mark pruned", markPruned, []any{device, at}},
		{"how far counted anew", selectCounted, []any{device, energy.PackVersion}},
		{"newest sample before", selectNewestBefore, []any{device, at}},
		{"rollups between", selectRollupsBetween, []any{device, dayLevel, at, at}},
		{"samples to count anew", countSamples, []any{device, at, at}},
		{"mark counting", markCounting, []any{device, 1.0, energy.PackVersion, at}},
		{"mark counted", markCounted, []any{device, 1.0, energy.PackVersion}},
		{"lock what is set aside", lockAside, []any{device}},
		{"known among what is set aside", selectAsideKnown, []any{device, [][]byte{nil}}},
		{"count what is set aside", countAside, []any{device}},
		{"set aside", insertAside, []any{device, []int64{1}, [][]byte{nil}, []time.Time{at}, []string{""}, []string{"{}"}}},
		{"mark what is set aside", markAside, []any{device, int64(1)}},
		{"what is set aside", selectAside, []any{device, int64(0), 1}},
		{"delete what is set aside", deleteAside, []any{device, int64(1)}},
		{"devices", selectDevices, []any{dayLevel, energy.PackVersion}},
	}
}
