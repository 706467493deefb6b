package vps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"sunspool/health"
	"sunspool/vps/store"
	"sunspool/wire"
)

// A client that asks for no verdicts repeats a batch until it is taken, and its own server takes any time. So what it sends
// with a time that no inverter has is set aside: acknowledged, kept as it was sent, and in no answer about time.

const (
	asidePage   = 500
	asideShown  = 20       // indexes in a line of the log
	maxUntimely = 64 << 10 // bytes of a sample that is set aside, which may have unknown members
)

var (
	errNotHere   = refuse(403, "loopback_only", "Only a program on the machine of the server may ask this.").next("on that machine: `sunspool vps aside list DEVICE`")
	errAsideFull = refuse(422, "aside_full", "").next("the operator lists and deletes what is set aside: `sunspool vps aside list DEVICE`")
)

// untimely is a sample that could be stored if its time were possible.
type untimely struct {
	index int
	code  string
	sent  []byte // as it came, JSON
}

// untimelyCode reports whether a code is about a time that another server would take.
func untimelyCode(code string) bool { return code == wire.CodeTooOld || code == wire.CodeInFuture }

// setAside keeps all, which it acknowledges by returning nil.
func (s *Server) setAside(c *call, all []untimely) error {
	if len(all) == 0 {
		return nil
	}
	device, now, samples := c.caller.device, s.Now().UTC().Truncate(time.Millisecond), make([]store.Aside, len(all))
	for i, u := range all {
		samples[i] = store.Aside{Received: now, Code: u.code, JSON: u.sent}
	}
	added, err := ask(s, c, "set_aside", func(ctx context.Context) ([]store.Aside, error) { return s.Store.SetAside(ctx, device, samples) })
	if errors.Is(err, store.ErrAsideFull) {
		if _, known := s.crowded.Swap(device, true); !known {
			s.Log.Error("no more samples can be set aside, the batches with them are refused", "device", device, "code", all[0].code, "set_aside", store.MaxAside,
				"next", "correct the clock of the edge, then: `sunspool vps aside list "+device+"`")
		}
		full := *errAsideFull
		full.Detail = fmt.Sprintf("%d samples of this device with impossible times are set aside, as many as there may be.", store.MaxAside)
		return &full
	}
	if c.r.Context().Err() == nil && !store.Refused(err) {
		s.wrote(err)
	}
	if err != nil {
		return err
	}
	s.crowded.Delete(device)
	for _, a := range added {
		s.metrics.setAside.WithLabelValues(a.Code).Inc()
	}
	if len(added) > 0 {
		s.logAside(device, all, len(added))
	}
	return nil
}

// logAside writes a line for each code: a client that repeats what is set aside already makes none.
func (s *Server) logAside(device string, all []untimely, added int) {
	indexes := map[string][]int{}
	for _, u := range all {
		indexes[u.code] = append(indexes[u.code], u.index)
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
func (s *Server) listAside(c *call) (any, error) {
	device, err := asideDevice(c)
	if err != nil {
		return nil, err
	}
	after, err := asideNumber(c, "after", 0)
	if err != nil {
		return nil, err
	}
	page, err := ask(s, c, "aside", func(ctx context.Context) ([]store.Aside, error) { return s.Store.Aside(ctx, device, after, asidePage) })
	if err != nil {
		return nil, err
	}
	list := AsideList{DeviceID: device, Samples: make([]AsideSample, len(page))}
	for i, a := range page {
		list.Samples[i] = AsideSample{a, a.JSON}
	}
	if len(page) == asidePage {
		list.Next = &page[len(page)-1].Number
	}
	return list, nil
}

// deleteAside answers DELETE /aside?device_id=&to= of the internal listener.
func (s *Server) deleteAside(c *call) (any, error) {
	device, err := asideDevice(c)
	if err != nil {
		return nil, err
	}
	to, err := asideNumber(c, "to", math.MaxInt64)
	if err != nil {
		return nil, err
	}
	deleted, err := ask(s, c, "delete_aside", func(ctx context.Context) (int64, error) { return s.Store.DeleteAside(ctx, device, to) })
	if err != nil {
		return nil, err
	}
	s.Log.Info("samples that were set aside deleted", "device", device, "samples", deleted)
	return map[string]int64{"deleted": deleted}, nil
}

// asideDevice returns the device of a request that came from this machine. Metrics may be for more than one machine; what
// somebody measured, and the right to delete it, is not.
func asideDevice(c *call) (string, error) {
	if from, err := netip.ParseAddrPort(c.r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
		return "", errNotHere
	}
	device := last(c.r.URL.Query(), "device_id")
	if !wire.ValidDeviceID(device) {
		return "", errNoDeviceID
	}
	return device, nil
}

func asideNumber(c *call, name string, absent int64) (int64, error) {
	text := last(c.r.URL.Query(), name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, invalid("int_parsing", "Input should be a number of the list", "query", name)
	}
	return n, nil
}

// asideKeeper is a store, or the server that has it open.
type asideKeeper interface {
	Aside(ctx context.Context, device string, after int64, limit int) ([]store.Aside, error)
	DeleteAside(ctx context.Context, device string, to int64) (int64, error)
}

// asideClient asks the internal listener of a server.
type asideClient struct{ address string }

var errNoServer = errors.New("no vps answers there")

func (a asideClient) Aside(ctx context.Context, device string, after int64, _ int) ([]store.Aside, error) {
	var list AsideList
	if err := a.do(ctx, http.MethodGet, fmt.Sprintf("?device_id=%s&after=%d", device, after), &list); err != nil {
		return nil, err
	}
	all := make([]store.Aside, len(list.Samples))
	for i, s := range list.Samples {
		all[i] = s.Aside
		all[i].JSON = s.Sample
	}
	return all, nil
}

func (a asideClient) DeleteAside(ctx context.Context, device string, to int64) (int64, error) {
	var answer struct{ Deleted int64 }
	err := a.do(ctx, http.MethodDelete, fmt.Sprintf("?device_id=%s&to=%d", device, to), &answer)
	return answer.Deleted, err
}

// do asks once. What is not an answer of such a server is errNoServer.
func (a asideClient) do(ctx context.Context, method, query string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*storeTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+a.address+wire.AsidePath+query, nil)
	if err != nil {
		return errors.Join(errNoServer, err)
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return errors.Join(errNoServer, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusServiceUnavailable {
		return &health.Fault{Code: "store_unavailable", What: "the vps at " + a.address + " cannot read or write its store now", Next: "see its log, and try again when /ready is 200"}
	}
	if answer.StatusCode != http.StatusOK || json.NewDecoder(answer.Body).Decode(into) != nil {
		return fmt.Errorf("%w: %s %s: %s", errNoServer, method, wire.AsidePath, answer.Status)
	}
	return nil
}
