package upload

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sunspool/edge/token"
	"sunspool/wire"
)

// Reply is what a server says to a batch of no samples.
type Reply struct {
	Date    time.Time // of the answer, zero if it has none
	Took    time.Duration
	Version string // of the server, "" if it is not known
}

// Try sends a batch of no samples, by which the server shows whether it would take some with this token: nothing is stored. The
// error is that of an upload, see Explain; the reply has what is known in spite of it.
func Try(ctx context.Context, client *http.Client, url, deviceToken, agent string) (reply Reply, err error) {
	u := Uploader{Client: client, URL: url, Token: &token.Source{Value: deviceToken}, Agent: agent}
	id := rand.Text()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(fmt.Sprintf(`{"samples":[],"batch_id":%q}`, id)))
	if err != nil {
		return reply, err
	}
	req.Header.Set("Authorization", "Bearer "+deviceToken)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", wire.Lenient)
	req.Header.Set("User-Agent", agent)
	begun := now()
	resp, answer, err := u.do(req)
	reply.Took = now().Sub(begun)
	if err != nil {
		return reply, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		reply.Date = date
	}
	reply.Version = resp.Header.Get(wire.VersionHeader)
	_, err = parseResponse(resp.StatusCode, resp.Header, answer, 0, id, deviceToken)
	if _, demands := err.(*refusal); demands { // it has read the token, too
		err = nil
	}
	return reply, err
}
