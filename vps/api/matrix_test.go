package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/vps/auth"
	"sunspool/wire"
)

// guarded are the routes that want a token, and the parameters beside device_id that make a good question of them. What
// a route without device_id may tell is not decided by the question: its answers are only searched for others' data.
var guarded = map[string]struct {
	parameters string
	noDevice   bool // device_id may be left out
	ignored    bool // and is ignored
	semicolon  bool // is a part of a parameter, not nonsense
}{
	"POST /v1/ingest":                {},
	"GET /v1/realtime":               {},
	"GET /v1/series":                 {parameters: "frame=all&partial=1"},
	"GET /v1/stream":                 {},
	"GET /v1/energy":                 {},
	"GET /v1/devices":                {noDevice: true},
	"GET /v1/capacity":               {},
	"GET /v1/capacity/month/{month}": {},
	"GET /v1/continuity":             {},
	"GET /v1/export.csv":             {semicolon: true},
	"GET /v1/sites":                  {noDevice: true, ignored: true},
	"GET /v1/tokens":                 {noDevice: true},
	"POST /v1/tokens":                {noDevice: true},
	"DELETE /v1/tokens/{id}":         {noDevice: true},
	"GET /v1/backup":                 {noDevice: true},
}

// credential is an Authorization header, or the cookie of a session, and what it allows.
type credential struct {
	header string
	cookie string
	known  bool
	sends  string   // the device it may send for
	reads  []string // the devices it may read; anyDevice for all
}

// naming is a way to name a device in a query, and what it means.
type naming struct {
	query   string
	present bool
	device  string
}

