package upload

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sunspool/health"
)

// A token that the server does not know, one of another device and one that may only read each need something else, and
// what the server said about it is repeated once.
func TestEachRefusalOfATokenHasItsOwnNext(t *testing.T) {
	var nexts []string
	for _, c := range []struct {
		status           int
		body, says, next string
	}{
		{401, `{"detail":"Invalid or expired token.","code":"bad_token","next":"x"}`, "Invalid or expired token.", "VPS_DEVICE_TOKEN_FILE"},
		{401, `{"detail":"Invalid or expired token."}`, "Invalid or expired token.", "VPS_DEVICE_TOKEN_FILE"},
		{403, `{"detail":"Sample device ID does not match authenticated device.","code":"foreign_device"}`, "Sample device ID does not match authenticated device.", "set DEVICE_ID"},
		{403, `{"detail":"Sample device ID does not match authenticated device."}`, "Sample device ID does not match authenticated device.", "set DEVICE_ID"},
		{403, `{"detail":"This token may only read.","code":"read_only"}`, "This token may only read.", "VIEWER_TOKENS"},
	} {
		_, err := parseResponse(c.status, http.Header{"Content-Type": {"application/json"}}, []byte(c.body), 1, "")
		f, ok := Explain(err).(*health.Fault)
		if !ok || f.Code != "credential" || f.Exit != health.ExitAuth || !strings.Contains(f.Next, c.next) {
			t.Errorf("%d %s: %+v", c.status, c.body, f)
			continue
		}
		line, err := json.Marshal(f.Error()) // as in the log and in health.json
		if err != nil {
			t.Fatal(err)
		}
		if said := string(line); strings.Count(said, c.says) != 1 || strings.Contains(said, `\`) || strings.Count(said, "the server") != 1 {
			t.Errorf("%d %s is told as %s", c.status, c.body, said)
		}
		if !slices.Contains(nexts, f.Next) {
			nexts = append(nexts, f.Next)
		}
	}
	if len(nexts) != 3 {
		t.Errorf("three refusals have %d nexts: %q", len(nexts), nexts)
	}
	f := Explain(&denied{why: io.ErrUnexpectedEOF.Error()}).(*health.Fault)
	if f.Code != "credential" || slices.Contains(nexts, f.Next) || strings.Contains(f.Error(), "the server") {
		t.Errorf("a token that was not sent: %+v", f)
	}
}
