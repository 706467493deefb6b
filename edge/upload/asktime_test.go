package upload

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/clock"
	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/spool"
	"sunspool/edge/transport"
	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/testhost"
	"sunspool/wire"
)

// Samples whose time is not known are not uploaded until it is, and cost no requests.
func TestUploadsDoNotSpinOnUndatedSamples(t *testing.T) {
	s := &uploadtest.Server{Lenient: true}
	u := uploaderTo(t, s)
	u.Spool = openSpool(t, filepath.Join(testhost.MemoryDir(t), "spool.db"))
	undated := func(id string, n int) (boot uint32, up time.Duration) {
		boot, _, err := u.Spool.Join(id, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			up += 5 * time.Second
			sample := sampleAt(noon.AddDate(-1, 0, 0).Add(up))
			if err := u.Spool.Append(&sample, spool.When{Boot: boot, Since: up}); err != nil {
				t.Fatal(err)
			}
		}
		return boot, up
	}
	boot, up := undated("one", 30)
	more, err := u.Deliver(t.Context())
	if more || err != nil || !slices.Equal(s.Sizes, []int{0}) || u.Spool.Waiting() != 30 { // the empty batch of a start
		t.Errorf("more %v, %v, batches of %v, %d waiting", more, err, s.Sizes, u.Spool.Waiting())
	}
	if err := u.Spool.AssignTimestamps(boot, spool.Anchor{Taken: up, Start: noon.UnixNano(), Quality: spool.Synced}, up); err != nil {
		t.Fatal(err)
	}
	undated("two", 5)
	more, err = u.Deliver(t.Context())
	if more || err != nil || len(s.Stored) != 30 || u.Spool.Waiting() != 5 {
		t.Errorf("more %v, %v, %d stored, %d waiting", more, err, len(s.Stored), u.Spool.Waiting())
	}
}

// On a Pi the clock may be in 1970 when the server is asked what time it is.
func TestCertificateIsVerifiedInSpiteOfAWrongClock(t *testing.T) {
	const year = 365 * 24 * time.Hour
	begun := time.Now()
	ca := uploadtest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(nil)}}
	expired := &tls.Config{Certificates: []tls.Certificate{ca.Issue(func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Minute), time.Now().Add(-time.Minute)
	})}}
	date := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"ok":true}`) }
	for name, c := range map[string]struct {
		config *tls.Config
		newest time.Duration // of the samples, before now
		wall   time.Duration
		tries  int // until an answer, 0 is never
	}{
		"1970":                       {config, 30 * time.Minute, 50 * year, 1},
		"1970, and an old spool":     {config, 90 * 24 * time.Hour, 50 * year, 0},
		"expired":                    {expired, 30 * time.Second, 50 * year, 0},
		"samples from the future":    {config, -year, 0, 2},
		"right although not vouched": {config, year / 2, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			url, tokens := uploadtest.Serve(t, c.config, date)
			kept := openSpool(t, filepath.Join(t.TempDir(), "spool.db"))
			sample := sampleAt(time.Now().Add(-c.newest))
			if err := kept.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
				t.Fatal(err)
			}
			client, err := transport.NewClient(transport.Trust{CAFile: ca.File})
			if err != nil {
				t.Fatal(err)
			}
			clock := &clock.Clock{Spool: kept, Log: slog.New(slog.DiscardHandler), Host: clock.Host{
				Wall: func() time.Time { return time.Now().Add(-c.wall) }, Up: func() time.Duration { return time.Since(begun) },
				Synced: func() (bool, error) { return false, nil }, BootID: "now",
			}}
			client.Transport.(*transport.Transport).Time = clock.Certificates
			u := &Uploader{Spool: kept, Client: client, Clock: clock, URL: url + wire.IngestPath}
			tries := 0
			for err = errors.New("not asked"); err != nil && tries < 4; tries++ {
				err = u.ask(t.Context())
			}
			if (err == nil) != (c.tries > 0) || err == nil && tries != c.tries {
				t.Errorf("%v after %d tries", err, tries)
			}
			if tokens.Load() > 0 {
				t.Error("the token was sent")
			}
			if err == nil {
				err = u.ask(t.Context()) // one Date alone sets nothing
			}
			clock.Check()
			if got := time.Until(clock.Certificates()); err == nil && (clock.State() != "server" || got.Abs() > time.Minute) {
				t.Errorf("the clock is %s, off by %v", clock.State(), got)
			}
		})
	}
}

// An edge without any clock comes to the time with two requests, made one after the other, which no cache can answer; and
// a server whose answers are too slow is named.
func TestTimeTakesTwoRequests(t *testing.T) {
	for name, c := range map[string]struct {
		took  time.Duration
		known bool
	}{"prompt": {100 * time.Millisecond, true}, "slow": {3 * time.Second, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now().Add(-time.Minute)
				u := uploaderTo(t, &uploadtest.Server{})
				u.Clock = &clock.Clock{Spool: u.Spool, Log: slog.New(slog.DiscardHandler), Host: clock.Host{
					Wall: func() time.Time { return time.Unix(0, 0) }, Up: func() time.Duration { return time.Since(begun) }, BootID: "x",
					Synced: func() (bool, error) { return false, fmt.Errorf("the kernel does not say") },
				}}
				u.provedAt = now() // no empty batch
				urls := map[string]bool{}
				date := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
				u.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
					urls[r.URL.String()] = true
					if r.URL.Path != "/base/health" || r.Header.Get("Authorization") != "" || r.Header.Get("Cache-Control") != "no-cache" {
						t.Errorf("%s with %v", r.URL, r.Header)
					}
					time.Sleep(c.took)
					return dated(date.Add(time.Since(begun))), nil
				})
				if err := u.Clock.Check(); !invertertest.HasCode(err, "clock_unsynced") {
					t.Fatal(err)
				}
				if err := u.AskTime(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, err := u.Deliver(t.Context()); err != nil {
					t.Fatal(err)
				}
				err := u.Clock.Check()
				if (err == nil) != c.known || len(urls) != 2 {
					t.Errorf("after %d addresses: %v", len(urls), err)
				}
				if !c.known && !strings.Contains(err.Error(), "3.0 s") {
					t.Errorf("it is not named that the answers are slow: %v", err)
				}
			})
		})
	}
}

// dated is an answer of a server whose certificate was verified.
func dated(date time.Time) *http.Response {
	a := uploadtest.Answer(200, `{"inserted":0}`)
	a.Header.Set("Date", date.UTC().Format(http.TimeFormat))
	a.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{}}}
	return a
}
