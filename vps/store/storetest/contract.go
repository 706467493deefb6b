// Package storetest is the contract of store.Samples as tests that every store passes, and what the tests of stores share:
// samples of a house, a recount of periods the slow and plain way. Only tests import it.
package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata"

	"sunspool/vps/store"
	"sunspool/wire"
)

// Run is the contract of Samples as a test: every store passes it. Open opens the store that lives in dir, which
// has what an earlier one left there; the test closes it.
func Run(t *testing.T, open func(t *testing.T, dir string) store.Samples) {
	for _, c := range []struct {
		claim string
		test  func(*testing.T, store.Samples)
	}{
		{"FirstWriteWins", firstWriteWins},
		{"TwiceIsNormal", twiceIsNormal},
		{"SampleComesBackWhole", sampleComesBackWhole},
		{"LatestIsTheNewestHoweverLateTheRest", latestIsTheNewest},
		{"SeriesIsARecountInAnyOrderOfArrival", seriesIsARecount},
		{"SeriesHasOnlyWhatIsBetweenFromAndTo", seriesEdges},
		{"LateSampleIsInTheNextAnswer", lateSampleIsInTheNextAnswer},
		{"MeanIsOverTimeAndNullIsNotZero", meanIsOverTime},
		{"HoursFollowTheLocalClock", hoursFollowTheLocalClock},
		{"WritersOfOneDeviceLoseNothing", writersOfOneDeviceLoseNothing},
		{"DevicesAreApart", devicesAreApart},
		{"UnknownDeviceHasNothing", unknownDeviceHasNothing},
		{"DescriptionIsRemembered", descriptionIsRemembered},
		{"PeriodsAreARecount", periodsAreARecount},
		{"DigestsChangeWithWhatIsStored", digestsChange},
		{"ManyAreEachOfThem", manyAreEachOfThem},
		{"EachGivesTheSamplesInOrder", eachGivesTheSamplesInOrder},
		{"CountersAreLookedForAround", countersAreLookedForAround},
		{"PruningKeepsWhatIsAround", pruningKeepsWhatIsAround},
		{"IntervalStaysWithItsSample", intervalStaysWithItsSample},
		{"IntervalIsInRollups", intervalIsInRollups},
		{"PruningKeepsWhatRollupsSay", pruningKeepsWhatRollupsSay},
		{"GreatestPowerIsOfAllSamplesStored", greatestPowerIsOfAllSamplesStored},
		{"PruningKeepsTheGreatestPower", pruningKeepsTheGreatestPower},
		{"CheckIsNoSample", checkIsNoSample},
		{"WhatIsSetAsideIsKeptOnce", setAsideOnce},
		{"WhatIsSetAsideIsNoSample", setAsideIsNoSample},
		{"WhatIsSetAsideIsDeletedUpToANumber", asideIsDeletedUpToANumber},
		{"WhatIsSetAsideIsBounded", asideIsBounded},
		{"AbsurdSampleIsRefusedWithItsBatch", absurdSampleIsRefused},
		{"EndedContextEndsTheCall", endedContextEndsTheCall},
		{"FiveMinutesHaveRoomForSoMany", fiveMinutesHaveRoomForSoMany},
		{"PrunedFiveMinutesHaveRoomForSoMany", prunedFiveMinutesHaveRoomForSoMany},
		{"ManyMayNotFillFiveMinutesTogether", func(t *testing.T, s store.Samples) { ManyMayNotFillFiveMinutesTogether(t, s) }},
		{"LateSamplesOfManySpansAreInTheNextAnswer", lateSamplesOfManySpansAreInTheNextAnswer},
		{"InsertCostsByWhatItAdds", insertCostsByWhatItAdds},
	} {
		t.Run(c.claim, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			t.Cleanup(func() { s.Close() })
			c.test(t, s)
		})
	}
	t.Run("SurvivesReopening", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		survivesReopening(t, func() store.Samples { return open(t, dir) })
	})
	t.Run("ClosedStoreAnswersErrors", func(t *testing.T) {
		t.Parallel()
		closedStoreAnswersErrors(t, open(t, t.TempDir()))
	})
}

