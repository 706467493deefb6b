//go:build unix

package postgres

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

// A loggedPlan is what PostgreSQL's auto_explain logs of a statement.
type loggedPlan struct {
	Query string   `json:"Query Text"`
	Plan  planNode `json:"Plan"`
}

type planNode struct {
	Type      string     `json:"Node Type"`
	Operation string     `json:"Operation"`
	Table     string     `json:"Relation Name"`
	Subplan   string     `json:"Subplan Name"`
	Output    []string   `json:"Output"`
	Index     string     `json:"Index Cond"`
	Recheck   string     `json:"Recheck Cond"`
	Filter    string     `json:"Filter"`
	TID       string     `json:"TID Cond"`
	Plans     []planNode `json:"Plans"`
}

// loggedPlans reads the plans in a server's log.
func loggedPlans(t *testing.T, log []byte) (all []loggedPlan) {
	t.Helper()
	for _, part := range bytes.Split(log, []byte(" plan:\n"))[1:] {
		var text []byte
		for line := range bytes.Lines(part) {
			if line[0] != '\t' {
				break
			}
			text = append(text, line[1:]...)
		}
		var p loggedPlan
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatalf("a plan in the log: %v\n%.500s", err, text)
		}
		all = append(all, p)
	}
	return all
}

var (
	ofOneDevice = regexp.MustCompile(`^\((?:\w+\.)?device_id = \$(\d+)\)$`)
	withBound   = regexp.MustCompile(`\bts <=? \$\d+`)
)

// faults returns in what a statement on tables that are distributed by device breaks the rule by which Citus can send it,
// as it is, to the one shard it belongs to: of each table it takes rows of the device in one parameter, and what it inserts
// has that device.
func (p *loggedPlan) faults(distributed map[string]bool) (faults []string) {
	computed := map[string]bool{} // parameters that the plan itself computes, which look the same
	var collect func(n *planNode)
	collect = func(n *planNode) {
		for _, m := range regexp.MustCompile(`\$(\d+)`).FindAllStringSubmatch(n.Subplan, -1) {
			computed[m[1]] = true
		}
		for i := range n.Plans {
			collect(&n.Plans[i])
		}
	}
	collect(&p.Plan)
	named := map[string]bool{}
	one := func(condition string) bool {
		for _, c := range conjuncts(condition) {
			if m := ofOneDevice.FindStringSubmatch(c); m != nil && !computed[m[1]] {
				named[m[1]] = true
				return true
			}
		}
		return false
	}
	var walk func(n *planNode)
	walk = func(n *planNode) {
		switch {
		case !distributed[n.Table]:
		case n.Type == "ModifyTable" && n.Operation == "Insert":
			device := "nothing"
			if len(n.Plans) > 0 && len(n.Plans[0].Output) > 0 {
				device = n.Plans[0].Output[0]
			}
			if m := regexp.MustCompile(`^\$(\d+)(::text)?$`).FindStringSubmatch(device); m != nil && !computed[m[1]] {
				named[m[1]] = true
			} else if !regexp.MustCompile(`^\w+\.device_id$`).MatchString(device) || !distributedScan(&n.Plans[0], distributed) {
				faults = append(faults, fmt.Sprintf("inserts into %s a device from %s", n.Table, device))
			}
		case n.Type == "ModifyTable":
			if n.Operation == "Delete" && strings.HasPrefix(n.Table, "samples") && !withBound.MatchString(conditions(n)) {
				faults = append(faults, "deletes samples without a bound on ts")
			}
		case !one(n.Index) && !one(n.Recheck) && !one(n.Filter):
			faults = append(faults, fmt.Sprintf("%s of %s where %q", n.Type, n.Table, n.Index+n.Recheck+n.Filter))
		}
		for i := range n.Plans {
			walk(&n.Plans[i])
		}
	}
	walk(&p.Plan)
	if len(named) > 1 {
		faults = append(faults, fmt.Sprintf("names devices in %d parameters", len(named)))
	}
	return faults
}

// conjuncts are the parts of a condition that must all hold, each in its parentheses.
func conjuncts(condition string) (all []string) {
	if !strings.HasPrefix(condition, "((") {
		return []string{condition}
	}
	depth, start := 0, 1
	for i, c := range condition {
		switch c {
		case '(':
			if depth++; depth == 2 {
				start = i
			}
		case ')':
			if depth--; depth == 1 {
				all = append(all, condition[start:i+1])
			}
		}
	}
	if strings.Count(condition, ") OR (") > strings.Count(strings.Join(all, ""), ") OR (") {
		return nil // they are alternatives
	}
	return all
}

