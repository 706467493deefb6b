package edge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"sunspool/wire"
)

// ask asks the server for nothing but its Date, for when there is nothing else to ask: while the time is not known
// there may be no sample that can be uploaded. It needs no token.
func (u *Uploader) ask(ctx context.Context) error {
	url := strings.TrimSuffix(u.URL, wire.IngestPath) + wire.HealthPath
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", u.Agent)
	resp, err := u.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return fmt.Errorf("answer of the server: %w", err)
	}
	return nil
}

// do makes a request and lets the clock hear the answer.
func (u *Uploader) do(req *http.Request) (*http.Response, error) {
	if u.Clock == nil {
		return u.Client.Do(req)
	}
	asked := u.Clock.Host.Up()
	resp, err := u.Client.Do(req)
	if err != nil {
		u.Clock.Refused(err)
		return nil, err
	}
	u.Clock.Hear(resp, asked)
	return resp, nil
}

// verifyBy makes client verify certificates by the time that c knows.
func verifyBy(client *http.Client, c *Clock) {
	client.Transport.(*http.Transport).TLSClientConfig.Time = c.Certificates
}