// TestNobodyReachesAnotherDevice asks every route, by every method, about every device in every spelling, with every
// kind of token. What must be answered follows from the rules here; no answer has anything of a device that the caller
// may not read, not even whether it exists; and no token is in anything that the server says.
func TestNobodyReachesAnotherDevice(t *testing.T) {
	race.Skip(t, "one caller after the other")
	b := newBench(t)
	now := testNow
	b.Now = func() time.Time { return now }
	for device, token := range map[string]string{"inv-1": token1, "inv-2": token2} {
		f := with(with(fields(0), "device_id", device), "pv_power_w", markers[device][0])
		body, _ := json.Marshal(map[string]any{"samples": []any{f}, "tz": markers[device][1], "edge": wire.Edge{Model: markers[device][2].(string)}})
		if w := b.post(token, string(body)); w.Code != 200 {
			t.Fatal(w.Body)
		}
	}
	const hashed, removed = "canary-hashed-0123456789abcdef", "canary-removed-0123456789abcde"
	sum := sha256.Sum256([]byte(hashed))
	digits := hex.EncodeToString(sum[:])
	removedCookie := ""
	settings := token1 + ":inv-1," + token1b + ":inv-1," + token2 + ":inv-2,sha256:" + digits + ":inv-1"
	for _, s := range []string{settings + "," + removed + ":inv-1", settings} {
		if err := b.Tokens.Replace(s, viewer1+":inv-1,"+viewerAll+":*"); err != nil {
			t.Fatal(err)
		}
		if removedCookie == "" {
			removedCookie = b.cookie(removed)
		}
	}

	one, two, all := []string{"inv-1"}, []string{"inv-2"}, []string{auth.AnyDevice}
	credentials := map[string]credential{
		"none":                     {},
		"empty":                    {header: "Bearer "},
		"garbage":                  {header: "Bearer " + tokenWrong},
		"basic":                    {header: "Basic " + token1},
		"no scheme":                {header: token1},
		"the hash of a token":      {header: "Bearer " + digits},
		"the setting of a hash":    {header: "Bearer sha256:" + digits},
		"a setting":                {header: "Bearer " + token1 + ":inv-1"},
		"two tokens":               {header: "Bearer " + token1 + "," + token2},
		"a prefix":                 {header: "Bearer " + token1[:len(token1)-1]},
		"removed by a reload":      {header: "Bearer " + removed},
		"device 1":                 {header: "Bearer " + token1, known: true, sends: "inv-1", reads: one},
		"device 1, lower case":     {header: "bearer  " + token1, known: true, sends: "inv-1", reads: one},
		"device 1, its next token": {header: "Bearer " + token1b, known: true, sends: "inv-1", reads: one},
		"device 1, kept as a hash": {header: "Bearer " + hashed, known: true, sends: "inv-1", reads: one},
		"device 2":                 {header: "Bearer " + token2, known: true, sends: "inv-2", reads: two},
		"viewer of device 1":       {header: "Bearer " + viewer1, known: true, reads: one},
		"viewer of all":            {header: "Bearer " + viewerAll, known: true, reads: all},

		"session of device 1":              {cookie: b.cookie(token1), known: true, reads: one},
		"session of viewer of all":         {cookie: b.cookie(viewerAll), known: true, reads: all},
		"session of a token removed":       {cookie: removedCookie},
		"session that is garbage":          {cookie: tokenWrong},
		"token of device 2, session of 1":  {header: "Bearer " + token2, cookie: b.cookie(token1), known: true, sends: "inv-2", reads: two},
		"wrong token, session of device 1": {header: "Bearer " + tokenWrong, cookie: b.cookie(token1)},
	}
	namings := []naming{
		{"", false, ""}, {"device_id=", true, ""}, {"device_id", true, ""}, {"Device_ID=inv-1", false, ""}, {"device_id[]=inv-1", false, ""},
		{"device_id=inv-1", true, "inv-1"}, {"device_id=%69nv%2D1", true, "inv-1"}, {"device%5fid=inv-1", true, "inv-1"}, {"device_id=inv-2", true, "inv-2"}, {"device_id=%69nv%2D2", true, "inv-2"},
		{"device_id=inv-1&device_id=inv-2", true, "inv-2"}, {"device_id=inv-2&device_id=inv-1", true, "inv-1"}, {"device_id=inv-1&device_id=", true, ""},
		{"device_id=inv-2&device_id=%zz", true, "inv-2"}, {"device_id=inv-1;device_id=inv-2", false, ""},
		{"device_id=inv-3", true, "inv-3"}, {"device_id=inv-", true, "inv-"}, {"device_id=INV-1", true, "INV-1"}, {"device_id=*", true, "*"}, {"device_id=%2569nv-1", true, "%69nv-1"},
		{"device_id=inv-1%00", true, "inv-1\x00"}, {"device_id=inv-1%20", true, "inv-1 "}, {"device_id=+inv-1", true, " inv-1"}, {"device_id=..%2finv-1", true, "../inv-1"},
		{"device_id=inv%ef%bc%8d1", true, "inv\uff0d1"}, {"device_id=inv-1%0d%0ainv-2", true, "inv-1\r\ninv-2"}, {"device_id=inv-1,inv-2", true, "inv-1,inv-2"},
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "SUNSPOOL"}

	var said strings.Builder
	seen, asked := map[string]bool{}, 0
	served := map[string]bool{}
	for _, route := range routesOf(t, "../..") {
		served[route.Method+" "+route.Path] = true
		served["HEAD "+route.Path] = served["HEAD "+route.Path] || route.Method == "GET"
	}
	for _, route := range routesOf(t, "../..") {
		now = now.Add(auth.FailureWindow) // more addresses than are remembered
		if route.Guard == "Page" || route.Path == wire.SessionPath || route.Path == wire.PairPath {
			continue // TestSessions, TestPages and those of pairing ask them
		}
		byMethod := route.Method + " " + route.Path
		how, known := guarded[byMethod]
		if known != strings.HasPrefix(route.Guard, "With") {
			t.Errorf("%s is served by %s: what wants a token belongs in the table guarded of this test, nothing else does", byMethod, route.Guard)
			continue
		}
		for name, cred := range credentials {
			refused := map[string]string{} // the answer about devices that may not be read, by method
			for _, n := range namings {
				got := map[string]*httptest.ResponseRecorder{}
				for _, method := range methods {
					if served[method+" "+route.Path] && method != route.Method && (method != "HEAD" || route.Method != "GET") {
						continue // that is another route
					}
					asked++
					query := strings.Trim(how.parameters+"&"+n.query, "&")
					w := b.matrixAsk(method, route.Example()+"?"+query, cred, asked, bodyAbout(n, cred.sends))
					got[method] = w
					fmt.Fprintln(&said, w.Code, w.Header(), w.Body)

					if how.semicolon && strings.Contains(n.query, ";") {
						n.present, n.device = true, strings.TrimPrefix(n.query, "device_id=")
					}
					if how.ignored {
						n.device = ""
					}
					want := expected(route, method, how.noDevice, cred, n)
					if !slices.Contains(want, w.Code) {
						t.Errorf("%s %s?%s with %s: %d %s, want %v", method, route.Path, query, name, w.Code, w.Body, want)
					}
					if w.Code == 403 || w.Code == 401 {
						answer := fmt.Sprint(w.Code, w.Header(), w.Body)
						if before, ok := refused[method]; ok && before != answer {
							t.Errorf("%s %s?%s with %s: %s\nbut about another device: %s", method, route.Path, query, name, answer, before)
						}
						refused[method] = answer
					}
					for device, marks := range markers {
						for _, mark := range marks {
							if !strings.Contains(fmt.Sprint(w.Header(), w.Body), fmt.Sprint(mark)) {
								continue
							}
							seen[device] = true
							if !cred.mayRead(device) {
								t.Errorf("%s %s?%s with %s tells %v of %s: %s", method, route.Path, query, name, mark, device, w.Body)
							}
						}
					}
				}
				if get, head := got["GET"], got["HEAD"]; get != nil && head != nil && (get.Code != head.Code || !maps.EqualFunc(get.Header(), head.Header(), slices.Equal)) {
					t.Errorf("%s?%s with %s: GET %d %v, HEAD %d %v", route.Path, n.query, name, get.Code, get.Header(), head.Code, head.Header())
				}
			}
		}
	}
	t.Logf("%d requests", asked)
	if !seen["inv-1"] || !seen["inv-2"] {
		t.Errorf("nobody saw what marks a device: %v", seen)
	}
	for device, want := range map[string]int{"inv-1": 2, "inv-2": 2, "inv-3": 0} { // one from above, one of its own in the matrix
		if n := b.stored(device); n != want {
			t.Errorf("%d samples of %s are stored, want %d", n, device, want)
		}
	}

	for _, path := range []string{"/metrics", "/health", "/ready"} {
		w := do(b.Internal(), "GET", path, token1, nil)
		fmt.Fprintln(&said, w.Code, w.Header(), w.Body)
	}
	said.WriteString(b.log.String())
	if !strings.Contains(said.String(), `"msg":"request"`) || !strings.Contains(said.String(), "sunspool_auth_failures_total{code=") {
		t.Fatal("neither a log nor metrics to look at")
	}
	for _, secret := range []string{"canary", digits} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("%.15q got out", secret)
		}
	}
}

