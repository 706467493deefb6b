//go:build unix

package vps

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/internal/testservices"
	"sunspool/settings"
	"sunspool/vps/api"
	"sunspool/wire"
)

// createToken has the server of a DATA_DIR make a token.
func createToken(t *testing.T, dir string, create TokenCreateConfig) api.NewToken {
	t.Helper()
	var out bytes.Buffer
	create.JSON = true
	if err := CreateToken(t.Context(), MachineConfig{DataDir: dir}, create, strings.NewReader(""), &out, false); err != nil {
		t.Fatal(err)
	}
	var made api.NewToken
	if err := json.Unmarshal(out.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	return made
}

func listTokens(t *testing.T, dir string, asJSON bool) string {
	t.Helper()
	var out bytes.Buffer
	if err := ListTokens(t.Context(), MachineConfig{DataDir: dir}, TokenListConfig{JSON: asJSON}, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func revokeToken(t *testing.T, dir, name string) {
	t.Helper()
	var out bytes.Buffer
	if err := RevokeToken(t.Context(), MachineConfig{DataDir: dir}, TokenRevokeConfig{Token: name}, &out); err != nil || !strings.Contains(out.String(), "is revoked") {
		t.Fatalf("%v: %s", err, out.String())
	}
}

// A token that one process makes is one in the other, and when one revokes it, both refuse it and its streams end. No secret is
// in the database, in a list or in a log.
func TestTokensAreThoseOfEveryProcess(t *testing.T) {
	t.Parallel() // it waits most of the time
	pg := testservices.SharedPostgres(t)
	start := func(dir string) running {
		return start(t, Config{DataDir: dir, DatabaseURL: settings.Secret(pg.URL()), DeviceTokens: "store", CacheTTLS: 5})
	}
	dirs := []string{t.TempDir(), t.TempDir()}
	here, there := start(dirs[0]), start(dirs[1])
	asks := func(r running, method, path, token string) int {
		return status(t, http.DefaultClient, method, "http://"+r.public+path, token)
	}
	var edge, family api.NewToken
	testservices.Await(t, "the database is there", func() bool {
		return asks(here, "GET", wire.ReadyPath, "") == 200 && asks(there, "GET", wire.ReadyPath, "") == 200
	})
	refused := func(r running, token string) bool {
		got := asks(r, "GET", wire.DevicesPath, token)
		return got == 401 || got == 429 // while this test waited, that it was unknown counted as guesses
	}
	edge = createToken(t, dirs[0], TokenCreateConfig{Role: "device", Name: "Edge", Devices: []string{"inv-1"}})
	family = createToken(t, dirs[1], TokenCreateConfig{Role: "viewer", Name: "Family", Devices: []string{"inv-1", "inv-2"}, Expires: "30d"})
	if got := asks(here, "POST", wire.IngestPath, edge.Secret); got != 200 {
		t.Errorf("where it was made an edge gets %d", got)
	}
	testservices.Await(t, "each process has the tokens of the other", func() bool {
		return asks(there, "POST", wire.IngestPath, edge.Secret) == 200 && asks(here, "GET", wire.DevicesPath, family.Secret) == 200
	})

	conn, err := net.Dial("tcp", there.public)
	if err != nil {
		t.Fatal(err)
	}
	stream := follow(t, conn, "inv-1", family.Secret)
	if first := <-stream; first.Name != "hello" {
		t.Fatalf("the stream begins with %+v", first)
	}
	revokeToken(t, dirs[0], "Family")
	if !refused(here, family.Secret) {
		t.Error("where it was revoked it is accepted")
	}
	last := event{}
	for e := range stream {
		last = e
	}
	if last.Name != "bye" || last.Data != `{"reason":"token_revoked"}` {
		t.Errorf("its stream at the other process ends with %+v", last)
	}
	if !refused(there, family.Secret) {
		t.Error("at the other process it is accepted")
	}
	if got := asks(there, "POST", wire.IngestPath, edge.Secret); got != 200 {
		t.Errorf("the token beside it gets %d", got)
	}

	if err := there.stop(); err != nil {
		t.Error(err)
	}
	list := listTokens(t, dirs[0], true)
	for line := range strings.Lines(list) {
		var token api.Token
		if err := json.Unmarshal([]byte(line), &token); err != nil || token.Used == nil || (token.Revoked != nil) != (token.ID == family.Token.ID) {
			t.Errorf("%v: %s", err, line)
		}
	}
	if err := here.stop(); err != nil {
		t.Error(err)
	}
	said := list + here.log.String() + there.log.String() + pg.Query(`select string_agg(t::text, ' ') from tokens t`)
	if strings.Count(said, family.Token.ID) < 4 {
		t.Errorf("the token is not in what is searched:\n%s", said)
	}
	for _, secret := range []string{edge.Secret, family.Secret} {
		if strings.Contains(said, secret) || strings.Contains(said, secret[4:]) {
			t.Errorf("the secret %.8s… is kept:\n%s", secret, said)
		}
	}
}

// Beside one file: made, listed, used after a restart, revoked, and its secret in nothing that is on the disk.
func TestTokenCommand(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8") // without which there is no code for a camera
	dir := t.TempDir()
	cfg := Config{DataDir: dir, DeviceTokens: "t1-0123456789abcdef:inv-1"}
	r := start(t, cfg)
	if info, err := os.Stat(filepath.Join(dir, socketFile)); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	if got := listTokens(t, dir, false); !strings.Contains(got, "no token was made") {
		t.Errorf("at first: %s", got)
	}
	create := func(c TokenCreateConfig, in string, terminal bool) string {
		t.Helper()
		var out bytes.Buffer
		if err := CreateToken(t.Context(), MachineConfig{DataDir: dir}, c, strings.NewReader(in), &out, terminal); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	const given = "canary-0123456789abcdef"
	family := create(TokenCreateConfig{Role: "viewer", Name: "Family", Devices: []string{"*"}, URL: "https://solar.example.org/"}, "", true)
	secret, rest, _ := strings.Cut(family, "\n")
	if !strings.HasPrefix(secret, "ssv_") || !strings.HasPrefix(rest, "https://solar.example.org/#t="+secret+"\n") || !strings.Contains(family, "█") || !strings.Contains(family, "Family can read every device.\n") {
		t.Errorf("in a terminal:\n%s", family)
	}
	admin := create(TokenCreateConfig{Role: "admin", Name: "Boss", Secret: true, Expires: "12h", URL: "https://solar.example.org"}, given+"\n", false)
	if !strings.HasPrefix(admin, given+"\nhttps://solar.example.org/#t="+given+"\nThis is shown once. Boss can read every device, and create and revoke tokens until ") {
		t.Errorf("in a file:\n%s", admin)
	}
	edge := create(TokenCreateConfig{Role: "device", Name: "Edge", Devices: []string{"roof", "barn"}, URL: "https://solar.example.org"}, "", false)
	if strings.Contains(edge, "https:") || !strings.Contains(edge, "Edge can send and read barn and roof.\n") {
		t.Errorf("of an edge:\n%s", edge)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r2 := start(t, cfg)
	ask := func(token string) int {
		return status(t, http.DefaultClient, "GET", "http://"+r2.public+wire.DevicesPath, token)
	}
	if ask(secret) != 200 || ask(given) != 200 || ask("t1-0123456789abcdef") != 200 {
		t.Errorf("after a restart: %d, %d, and a token of the settings %d", ask(secret), ask(given), ask("t1-0123456789abcdef"))
	}
	revokeToken(t, dir, "Family")
	var again bytes.Buffer
	if err := RevokeToken(t.Context(), MachineConfig{DataDir: dir}, TokenRevokeConfig{Token: "Family"}, &again); err != nil || !strings.Contains(again.String(), "was revoked on 20") {
		t.Errorf("a second time: %v, %s", err, &again)
	}
	if ask(secret) != 401 || ask(given) != 200 {
		t.Errorf("revoked: %d, the other %d", ask(secret), ask(given))
	}
	list := listTokens(t, dir, false)
	for _, want := range []string{"Family  viewer  *", "revoked 2", "Boss    admin   *", "until 2", "Edge    device  barn,roof"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list does not have %q:\n%s", want, list)
		}
	}
	list += listTokens(t, dir, true)
	session, err := http.Post("http://"+r2.public+wire.SessionPath, "application/json", strings.NewReader(`{"token":"`+given+`"}`))
	if err != nil || session.StatusCode != 200 || len(session.Cookies()) != 1 {
		t.Fatal(err, session)
	}
	session.Body.Close()
	cookie := session.Cookies()[0].Value
	backedUp(t, cfg, BackupConfig{File: filepath.Join(dir, "while it runs.backup")})
	if err := r2.stop(); err != nil {
		t.Fatal(err)
	}
	backedUp(t, cfg, BackupConfig{File: filepath.Join(dir, "while it is stopped.backup")})
	var said strings.Builder
	said.WriteString(list + r.log.String() + r2.log.String())
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		said.Write(text)
	}
	if !strings.Contains(said.String(), "Boss") || said.Len() < 10_000 {
		t.Fatal("nothing is searched")
	}
	if n := strings.Count(said.String(), "Boss"); n < 3+2+2 || len(files) < 3 { // the store, its backups, lists, logs
		t.Errorf("in %d files and in what was said there are %d tokens", len(files), n)
	}
	edgeSecret, _, _ := strings.Cut(edge, "\n")
	for _, s := range []string{given, secret[4:], edgeSecret[4:], "t1-0123456789abcdef", cookie} {
		if strings.Contains(said.String(), s) {
			t.Errorf("the secret %.8s… is kept", s)
		}
		sum := sha256.Sum256([]byte(s))
		if strings.Contains(list+r.log.String()+r2.log.String(), hex.EncodeToString(sum[:])) {
			t.Errorf("the sum of %.8s… is in a list or a log", s)
		}
	}
}

// What cannot be done is said in what, why and next.
func TestTokenCommandSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Config{DataDir: dir, DeviceTokens: "t1-0123456789abcdef:inv-1"})
	createToken(t, dir, TokenCreateConfig{Role: "admin", Name: "Boss"})
	attempt := func(dir string, c TokenCreateConfig) error {
		c.Role, c.Name = "viewer", "Boss"
		return CreateToken(t.Context(), MachineConfig{DataDir: dir}, c, strings.NewReader(" "), new(bytes.Buffer), false)
	}
	revoke := func(name string) error {
		return RevokeToken(t.Context(), MachineConfig{DataDir: dir}, TokenRevokeConfig{Token: name}, new(bytes.Buffer))
	}
	longPath := filepath.Join(dir, strings.Repeat("x", 200))
	for _, c := range []struct {
		err       error
		code, why string
		exit      int
	}{
		{attempt(dir, TokenCreateConfig{Devices: []string{"a"}}), "vps_refused", "has this name", 0},
		{attempt(dir, TokenCreateConfig{}), "vps_refused", "devices are missing", health.ExitUsage},
		{attempt(dir, TokenCreateConfig{Devices: []string{"ro of"}}), "vps_refused", "devices have one", health.ExitUsage},
		{attempt(dir, TokenCreateConfig{Expires: "soon"}), "usage", "", health.ExitUsage},
		{attempt(dir, TokenCreateConfig{Expires: "-1h"}), "usage", "", health.ExitUsage},
		{attempt(dir, TokenCreateConfig{Expires: "2020-01-01", Devices: []string{"a"}}), "vps_refused", "expires is not in the future", health.ExitUsage},
		{attempt(dir, TokenCreateConfig{URL: "solar.example.org"}), "usage", "", health.ExitUsage},
		{attempt(dir, TokenCreateConfig{Secret: true}), "usage", "", health.ExitUsage},
		{attempt(t.TempDir(), TokenCreateConfig{Devices: []string{"a"}}), "no_server", "no such file", health.ExitUnreachable},
		{attempt(longPath, TokenCreateConfig{Devices: []string{"a"}}), "no_server", "", health.ExitUnreachable},
		{revoke("Family"), "no_such_token", "neither an ID nor a name", 0},
	} {
		fault, ok := errors.AsType[*health.Fault](c.err)
		if !ok || fault.Code != c.code || fault.Exit != c.exit || !strings.Contains(fault.Why, c.why) || fault.Next == "" || fault.What == "" {
			t.Errorf("want %s: %+v", c.code, c.err)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if fault, _ := errors.AsType[*health.Fault](revoke("Boss")); fault == nil || fault.Code != "no_server" {
		t.Errorf("after it stopped: %+v", fault)
	}
}

// A server whose socket cannot be made serves all the same, and its log has why.
func TestServerWithoutItsSocketServes(t *testing.T) {
	r := start(t, Config{AdminSocket: filepath.Join(t.TempDir(), strings.Repeat("x", 200)), DeviceTokens: "t1-0123456789abcdef:inv-1"})
	if got := status(t, http.DefaultClient, "GET", "http://"+r.public+wire.DevicesPath, "t1-0123456789abcdef"); got != 200 {
		t.Errorf("%d", got)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(r.log.String(), "ADMIN_SOCKET") {
		t.Errorf("the log: %s", r.log)
	}
}

func TestWhenATokenExpires(t *testing.T) {
	now := time.Date(2026, 6, 21, 10, 30, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"30d": now.AddDate(0, 0, 30), "12h": now.Add(12 * time.Hour), "90m": now.Add(90 * time.Minute), "2027-01-01": time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		"0d": {}, "-1d": {}, "1.5d": {}, "d": {}, "99999d": {}, "0s": {}, "-1h": {}, "tomorrow": {}, "2027-13-01": {},
	} {
		if at, ok := expiry(text, now); ok != !want.IsZero() || ok && !at.Equal(want) {
			t.Errorf("%q is %v, %v; want %v", text, at, ok, want)
		}
	}
}
