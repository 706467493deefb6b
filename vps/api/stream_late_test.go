package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/internal/vpstest"
	"sunspool/wire"
)

// ago are how long ago the samples of events were taken, s, by the bench's clock.
func (b *bench) ago(events []event) (all []int) {
	for _, e := range events {
		var s sampleEvent
		if err := json.Unmarshal([]byte(e.Data), &s); err != nil {
			b.t.Error(err)
		}
		all = append(all, int(b.Now().Sub(time.UnixMilli(int64(s.Time*1000))).Seconds()))
	}
	return all
}

// samplesAndLate returns the samples among the events that wait, and the late ones.
func samplesAndLate(events <-chan event) (samples, late []event) {
	for len(events) > 0 {
		switch e := <-events; e.Name {
		case "sample":
			samples = append(samples, e)
		case "late":
			late = append(late, e)
		}
	}
	return samples, late
}

// minutes are samples of now less each of these minutes.
func (b *bench) minutes(ago ...int) (all []wire.Sample) {
	for _, m := range ago {
		s := b.newSample()
		s.Time = s.Time.Add(-time.Duration(m) * time.Minute)
		all = append(all, s)
	}
	return all
}

// An edge that comes back sends the newest sample first, and then the rest.
func TestLateSamplesReachTheStream(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		b.ingested(b.minutes(8)...)
		events := follow(t, l.Dial(), "inv-1", token1)
		synctest.Wait()
		if samples, late := samplesAndLate(events); len(samples) != 1 || len(late) != 0 {
			t.Errorf("at first %v and late %v", samples, late)
		}
		b.ingested(b.minutes(0)...)
		b.ingested(b.minutes(7, 6, 5)...)
		b.post(token1, vpstest.BatchOf(b.minutes(5, 4, 3)...)) // one of them for the second time
		b.ingested(b.minutes(11, 30, 300)...)                  // is history
		synctest.Wait()
		samples, late := samplesAndLate(events)
		if got := b.ago(samples); !slices.Equal(got, []int{0}) || samples[0].ID != fmt.Sprint(b.Now().UnixMilli()) {
			t.Errorf("samples of %v s ago", got)
		}
		if got := b.ago(late); !slices.Equal(got, []int{420, 360, 300, 240, 180}) {
			t.Errorf("late ones of %v s ago", got)
		}
		for _, e := range late {
			if e.ID != "" {
				t.Errorf("a late one has the id %s: its reader would come back too early", e.ID)
			}
		}
	})
}

// What of the last ten minutes was stored while a reader was away is not known, so it gets all of it.
func TestReaderThatComesBackGetsLateSamples(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		b.ingested(b.minutes(20, 9, 3)...)
		last := fmt.Sprint(b.Now().Add(-3 * time.Minute).UnixMilli())
		b.ingested(b.minutes(1, 0)...) // while it is away
		b.ingested(b.minutes(5, 4)...)
		events := follow(t, l.Dial(), "inv-1", token1, "Last-Event-ID", last)
		synctest.Wait()
		samples, late := samplesAndLate(events)
		if got := b.ago(samples); !slices.Equal(got, []int{60, 0}) {
			t.Errorf("samples of %v s ago", got)
		}
		if got := b.ago(late); !slices.Equal(got, []int{540, 300, 240}) {
			t.Errorf("late ones of %v s ago", got)
		}
		fresh := follow(t, l.Dial(), "inv-1", token1)
		synctest.Wait()
		if samples, late := samplesAndLate(fresh); len(samples) != 1 || len(late) != 0 {
			t.Errorf("a new reader gets %v and late %v", samples, late)
		}
	})
}

// Another process stores late samples and cannot tell, while this one hears of the newest.
func TestLateSamplesOfOthersAreFound(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		b.ingested(b.newSample())
		events := follow(t, l.Dial(), "inv-1", token1)
		synctest.Wait()
		names(events)
		if _, err := b.bolt.Insert(t.Context(), "inv-1", b.minutes(4, 2)); err != nil {
			t.Fatal(err)
		}
		for range 15 {
			time.Sleep(5 * time.Second)
			b.ingested(b.newSample())
		}
		synctest.Wait()
		samples, late := samplesAndLate(events)
		if len(samples) != 15 || len(late) != 2 {
			t.Errorf("%d samples, %d late ones", len(samples), len(late))
		}
	})
}

// At no time is a sample sent twice on a connection, or forgotten, however late and in whatever order they come.
func TestStreamSendsEachRecentSampleOnce(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		b.ingested(b.newSample())
		events := follow(t, l.Dial(), "inv-1", token1)
		synctest.Wait()
		names(events)
		want := map[int64]bool{}
		for i := range 200 {
			time.Sleep(7 * time.Second)
			var batch []wire.Sample
			for _, ago := range []int{0, i * 7 % 83, i * 31 % 451} { // s
				s := b.newSample()
				s.Time = s.Time.Add(-time.Duration(ago) * time.Second)
				if batch = append(batch, s); !s.Time.Before(testNow.Add(time.Second)) {
					want[s.Time.UnixMilli()] = true
				}
			}
			b.post(token1, vpstest.BatchOf(batch...))
		}
		synctest.Wait()
		samples, late := samplesAndLate(events)
		got := map[int64]int{}
		for _, e := range slices.Concat(samples, late) {
			var s sampleEvent
			json.Unmarshal([]byte(e.Data), &s)
			got[int64(s.Time*1000)]++
		}
		for ms := range want {
			if got[ms] != 1 {
				t.Errorf("the sample of %v came %d times", time.UnixMilli(ms), got[ms])
			}
		}
		ids := make([]string, len(samples))
		for i := range samples {
			ids[i] = samples[i].ID
		}
		if !slices.IsSorted(ids) {
			t.Error("samples are not in order")
		}
	})
}
