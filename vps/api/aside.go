package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"sunspool/vps/auth"
	"sunspool/vps/batch"
	"sunspool/vps/problem"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
	"sunspool/wire"
)

// A client that asks for no verdicts repeats a batch until it is taken, and its own server takes any time. So what it sends
// with a time that no inverter has is set aside: acknowledged, kept as it was sent, and in no answer about time.

const (
	AsidePage  = 500
	asideShown = 20 // indexes in a line of the log
)

var (
	errNotHere   = problem.New(403, "loopback_only", "Only a program on the machine of the server may ask this.").WithNext("on that machine: `sunspool vps aside list DEVICE`")
	errAsideFull = problem.New(422, "aside_full", "").WithNext("the operator lists and deletes what is set aside: `sunspool vps aside list DEVICE`")
)

// setAside keeps all, which it acknowledges by returning nil.
func (s *Server) setAside(c *request.Request, all []batch.Untimely) error {
	if len(all) == 0 {
		return nil
	}
	device, now, samples := c.Caller.Device, s.Now().UTC().Truncate(time.Millisecond), make([]store.Aside, len(all))
	for i, u := range all {
		samples[i] = store.Aside{Received: now, Code: u.Code, JSON: u.JSON}
	}
	added, err := request.Ask(&s.Gate, c, "set_aside", func(ctx context.Context) ([]store.Aside, error) { return s.Store.SetAside(ctx, device, samples) })
	if errors.Is(err, store.ErrAsideFull) {
		if _, known := s.crowded.Swap(device, true); !known {
			s.Log.Error("no more samples can be set aside, the batches with them are refused", "device", device, "code", all[0].Code, "set_aside", store.MaxAside,
				"next", "correct the clock of the edge, then: `sunspool vps aside list "+device+"`")
		}
		full := *errAsideFull
		full.Detail = fmt.Sprintf("%d samples of this device with impossible times are set aside, as many as there may be.", store.MaxAside)
		return &full
	}
	if c.HTTP.Context().Err() == nil && !store.Refused(err) {
		s.wrote(err)
	}
	if err != nil {
		return err
	}
	s.crowded.Delete(device)
	for _, a := range added {
		s.metrics.setAside.With(a.Code).Inc()
	}
	if len(added) > 0 {
		s.logAside(device, all, len(added))
	}
	return nil
}

// logAside writes a line for each code: a client that repeats what is set aside already makes none.
func (s *Server) logAside(device string, all []batch.Untimely, added int) {
	indexes := map[string][]int{}
	for _, u := range all {
		indexes[u.Code] = append(indexes[u.Code], u.Index)
	}
	for _, code := range []string{wire.CodeTooOld, wire.CodeInFuture} {
		if of := indexes[code]; len(of) > 0 {
			s.Log.Warn("samples with impossible times set aside", "device", device, "code", code, "samples", len(of), "indexes", of[:min(len(of), asideShown)],
				"new", added, "next", "correct the clock of the edge; `sunspool vps aside list "+device+"`")
		}
	}
}

// AsideList is a page of what is set aside of a device.
type AsideList struct {
	DeviceID string        `json:"device_id"`
	Samples  []AsideSample `json:"samples"`
	Next     *int64        `json:"next_after"` // nil at the end
}

// AsideSample is one sample that is set aside.
type AsideSample struct {
	store.Aside
	Sample json.RawMessage `json:"sample"` // as it was sent
}

// listAside answers GET /aside?device_id=&after= of the internal listener.
func (s *Server) listAside(c *request.Request) (any, error) {
	device, err := asideDevice(c)
	if err != nil {
		return nil, err
	}
	after, err := asideNumber(c, "after", 0)
	if err != nil {
		return nil, err
	}
	page, err := request.Ask(&s.Gate, c, "aside", func(ctx context.Context) ([]store.Aside, error) { return s.Store.Aside(ctx, device, after, AsidePage) })
	if err != nil {
		return nil, err
	}
	list := AsideList{DeviceID: device, Samples: make([]AsideSample, len(page))}
	for i, a := range page {
		list.Samples[i] = AsideSample{a, a.JSON}
	}
	if len(page) == AsidePage {
		list.Next = &page[len(page)-1].Number
	}
	return list, nil
}

// deleteAside answers DELETE /aside?device_id=&to= of the internal listener.
func (s *Server) deleteAside(c *request.Request) (any, error) {
	device, err := asideDevice(c)
	if err != nil {
		return nil, err
	}
	to, err := asideNumber(c, "to", math.MaxInt64)
	if err != nil {
		return nil, err
	}
	deleted, err := request.Ask(&s.Gate, c, "delete_aside", func(ctx context.Context) (int64, error) { return s.Store.DeleteAside(ctx, device, to) })
	if err != nil {
		return nil, err
	}
	s.Log.Info("samples that were set aside deleted", "device", device, "samples", deleted)
	return map[string]int64{"deleted": deleted}, nil
}

// asideDevice returns the device of a request that came from this machine. Metrics may be for more than one machine; what
// somebody measured, and the right to delete it, is not.
func asideDevice(c *request.Request) (string, error) {
	if !auth.Local(c.HTTP) {
		return "", errNotHere
	}
	device := query.Last(c.HTTP.URL.Query(), "device_id")
	if !wire.ValidDeviceID(device) {
		return "", request.ErrNoDeviceID
	}
	return device, nil
}

func asideNumber(c *request.Request, name string, absent int64) (int64, error) {
	text := query.Last(c.HTTP.URL.Query(), name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, problem.Invalid("int_parsing", "Input should be a number of the list", "query", name)
	}
	return n, nil
}
