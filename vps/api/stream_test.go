package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/listener"
	"sunspool/vps/request"
	"sunspool/wire"
)

// onAir serves a bench in a bubble whose time goes on from testNow.
func onAir(t *testing.T, test func(t *testing.T, b *bench, l *pipes, stop func() error), change ...func(*Server)) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		now := func(s *Server) { s.Now = func() time.Time { return testNow.Add(time.Since(began)) } }
		b := newBench(t, append(change, now)...)
		l := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- listener.Serve(ctx, l, nil, b.api, b.Log) }()
		stopped := false
		stop := func() error { stopped = true; cancel(); return <-done }
		test(t, b, l, stop)
		if !stopped {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
		b.bolt.Close() // in the bubble that it was opened in
	})
}

// newSample is of now, by the bench's clock.
func (b *bench) newSample() wire.Sample { return sample(testNow.Sub(b.Now())) }

func TestStreamTellsWhatIsStored(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		events := follow(t, l.Dial(), "inv-1", token1)
		other := follow(t, l.Dial(), "inv-2", token2)
		synctest.Wait()
		if got := names(events); !slices.Equal(got, []string{"hello", "today", "state"}) {
			t.Errorf("at first %q", got)
		}
		names(other)
		b.ingested(b.newSample())
		synctest.Wait()
		first := <-events
		want := `{"t":1782037800,"pv_w":4210.5,"load_w":730,"battery_w":1480,"grid_w":-2000.5,"soc_pct":62.4,"flows":{"solar_home":730,"solar_battery":1480,"solar_grid":2000.5,"battery_home":0,"battery_grid":0,"grid_home":0,"grid_battery":0,"unaccounted":0}}`
		if first != (event{ID: fmt.Sprint(testNow.UnixMilli()), Name: "sample", Data: want}) {
			t.Errorf("%+v, want %s", first, want)
		}
		if state := <-events; state.Name != "state" || !strings.Contains(state.Data, `"live"`) {
			t.Errorf("%+v", state)
		}
		w := b.post(token1, bodyOf(fields(0), fields(-5*time.Second))) // one is a repetition; and one is ahead of us
		if w.Code != 200 {
			t.Fatal(w.Body)
		}
		synctest.Wait()
		if got := of("sample", events); len(got) != 1 || got[0].ID != fmt.Sprint(testNow.Add(5*time.Second).UnixMilli()) {
			t.Errorf("of a repetition and a new one came %v", got)
		}
		if got := names(other); got != nil {
			t.Errorf("the other device's reader got %q", got)
		}
	})
}

// Neither the server's limits for requests nor the places for them are the stream's.
func TestStreamLastsAndTakesNoPlace(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		var streams []<-chan event
		for range 3 {
			streams = append(streams, follow(t, l.Dial(), "inv-1", token1))
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		for range 100 {
			b.ingested(b.newSample())
			time.Sleep(5 * time.Second)
		}
		synctest.Wait()
		for _, events := range streams {
			got := names(events)
			n := map[string]int{}
			for _, name := range got {
				n[name]++
			}
			if n["sample"] != 100 || n["hello"] != 1 || n[""] < 239 || n["today"] < 8 || n["today"] > 10 || n["state"] != 2 {
				t.Errorf("%v in an hour of silence and 500 s of samples", n)
			}
		}
	}, func(s *Server) { s.MaxAtOnce = 1 })
}

func TestReaderThatComesBackGetsWhatItMissed(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		for range 300 { // 25 minutes
			b.ingested(b.newSample())
			time.Sleep(5 * time.Second)
		}
		newest := b.Now().Add(-5 * time.Second)
		for name, c := range map[string]struct {
			last string
			want int
		}{
			"all of it": {fmt.Sprint(newest.UnixMilli()), 0}, "three": {fmt.Sprint(newest.Add(-15 * time.Second).UnixMilli()), 3},
			"too much": {fmt.Sprint(newest.Add(-time.Hour).UnixMilli()), 120}, "nothing": {"", 1}, "nonsense": {"x", 1},
			"what is not yet": {fmt.Sprint(newest.Add(time.Hour).UnixMilli()), 1},
		} {
			events := follow(t, l.Dial(), "inv-1", token1, "Last-Event-ID", c.last)
			synctest.Wait()
			got := of("sample", events)
			if len(got) != c.want || c.want > 0 && got[len(got)-1].ID != fmt.Sprint(newest.UnixMilli()) {
				t.Errorf("%s: %d samples", name, len(got))
			}
			if !slices.IsSortedFunc(got, func(a, b event) int { return strings.Compare(a.ID, b.ID) }) {
				t.Errorf("%s: not in order", name)
			}
		}
	})
}

// A backlog of weeks that drains is no news.
func TestBacklogDoesNotFloodAStream(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		events := follow(t, l.Dial(), "inv-1", token1)
		synctest.Wait()
		names(events)
		for day := range 20 {
			b.post(token1, string(contractBody(1000, b.Now().AddDate(0, 0, day-30))))
		}
		b.post(token1, string(contractBody(1000, b.Now()))) // 83 minutes, of which 10 are live
		time.Sleep(time.Second)
		synctest.Wait()
		if got := of("sample", events); len(got) != 120 {
			t.Errorf("%d samples", len(got))
		}
	})
}

