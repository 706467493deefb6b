package export

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sunspool/edge/transport"
	"sunspool/health"
	"sunspool/settings"
	"sunspool/vps"
)

// longest is how long an export may take.
const longest = 24 * time.Hour

// server returns how to ask: the vps of this machine, or the named one, whose certificate is always verified.
func (c Config) server(version string) (asking, error) {
	if c.Server == "" {
		return c.Machine.Get, nil
	}
	base, err := url.Parse(c.Server)
	if err != nil || base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" {
		return nil, &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "--server must be an https address", Why: "the token goes with the question", Next: "write it as https://solar.example.org"}
	}
	token := strings.TrimSpace(string(c.Token))
	if c.TokenFile != "" {
		text, err := settings.ReadSecretFile(c.TokenFile)
		if err != nil {
			return nil, &health.Fault{Code: "token_unreadable", Exit: health.ExitConfig, What: "the token cannot be read", Err: err, Next: "chmod 600 " + health.Quote(c.TokenFile)}
		}
		token = strings.TrimSpace(text)
	}
	if token == "" {
		return nil, &health.Fault{Code: "token_missing", Exit: health.ExitConfig, What: "there is no token for the server", Next: "name a file that has it with --token-file, or set SUNSPOOL_TOKEN; `sunspool token create --help` says how one is made"}
	}
	client, err := transport.NewClient(transport.Trust{CAFile: c.CAFile, Fingerprint: c.Fingerprint})
	if err != nil {
		return nil, &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "what the server is known by cannot be used", Err: err, Next: "sunspool export --help"}
	}
	if t, ok := client.Transport.(*transport.Transport); ok {
		t.Timeout = longest // an export lasts as long as it comes, see stalled
	}
	return func(ctx context.Context, path string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(c.Server, "/")+path, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("User-Agent", "sunspool/"+version)
		answer, err := client.Do(req)
		if err != nil {
			return nil, unreachable(err)
		}
		if answer.StatusCode == http.StatusOK {
			return answer, nil
		}
		defer answer.Body.Close()
		f := vps.RefusedBy(answer, path)
		if answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden {
			return nil, &health.Fault{Code: "token_refused", Exit: health.ExitAuth, What: "the server refuses the token", Why: f.Why,
				Next: "take a token that may read this device: on the server, `sunspool token list`"}
		}
		return nil, f
	}, nil
}

// unreachable is a server that gave no answer.
func unreachable(err error) error {
	f := &health.Fault{Code: "vps_unreachable", Exit: health.ExitUnreachable, What: "the server does not answer", Err: err, Next: "check its address and this machine's network"}
	check := f.Next
	transport.Explain(f, err)
	if f.Next = strings.ReplaceAll(f.Next, "VPS_BASE_URL", "--server"); strings.HasPrefix(f.Next, "nothing") {
		f.Next = check // what an edge may wait for, a person may not
	}
	return f
}