// markers are what only a device's own data have: a power, a zone, a model.
var markers = map[string][]any{"inv-1": {11111.5, "Asia/Kathmandu", "Model-Of-1"}, "inv-2": {22222.5, "Pacific/Chatham", "Model-Of-2"}}

func (c credential) mayRead(device string) bool {
	return slices.Contains(c.reads, device) || slices.Contains(c.reads, auth.AnyDevice)
}

// expected are the statuses that the rules allow.
func expected(route opening, method string, noDevice bool, cred credential, n naming) []int {
	own := method == route.Method || method == "HEAD" && route.Method == "GET"
	reading := route.Method == "GET"
	switch {
	case !own:
		return []int{405}
	case route.Guard == "Public":
		return []int{200}
	case route.Guard == "WithAdmin" && cred.known:
		return []int{403} // TestTokensByRole has those of admins
	case !cred.known, !reading && cred.header == "":
		return []int{401}
	case reading && noDevice && n.device == "":
		return []int{200}
	case reading && !n.present:
		return []int{422}
	case reading && !cred.mayRead(n.device):
		return []int{403}
	case reading && !wire.ValidDeviceID(n.device):
		return []int{422}
	case reading && markers[n.device] != nil:
		return []int{200}
	case reading && !wire.ValidDeviceID(n.device):
		return []int{422}
	case reading:
		return []int{200, 404} // a viewer of all asks for what is not there
	case cred.sends == "":
		return []int{403}
	case n.device == cred.sends:
		return []int{200}
	case wire.ValidDeviceID(n.device):
		return []int{403}
	}
	return []int{422}
}

// bodyAbout is a batch of one sample of the device that n names, at a time of its own for who may not send it.
func bodyAbout(n naming, sends string) string {
	f := with(fields(time.Hour), "device_id", n.device)
	if n.device != sends {
		f["ts"] = testNow.Add(-2 * time.Hour).Format(time.RFC3339)
	}
	if !n.present {
		delete(f, "device_id")
	}
	return bodyOf(f)
}

// matrixAsk sends a request from an address of its own, so that no guess is counted against another, and hangs up when
// it has the head of an answer: one that would go on for ever ends.
func (b *bench) matrixAsk(method, target string, cred credential, from int, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", from>>16, from>>8&255, from&255)
	if cred.header != "" {
		r.Header.Set("Authorization", cred.header)
	}
	if cred.cookie != "" {
		r.Header.Set("Cookie", "sunspool_session="+cred.cookie)
	}
	ctx, hangUp := context.WithCancel(r.Context())
	defer hangUp()
	w := httptest.NewRecorder()
	b.api.ServeHTTP(hangingUp{w, hangUp}, r.WithContext(ctx))
	return w
}

type hangingUp struct {
	http.ResponseWriter
	hangUp func()
}

func (w hangingUp) WriteHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	w.hangUp()
}
func (w hangingUp) Flush() {}
