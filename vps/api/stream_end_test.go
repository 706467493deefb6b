package api

import (
	"encoding/json"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/live"
	"sunspool/wire"
)

func TestRevokedTokenEndsItsStreams(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		revoked, kept := follow(t, l.Dial(), "inv-1", token1), follow(t, l.Dial(), "inv-1", token1b)
		synctest.Wait()
		b.Tokens.Replace(token1b+":inv-1,"+token1+":inv-2", "") // it is somebody else's now
		synctest.Wait()                                         // no time passes
		b.ingested2(token1b, b.newSample())
		synctest.Wait()
		if got := of("bye", revoked); len(got) != 1 || got[0].Data != `{"reason":"token_revoked"}` {
			t.Errorf("%q", got)
		}
		if _, open := <-revoked; open {
			t.Error("the stream goes on")
		}
		if got := of("sample", kept); len(got) != 1 {
			t.Errorf("the other got %v", got)
		}
	})
}

func (b *bench) ingested2(token string, s wire.Sample) {
	b.t.Helper()
	body, _ := json.Marshal(wire.Batch{Samples: []wire.Sample{s}})
	if w := b.post(token, string(body)); w.Code != 200 {
		b.t.Fatal(w.Body)
	}
}

func TestOneStreamTooManyClosesTheOldest(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		var all []<-chan event
		for range live.MaxStreams/4 + 1 {
			all = append(all, follow(t, l.Dial(), "inv-1", token1))
			synctest.Wait()
		}
		if got := names(all[0]); got[len(got)-1] != "bye" {
			t.Errorf("%q", got)
		}
		b.ingested(b.newSample())
		synctest.Wait()
		for i, events := range all {
			if n := len(of("sample", events)); n != min(i, 1) {
				t.Errorf("stream %d got %d samples", i, n)
			}
		}
		if n := b.live.Count(); n != live.MaxStreams/4 {
			t.Errorf("%d streams", n)
		}
	})
}

func TestStoppingEndsStreamsAtOnce(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, stop func() error) {
		events := follow(t, l.Dial(), "inv-1", token1)
		synctest.Wait()
		began := time.Now()
		if err := stop(); err != nil || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if got := names(events); got[len(got)-1] != "bye" {
			t.Errorf("%q", got)
		}
		if n := b.live.Count(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}

// A reader that stopped to read costs nobody any time, and then its place.
func TestSlowReaderIsDropped(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		conn := l.Dial()
		io.WriteString(conn, "GET "+wire.StreamPath+"?device_id=inv-1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token1+"\r\n\r\n")
		good := follow(t, l.Dial(), "inv-1", token1)
		synctest.Wait()
		began := time.Now()
		for i := range 300 {
			s := b.newSample()
			s.Time = s.Time.Add(time.Duration(i-300) * time.Second / 2)
			b.ingested(s)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("ingests waited %v", took)
		}
		synctest.Wait()
		if n := len(of("sample", good)); n < live.MaxWaiting {
			t.Errorf("the good reader got %d", n)
		}
		time.Sleep(writeLimit + time.Second)
		synctest.Wait()
		if n := b.live.Count(); n != 1 {
			t.Errorf("%d streams", n)
		}
		conn.Close()
	})
}

func TestReaderThatLeavesIsForgotten(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		conn := l.Dial()
		follow(t, conn, "inv-1", token1)
		synctest.Wait()
		conn.Close()
		synctest.Wait()
		if n := b.live.Count(); n != 0 {
			t.Errorf("%d streams", n)
		}
	})
}
