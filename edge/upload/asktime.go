package upload

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sunspool/edge/transport"
	"sunspool/wire"
)

// AskTime asks the server for its Date while the clock needs it: a second time at once, because one Date alone sets
// nothing. The next attempt is the next delivery's.
func (u *Uploader) AskTime(ctx context.Context) error {
	for tries := 0; tries < 2 && u.Clock.Wanted(); tries++ {
		if err := u.ask(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ask asks the server for nothing but its Date, for when there is nothing else to ask: while the time is not known
// there may be no sample that can be uploaded. It needs no token. Each request has an address of its own, so that no
// cache has an answer to it.
func (u *Uploader) ask(ctx context.Context) error {
	url := strings.TrimSuffix(u.URL, wire.IngestPath) + wire.HealthPath + "?" + rand.Text()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", u.Agent)
	req.Header.Set("Cache-Control", "no-cache")
	_, _, err = u.do(req)
	return err
}

// do makes a request and reads its answer, as far as one may be long, and passes its Date to the clock. The error is
// *interrupted if the request was on its way.
func (u *Uploader) do(req *http.Request) (resp *http.Response, answer []byte, err error) {
	ctx, asked := req.Context(), func() time.Duration { return 0 }
	if u.Clock != nil {
		ctx, asked = u.Clock.TraceStart(ctx)
	}
	var c transport.Connection
	resp, err = u.Client.Do(req.WithContext(c.Trace(ctx)))
	if err != nil {
		if u.Clock != nil {
			u.Clock.Refused(err)
		}
		return nil, nil, c.Fail(err)
	}
	defer resp.Body.Close()
	if u.Clock != nil {
		u.Clock.Observe(resp, asked())
	}
	if answer, err = readAnswer(resp); err != nil {
		c.Close()
		return nil, nil, fmt.Errorf("answer of the server: %w", err) // it had read the request
	}
	return resp, answer, nil
}
