package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"sunspool/edge/spool"
	"sunspool/health"
)

// quarantined is a spool with n samples in quarantine, among ten that wait.
func quarantined(t *testing.T, path string, n int) *spool.Spool {
	t.Helper()
	s := openSpool(t, path)
	fill(t, s, n+10)
	var refused []spool.Rejection
	for i := range n {
		detail := fmt.Sprintf("sample %d is refused", i)
		if i == 1 {
			detail = "\x1b[2J\u202e\u0085 \x00\xff" + strings.Repeat("ä\n", 500)
		}
		refused = append(refused, spool.Rejection{Seq: uint64(i + 1), Code: "value_error", Detail: detail, First: noon.Add(time.Hour), Last: noon.Add(2 * time.Hour)})
	}
	if err := s.Settle(nil, refused); err != nil {
		t.Fatal(err)
	}
	return s
}

// listed returns what is listed, in its order.
func listed(t *testing.T, path string, sockets ...string) (all []spool.QuarantinedSample, err error) {
	t.Helper()
	err = EachQuarantined(t.Context(), path, sockets, func(samples []spool.QuarantinedSample) error {
		if len(samples) > 200 {
			t.Errorf("%d samples at once", len(samples))
		}
		all = append(all, samples...)
		return nil
	})
	return all, err
}

// listedWhole fails unless all is the quarantine of n samples that quarantined made.
func listedWhole(t *testing.T, all []spool.QuarantinedSample, n int, path string) {
	t.Helper()
	if len(all) != n || !slices.IsSortedFunc(all, func(a, b spool.QuarantinedSample) int { return int(a.Number) - int(b.Number) }) {
		t.Fatalf("%d samples are listed, want %d, in order", len(all), n)
	}
	for i, q := range all {
		if q.Spool != path || q.Number != uint64(i+1) || q.Time == nil || q.Device == "" || q.Code != "value_error" || !q.First.Equal(noon.Add(time.Hour)) || !q.Last.Equal(noon.Add(2*time.Hour)) {
			t.Fatalf("sample %d is listed as %+v", i, q)
		}
		if i != 1 && q.Detail != fmt.Sprintf("sample %d is refused", i) {
			t.Errorf("the detail of %d is %q", i, q.Detail)
		}
	}
	if d := all[1].Detail; len(d) > 200 || !strings.HasPrefix(d, `\x1b[2J\u202e`) || strings.ContainsFunc(d, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("what a server sent is not printable, or not short: %q", d)
	}
}

func TestQuarantineOfAStoppedEdgeIsListed(t *testing.T) {
	for _, n := range []int{2, 199, 200, 201, 607} {
		path := filepath.Join(t.TempDir(), "spool.db")
		quarantined(t, path, n).Close()
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all, err := listed(t, path)
		if err != nil {
			t.Fatal(err)
		}
		listedWhole(t, all, n, path)
		if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
			t.Errorf("listing changed the file, %v", err)
		}
	}
}

// sockets are short: their names may have some hundred characters.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "q")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// answering is an edge with that spool that answers on a socket.
func answeringStatus(t *testing.T, s *spool.Spool, socket string) {
	t.Helper()
	r, p, _, _ := testReport(t)
	p.Spool.Close()
	p.Spool = s
	server, err := r.Serve(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Shutdown(context.WithoutCancel(t.Context())) })
}