func TestStreamSaysWhenItFallsSilent(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		events := follow(t, l.Dial(), "inv-1", token1)
		b.ingested(b.newSample())
		time.Sleep(20 * time.Minute)
		b.ingested(b.newSample())
		synctest.Wait()
		var got []string
		for _, e := range of("state", events) {
			var s stateEvent
			json.Unmarshal([]byte(e.Data), &s)
			since := "never"
			if s.Since != nil {
				since = s.Since.Sub(testNow).String()
			}
			got = append(got, s.State+" "+since)
		}
		want := []string{"never never", "live 0s", "delayed 15s", "stale 1m0s", "offline 15m0s", "live 20m0s"}
		if !slices.Equal(got, want) && !slices.Equal(got, want[1:]) {
			t.Errorf("%q", got)
		}
	})
}

// What another process stored without being able to tell is found in the store: a device that sends is not called silent.
func TestStreamFindsWhatNobodyTold(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		b.ingested(b.newSample())
		events := follow(t, l.Dial(), "inv-1", token1)
		synctest.Wait()
		names(events)
		for range 60 {
			time.Sleep(5 * time.Second)
			if _, err := b.bolt.Insert(t.Context(), "inv-1", []wire.Sample{b.newSample()}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		got := names(events)
		samples := len(slices.DeleteFunc(slices.Clone(got), func(name string) bool { return name != "sample" }))
		if samples < 57 || slices.Contains(got, "state") {
			t.Errorf("%d of 60 samples, %q", samples, got)
		}
	})
}

func TestTodayBeginsAtLocalMidnight(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		for range 120 {
			b.ingested(b.newSample())
			time.Sleep(5 * time.Second)
		}
		events := follow(t, l.Dial(), "inv-1", token1)
		time.Sleep(12 * time.Hour) // it is 12:40 in Brussels
		synctest.Wait()
		var got []string
		for _, e := range of("today", events) {
			got = append(got, e.Data)
		}
		if len(got) != 2 || !strings.HasPrefix(got[0], `{"date":"2026-06-21","tz":"Europe/Brussels","pv_kwh":0.702,"load_kwh":0.122,"import_kwh":0,"export_kwh":0.333,"charge_kwh":0.247,"discharge_kwh":0}`) ||
			got[1] != `{"date":"2026-06-22","tz":"Europe/Brussels","pv_kwh":null,"load_kwh":null,"import_kwh":null,"export_kwh":null,"charge_kwh":null,"discharge_kwh":null}` {
			t.Errorf("%q", got)
		}
	}, func(s *Server) { s.Zone, _ = time.LoadLocation("Europe/Brussels") })
}

func TestStreamIsRefusedAsOtherReadsAre(t *testing.T) {
	b := newBench(t)
	for name, c := range map[string]struct {
		target, token string
		want          int
	}{
		"no token": {"?device_id=inv-1", "", 401}, "wrong token": {"?device_id=inv-1", tokenWrong, 401},
		"another's": {"?device_id=inv-1", token2, 403}, "no device": {"", token1, 422},
	} {
		if w := b.get(wire.StreamPath+c.target, c.token); w.Code != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := do(b.api, "HEAD", wire.StreamPath+"?device_id=inv-1", viewerAll, nil); w.Code != 200 || w.Body.Len() > 0 {
		t.Errorf("HEAD: %d %q", w.Code, w.Body)
	}
	if w := do(b.Readers("inv-1"), "HEAD", wire.StreamPath+"?device_id=inv-1", "", nil); w.Code != 200 {
		t.Errorf("Readers: %d", w.Code)
	}
	broken := newBench(t, func(s *Server) { s.Store = brokenStore{err: errDisk} })
	if w := broken.get(wire.StreamPath+"?device_id=inv-1", token1); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("without a store: %d %v", w.Code, w.Header())
	}
	for _, one := range []*bench{b, broken} {
		if n, placed := one.live.Count(), one.Reads.Taken(); n != 0 || placed != 0 {
			t.Errorf("%d streams and %d places are taken", n, placed)
		}
	}
}

// What streams hear is theirs: a reader is not handed what a later ingest decodes into.
func TestStreamsShareNothingWithLaterBatches(t *testing.T) {
	b := newBench(t, func(s *Server) { s.Log = slog.New(slog.DiscardHandler) })
	sub := b.live.Subscribe(auth.TokenSum{}, "inv-1")
	for i := range 50 {
		s := sample(time.Duration(50-i) * time.Second)
		s.PVPowerW, s.LoadPowerW, s.Values = float64(i), new(float64(i)), map[string]float64{"i": float64(i)}
		b.ingested(s)
	}
	for i, s := range b.live.Take(sub) {
		if s.PVPowerW != float64(i) || *s.LoadPowerW != float64(i) || s.Values["i"] != float64(i) || s.DeviceID != "inv-1" {
			t.Errorf("sample %d is %s", i, strconv.Quote(fmt.Sprint(s)))
		}
	}
}

// TestTodayIsTheDayThatIsNotOver: a clock that went back a minute after midnight showed the next date for that minute.
func TestTodayIsTheDayThatIsNotOver(t *testing.T) {
	b := zoned(t, "America/St_Johns", time.Date(2010, 11, 7, 2, 30, 30, 0, time.UTC))
	c := &request.Request{HTTP: httptest.NewRequest("GET", wire.StreamPath, nil)}
	e := &events{connection: &connection{s: b.Server, c: c}, device: "inv-1"}
	if err := e.follow(); err != nil || !strings.Contains(e.ready.String(), `"date":"2010-11-06"`) {
		t.Errorf("%v: %s", err, e.ready.String())
	}
}
