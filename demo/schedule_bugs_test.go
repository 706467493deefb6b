package demo

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/edge"
	"sunspool/vps/store"
	"sunspool/wire"
)

// bug is a mistake that a program of this kind can have. What it does is planted around the real parts.
type bug struct {
	edge  func(*edge.Edge) // changes an edge before it runs
	store func(*world, store.Samples) store.Samples
}

func (p *bug) into(w *world) { w.planted, w.tamper = p, p.edge }

// bugs are mistakes that lose or double samples, and that the schedules must find.
var bugs = map[string]*bug{
	"any answer 200 is taken for an ack": {edge: func(e *edge.Edge) {
		client := e.Uploader.Client
		next := client.Transport
		client.Transport = tripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil && resp.StatusCode == 200 {
				resp = says(r, 200, "application/json", `{"inserted":0}`)
			}
			return resp, err
		})
	}},
	"redirects are followed": {edge: func(e *edge.Edge) { e.Uploader.Client.CheckRedirect = nil }},
	"samples are deleted before the ack": {edge: func(e *edge.Edge) {
		client, spool := e.Uploader.Client, e.Spool
		next := client.Transport
		client.Transport = tripper(func(r *http.Request) (*http.Response, error) {
			if r.GetBody == nil { // it only asks for the time
				return next.RoundTrip(r)
			}
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			var raw io.Reader = body
			if r.Header.Get("Content-Encoding") == "gzip" {
				if raw, err = gzip.NewReader(body); err != nil {
					return nil, err
				}
			}
			var batch wire.Batch
			if err := json.NewDecoder(raw).Decode(&batch); err != nil {
				return nil, err
			}
			records, err := spool.Peek(len(batch.Samples), nil)
			if err != nil {
				return nil, err
			}
			var seqs []uint64
			for _, rec := range records {
				if slices.ContainsFunc(batch.Samples, func(s wire.Sample) bool { return s.Time.Equal(rec.Sample.Time) }) {
					seqs = append(seqs, rec.Seq)
				}
			}
			if err := spool.Settle(seqs, nil); err != nil {
				return nil, err
			}
			return next.RoundTrip(r)
		})
	}},
	"the ack comes before the commit":     {store: func(_ *world, s store.Samples) store.Samples { return hasty{s} }},
	"the store does not know what it has": {store: func(_ *world, s store.Samples) store.Samples { return &forgetful{Samples: s} }},
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// hasty says yes and stores later, as a server does that keeps a buffer in memory.
type hasty struct{ store.Samples }

func (h hasty) Insert(_ context.Context, device string, samples []wire.Sample) (int, error) {
	samples = slices.Clone(samples)
	time.AfterFunc(10*time.Second, func() { h.Samples.Insert(context.Background(), device, samples) })
	return len(samples), nil
}

// forgetful stores what it has already once more.
type forgetful struct{ store.Samples }

func (f *forgetful) Insert(ctx context.Context, device string, samples []wire.Sample) (int, error) {
	n, err := f.Samples.Insert(ctx, device, samples)
	if err != nil || n == len(samples) {
		return n, err
	}
	again := slices.Clone(samples)
	for i := range again {
		again[i].Time = again[i].Time.Add(time.Millisecond)
	}
	_, err = f.Samples.Insert(ctx, device, again)
	return len(samples), err
}

// A test that finds nothing may be blind: each of these mistakes must be seen within twenty schedules.
func TestSchedulesFindPlantedBugs(t *testing.T) {
	t.Parallel() // it computes while others wait
	const within = 20
	for name, b := range bugs {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(within) {
				if s := play(t, seed+1, b); len(s.problems) > 0 {
					t.Logf("found by schedule %d: %s", seed+1, s.problems[0])
					return
				}
			}
			t.Errorf("%d schedules did not find it", within)
		})
	}
}
