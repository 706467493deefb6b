package report

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"

	"sunspool/edge/spool"
	"sunspool/internal/localsocket"
)

// What commands ask an edge about its spool, which it has locked.
const (
	spoolPath   = "/spool"            // spool.Info
	samplesPath = "/samples"          // ?part=waiting|undated|quarantine&after=NUMBER: a spool.Page
	verifyPath  = "/spool/verify"     // Verified
	requeuePath = "/quarantine/queue" // POST of a spool.Choice: Changed
	dropPath    = "/quarantine/drop"  // the same
)

// Verified is what an edge found when it read its whole spool.
type Verified struct {
	Damage string `json:"damage"` // "" for none
}

// Changed is how many samples a change was about.
type Changed struct {
	Samples int `json:"samples"`
}

const (
	longestChoice = 4 << 20
	verifyTime    = 10 * time.Minute // for a large spool on a slow disk
)

// serveSpool adds the routes of the spool. Those that change it, or keep it busy, are for root and the user of the edge.
func (r *Report) serveSpool(mux *http.ServeMux) {
	mux.HandleFunc("GET "+spoolPath, func(w http.ResponseWriter, req *http.Request) {
		info, err := r.parts().Spool.Info()
		info.Device = r.device
		reply(w, info, err)
	})
	mux.HandleFunc("GET "+samplesPath, func(w http.ResponseWriter, req *http.Request) {
		after, err := strconv.ParseUint(req.FormValue("after"), 10, 63)
		if err != nil && req.FormValue("after") != "" {
			http.Error(w, "after must be the number of a sample", http.StatusBadRequest)
			return
		}
		page, known, err := r.parts().Spool.Page(req.FormValue("part"), after)
		if err == nil && !known {
			http.Error(w, "part must be waiting, undated or quarantine", http.StatusBadRequest)
			return
		}
		reply(w, page, err)
	})
	mux.HandleFunc("GET "+verifyPath, ownerOnly(func(w http.ResponseWriter, _ *http.Request) {
		http.NewResponseController(w).SetWriteDeadline(now().Add(verifyTime))
		damage, err := r.parts().Spool.Verify()
		reply(w, Verified{damage}, err)
	}))
	change := func(word string, do func(*spool.Spool, spool.Choice) (int, error)) http.HandlerFunc {
		return ownerOnly(func(w http.ResponseWriter, req *http.Request) {
			var choice spool.Choice
			if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, longestChoice)).Decode(&choice); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			n, err := do(r.parts().Spool, choice)
			if err == nil && n > 0 {
				r.Log.Info("samples of the quarantine "+word+" by a command", "samples", n)
			}
			reply(w, Changed{n}, err)
		})
	}
	mux.HandleFunc("POST "+requeuePath, change("sent again", (*spool.Spool).RequeueChosen))
	mux.HandleFunc("POST "+dropPath, change("deleted", (*spool.Spool).Drop))
}

func reply(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

type ownerKey struct{}

// noteOwner notes with a connection whether root or the user of this process opened it.
func noteOwner(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, ownerKey{}, localsocket.ByOwner(c))
}

// ownerOnly refuses everybody else.
func ownerOnly(do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		if own, _ := req.Context().Value(ownerKey{}).(bool); !own {
			http.Error(w, "only root and the user of the edge may do this", http.StatusForbidden)
			return
		}
		do(w, req)
	}
}
