package listener

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/internal/vpstest"
)

// TestStoppingAnswersWhatIsInFlight: a batch that is being stored when the process is told to stop is answered.
func TestStoppingAnswersWhatIsInFlight(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-release
		if r.Context().Err() != nil {
			w.WriteHeader(500)
		}
		io.WriteString(w, "stored")
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, nil, h, slog.New(slog.DiscardHandler)) }()
	answers := make(chan string, 1)
	go func() {
		answer, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answers <- err.Error()
			return
		}
		body, _ := io.ReadAll(answer.Body)
		answers <- fmt.Sprint(answer.StatusCode, " ", string(body))
	}()
	<-began
	cancel()
	for { // until new callers are refused
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
	}
	select {
	case err := <-done:
		t.Fatalf("over with a request in flight: %v", err)
	default:
	}
	close(release)
	if got := <-answers; got != "200 stored" {
		t.Error(got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestARequestThatNeverEndsDoesNotKeepTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := vpstest.NewPipes()
		ctx, cancel := context.WithCancel(t.Context())
		h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		done := make(chan error, 1)
		go func() { done <- Serve(ctx, l, nil, h, slog.New(slog.DiscardHandler)) }()
		conn := l.Dial()
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		synctest.Wait()
		cancel()
		began := time.Now()
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) || time.Since(began) < drainTime || time.Since(began) > drainTime+time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}
