package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/listener"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

// While a backup lasts the store uses no page again. A reader that takes nothing for backupStall is cut off, and the next backup
// may begin; one that takes little at a time, but takes it, gets all of it, however long that lasts.
func TestABackupThatStandsIsGivenUp(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, _ *pipes, _ func() error) {
		b.File = b.bolt
		random := rand.New(rand.NewPCG(1, 2))
		for _, id := range []string{"inv-1", "inv-2"} {
			b.put(id, storetest.Random(random, testNow.AddDate(0, 0, -1), 20*time.Hour, 900))
		}
		l := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- listener.Serve(ctx, l, nil, b.Machine(), b.Log) }()
		defer func() { cancel(); <-done }()
		begin := func() (answer *http.Response, took *bufio.Reader) {
			t.Helper()
			conn := l.Dial()
			t.Cleanup(func() { conn.Close() })
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", wire.BackupPath)
			reader := bufio.NewReaderSize(conn, 16)
			answer, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			return answer, reader
		}

		began := time.Now()
		slow, _ := begin()
		piece := max(slow.ContentLength/20, 1)
		for left := slow.ContentLength; left > 0; time.Sleep(backupStall / 2) {
			n, err := io.CopyN(io.Discard, slow.Body, min(piece, left))
			if left -= n; err != nil {
				t.Fatalf("a slow reader got all but %d bytes: %v", left, err)
			}
		}
		if took := time.Since(began); slow.StatusCode != 200 || took < 5*backupStall {
			t.Errorf("%d, and the slow reader took only %v", slow.StatusCode, took)
		}

		stands, _ := begin()
		if _, err := io.CopyN(io.Discard, stands.Body, 100); err != nil {
			t.Fatal(err)
		}
		time.Sleep(backupStall - time.Second)
		synctest.Wait()
		if strings.Contains(b.log.String(), "backup given up") {
			t.Error("it is given up before its time")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !strings.Contains(b.log.String(), "backup given up") {
			t.Errorf("it stands still:\n%s", b.log)
		}
		if n, err := io.Copy(io.Discard, stands.Body); err == nil {
			t.Errorf("its reader got %d bytes, and takes them for all", n)
		}
		whole, _ := begin()
		if n, err := io.Copy(io.Discard, whole.Body); whole.StatusCode != 200 || err != nil || n != whole.ContentLength {
			t.Errorf("the next one: %d, %d of %d bytes, %v", whole.StatusCode, n, whole.ContentLength, err)
		}
		synctest.Wait()
	})
}