func TestQuarantineOfARunningEdgeIsListed(t *testing.T) {
	const n = 207
	dir := socketDir(t)
	path, socket, other := filepath.Join(dir, "spool.db"), filepath.Join(dir, "a.sock"), filepath.Join(dir, "b.sock")
	s := quarantined(t, path, n)
	answeringStatus(t, s, socket)
	answeringStatus(t, quarantined(t, filepath.Join(dir, "other.db"), 3), other)
	if err := os.WriteFile(filepath.Join(dir, "dead.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := commitsOf(t, s)
	all, err := listed(t, path, filepath.Join(dir, "dead.sock"), filepath.Join(dir, "none.sock"), other, socket)
	if err != nil {
		t.Fatal(err)
	}
	listedWhole(t, all, n, path)
	if commitsOf(t, s) != first {
		t.Error("listing wrote to the spool")
	}
	if _, err := listed(t, path, other); listFault(err) != "spool_busy" {
		t.Errorf("only another edge answers: %v", err)
	}
	for query, want := range map[string]int{"after=x": 400, "after=-1": 400, "after=99999999999999999999": 400, "": 200} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://edge"+quarantinePath+"?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		w := &statusOnly{header: http.Header{}, status: 200}
		(&Report{parts: func() Parts { return Parts{Spool: s} }}).serveQuarantine(w, request)
		if w.status != want {
			t.Errorf("%q: status %d, want %d", query, w.status, want)
		}
	}
	s.Close()
	if _, err := askQuarantine(t.Context(), socket, 0); listFault(err) != "edge_silent" {
		t.Errorf("a spool that is closed: %v", err)
	}
}

type statusOnly struct {
	header http.Header
	status int
}

func (w *statusOnly) Header() http.Header         { return w.header }
func (w *statusOnly) WriteHeader(status int)      { w.status = status }
func (w *statusOnly) Write(b []byte) (int, error) { return len(b), nil }

func TestQuarantineThatCannotBeListed(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	busy := filepath.Join(dir, "busy.db")
	quarantined(t, busy, 3)
	for path, code := range map[string]string{garbage: "spool_unreadable", filepath.Join(dir, "none.db"): "no_spool", busy: "spool_busy"} {
		_, err := listed(t, path)
		if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != code || f.Next == "" {
			t.Errorf("%s: %v, want %s", path, err, code)
		}
	}
}

func TestStatusSocketsOfASpool(t *testing.T) {
	for _, c := range []struct {
		path, set string
		want      []string
	}{
		{"/data/spool.db", "", []string{"/data/edge.sock", "/run/sunspool/data/edge.sock"}},
		{"/var/lib/sunspool/edge/spool.db", "", []string{"/var/lib/sunspool/edge/edge.sock", "/run/sunspool/edge/edge.sock"}},
		{"/var/lib/sunspool/edge-barn/spool.db", "", []string{"/var/lib/sunspool/edge-barn/edge.sock", "/run/sunspool/edge-barn/edge.sock"}},
		{"/var/lib/sunspool/edge/garage.db", "", []string{"/var/lib/sunspool/edge/garage.edge.sock", "/run/sunspool/edge/garage.edge.sock"}},
		{"/data/garage.db", "/s/x.sock", []string{"/s/garage.edge.sock", "/s/x.sock", "/data/garage.edge.sock", "/run/sunspool/data/garage.edge.sock"}},
	} {
		if got := StatusSockets(c.path, c.set); !slices.Equal(got, c.want) {
			t.Errorf("%s, %q: %v", c.path, c.set, got)
		}
	}
}

// listFault is the code of what cannot be listed.
func listFault(err error) string {
	if f := asFault(err); f != nil {
		return f.Code
	}
	return ""
}

// Only root and the user of the edge change what is in its spool.
func TestOthersChangeNothing(t *testing.T) {
	s := quarantined(t, filepath.Join(t.TempDir(), "spool.db"), 3)
	mux := http.NewServeMux()
	r := &Report{parts: func() Parts { return Parts{Spool: s} }, Log: slog.New(slog.DiscardHandler)}
	r.serveSpool(mux)
	for path, method := range map[string]string{requeuePath: http.MethodPost, dropPath: http.MethodPost, verifyPath: http.MethodGet} {
		for own, want := range map[bool]int{false: http.StatusForbidden, true: http.StatusOK} {
			ctx := context.WithValue(t.Context(), ownerKey{}, own)
			req, err := http.NewRequestWithContext(ctx, method, "http://edge"+path, strings.NewReader(`{"numbers":[99]}`))
			if err != nil {
				t.Fatal(err)
			}
			w := &statusOnly{header: http.Header{}, status: 200}
			mux.ServeHTTP(w, req)
			if w.status != want {
				t.Errorf("%s, own %v: status %d", path, own, w.status)
			}
		}
	}
	if s.InQuarantine() != 3 || s.Waiting() != 10 {
		t.Errorf("%d in quarantine, %d wait", s.InQuarantine(), s.Waiting())
	}
}
