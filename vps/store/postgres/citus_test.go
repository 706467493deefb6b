//go:build unix

package postgres

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
)

type suiteTest struct {
	claim string
	test  func(*testing.T, *testservices.PostgresServer)
}

// suite are the tests of a PostgreSQL that extensions must pass too, each on a database of its own.
var suite = []suiteTest{
	{"WritersOfSeveralProcessesEqualARecount", writersEqualARecount},
	{"RollupsKnowWhatOtherProcessesStore", rollupsKnowOthers},
	{"ConflictsAreCounted", conflictsAreCounted},
	{"RowOfAnotherProgramIsARepetition", rowOfAnotherIsARepetition},
	{"RefusedRowIsItsSendersAlone", refusedRowIsItsSendersAlone},
	{"PrunedDeviceDoesNotHoldUpTheOthers", prunedDeviceIsAlone},
	{"RollupsOfAnotherVersionAreDerived", otherVersionIsDerived},
	{"ModesForPoolers", modesForPoolers},
	{"ConnectionIsCutAtRandomBytes", connectionIsCut},
	{"AnswerToCommitIsCutAtEveryByte", answerToCommitIsCut},
	{"ProcessesThatStartAtOnceMigrateOnce", startAtOnce},
	{"EveryCall", func(t *testing.T, pg *testservices.PostgresServer) { everyCall(t, openPostgres(t, pg.URL())) }},
	{"ManyDevicesAtOnce", manyDevicesAtOnce},
}

// TestCitus runs on a cluster that TEST_CITUS_URL and TEST_CITUS_WORKERS name; make test-citus.
func TestCitus(t *testing.T) {
	pg := testservices.Citus(t)
	t.Run("IsDistributed", func(t *testing.T) {
		pg := testservices.Citus(t)
		openPostgres(t, pg.URL())
		if n := pg.Query(`select count(distinct nodeport || nodename) from citus_shards where table_name = 'samples'::regclass`); n < "2" {
			t.Errorf("the shards of samples are on %s nodes", n)
		}
		if n := pg.Query(`select count(*) from pg_dist_partition where logicalrelid in ('meta'::regclass, 'tokens'::regclass, 'sites'::regclass, 'sunspool_schema'::regclass)`); n != "0" {
			t.Errorf("%s tables that belong to no device are on more than one node: Check would need all of them", n)
		}
	})
	t.Run("Contract", func(t *testing.T) {
		open := opensOn(t, pg, "")
		storetest.Run(t, func(t *testing.T, dir string) store.Samples { return open(t, dir) })
		storetest.RunTokens(t, func(t *testing.T, dir string) storetest.TokenStore { return open(t, dir) })
		storetest.RunSites(t, func(t *testing.T, dir string) storetest.SiteStore { return open(t, dir) })
	})
	for _, s := range suite {
		t.Run(s.claim, func(t *testing.T) { s.test(t, testservices.Citus(t)) })
	}
}

// Devices of all shards at once, by two processes, with late samples and repetitions.
func manyDevicesAtOnce(t *testing.T, pg *testservices.PostgresServer) {
	stores := []*Store{openPostgres(t, pg.URL()), openPostgres(t, pg.URL())}
	all := storetest.Houses(storetest.Noon, 30*time.Second, 0, 120)
	var g sync.WaitGroup
	for d := range 12 {
		for w, p := range stores {
			g.Go(func() {
				for i := range 12 { // the other one goes backwards, and both store all
					from := 10 * []int{i, 11 - i}[w]
					if _, err := p.Insert(t.Context(), fmt.Sprint("device-", d), all[from:from+10]); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	g.Wait()
	for d := range 12 {
		storetest.ExactlyOnce(t, stores[d%2], fmt.Sprint("device-", d), all)
	}
}

func TestManyDevicesAtOnceEqualARecount(t *testing.T) {
	manyDevicesAtOnce(t, testservices.SharedPostgres(t))
}
