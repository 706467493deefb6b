package demo

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"sunspool/edge"
	"sunspool/edge/config"
	"sunspool/edge/simulator"
	"sunspool/edge/spool"
	"sunspool/settings"
	"sunspool/vps/api"
	"sunspool/vps/auth"
	"sunspool/vps/deviceinfo"
	"sunspool/vps/listener"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

// BenchmarkBacklogDrains delivers a backlog of three days from the spool of an edge, on the disk, to a server with the embedded
// store, on the same disk, through a real listener. The ratio is to the same samples as encoding/json writes them, compressed,
// sent to a handler that unpacks and forgets them.
func BenchmarkBacklogDrains(b *testing.B) {
	const n = 3 * 17280
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: time.Now().AddDate(0, 0, -6)})
	if err != nil {
		b.Fatal(err)
	}
	var all []wire.Sample
	for s := range backlog(home, pollOnce(b, home).Values, n) {
		all = append(all, s)
	}
	var ours, floor time.Duration
	for b.Loop() {
		ours += drainBacklog(b, all)
		floor += sendBare(b, all)
	}
	sent := float64(b.N * n)
	b.ReportMetric(sent/ours.Seconds(), "samples/s")
	b.ReportMetric(100*floor.Seconds()/ours.Seconds(), "%-of-bare-http")
	b.ReportMetric(0, "ns/op")
}

func drainBacklog(b *testing.B, all []wire.Sample) time.Duration {
	disk, err := bolt.Open(filepath.Join(b.TempDir(), "vps.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer disk.Close()
	tokens, err := auth.ParseTokens("t0ken-0123456789abcdef:roof", "")
	if err != nil {
		b.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &api.Server{Gate: request.Gate{Tokens: tokens, Log: quiet}, Devices: deviceinfo.Devices{Store: store.NewCached(disk, 5*time.Second)}}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- listener.Serve(ctx, l, nil, server.Handler(), quiet) }()
	defer func() { stop(); <-done }()

	e, err := edge.New(config.Config{
		Host: "dongle", Port: 502, Unit: 1, PollS: 5, GapMS: 20, URL: "http://" + l.Addr().String(), Token: settings.Secret("t0ken-0123456789abcdef"),
		DeviceID: "roof", BatchSize: 30, UploadS: 10, MaxBackoffS: 300, ClockTrust: "always", SpoolPath: filepath.Join(b.TempDir(), "spool.db"),
	}, "test", quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Spool.Close()
	for i := 0; i < len(all); i += 500 {
		var group []spool.Pending
		for _, s := range all[i:min(i+500, len(all))] {
			group = append(group, spool.Pending{Sample: s, When: spool.When{Quality: spool.Synced}})
		}
		if err := e.Spool.AppendAll(group); err != nil {
			b.Fatal(err)
		}
	}
	e.Uploader.Client.Transport = &http.Transport{DisableCompression: true}
	began := time.Now()
	for more := true; more; {
		if more, err = e.Uploader.Deliver(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(began)
	if got := e.Uploader.Uploaded.Load() - e.Uploader.Duplicates.Load(); got != int64(len(all)) || e.Spool.Waiting() != 0 {
		b.Fatal(got, "of", len(all), "stored, waiting", e.Spool.Waiting())
	}
	return took
}

// sendBare sends bodies of as many samples as fit in a request of the usual limits.
func sendBare(b *testing.B, all []wire.Sample) time.Duration {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		io.Copy(io.Discard, z)
	}))
	defer server.Close()
	began := time.Now()
	z := gzip.NewWriter(nil)
	for len(all) > 0 {
		n := min(len(all), 450)
		body, err := json.Marshal(wire.Batch{Samples: all[:n]})
		if err != nil || len(body) > wire.MaxBytes {
			b.Fatal(len(body), err)
		}
		var packed bytes.Buffer
		z.Reset(&packed)
		z.Write(body)
		z.Close()
		resp, err := http.Post(server.URL, "application/json", &packed)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		all = all[n:]
	}
	return time.Since(began)
}
