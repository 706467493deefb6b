package demo

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/simulator"
	"sunspool/internal/testhost"
	"sunspool/internal/testservices"
	"sunspool/wire"
)

// inTurn forwards connections to the addresses in turn, to the next one where one does not answer.
func inTurn(t *testing.T, listen string, to []string) {
	t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var n atomic.Int64
	go func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			for range to {
				there, err := net.Dial("tcp", to[int(n.Add(1))%len(to)])
				if err != nil {
					continue
				}
				end := func() { here.Close(); there.Close() }
				go func() { io.Copy(there, here); end() }()
				go func() { io.Copy(here, there); end() }()
				break
			}
		}
	}()
}

// Two servers on one PostgreSQL are started on a database as it was before the samples came, and one of them is killed
// while it is filled again: the other gets the rest.
func TestFilledAgainInPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: takes half a minute")
	}
	t.Parallel() // it mostly waits
	pg := testservices.Postgres(t, testservices.NoFsync)
	const past = 2000
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: time.Now().AddDate(0, 0, -3)})
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	backends := []string{testhost.Address(t), testhost.Address(t)}
	inTurn(t, s.listen, backends)
	devices, tokens := []string{"house0", "house1"}, []string{"t0ken-0123456789abcdef-0", "t0ken-0123456789abcdef-1"}
	server := func(i int, database string) *process {
		p := s.start(fmt.Sprintf("vps%d.log", i), []string{
			"DATABASE_URL=" + database, "LISTEN_ADDR=" + backends[i], "INTERNAL_ADDR=" + testhost.Address(t), "DATA_DIR=" + t.TempDir(),
			"DEVICE_TOKENS=" + tokens[0] + ":" + devices[0] + "," + tokens[1] + ":" + devices[1],
			"TLS_CERT_FILE=" + filepath.Join(s.dir, "cert.pem"), "TLS_KEY_FILE=" + filepath.Join(s.dir, "key.pem"),
		}, "vps")
		s.await("started", func() bool { return listens(backends[i]) })
		return p
	}
	before, after := pg.NewDatabase(t), pg.NewDatabase(t)
	servers := []*process{server(0, before), server(1, before)}
	var edges []*process
	var filled [2][]wire.Sample
	for i, device := range devices {
		_, modbus := inverter(t, simulator.Options{Home: home})
		filled[i] = fillSpool(t, home, device, filepath.Join(s.dir, device, "spool.db"), past)
		edges = append(edges, s.edge(device, tokens[i], modbus))
	}
	has := func(n int) func() bool {
		return func() bool { return s.counted(devices[0], tokens[0]) >= n && s.counted(devices[1], tokens[1]) >= n }
	}
	s.await("delivered", has(past+1))
	for i, p := range servers {
		p.end(syscall.SIGKILL)
		servers[i] = nil
	}
	servers[0], servers[1] = server(0, after), server(1, after)
	s.await("begun", func() bool { return s.counted(devices[0], tokens[0]) > 300 })
	servers[0].end(syscall.SIGKILL)
	s.await("filled again", s.whole(devices, tokens, past))
	for _, p := range edges {
		if err := p.end(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	for i, device := range devices {
		made := map[int64]bool{}
		for _, sample := range append(filled[i], s.spooled(device)...) {
			made[sample.Time.UnixMilli()] = true
		}
		if n := s.counted(device, tokens[i]); n != len(made) {
			t.Errorf("%s: %d samples are stored, %d were made", device, n, len(made))
		}
		t.Logf("%s: %d samples", device, len(made))
	}
	if err := servers[1].end(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
}
