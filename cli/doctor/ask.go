package doctor

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"sunspool/edge/transport"
	"sunspool/edge/upload"
	"sunspool/wire"
)

// asked is what the servers have answered: each is asked once, whichever areas want to know.
type asked struct {
	mu  sync.Mutex
	all map[*edge]*exchange
}

func newAsked() *asked { return &asked{all: map[*edge]*exchange{}} }

// exchange is a request to the server of an edge, made as the edge makes it: by its roots, its proxy and its token.
type exchange struct {
	once  sync.Once
	reply upload.Reply
	err   error
	at    time.Time // when the reply came

	state string // of the device at the server; "" if it was not asked
	age   time.Duration
	never bool // the server has no sample of it
}

// ask sends a batch of no samples to the server of one, and then asks for its newest sample there.
func (e *examination) ask(ctx context.Context, one *edge) *exchange {
	e.asked.mu.Lock()
	x := e.asked.all[one]
	if x == nil {
		x = new(exchange)
		e.asked.all[one] = x
	}
	e.asked.mu.Unlock()
	x.once.Do(func() {
		client, err := one.Config.Client()
		if err != nil {
			x.err = err
			return
		}
		defer client.CloseIdleConnections()
		if t, ok := client.Transport.(*transport.Transport); ok {
			t.Timeout, t.Lookup = tryTime, e.Lookup
		}
		agent := "sunspool/" + e.version
		x.reply, x.err = upload.Try(ctx, client, one.IngestURL(), one.token, agent)
		x.at = e.Now()
		if x.err == nil {
			x.newest(ctx, client, one, agent)
		}
	})
	return x
}

// newest asks for the newest sample of the device. A server that has no answer for this token leaves it unknown.
func (x *exchange) newest(ctx context.Context, client *http.Client, one *edge, agent string) {
	address := strings.TrimRight(one.URL, "/") + wire.RealtimePath + "?" + url.Values{"device_id": {one.DeviceID}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer "+one.token)
	req.Header.Set("User-Agent", agent)
	resp, err := client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	var now struct {
		State string   `json:"state"`
		AgeS  *float64 `json:"age_s"`
	}
	switch err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 1<<20)).Decode(&now); {
	case err != nil:
	case resp.StatusCode == http.StatusNotFound:
		x.never = true
	case resp.StatusCode == http.StatusOK && now.AgeS != nil:
		x.state, x.age = now.State, time.Duration(*now.AgeS*float64(time.Second))
	}
}
