//go:build unix

package vps

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/internal/testservices"
	"sunspool/settings"
	"sunspool/vps/auth"
	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
	"sunspool/vps/storecopy"
	"sunspool/wire"
)

const copyToken = "ssd_copied-0123456789abcdef"

var (
	copyDays  = flag.Int("copy-days", 9, "days of a device that TestEveryAnswerIsTheSameAfterACopy copies; `make test-copy` takes DAYS")
	copyStart = time.Date(2023, 3, 24, 0, 0, 0, 0, time.UTC)
)

func openedStore(t *testing.T, cfg Config) backend {
	t.Helper()
	s, err := cfg.openStore(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// furnish fills a store with all that one may have: devices with gaps, counters, registers, changed zones, samples set aside and
// pruned days, tokens, one of which was revoked, and sites.
func furnish(t *testing.T, cfg Config) {
	t.Helper()
	s := openedStore(t, cfg)
	defer s.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	insert := func(device string, samples ...wire.Sample) {
		t.Helper()
		for len(samples) > 0 {
			n := min(1000, len(samples))
			_, err := s.Insert(t.Context(), device, samples[:n])
			must(err)
			samples = samples[n:]
		}
	}
	const perDay = 24 * 30
	house := func(from, to int) (all []wire.Sample) {
		all = storetest.Houses(copyStart, 2*time.Minute, from, to-from)
		for i := range all {
			n := from + i
			all[i].Values = map[string]float64{"mppt_1_voltage": 380.5, "mppt_1_current": float64(n%90) / 10, "phase_a_voltage": 231.25, "own register": 1e300, "nominal_power": 8000}
			all[i].Interval = time.Duration(n/perDay%3*10) * time.Second
		}
		return all
	}
	insert("house", house(0, 2*perDay+700)...)
	for day := 3; day < *copyDays; day++ { // a gap is before
		insert("house", house(day*perDay+100*max(0, 4-day), (day+1)*perDay)...)
	}
	insert("barn.north", storetest.Houses(copyStart.Add(5*time.Hour), 5*time.Minute, 0, 1500)...)
	random := rand.New(rand.NewPCG(1, 2))
	insert("Zoo", storetest.Random(random, copyStart, 40*time.Hour, 900)...)
	insert("z~dense", storetest.Random(random, copyStart, 20*time.Minute, 5000)...)
	insert("z~dense", storetest.Random(random, copyStart, 20*time.Minute, 1000)...) // late, so sums stay pending

	edge := &wire.Edge{Version: "1.2.3"}
	skew := -2.5
	about := store.About{Zone: "Europe/Brussels", Edge: edge, Seen: copyStart.AddDate(0, 0, *copyDays), SkewS: &skew}
	must(s.Describe(t.Context(), "house", about.Rezoned("America/New_York", copyStart.AddDate(0, 0, 5)).Rezoned("Europe/Brussels", copyStart.AddDate(0, 0, 7))))
	must(s.Describe(t.Context(), "never.sent", store.About{Zone: "Asia/Tokyo", Seen: copyStart}))
	var aside []store.Aside
	for i := range 7 {
		aside = append(aside, store.Aside{Received: copyStart, Code: wire.CodeTooOld, JSON: fmt.Appendf(nil, `{"ts": "1970-01-01T00:00:0%dZ", "pv_power_w": %d}`, i, i)})
	}
	_, err := s.SetAside(t.Context(), "barn.north", aside)
	must(err)
	_, err = s.DeleteAside(t.Context(), "barn.north", 3)
	must(err)

	for {
		n, err := s.Prune(t.Context(), copyStart.Add(30*time.Hour+12*time.Minute))
		must(err)
		if n == 0 {
			break
		}
	}
	insert("house", house(0, 1)[0], storetest.At(copyStart.Add(3*time.Hour+61*time.Second), 77)) // of days that have lost theirs

	sum := auth.SumOf(copyToken)
	must(s.AddToken(t.Context(), store.Token{ID: "admin1", Sum: sum[:], Name: "Reader", Role: store.RoleAdmin, Created: copyStart}))
	for i, role := range []string{store.RoleDevice, store.RoleViewer} {
		sum := auth.SumOf(copyToken + role)
		must(s.AddToken(t.Context(), store.Token{ID: "t" + role, Sum: sum[:], Name: role, Role: role, Devices: []string{"Zoo", "house"}[i : i+1],
			Created: copyStart, Expires: copyStart.AddDate(2, 0, 0)}))
	}
	_, err = s.RevokeToken(t.Context(), "tviewer", copyStart.AddDate(0, 1, 0))
	must(err)
	must(s.UseTokens(t.Context(), map[string]time.Time{"tdevice": copyStart.AddDate(0, 2, 0)}))
	must(s.SetSite(t.Context(), store.Site{Name: "home", Devices: []string{"barn.north", "house"}}))
}

// answers are those of every route that reads, by its path.
func answers(t *testing.T, cfg Config) map[string]string {
	t.Helper()
	cfg.InternalAddr, cfg.DeviceTokens = "127.0.0.1:0", backupToken+":nobody"
	r := start(t, cfg)
	defer r.stop()
	all := map[string]string{}
	ask := func(path string) (code int, text string) {
		request, err := http.NewRequest(http.MethodGet, "http://"+r.public+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+copyToken)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(ofNow.ReplaceAll(body, []byte(`"$1":0`)))
	}
	get := func(path string) {
		for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
			code, text := ask(path)
			if all[path] = fmt.Sprint(code, " ", text); len(text) > 1<<20 {
				all[path] = fmt.Sprintf("%d %d bytes, %x", code, len(text), sha256.Sum256([]byte(text)))
			}
			if code != http.StatusServiceUnavailable || time.Since(began) > testservices.Patience { // a busy machine does not read in the time that a read has
				return
			}
		}
	}
	get(wire.SitesPath)
	get(wire.DevicesPath + "?today=1")
	for _, of := range []string{"device_id=house", "device_id=barn.north", "device_id=Zoo", "device_id=z~dense", "device_id=never.sent", "site=home"} {
		get(wire.RealtimePath + "?" + of)
		if of == "device_id=never.sent" {
			continue
		}
		end := copyStart.AddDate(0, 0, *copyDays+1)
		span := "?" + of + "&from=2023-03-24T00:00:00Z&to=" + end.Format(time.RFC3339)
		for _, resolution := range []string{"auto", "raw", "1m", "5m", "15m", "1h", "1d", "1M", "1y"} {
			to := span
			if resolution == "raw" || resolution == "1m" {
				to = "?" + of + "&from=2023-03-25T04:00:00Z&to=2023-03-26T00:00:00Z"
			}
			get(wire.SeriesPath + to + "&resolution=" + resolution)
		}
		for _, frame := range []string{"day", "month", "year", "all"} {
			get(wire.SeriesPath + "?" + of + "&frame=" + frame)
		}
		for _, resolution := range []string{"hour", "day", "month", "year"} {
			days := "?" + of + "&from=2023-03-24&to=" + end.AddDate(0, 0, -1).Format(time.DateOnly)
			get(wire.EnergyPath + days + "&compare=previous&resolution=" + resolution)
			get(wire.EnergyPath + days + "&tz=America/New_York&resolution=" + resolution)
		}
		get(wire.PeaksPath + "?" + of + "&month=2023-03")
		get(wire.CapacityPath + "2023-03?" + of)
		get(wire.ContinuityPath + span)
		for _, resolution := range []string{"raw", "5m", "1d"} {
			get(wire.ExportPath + span + "&resolution=" + resolution)
		}
	}
	request, _ := http.NewRequest(http.MethodGet, "http://"+r.internal+wire.AsidePath+"?device_id=barn.north", nil)
	if answer, err := http.DefaultClient.Do(request); err == nil {
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		all[wire.AsidePath] = string(text)
	}
	get(wire.TokensPath)
	all[wire.TokensPath] = regexp.MustCompile(`("admin1".*?"used":)("[^"]*"|null)`).ReplaceAllString(all[wire.TokensPath], "$1 now")
	return all
}

// ofNow is what an answer has of the time at which it is given, and of the use of the token that asks.
var ofNow = regexp.MustCompile(`"(age_s|time|date)":("[^"]*"|[0-9.]+)`)

func sameAnswers(t *testing.T, want, got map[string]string) {
	t.Helper()
	good := 0
	for path, text := range want {
		if strings.HasPrefix(text, "200 ") {
			good++
		}
		if got[path] != text {
			n := 0
			for n < min(len(text), len(got[path])) && text[n] == got[path][n] {
				n++
			}
			n = max(n-60, 0)
			t.Errorf("%s is not the same:\n...%.200s\n...%.200s", path, text[n:], got[path][min(n, len(got[path])):])
		}
	}
	if good < 100 {
		t.Errorf("only %d of %d answers are 200", good, len(want))
	}
}

func copied(t *testing.T, c storecopy.Config) string {
	t.Helper()
	var out bytes.Buffer
	if err := storecopy.Run(t.Context(), c, "", &out, io.Discard); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	return out.String()
}

// A store is copied to PostgreSQL and back, and another one that began in PostgreSQL to a file: every answer stays the same.
func TestEveryAnswerIsTheSameAfterACopy(t *testing.T) {
	race.Skip(t, "one reader asks, and what copies is raced in its own package")
	pg := testservices.SharedPostgres(t)
	file := Config{DataDir: t.TempDir()}
	furnish(t, file)
	want := answers(t, file)
	database := Config{DataDir: t.TempDir(), DatabaseURL: settings.Secret(pg.NewDatabase(t))}
	said := copied(t, storecopy.Config{From: file.DataDir, To: string(database.DatabaseURL)})
	if !strings.Contains(said, "Both are equal") {
		t.Error(said)
	}
	sameAnswers(t, want, answers(t, database))
	back := Config{DataDir: filepath.Join(t.TempDir(), "data")}
	copied(t, storecopy.Config{From: string(database.DatabaseURL), To: back.DataDir})
	sameAnswers(t, want, answers(t, back))

	database.DatabaseURL = settings.Secret(pg.NewDatabase(t))
	furnish(t, database)
	want = answers(t, database)
	back = Config{DataDir: t.TempDir()}
	copied(t, storecopy.Config{From: string(database.DatabaseURL), To: back.DataDir})
	sameAnswers(t, want, answers(t, back))
}