// conditions are all conditions below a node.
func conditions(n *planNode) string {
	var text strings.Builder
	text.WriteString(n.Index + n.Filter)
	for i := range n.Plans {
		text.WriteString(" " + conditions(&n.Plans[i]))
	}
	return text.String()
}

// distributedScan reports whether a plan reads a distributed table: only from there may the device of an insert come.
func distributedScan(n *planNode, distributed map[string]bool) bool {
	return distributed[n.Table] || slices.ContainsFunc(n.Plans, func(n planNode) bool { return distributedScan(&n, distributed) })
}

// explained is a server that logs the plan of each statement, such as it is for any parameters.
func explained(t *testing.T) *testservices.PostgresServer {
	return testservices.Postgres(t, testservices.NoFsync, testservices.Set("session_preload_libraries", "auto_explain"), testservices.Set("auto_explain.log_min_duration", "0"),
		testservices.Set("auto_explain.log_format", "json"), testservices.Set("auto_explain.log_verbose", "on"), testservices.Set("plan_cache_mode", "force_generic_plan"))
}

// checkPlans returns the faults of the statements that ran on a server since it started, by their text, and all that were
// on distributed tables: those that have a device_id.
func checkPlans(t *testing.T, pg *testservices.PostgresServer, url string) (faults map[string][]string, seen map[string]bool) {
	t.Helper()
	distributed := map[string]bool{}
	db := openPostgres(t, url).db.Pools().Write
	rows, err := db.Query(t.Context(), `select table_name from information_schema.columns where column_name = 'device_id' and table_schema = 'public'`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		distributed[table] = true
	}
	log, err := os.ReadFile(filepath.Join(pg.Data(), "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	faults, seen = map[string][]string{}, map[string]bool{}
	for _, p := range loggedPlans(t, log) {
		if seen[p.Query] || strings.HasPrefix(p.Query, "/* test */") || !p.Plan.reads(distributed) {
			continue
		}
		seen[p.Query] = true
		if f := p.faults(distributed); len(f) > 0 {
			faults[p.Query] = f
		}
	}
	return faults, seen
}

// reads reports whether a plan has to do with a distributed table.
func (n *planNode) reads(distributed map[string]bool) bool { return distributedScan(n, distributed) }

// Citus can run what names one device in a parameter, and nothing else without asking all its machines: this is shown on a
// PostgreSQL without it, by the plans. The list of devices and the digests of
// some are the only exceptions, beside a statement that Citus is not given.
func TestEachStatementNamesOneDevice(t *testing.T) {
	pg := explained(t)
	url := pg.NewDatabase(t)
	everyCall(t, openPostgres(t, url))
	everyCallOfACopy(t, url, pg.NewDatabase(t))
	faults, seen := checkPlans(t, pg, url)
	for sql, f := range faults {
		if sql != selectDevices && sql != selectEnds && sql != selectDays && sql != selectExtents && sql != selectRollupsOf && sql != insertUnprunedAtOnce && sql != selectStates {
			t.Errorf("a statement that Citus cannot send to one shard:\n\t%s\n\t%s", strings.Join(strings.Fields(sql), " "), strings.Join(f, "\n\t"))
		}
	}
	if len(faults[selectDevices]) == 0 {
		t.Error("the list of devices asks for all of them, and is not noticed")
	}
	known := map[string]string{insertUnprunedAtOnce: "not for Citus", insertNew: "not for Citus", selectExtents: "not for Citus", selectRollupsOf: "not for Citus", selectStates: "of all devices, for a copy"}
	for _, s := range deviceStatements() {
		known[s.SQL] = s.Name
		if !seen[s.SQL] {
			t.Errorf("%q was not run here: nothing is known of it", s.Name)
		}
	}
	for _, sql := range slices.Sorted(maps.Keys(seen)) {
		if known[sql] == "" {
			t.Errorf("not among deviceStatements, which Citus is asked about at the start:\n\t%s", strings.Join(strings.Fields(sql), " "))
		}
	}
}

// everyCall has the store run every statement that it has.
func everyCall(t *testing.T, p *Store) {
	t.Helper()
	ctx := t.Context()
	start := storetest.Noon.AddDate(0, 0, -3)
	all := storetest.Houses(start, 20*time.Minute, 0, 3*24*3)
	storetest.Insert(t, p, "a", 1, all[7])                                           // a new device
	storetest.Insert(t, p, "a", 2, all[0], all[8])                                   // late, so five minutes are read again
	storetest.Insert(t, p, "a", 2, all[8], all[1], all[200])                         // repeated, and of days apart
	storetest.Insert(t, p, "a", 1, storetest.At(all[200].Time.Add(-time.Second), 2)) // late in its five minutes
	storetest.Insert(t, p, "a", len(all)-5, all...)
	late := insertionOf(t, "a", storetest.At(storetest.Noon.Add(time.Hour), 1)).rows
	if _, err := p.db.Pools().Write.Exec(ctx, insertUnpruned, rowArgs(late)...); err != nil { // for Citus, or beside another program
		t.Fatal(err)
	}
	if err := p.Describe(ctx, "a", store.About{Zone: "Asia/Kathmandu"}); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Prune(ctx, start.AddDate(0, 0, 1)); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	storetest.Insert(t, p, "a", 0, all[0], all[1])                                  // gone, and known to be repetitions
	storetest.Insert(t, p, "a", 1, storetest.At(all[2].Time.Add(7*time.Minute), 1)) // late, where nothing is gone
	q := store.Query{Device: "a", From: start.Add(36*time.Hour + time.Minute), To: start.Add(37*time.Hour + 2*time.Minute), Resolution: store.FiveMinutes}
	if _, _, err := p.Surrounded(ctx, q); err != nil {
		t.Fatal(err)
	}
	beside := periodsReader{ctx: ctx, db: p.db.Pools().Read, q: q}
	for _, back := range []bool{false, true} {
		if _, err := beside.dayBeside(storetest.Noon.UnixMilli(), back, 1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.db.Pools().Write.Exec(ctx, `/* test */ update devices set counted = null where device_id = $1`, "a"); err != nil {
		t.Fatal(err)
	}
	for days := 1; days > 0; {
		var err error
		if days, err = p.Recount(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for name, call := range storetest.Calls(p) {
		if err := call(ctx); err != nil {
			t.Fatal(name, err)
		}
	}
}

// everyCallOfACopy copies device a, twice.
func everyCallOfACopy(t *testing.T, from, to string) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	rows, err := OpenRows(ctx, from)
	must(err)
	defer rows.Close()
	replica, err := OpenReplica(ctx, to)
	must(err)
	defer replica.Close()
	states, err := rows.States(ctx)
	must(err)
	days, err := rows.Days(ctx, "a", false)
	must(err)
	_, err = rows.Days(ctx, "a", true)
	must(err)
	for range 2 {
		for _, s := range states {
			must(replica.PutState(ctx, s))
		}
		for _, day := range days {
			var samples []wire.Sample
			var rollups []store.RollupRow
			must(rows.EachRow(ctx, "a", day.Start, func(some []wire.Sample, rows []store.RollupRow) error {
				samples, rollups = append(samples, some...), rows
				return nil
			}))
			must(replica.PutDay(ctx, "a", day.Start, day.Start+1, func() (some []wire.Sample, _ []store.RollupRow, err error) {
				some, samples = samples, nil
				return some, rollups, nil
			}))
		}
	}
}

// The checker of plans sees what breaks the rule.
func TestStatementsOfManyDevicesAreNoticed(t *testing.T) {
	pg := explained(t)
	url := pg.NewDatabase(t)
	p := openPostgres(t, url)
	storetest.Insert(t, p, "a", 1, storetest.At(storetest.Noon, 1))
	bad := map[string][]any{
		`select count(*) from samples where ts > $1`:                                                                             {storetest.Noon},
		`select ts from samples where device_id = any($1::text[])`:                                                               {[]string{"a"}},
		`select ts from samples where device_id <> $1`:                                                                           {"a"},
		`select ts from samples where device_id = $1 or ts > $2`:                                                                 {"a", storetest.Noon},
		`select ts from samples where device_id = (select max($1::text) from rollups)`:                                           {"a"},
		`select s.ts from samples s join rollups r using (device_id) where r.level = $1`:                                         {1},
		`select s.ts from samples s, devices d where d.device_id = $1 and s.device_id = $2`:                                      {"a", "b"},
		`insert into devices (device_id) select unnest($1::text[]) on conflict do nothing`:                                       {[]string{"b"}},
		`insert into devices (device_id) select $1::text || 'x' on conflict do nothing`:                                          {"b"},
		`delete from samples where device_id = $1`:                                                                               {"b"},
		`delete from samples where device_id = $1 and ts in (select now() limit $2)`:                                             {"b", 1},
		`update devices set pruned = null where pruned < $1`:                                                                     {storetest.Noon},
		`select r.start from unnest($1::text[]) d cross join lateral (select start from rollups where device_id = d offset 0) r`: {[]string{"a"}},
	}
	for sql, args := range bad {
		if _, err := p.db.Pools().Write.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	faults, _ := checkPlans(t, pg, url)
	for sql := range bad {
		if len(faults[sql]) == 0 {
			t.Errorf("not noticed: %s", sql)
		}
	}
}
