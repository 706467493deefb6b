//go:build unix

package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

// cutter is a wire between the store and the database that is cut at a chosen byte.
type cutter struct {
	to string

	mu     sync.Mutex
	refuse func(startup []byte) string                          // the fields of an error that ends the session; nil refuses none
	after  func(fromServer bool, b []byte) (pass int, cut bool) // nil lets everything pass
}

// newCutter returns a cutter and the database's URL through it.
func newCutter(t *testing.T, database string) (c *cutter, through string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c = &cutter{to: u.Host}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go c.join(client)
		}
	}()
	u.Host = l.Addr().String()
	return c, u.String()
}

func (c *cutter) join(client net.Conn) {
	server, err := net.Dial("tcp", c.to)
	if err != nil {
		client.Close()
		return
	}
	c.mu.Lock()
	refuse := c.refuse
	c.mu.Unlock()
	if refuse != nil {
		startup := make([]byte, 64<<10)
		n, _ := client.Read(startup)
		if fields := refuse(startup[:n]); fields != "" {
			client.Write(append(binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+len(fields))), fields...))
			client.Close()
			server.Close()
			return
		}
		server.Write(startup[:n])
	}
	go c.copy(server, client, false)
	c.copy(client, server, true)
}

func (c *cutter) copy(to, from net.Conn, fromServer bool) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		pass, cut := n, false
		c.mu.Lock()
		if c.after != nil {
			pass, cut = c.after(fromServer, b[:n])
		}
		c.mu.Unlock()
		if _, werr := to.Write(b[:pass]); err != nil || werr != nil || cut {
			return
		}
	}
}

func (c *cutter) set(after func(fromServer bool, b []byte) (pass int, cut bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after = after
}

// After each byte of the answer to COMMIT, the outcome is unknown to the store and must be to its caller.
func TestAnswerToCommitCutAtEveryByte(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	answerToCommitIsCut(t, testservices.Postgres(t, testservices.NoFsync))
}

func answerToCommitIsCut(t *testing.T, pg *testservices.PostgresServer) {
	cut, through := newCutter(t, pg.URL())
	p := openWithin(t, with(through, "default_query_exec_mode", "exec"), 0) // every statement is in clear text
	var sent []wire.Sample
	stored := 0 // although the store could not know
	for n, whole := 0, false; !whole; n++ {
		if n > 2000 {
			t.Fatal("the answer to COMMIT has no end")
		}
		batch := storetest.Houses(storetest.Noon, 5*time.Second, 3*n, 3)
		left, armed, done := n, false, false // bytes of the answer that pass
		var tail []byte                      // what was read may end within the word
		cut.set(func(fromServer bool, b []byte) (int, bool) {
			switch {
			case !fromServer:
				said := append(tail, b...)
				armed = armed || bytes.Contains(said, []byte("commit\x00"))
				tail = bytes.Clone(said[max(0, len(said)-len("commit")):])
			case armed && !done && len(b) > left:
				done = true // only this connection: the next one could tell, but must not be asked
				return left, true
			case armed:
				left -= len(b)
			}
			return len(b), false
		})
		inserted, err := p.Insert(t.Context(), "a", batch)
		cut.set(nil)
		switch {
		case err == nil && inserted == 3:
			whole = true
		case !errors.Is(err, store.ErrUnavailable):
			t.Fatalf("cut after %d bytes: %d inserted, %v", n, inserted, err)
		}
		again, err := p.Insert(t.Context(), "a", batch)
		if err != nil {
			t.Fatalf("after the cut after %d bytes: %v", n, err)
		}
		if again == 0 {
			stored++
		}
		sent = append(sent, batch...)
	}
	storetest.ExactlyOnce(t, p, "a", sent)
	t.Logf("%d cuts, %d of them after the commit", len(sent)/3-1, stored-1)
	if len(sent)/3 < 20 || stored < 2 {
		t.Error("too few cuts to show anything")
	}
}

func TestConnectionCutAtRandomBytes(t *testing.T) {
	t.Parallel() // it mostly waits for a server of its own
	connectionIsCut(t, testservices.Postgres(t, testservices.NoFsync))
}

func connectionIsCut(t *testing.T, pg *testservices.PostgresServer) {
	cut, through := newCutter(t, pg.URL())
	p := openWithin(t, through, 0)
	r := rand.New(rand.NewPCG(41, 42))
	var sent []wire.Sample
	refused := 0
	for i := range 150 {
		batch := storetest.Houses(storetest.Noon, 5*time.Second, 20*i, 20)
		left := r.IntN(24_000)
		cut.set(func(_ bool, b []byte) (int, bool) {
			pass := min(len(b), left)
			left -= pass
			return pass, pass < len(b)
		})
		if _, err := p.Insert(t.Context(), "a", batch); err != nil {
			refused++
		}
		cut.set(nil)
		deliver(t, p, "a", batch)
		sent = append(sent, batch...)
	}
	storetest.ExactlyOnce(t, p, "a", sent)
	if t.Logf("%d of 150 inserts were refused", refused); refused == 0 || refused == 150 {
		t.Error("the cuts show nothing")
	}
}
