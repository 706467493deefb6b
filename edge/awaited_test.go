package edge

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/config"
	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/report"
	"sunspool/edge/transport"
	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/testhost"
)

// putFile puts a file in place as a whole.
func putFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path+".part", []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".part", path); err != nil {
		t.Fatal(err)
	}
}

// A token or an authority that is not there yet stops uploads alone: it is named, after 10 min as something to do, and
// used as soon as it is there.
func TestMissingTokenAndAuthorityAreWaitedFor(t *testing.T) {
	ours, others := uploadtest.NewAuthority(t), uploadtest.NewAuthority(t)
	pem, err := os.ReadFile(ours.File)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(others.File)
	if err != nil {
		t.Fatal(err)
	}
	const token = "t0ken-0123456789abcdef"
	for setting, c := range map[string]struct {
		change func(c *config.Config, missing string)
		bad    string // is there, but cannot be used
		good   string
	}{
		"VPS_DEVICE_TOKEN_FILE": {func(c *config.Config, missing string) { c.Token, c.TokenFile, c.CAFile = "", missing, ours.File }, "short", token},
		"VPS_CA_FILE":           {func(c *config.Config, missing string) { c.Token, c.CAFile = token, missing }, "no PEM", string(pem)},
	} {
		t.Run(setting, func(t *testing.T) {
			url, tokens := uploadtest.Serve(t, &tls.Config{Certificates: []tls.Certificate{ours.Issue(nil)}}, uploadtest.Accept)
			missing := filepath.Join(t.TempDir(), "later", "file")
			set := goodSettings(t)
			set.URL, set.DeviceID, set.ClockTrust = url, "roof", config.ClockAlways
			c.change(&set, missing)
			if err := set.Validate(); err != nil {
				t.Fatalf("a file that may come later is refused: %v", err)
			}
			complete := set
			complete.Complete = true
			if err := complete.Validate(); asFault(err) == nil || asFault(err).Code != "config_invalid" || !strings.Contains(err.Error(), setting) {
				t.Errorf("the check of the settings finds %v", err)
			}
			e, err := New(set, "test", slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Spool.Close() })
			e.vps = e.Report.Chain.Link("vps")
			fill(t, e.Spool, 3)
			state := func(status, reason, says string) {
				t.Helper()
				_, err := e.deliverOnce(t.Context())
				s := e.Report.State()
				if err == nil || s.Status != status || len(s.Reasons) != 1 || s.Reasons[0] != reason || !strings.Contains(s.Sentence, says) || !strings.Contains(s.Sentence, setting) {
					t.Errorf("%s for %q: %s; %s; %v", s.Status, s.Reasons, s.Sentence, s.Next, err)
				}
			}
			state(report.StateDegraded, "file_awaited", "waiting for the file "+missing)
			e.ca.since, e.token.since = e.ca.since.Add(-awaitMost), e.token.since.Add(-awaitMost)
			state(report.StateBlocked, "file_missing", "10m")
			os.Mkdir(filepath.Dir(missing), 0o700)
			putFile(t, missing, c.bad, 0o600)
			state(report.StateBlocked, "file_missing", "cannot be used")
			if tokens.Load() > 0 {
				t.Errorf("%d tokens were sent", tokens.Load())
			}
			if setting == "VPS_CA_FILE" {
				putFile(t, missing, string(foreign), 0o600)
				if _, err := e.deliverOnce(t.Context()); err == nil || tokens.Load() > 0 {
					t.Fatal("a server of another authority is trusted")
				}
				return
			}
			putFile(t, missing, c.good, 0o600)
			if _, err := e.deliverOnce(t.Context()); err != nil || e.Spool.Waiting() > 0 || e.Report.State().Status != report.StateOK {
				t.Errorf("the file is there: %v; %d samples wait; %s", err, e.Spool.Waiting(), e.Report.State().Sentence)
			}
		})
	}
	t.Run("authority", func(t *testing.T) {
		url, _ := uploadtest.Serve(t, &tls.Config{Certificates: []tls.Certificate{ours.Issue(nil)}}, uploadtest.Accept)
		c := goodSettings(t)
		c.URL, c.DeviceID, c.ClockTrust, c.CAFile = url, "roof", config.ClockAlways, filepath.Join(t.TempDir(), "ca.pem")
		e, err := New(c, "test", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Spool.Close() })
		e.vps = e.Report.Chain.Link("vps")
		fill(t, e.Spool, 3)
		if _, ok := e.Uploader.Client.Transport.(*transport.Transport); ok {
			t.Error("without its authority requests are made")
		}
		putFile(t, c.CAFile, string(pem), 0o644)
		if _, err := e.deliverOnce(t.Context()); err != nil || e.Spool.Waiting() > 0 {
			t.Errorf("the file is there: %v; %d samples wait", err, e.Spool.Waiting())
		}
	})
}

// Without the registers that the operator gave a value could be wrong: no sample is made, and the dongle is left alone.
func TestMissingRegisterMapMakesNoSample(t *testing.T) {
	dir := testhost.MemoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		b := &invertertest.Bed{T: t, Sim: invertertest.OfImage(t, invertertest.HybridImage)}
		c := config.Config{Host: "dongle", Port: 502, Unit: 1, PollS: 5, GapMS: 20, URL: "https://vps.example.org", Token: "t0ken-0123456789abcdef",
			DeviceID: "roof", BatchSize: 30, UploadS: 10, MaxBackoffS: 300, ClockTrust: config.ClockAlways, RegisterMap: filepath.Join(dir, "own.csv"),
			SpoolPath: filepath.Join(dir, "spool.db"), HealthPath: filepath.Join(dir, "health.json")}
		e, err := New(c, "test", slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			t.Fatal(err)
		}
		inTestTime(e)
		e.Inverter.Dongle.Link.Dial = b.Dial
		e.Uploader.Client.Transport = uploadtest.Tripper(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
		done := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- e.Run(ctx) }()
		time.Sleep(time.Minute)
		if s := e.Report.State(); s.Status != report.StateDegraded || s.Reasons[0] != "file_awaited" || !strings.Contains(s.Sentence, "the inverter is not read") {
			t.Errorf("%s for %q: %s", s.Status, s.Reasons, s.Sentence)
		}
		time.Sleep(10 * time.Minute)
		if s := e.Report.State(); s.Status != report.StateBlocked || s.Reasons[0] != "file_missing" {
			t.Errorf("%s for %q: %s", s.Status, s.Reasons, s.Sentence)
		}
		if e.Spool.Waiting() > 0 || e.Inverter.Dongle.Link.Connects.Load() > 0 || e.Report.Now().Missing["register_map"] < 100 {
			t.Errorf("%d samples, %d connections, not made %v", e.Spool.Waiting(), e.Inverter.Dongle.Link.Connects.Load(), e.Report.Now().Missing)
		}
		putFile(t, c.RegisterMap, "name,number,kind,type\nmy_own,5017,input,u16\n", 0o644)
		time.Sleep(time.Minute)
		records := peek(t, e.Spool, 100)
		if len(records) < 9 {
			t.Errorf("%d samples in the minute after", len(records))
		}
		for _, r := range records {
			if _, ok := r.Sample.Values["my_own"]; !ok {
				t.Fatal("a sample was made without the map")
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		e.Spool.Close()
	})
}
