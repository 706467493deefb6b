// Package pairing gets an edge its token from a server, for a code that the server's operator has made. Nobody copies a token.
//
//	code ──> secret ──POST /v1/pair──> token and name of the device
//	   └───> pin: the one authority by which the server is verified, before the secret is sent
package pairing

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"sunspool/edge/transport"
	"sunspool/health"
	"sunspool/internal/paircode"
	"sunspool/wire"
)

const longestAnswer = 64 << 10

// Result is what an edge has of a pairing.
type Result struct {
	DeviceID    string
	Token       string
	Fingerprint string // of the server's own authority, for VPS_FINGERPRINT; "" where the system knows its authority
}

// Pair exchanges a code for a token at the server, https://host or https://host:port. A code without a fingerprint is for a server
// that the authorities of the system vouch for, or those in caFile if that is not "". The error is a *health.Fault; the code is
// used only if it is nil, or if the answer was lost on the way.
func Pair(ctx context.Context, server, caFile, code, agent string) (Result, error) {
	c, err := paircode.Parse(code)
	if err != nil {
		return Result{}, &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "that is no pairing code", Why: err.Error(), Next: "sudo sunspool vps pair   # on the server, which prints one"}
	}
	trust := transport.Trust{Pin: c.Pin}
	if c.Pin == nil {
		trust.CAFile = caFile
	}
	client, err := transport.NewClient(trust)
	if err != nil {
		return Result{}, err
	}
	defer client.CloseIdleConnections()
	body, err := json.Marshal(wire.Pairing{Code: c.Secret})
	if err != nil {
		return Result{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(server, "/")+wire.PairPath, bytes.NewReader(body))
	if err != nil {
		return Result{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", agent)
	resp, err := client.Do(req)
	if err != nil {
		f := &health.Fault{Code: "vps_unreachable", Exit: health.ExitUnreachable, What: "the server " + server + " was not reached", Err: err}
		transport.Explain(f, err)
		if strings.HasPrefix(f.Next, "nothing") { // as a service says it, of samples that wait
			_, lasts, _ := strings.Cut(f.Next, "; ")
			f.Next = cmp.Or(strings.TrimPrefix(lasts, "if it lasts, "), "check the address, the network and that the server runs")
		}
		if f.Code == "tls" && c.Pin != nil {
			f.Next = "compare the code with what the server printed; if they are the same, somebody is between this machine and the server, and got nothing"
		}
		return Result{}, f
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, longestAnswer))
	var got wire.Paired
	if err == nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(text, &got)
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return Result{}, refused(server, resp, text)
	case err != nil, got.Token == "", !wire.ValidDeviceID(got.DeviceID):
		return Result{}, &health.Fault{Code: "pairing_failed", Exit: health.ExitUnreachable, What: "what answers at " + server + " is no sunspool server", Next: "check the address; `sudo sunspool vps pair` on the server makes a new code"}
	}
	return Result{got.DeviceID, got.Token, client.Transport.(*transport.Transport).Fingerprint()}, nil
}

// refused is what the server answered instead.
func refused(server string, resp *http.Response, text []byte) error {
	var p wire.Problem
	_ = json.Unmarshal(text, &p) // without one the status is all there is
	f := &health.Fault{Code: "pairing_failed", Exit: health.ExitAuth, What: "the server " + server + " does not take the code", Why: resp.Status,
		Next: "sudo sunspool vps pair   # on the server: a code works once, for 15 minutes, and a newer one replaces it"}
	if detail, ok := p.Detail.(string); ok {
		f.Why = detail
	}
	switch {
	case resp.StatusCode >= http.StatusInternalServerError:
		f.Exit, f.What, f.Next = health.ExitUnreachable, "the server "+server+" cannot pair now", "sudo sunspool doctor   # on the server; the code was not used"
	case resp.StatusCode == http.StatusTooManyRequests:
		f.Why = fmt.Sprintf("%s Wait %s s.", f.Why, resp.Header.Get("Retry-After"))
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusMethodNotAllowed:
		f.Exit, f.Why, f.Next = health.ExitUnreachable, "it has no pairing: it is an older version, or another program", "check the address, or copy a token, which `sudo sunspool token create --role device --device NAME --name NAME` on the server makes"
	}
	return f
}