func checkIsNoSample(t *testing.T, s store.Samples) {
	for range 2 {
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := s.Devices(t.Context()); len(all) != 0 || err != nil {
		t.Errorf("devices %v, %v", all, err)
	}
}

// Calls has every method, to test what all of them have in common.
func Calls(s store.Samples) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Insert": func(ctx context.Context) error {
			_, err := s.Insert(ctx, "a", []wire.Sample{At(Noon.Add(time.Second), 1)})
			return err
		},
		"Latest": func(ctx context.Context) error { _, err := s.Latest(ctx, "a"); return err },
		"Periods": func(ctx context.Context) error {
			_, err := s.Periods(ctx, store.Query{Device: "a", Resolution: store.Day})
			return err
		},
		"Each": func(ctx context.Context) error {
			return s.Each(ctx, "a", time.Time{}, time.Time{}, func(wire.Sample) bool { return true })
		},
		"Surrounded": func(ctx context.Context) error {
			_, _, err := s.Surrounded(ctx, store.Query{Device: "a", Resolution: store.Day})
			return err
		},
		"SurroundedOf": func(ctx context.Context) error {
			_, err := s.SurroundedOf(ctx, []string{"a", "b"}, store.Query{From: Noon.AddDate(0, 0, -7), To: Noon.AddDate(0, 0, 7), Resolution: store.Day})
			return err
		},
		"Digests": func(ctx context.Context) error {
			_, err := s.Digests(ctx, []string{"a", "b"}, Noon.AddDate(0, 0, -1), Noon)
			return err
		},
		"Describe":  func(ctx context.Context) error { return s.Describe(ctx, "a", store.About{Zone: "Asia/Kathmandu"}) },
		"About":     func(ctx context.Context) error { _, err := s.About(ctx, "a"); return err },
		"Devices":   func(ctx context.Context) error { _, err := s.Devices(ctx); return err },
		"Prune":     func(ctx context.Context) error { _, err := s.Prune(ctx, Noon); return err },
		"SetAside":  func(ctx context.Context) error { _, err := s.SetAside(ctx, "a", asides(0, 1)); return err },
		"Aside":     func(ctx context.Context) error { _, err := s.Aside(ctx, "a", 0, 1); return err },
		"Delete":    func(ctx context.Context) error { _, err := s.DeleteAside(ctx, "a", 1); return err },
		"Check":     func(ctx context.Context) error { return s.Check(ctx) },
		"GreatestW": func(ctx context.Context) error { _, err := s.GreatestW(ctx, "a"); return err },
		"Recount":   func(ctx context.Context) error { _, err := s.Recount(ctx); return err },
	}
}

func endedContextEndsTheCall(t *testing.T, s store.Samples) {
	Insert(t, s, "a", 1, At(Noon, 1))
	Latest(t, s, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range Calls(s) {
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func closedStoreAnswersErrors(t *testing.T, s store.Samples) {
	Insert(t, s, "a", 1, At(Noon, 1))
	Latest(t, s, "a")
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, call := range Calls(s) {
		if err := call(t.Context()); !errors.Is(err, store.ErrClosed) || !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func survivesReopening(t *testing.T, open func() store.Samples) {
	s := open()
	all := Random(rand.New(rand.NewPCG(8, 9)), Noon, 48*time.Hour, 300)
	Insert(t, s, "a", 300, all...)
	if err := s.Describe(t.Context(), "a", store.About{Zone: "Europe/Brussels"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetAside(t.Context(), "a", asides(0, 3)); err != nil {
		t.Fatal(err)
	}
	want, newest := Series(t, s, store.Query{Device: "a", Resolution: store.Hour}), Latest(t, s, "a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open()
	defer s.Close()
	if got := Series(t, s, store.Query{Device: "a", Resolution: store.Hour}); Dump(got) != Dump(want) {
		t.Errorf("series\n%s, was\n%s", Dump(got), Dump(want))
	}
	if got := Latest(t, s, "a"); string(got.AppendPacked(nil)) != string(newest.AppendPacked(nil)) {
		t.Errorf("latest %+v, was %+v", got, newest)
	}
	if about, err := s.About(t.Context(), "a"); about.Zone != "Europe/Brussels" || err != nil {
		t.Errorf("about %+v, %v", about, err)
	}
	Insert(t, s, "a", 0, all...)
	if n := len(listed(t, s, "a")); n != 3 {
		t.Errorf("%d of 3 are set aside", n)
	}
}

// conflicting is a store that counts the samples that it skipped although they differ.
type conflicting interface{ Conflicts() uint64 }

// fronted is a cache in front of a store that counts conflicts.
type fronted struct {
	store.Samples
	conflicting
}

// InFront returns a cache as a store that counts the conflicts of the one behind it.
func InFront(cache store.Samples, behind conflicting) store.Samples { return fronted{cache, behind} }
