package report

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"sunspool/edge/config"
	"sunspool/edge/spool"
	"sunspool/edge/spool/inspect"
	"sunspool/health"
)

const quarantinePath = "/quarantine" // of the status socket

// serveQuarantine serves one page of the quarantine on the status socket.
func (r *Report) serveQuarantine(w http.ResponseWriter, req *http.Request) {
	after, err := strconv.ParseUint(req.FormValue("after"), 10, 63)
	if err != nil && req.FormValue("after") != "" {
		http.Error(w, "after must be the number of a sample", http.StatusBadRequest)
		return
	}
	page, err := r.parts().Spool.QuarantinePage(after)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(page)
}

// EachQuarantined calls f with the samples in quarantine of the spool at path, some at a time, oldest first, and changes
// nothing. If an edge has the spool open, they are read through its status socket, the first of sockets that belongs to this
// spool. The error is f's, or a *health.Fault.
func EachQuarantined(ctx context.Context, path string, sockets []string, f func([]spool.QuarantinedSample) error) error {
	page := func(after uint64) (p spool.QuarantinePage, err error) {
		return inspect.Quarantine(path, after)
	}
	first, err := page(0)
	if fault, ok := errors.AsType[*health.Fault](err); ok {
		if fault.Code != "spool_busy" && !errors.Is(err, os.ErrPermission) {
			return fault
		}
		socket, found := socketOf(ctx, path, sockets)
		if !found {
			fault.Next = "sunspool spool quarantine --status-socket FILE   # as root, with the status socket of that edge"
			return fault
		}
		page = func(after uint64) (spool.QuarantinePage, error) { return askQuarantine(ctx, socket, after) }
		if first, err = page(0); err != nil {
			return err
		}
	}
	for p := first; ; {
		for i := range p.Samples {
			p.Samples[i].Spool = path
		}
		if err := f(p.Samples); err != nil || p.Next == 0 {
			return err
		}
		if p, err = page(p.Next); err != nil {
			return err
		}
	}
}

// socketOf returns the first of sockets on which an edge that has the spool at path open answers.
func socketOf(ctx context.Context, path string, sockets []string) (string, bool) {
	file, fileErr := os.Stat(path)
	i := slices.IndexFunc(sockets, func(socket string) bool {
		page, err := askQuarantine(ctx, socket, 0)
		if err != nil {
			return false
		}
		theirs, err := os.Stat(page.Spool)
		return err != nil || fileErr != nil || os.SameFile(file, theirs) // it may be in a container, where it has another name
	})
	if i < 0 {
		return "", false
	}
	return sockets[i], true
}

// askQuarantine requests one page from an edge.
func askQuarantine(ctx context.Context, socket string, after uint64) (page spool.QuarantinePage, err error) {
	query := url.Values{"after": {strconv.FormatUint(after, 10)}}
	return page, askSpool(ctx, socket, http.MethodGet, quarantinePath+"?"+query.Encode(), nil, &page)
}

// ReadsSpool reports whether the edge that answers at a status socket can read its spool.
func ReadsSpool(ctx context.Context, socket string) bool {
	_, err := askQuarantine(ctx, socket, 0)
	return err == nil
}

// StatusSockets returns where an edge that has the spool at path open may answer: the socket of the settings, the one beside
// the spool, and that of a packaged unit.
func StatusSockets(path, set string) []string {
	c := config.Config{SpoolPath: path}
	beside := c.Beside("edge.sock")
	unit := filepath.Base(filepath.Dir(path))
	sockets := []string{beside, filepath.Join("/run/sunspool", unit, filepath.Base(beside))}
	if set != "" {
		sockets = append([]string{filepath.Join(filepath.Dir(set), filepath.Base(beside)), set}, sockets...)
	}
	return sockets
}
