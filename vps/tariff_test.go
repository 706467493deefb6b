package vps

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/health"
)

const oneTariff = `{
  "currency": "EUR",
  "prices": [{"from": "2020-01-01", "import": 0.31}]
}`

// A tariff is changed while the server runs, for worse and for better: readers get the new prices, or keep the old ones while log
// and health have what is wrong.
func TestTariffIsChangedWithoutRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tariff.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(oneTariff)
	r := start(t, Config{DeviceTokens: "first-0123456789abcdef:inv-1", InternalAddr: "127.0.0.1:0", CacheTTLS: 5, TariffFile: file})
	get := func(url string) string {
		q, _ := http.NewRequest("GET", url, nil)
		q.Header.Set("Authorization", "Bearer first-0123456789abcdef")
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return string(body)
	}
	expect := func(when, price, up, logged string) {
		t.Helper()
		r.reload <- syscall.SIGHUP
		r.reload <- syscall.SIGHUP // is taken when the one before is over
		if body := get("http://" + r.public + "/v1/devices"); !strings.Contains(body, `"import":`+price) {
			t.Errorf("%s: %s, want %s", when, body, price)
		}
		if body := get("http://" + r.internal + "/metrics"); !strings.Contains(body, `sunspool_link_up{link="tariff"} `+up) {
			t.Errorf("%s: the link is not %s", when, up)
		}
		if !strings.Contains(r.log.String(), logged) {
			t.Errorf("%s: not in the log: %s", when, logged)
		}
	}
	expect("at first", "0.31", "1", `"link ok","link":"tariff"`)
	write(strings.Replace(oneTariff, "0.31", `"0.31"`, 1))
	expect("wrong", "0.31", "0", "tariff not reloaded, the old one stays")
	expect("wrong", "0.31", "0", "line 3: import is not a number")
	expect("wrong", "0.31", "0", `"code":"tariff_invalid","next":"correct it`)
	write(strings.Replace(oneTariff, "0.31", "0.45", 1))
	expect("right", "0.45", "1", "tariff reloaded")
	http.DefaultClient.CloseIdleConnections()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// Nobody has to send a signal: a changed file is read within ten seconds, and one that has not changed is not read again.
func TestTariffIsReadWhenItsFileChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tariff.json")
	cfg := Config{TariffFile: file, DeviceTokens: "first-0123456789abcdef:inv-1"}
	write := func(text string, age time.Duration) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write(oneTariff, time.Hour)
	synctest.Test(t, func(t *testing.T) {
		prices, err := cfg.tariff()
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := cfg.tokens()
		if err != nil {
			t.Fatal(err)
		}
		log := new(logBuffer)
		logger := slog.New(slog.NewJSONHandler(log, nil))
		chain := health.New(time.Now, logger)
		ctx, cancel := context.WithCancel(t.Context())
		go reload(ctx, cfg, tokens, nil, prices, chain, logger)
		state := func(price float64, want health.State) {
			t.Helper()
			time.Sleep(tariffCheck + time.Second)
			synctest.Wait()
			if got := prices.Now().Prices[0].Import; got != price || chain.Status()[0].State != want {
				t.Errorf("%v, %v; want %v, %v", got, chain.Sentence(), price, want)
			}
		}
		state(0.31, health.OK)
		if strings.Contains(log.String(), "reloaded") {
			t.Error("read again, and it had not changed")
		}
		write(strings.Replace(oneTariff, "0.31", "0.5", 1), 2*time.Hour)
		state(0.5, health.OK)
		write("{}", 3*time.Hour)
		state(0.5, health.Broken)
		if n := strings.Count(log.String(), "not reloaded"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		state(0.5, health.Broken)
		if n := strings.Count(log.String(), "not reloaded"); n != 1 {
			t.Errorf("logged %d times while it stays wrong", n)
		}
		write(oneTariff, 4*time.Hour)
		state(0.31, health.OK)
		cancel()
		synctest.Wait()
	})
}

// A wrong file ends the start with its lines and with what to do, and sunspool check, too.
func TestWrongTariffEndsTheStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tariff.json")
	if err := os.WriteFile(file, []byte(strings.Replace(oneTariff, "0.31", "true", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Config{DataDir: t.TempDir(), ListenAddr: "127.0.0.1:0", DeviceTokens: "first-0123456789abcdef:inv-1", TariffFile: file}
	err := Run(t.Context(), cfg, slog.New(slog.DiscardHandler))
	fault, ok := errors.AsType[*health.Fault](err)
	if !ok || fault.Exit != health.ExitConfig || !strings.Contains(fault.Why, "TARIFF_FILE: the tariff file "+file) ||
		!strings.Contains(fault.Why, "line 3: import is not a number") || !strings.Contains(fault.Next, "docs/tariff.md") {
		t.Errorf("%#v", fault)
	}
}
