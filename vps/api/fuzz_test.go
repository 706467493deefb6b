package api

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// keeper is a store in memory that holds its callers to the contract: what it is given must be fit to store.
type keeper struct {
	brokenStore // for what ingest does not need
	t           *testing.T
	rows        map[time.Time]wire.Sample
}

func (k *keeper) Insert(_ context.Context, device string, samples []wire.Sample) (inserted int, err error) {
	if len(samples) == 0 {
		k.t.Error("an empty insert")
	}
	for _, s := range samples {
		if err := s.Validate(testNow); err != nil || s.DeviceID != device || s.Time.Location() != time.UTC || s.Time.Nanosecond()%1e6 != 0 {
			k.t.Errorf("not fit to store: %v: %+v", err, s)
		}
		if _, err := json.Marshal(s); err != nil {
			k.t.Error(err)
		}
		if _, known := k.rows[s.Time]; !known {
			k.rows[s.Time] = s
			inserted++
		}
	}
	return inserted, nil
}

func (k *keeper) About(context.Context, string) (store.About, error) {
	return store.About{}, nil
}
func (k *keeper) Describe(context.Context, string, store.About) error { return nil }

// FuzzIngest sends any body through the whole handler: no panic, no 5xx, and what is stored is fit to store.
func FuzzIngest(f *testing.F) {
	good := bodyOf(fields(0))
	for _, seed := range []string{
		good, bodyOf(), "", "null", "[]", `{"samples":[{}]}`, gzipped(good), good + good, good[:100],
		`{"samples":[],"batch_id":"b","tz":"Europe/Brussels","edge":{"version":"1","spool_count":3,"poll_interval_s":5}}`,
		bodyOf(with(fields(0), "values", map[string]any{"a": 1, "b": -0.5})), bodyOf(with(fields(0), "battery_power_w", nil)),
		bodyOf(with(fields(0), "ts", "2026-06-21T12:30:00.5+02:00"), fields(0)), bodyOf(with(fields(0), "pv_power_w", 1e300)),
		`{"samples":[{"device_id":"inv-1","ts":"2026-06-21T10:30:00Z","pv_power_w":1e400}]}`, `{"a":{"b":[[[[]]]]},"samples":[]}`,
		"\xef\xbb\xbf{}", "{\"samples\":[\xff]}", `{"samples":[],"samples":[]}`,
	} {
		f.Add([]byte(seed), true, false)
		f.Add([]byte(seed), false, seed[:min(len(seed), 1)] == "\x1f")
	}
	f.Fuzz(func(t *testing.T, body []byte, lenient, compressed bool) {
		k := &keeper{t: t, rows: map[time.Time]wire.Sample{}}
		tokens, err := auth.ParseTokens(token1+":inv-1", "")
		if err != nil {
			t.Fatal(err)
		}
		s := &Server{Gate: request.Gate{Tokens: tokens, Now: func() time.Time { return testNow }, Log: slog.New(slog.DiscardHandler)},
			Devices: deviceinfo.Devices{Store: k}, MaxBytes: 1 << 16, MaxSamples: 50}
		var headers []string
		if lenient {
			headers = append(headers, "Prefer", wire.Lenient)
		}
		if compressed {
			headers = append(headers, "Content-Encoding", "gzip")
		}
		w := do(s.Handler(), "POST", wire.IngestPath, token1, bytes.NewReader(body), headers...)
		if !slices.Contains([]int{200, 400, 403, 413, 422}, w.Code) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code != 200 {
			if detail := decodeJSON[wire.Problem](t, w).Detail; detail == nil || len(k.rows) > 0 {
				t.Fatalf("%s, %d rows", w.Body, len(k.rows))
			}
			return
		}
		receipt := decodeJSON[wire.Receipt](t, w)
		if receipt.Inserted != len(k.rows) || lenient && *receipt.Accepted != receipt.Inserted || !lenient && receipt.Rejected != nil {
			t.Fatalf("%s, %d rows", w.Body, len(k.rows))
		}
	})
}

// FuzzSeriesQuery sends any parameters: a known status, and buckets in order within bounds.
func FuzzSeriesQuery(f *testing.F) {
	for _, seed := range []string{
		"device_id=inv-1&frame=day", "device_id=inv-1&frame=all&partial=1", "device_id=inv-1&frame=year&tz=UTC",
		"device_id=inv-1&frame=week", "device_id=inv-2&frame=day", "frame=day", "device_id=inv-1&frame=month&tz=../x", "%zz=;&&",
		"device_id=inv-1&frame=day&tz=America/Sao_Paulo&partial=1", "device_id=inv-1&frame=day&frame=\x00",
	} {
		f.Add(seed, int64(0))
		f.Add(seed, int64(86400*200))
	}
	b := newBench(f)
	b.ingested(sample(0), sample(time.Hour), sample(30*time.Hour), sample(800*time.Hour), sample(8000*time.Hour))
	f.Fuzz(func(t *testing.T, query string, ahead int64) {
		now := testNow.Add(time.Duration(ahead%(1<<28)) * time.Second)
		s := &Server{Gate: request.Gate{Tokens: b.Tokens, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}, Devices: deviceinfo.Devices{Store: b.bolt}}
		r := httptest.NewRequest("GET", wire.SeriesPath, nil)
		r.URL.RawQuery = query
		r.Header.Set("Authorization", "Bearer "+token1)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if !slices.Contains([]int{200, 403, 422}, w.Code) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code != 200 {
			decodeJSON[wire.Problem](t, w)
			return
		}
		got := decodeJSON[wire.Series](t, w)
		if got.DeviceID != "inv-1" || got.Buckets == nil || len(got.Buckets) > 5 {
			t.Fatalf("%s", w.Body)
		}
		for i, bucket := range got.Buckets {
			if bucket.SampleCount < 1 || i > 0 && !bucket.Start.After(got.Buckets[i-1].Start) {
				t.Fatalf("%s", w.Body)
			}
		}
	})
}
