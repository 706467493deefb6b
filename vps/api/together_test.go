//go:build unix

package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sunspool/internal/testservices"
	"sunspool/vps/listener"
	"sunspool/wire"
)

// Pages, sessions and streams of many browsers, while samples come, tokens are removed and given again, and the server stops:
// each answer is whole or none, nobody reads without a token, and nothing is left.
func TestBrowsersWhileTokensChangeAndTheServerStops(t *testing.T) {
	b := newBench(t)
	b.ingested(sample(0))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- listener.Serve(ctx, l, nil, b.api, b.Log) }()
	cookie := "sunspool_session=" + b.cookie(viewer1)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 10}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()

	// ask returns false when the server is gone.
	ask := func(method, path, body string, take func(r *http.Response)) bool {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Addr().String()+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return false
		}
		r.Header.Set("Cookie", cookie)
		r.Header.Set("Accept", "text/html")
		answer, err := client.Do(r)
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		take(answer)
		return true
	}
	var busy atomic.Int64
	stalls := testservices.Stalls(t)
	whole := func(allowed ...int) func(*http.Response) {
		return func(r *http.Response) {
			text, err := io.ReadAll(r.Body)
			ok := slices.Contains(allowed, r.StatusCode)
			if r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != "" {
				busy.Add(1)
				ok = true
			}
			if refused := strings.Contains(string(text), `"session":null`) || r.StatusCode >= 400; err != nil || !ok || refused && strings.Contains(string(text), "pv_power_w") {
				t.Errorf("%s: %d %v %.300s", r.Request.URL, r.StatusCode, err, text)
			}
		}
	}
	answered := make(chan struct{})
	var browsers sync.WaitGroup
	for range 2 {
		for _, c := range []struct {
			method, path, body string
			take               func(*http.Response)
		}{
			{"GET", "/", "", whole(200)}, {"GET", "/lite", "", whole(200, 403)}, {"GET", wire.SessionPath, "", whole(200, 401)},
			{"POST", wire.SessionPath, `{"token":"` + viewer1 + `"}`, whole(200, 401, 429)}, {"POST", "/lite", "token=" + viewer1, whole(303, 403, 429)},
			{"GET", wire.StreamPath + "?device_id=inv-1", "", func(r *http.Response) {
				last := ""
				for lines := bufio.NewScanner(r.Body); lines.Scan(); {
					if lines.Text() != "" {
						last = lines.Text()
					}
				}
				if r.StatusCode != 401 && !(r.StatusCode == 200 && strings.Contains(last, `{"reason":`)) {
					t.Errorf("a stream of %d ended with %s", r.StatusCode, last)
				}
			}},
		} {
			browsers.Go(func() {
				for ask(c.method, c.path, c.body, c.take) {
					select {
					case answered <- struct{}{}:
					default:
					}
				}
			})
		}
	}
	for i := range 40 {
		viewers := viewer1 + ":inv-1"
		if i%2 == 1 {
			viewers = ""
		}
		if err := b.Tokens.Replace(token1+":inv-1", viewers); err != nil {
			t.Error(err)
		}
		for range 5 {
			<-answered
		}
		s := sample(0)
		s.Time = s.Time.Add(-time.Duration(i) * time.Second)
		b.put("inv-1", []wire.Sample{s})
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	browsers.Wait()
	// On a machine that runs nobody for so long, requests wait longer for their turn than they may.
	if _, worst := stalls(); busy.Load() > 0 && worst < 200*time.Millisecond {
		t.Errorf("%d requests were asked to come again, and nothing was late by more than %v", busy.Load(), worst)
	}
	if n := b.live.Count(); n != 0 || b.Reads.Taken()+b.Uploads.Taken() != 0 {
		t.Error(fmt.Sprint(n, " streams, and slots, are left"))
	}
}
