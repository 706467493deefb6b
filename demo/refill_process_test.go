package demo

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/simulator"
	"sunspool/edge/spool"
	"sunspool/internal/testprogram"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

// command runs the program to its end, with the settings of the vps.
func (s *site) command(args ...string) {
	s.t.Helper()
	cmd := exec.Command(testprogram.Path(s.t), args...)
	cmd.Env = []string{"DATA_DIR=" + s.dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// counted is how many samples of a device the vps has.
func (s *site) counted(device, token string) (n int) {
	var series wire.Series
	resp, err := s.get("/v1/series?frame=all&partial=1&device_id="+device, token)
	if err != nil || resp.StatusCode != 200 || json.NewDecoder(resp.Body).Decode(&series) != nil {
		return 0
	}
	for _, b := range series.Buckets {
		n += b.SampleCount
	}
	return n
}

// whole returns a function that reports whether the vps has what the edges made beside past samples each.
func (s *site) whole(devices, tokens []string, past int) func() bool {
	return func() bool {
		for i, device := range devices {
			if s.counted(device, tokens[i]) != past+len(s.spooled(device)) {
				return false
			}
		}
		return true
	}
}

// await waits until ok.
func (s *site) await(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "house0.log"))
			s.t.Fatalf("not %s; the log of an edge ends with\n%s", what, log[max(0, len(log)-3000):])
		}
	}
}

// fillSpool fills a spool with the last n samples up to a day ago, in one commit.
func fillSpool(t *testing.T, home *simulator.Home, device, path string, n int) (all []wire.Sample) {
	t.Helper()
	kept, err := spool.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	var group []spool.Pending
	end := time.Now().UTC().Truncate(time.Second).AddDate(0, 0, -1)
	for plant := range home.History(end.Add(-time.Duration(n)*5*time.Second), end, 5*time.Second) {
		group = append(group, spool.Pending{Sample: plant.Sample(device), When: spool.When{Quality: spool.Synced}})
	}
	if err := kept.AppendAll(group); err != nil {
		t.Fatal(err)
	}
	for _, p := range group {
		all = append(all, p.Sample)
	}
	return all
}

// The real programs: a backup, a day of samples more, kill -9 of the server, the restore of that backup. Then an edge and the
// server are killed again, in the middle. At the end the server has what was made, each sample once, and no one has helped.
func TestKilledAndRestoredServerHasWhatWasMade(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: takes half a minute")
	}
	t.Parallel()                // it mostly waits
	const edges, past = 3, 5000 // it takes 10 s or more to fill them again, so that a slow look sees it begun
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: time.Now().AddDate(0, 0, -3)})
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	var tokens, devices, token, address []string
	var procs [edges]*process
	var filled [edges][]wire.Sample
	for i := range edges {
		devices, token = append(devices, fmt.Sprint("house", i)), append(token, fmt.Sprint("t0ken-0123456789abcdef-", i))
		tokens = append(tokens, token[i]+":"+devices[i])
		_, modbus := inverter(t, simulator.Options{Home: home})
		address = append(address, modbus)
		filled[i] = fillSpool(t, home, devices[i], filepath.Join(s.dir, devices[i], "spool.db"), past)
	}
	s.serve(strings.Join(tokens, ","))
	backup := filepath.Join(t.TempDir(), "backup.db")
	s.command("vps", "backup", backup)
	run := func(i int) { procs[i] = s.edge(devices[i], token[i], address[i]) }
	has := func(n int) func() bool {
		return func() bool {
			for i := range edges {
				if s.counted(devices[i], token[i]) < n {
					return false
				}
			}
			return true
		}
	}
	for i := range edges {
		run(i)
	}
	s.await("delivered", has(past+1))
	s.vps.end(syscall.SIGKILL)
	time.Sleep(6 * time.Second) // a few samples while it is away
	s.command("vps", "restore", "--force", backup)
	s.serve(strings.Join(tokens, ","))

	s.await("begun", func() bool { n := s.counted(devices[0], token[0]); return n > 300 && n < past })
	procs[0].end(syscall.SIGKILL)
	run(0)
	s.vps.end(syscall.SIGKILL)
	s.serve(strings.Join(tokens, ","))
	s.await("filled again", s.whole(devices, token, past))
	time.Sleep(6 * time.Second) // nothing more may come but what is new
	for i := range edges {
		if err := procs[i].end(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	if err := s.vps.end(syscall.SIGTERM); err != nil {
		t.Error(err)
	}

	disk, err := bolt.Open(filepath.Join(s.dir, "vps.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	for i, device := range devices {
		made := append(filled[i], s.spooled(device)...)
		if err := stored(t.Context(), disk, device, made); err != nil {
			t.Errorf("%s: %v", device, err)
		}
		t.Logf("%s: %d samples", device, len(made))
	}
}
