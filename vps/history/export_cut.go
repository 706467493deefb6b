package history

import (
	"context"
	"errors"
	"os"

	"sunspool/vps/listener"
	"sunspool/vps/request"
)

var errRevoked = errors.New("the token was revoked")

// errUnread is the error of an export that the reader does not read.
type errUnread struct{ error }

func (e errUnread) Unwrap() error { return e.error }

// Reasons of an export that is cut off after it has begun.
const (
	cutStalled  = "stalled"     // the reader read nothing for exportStall
	cutLeft     = "reader_left" // or something in between broke the connection
	cutRevoked  = "token_revoked"
	cutStopping = "stopping" // the process ended before it was whole
	cutStore    = "store"
)

// ExportCuts are the reasons that History.ExportCut gets.
var ExportCuts = []string{cutStalled, cutLeft, cutRevoked, cutStopping, cutStore}

// cutOff logs and counts an export that ends before it is whole. Its status was 200, and only the reader sees the broken
// connection.
func (h *History) cutOff(e *export, err error) {
	reason := whyCut(e.c.HTTP.Context(), err)
	h.ExportCut(reason)
	of := "device"
	if e.members != nil {
		of = "site"
	}
	h.Log.Warn("export cut off", of, e.name, "caller", e.c.Caller.Device, "viewer", e.c.Caller.Viewer, "remote", request.Capped(e.c.Remote),
		"resolution", string(e.resolution), "bytes_out", e.c.BytesOut, "duration_s", int(h.Now().Sub(e.c.Began).Seconds()), "reason", reason, "error", err.Error())
}

func whyCut(request context.Context, err error) string {
	_, unread := errors.AsType[errUnread](err)
	select {
	case <-listener.Stopping(request):
		if unread || request.Err() != nil {
			return cutStopping
		}
	default:
	}
	switch {
	case errors.Is(err, errRevoked):
		return cutRevoked
	case unread && errors.Is(err, os.ErrDeadlineExceeded):
		return cutStalled
	case unread || request.Err() != nil:
		return cutLeft
	}
	return cutStore
}
