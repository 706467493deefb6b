package upload

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/spool"
	"sunspool/edge/upload/uploadtest"
	"sunspool/wire"
)

// Servers of several versions behind one name refuse the same samples: each is asked for them once, not at every change
// of hands.
func TestServersOfSeveralVersionsAreAskedOnceEach(t *testing.T) {
	for _, versions := range []int{2, 3, 7} {
		t.Run(fmt.Sprint(versions), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &uploadtest.Server{Lenient: true, Bad: func(x wire.Sample) string {
					if place(x)%50 == 7 && place(x) < 1000 {
						return "value_error"
					}
					return ""
				}}
				u := uploaderTo(t, s)
				u.Fresh = 10 * time.Second
				made := fill(t, u.Spool, 1000)
				s.Version = "sunspool/0"
				drain(t, u, 2*time.Hour)
				if u.Spool.InQuarantine() != 20 {
					t.Fatalf("%d in quarantine, want 20", u.Spool.InQuarantine())
				}
				hour := func(first int) (requests int, refused int64) {
					requests, refused = len(s.Requests), u.Rejected.Load()
					for i := range 360 {
						s.Version = fmt.Sprintf("sunspool/%d", (first+i)%versions)
						x := sampleAt(noon.Add(time.Duration(first+3)*time.Hour + time.Duration(i)*10*time.Second))
						if err := u.Spool.Append(&x, spool.When{Quality: spool.Synced}); err != nil {
							t.Fatal(err)
						}
						made = append(made, x)
						for more := true; more; {
							var err error
							if more, err = u.Deliver(t.Context()); err != nil {
								t.Fatal(err)
							}
						}
						time.Sleep(10 * time.Second)
					}
					return len(s.Requests) - requests, u.Rejected.Load() - refused
				}
				for n := range 3 {
					if requests, refused := hour(n); requests > 365 || refused > 20 {
						t.Errorf("hour %d: %d requests for 360 samples, %d refused", n, requests, refused)
					}
				}
				conserved(t, u, s, made)
				if u.Spool.InQuarantine()+u.Spool.Waiting() != 20 {
					t.Errorf("%d in quarantine, %d waiting", u.Spool.InQuarantine(), u.Spool.Waiting())
				}
			})
		})
	}
}

// A version that comes back gets what the one between refused, after a day.
func TestVersionThatComesBackIsAskedAgainADayLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &uploadtest.Server{Lenient: true}
		s.Bad = func(x wire.Sample) string {
			if s.Version == "sunspool/2" && place(x)%10 == 3 {
				return "value_error"
			}
			return ""
		}
		u := uploaderTo(t, s)
		at := 0
		deliver := func(n int) {
			t.Helper()
			for range n {
				x := sampleAt(noon.Add(time.Duration(at) * 5 * time.Second))
				at++
				if err := u.Spool.Append(&x, spool.When{Quality: spool.Synced}); err != nil {
					t.Fatal(err)
				}
			}
			for more := true; more; {
				var err error
				if more, err = u.Deliver(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.Version = "sunspool/1"
		deliver(30)
		time.Sleep(2 * time.Hour)
		s.Version = "sunspool/2"
		deliver(30)
		deliver(1)
		if n := u.Spool.InQuarantine(); n != 3 {
			t.Fatalf("%d in quarantine, want 3", n)
		}
		s.Version = "sunspool/1"
		time.Sleep(25 * time.Hour)
		deliver(2)
		deliver(2)
		if n := u.Spool.InQuarantine(); n != 0 || len(s.Stored) != at {
			t.Errorf("%d in quarantine, %d of %d stored", n, len(s.Stored), at)
		}
	})
}

// Caddy as shipped removes Server and nginx writes its own: the version of the server comes all the same, and what an
// older one refused is tried again.
func TestVersionComesThroughProxies(t *testing.T) {
	for name, rewrite := range map[string]func(a *http.Response, version string){
		"nothing between": func(a *http.Response, version string) { a.Header.Set("Server", "sunspool/"+version) },
		"nginx writes its own Server": func(a *http.Response, version string) {
			a.Header.Set("Server", "nginx")
			a.Header.Set(wire.VersionHeader, version)
		},
		"only the body passes": func(a *http.Response, version string) {
			text, _ := io.ReadAll(a.Body)
			a.Body = io.NopCloser(strings.NewReader(strings.Replace(string(text), "{", `{"server_version":"`+version+`",`, 1)))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			version, bad := "9.9.1", true
			s := &uploadtest.Server{Lenient: true, Bad: func(x wire.Sample) string {
				if bad && place(x) == 3 {
					return "out_of_range"
				}
				return ""
			}}
			u := uploaderTo(t, s)
			u.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
				a, err := s.RoundTrip(r)
				if err == nil {
					rewrite(a, version)
				}
				return a, err
			})
			made := fill(t, u.Spool, 10)
			at := noon.Add(time.Hour)
			live := func(samples int) {
				for range samples {
					x := sampleAt(at)
					if err := u.Spool.Append(&x, spool.When{Quality: spool.Synced}); err != nil {
						t.Fatal(err)
					}
					made, at = append(made, x), at.Add(10*time.Minute)
					drain(t, u, time.Minute)
					time.Sleep(10 * time.Minute)
				}
			}
			live(12)
			if u.Spool.InQuarantine() != 1 {
				t.Fatalf("%s: %d in quarantine, want 1", name, u.Spool.InQuarantine())
			}
			version, bad = "9.9.2", false
			live(12)
			conserved(t, u, s, made)
			if u.Spool.InQuarantine() != 0 || len(s.Stored) != len(made) {
				t.Errorf("%s: after an update of the server %d are in quarantine, %d of %d stored", name, u.Spool.InQuarantine(), len(s.Stored), len(made))
			}
		})
	}
}
