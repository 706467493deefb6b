package demo

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sunspool/edge/report"
	"sunspool/edge/simulator"
	"sunspool/internal/testservices"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

// mount mounts a small disk at dir: a tmpfs, or an ext4 in a file of its own.
func mount(t *testing.T, kind, dir string, mib int) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED, NOTHING IS SHOWN: only root can mount a disk for this test")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	source := []string{"-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mib), "tmpfs"}
	if kind == "ext4" {
		image := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(image, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(image, int64(mib)<<20); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-m", "0", image).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED, NOTHING IS SHOWN: %v: %s", err, out)
		}
		source = []string{"-o", "loop", image}
	}
	if out, err := exec.Command("mount", append(source, dir)...).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: cannot mount: %s", out)
	}
	t.Cleanup(func() { exec.Command("umount", "--lazy", dir).Run() })
}

func remount(t *testing.T, dir, how string) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "remount,"+how, dir).CombinedOutput(); err != nil {
		t.Fatalf("remount %s: %v: %s", how, err, out)
	}
}

// manager is the socket of a service manager. ready is closed when the service is.
func manager(t *testing.T) (path string, ready <-chan struct{}) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	told := make(chan struct{})
	go func() {
		for b, done := make([]byte, 4096), false; ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			if !done && strings.Contains(string(b[:n]), "READY=1") {
				done = true
				close(told)
			}
		}
	}()
	return path, told
}

// The program starts on a disk that takes no spool, is killed, starts again, and when the disk is well all that it read
// since is on the server, once. It polls all the time, and never too often.
func TestProgramStartsOnADiskThatIsIll(t *testing.T) {
	t.Parallel() // it mostly waits
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: time.Now().AddDate(0, 0, -2)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind, code string
		harm       func(t *testing.T, dir string) (mend func())
	}{
		"tmpfs read-only": {"tmpfs", "disk_readonly", func(t *testing.T, dir string) func() {
			remount(t, dir, "ro")
			return func() { remount(t, dir, "rw") }
		}},
		"ext4 read-only": {"ext4", "disk_readonly", func(t *testing.T, dir string) func() {
			remount(t, dir, "ro")
			return func() { remount(t, dir, "rw") }
		}},
		"ext4 full": {"ext4", "disk_full", func(t *testing.T, dir string) func() {
			filler := filepath.Join(dir, "filler")
			exec.Command("dd", "if=/dev/zero", "of="+filler, "bs=64k").Run()
			exec.Command("dd", "if=/dev/zero", "of="+filler, "bs=1", "oflag=append", "conv=notrunc").Run()
			return func() { os.Remove(filler) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			dir := filepath.Join(s.dir, "roof")
			mount(t, c.kind, dir, 64)
			mend := c.harm(t, dir)
			s.serve("t0ken-0123456789abcdef:roof")
			stalls := testservices.Stalls(t)
			sim, address := inverter(t, simulator.Options{Home: home})
			socket, ready := manager(t)
			start := func() *process {
				return s.edge("roof", "t0ken-0123456789abcdef", address, "HEALTH_PATH="+s.healthPath("roof"), "NOTIFY_SOCKET="+socket)
			}
			ill := func(h report.Health) bool { return h.Reason == c.code && h.RAMOnly >= 2 }

			p := start()
			<-ready
			s.until("ill with samples in memory", "roof", ill)
			p.end(syscall.SIGKILL)
			os.Remove(s.healthPath("roof"))
			p = start()
			h := s.until("ill with samples in memory again", "roof", ill)
			if len(h.Lost) > 0 {
				t.Errorf("samples are lost: %v", h.Lost)
			}
			mend()
			s.until("well", "roof", func(h report.Health) bool {
				return h.Status == report.StateOK && h.RAMOnly == 0 && h.SpoolCount <= 1 && h.LastUpload != nil
			})
			if err := p.end(syscall.SIGTERM); err != nil {
				t.Errorf("told to stop it says %v", err)
			}
			if err := s.vps.end(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
			a := sim.Audit()
			if _, worst := stalls(); !polite(a, worst) {
				t.Errorf("the dongle was treated badly: %+v, while this machine was late by at most %v", a, worst)
			}
			made := s.spooled("roof")
			if len(made) < h.RAMOnly {
				t.Errorf("%d samples were in memory, %d reached the spool", h.RAMOnly, len(made))
			}
			stored, conflicts := s.stored(t, "roof", made)
			if stored != len(made) || conflicts > 0 {
				t.Errorf("%d samples durable, %d stored, %d otherwise", len(made), stored, conflicts)
			}
			t.Logf("%d polls in two processes, the second one had %d samples, %d are stored", a.Polls, len(made), stored)
		})
	}
}

// stored counts what the server has of a device; it fails for what of made it does not have.
func (s *site) stored(t *testing.T, device string, made []wire.Sample) (rows int, conflicts uint64) {
	t.Helper()
	disk, err := bolt.Open(filepath.Join(s.dir, "vps.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	periods, err := disk.Periods(t.Context(), store.Query{Device: device, Resolution: store.Quarter})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range periods {
		rows += int(p.Count)
	}
	if missing, err := disk.Insert(t.Context(), device, made); err != nil || missing > 0 {
		t.Errorf("%d samples are not on the server, %v", missing, err)
	}
	return rows, disk.Conflicts()
}

// A token and an authority that come after the start are used without a restart, and nothing that was read before is
// missing.
func TestProgramWaitsForFilesThatComeLater(t *testing.T) {
	t.Parallel() // it mostly waits
	home, err := simulator.NewHome(simulator.HomeOptions{Model: "SH10RT", Seed: 1, Since: time.Now().AddDate(0, 0, -2)})
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.serve("t0ken-0123456789abcdef:roof")
	_, address := inverter(t, simulator.Options{Home: home})
	later := filepath.Join(t.TempDir(), "mounted", "later")
	socket, ready := manager(t)
	p := s.edge("roof", "", address, "HEALTH_PATH="+s.healthPath("roof"), "NOTIFY_SOCKET="+socket,
		"VPS_DEVICE_TOKEN_FILE="+filepath.Join(later, "token"), "VPS_CA_FILE="+filepath.Join(later, "ca.pem"))
	<-ready
	waits := func(file string) {
		h := s.until("waiting for "+file, "roof", func(h report.Health) bool {
			return h.Reason == "file_awaited" && strings.Contains(h.Sentence, filepath.Join(later, file)) && h.SpoolCount > 0
		})
		if h.Status != report.StateDegraded {
			t.Errorf("it is %s: %s", h.Status, h.Sentence)
		}
	}
	put := func(name string, b []byte) {
		if err := os.MkdirAll(later, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(later, "part"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(later, "part"), filepath.Join(later, name)); err != nil {
			t.Fatal(err)
		}
	}
	waits("ca.pem")
	pem, err := os.ReadFile(s.secret.caFile)
	if err != nil {
		t.Fatal(err)
	}
	put("ca.pem", pem)
	waits("token")
	put("token", []byte("t0ken-0123456789abcdef\n"))
	s.until("well", "roof", func(h report.Health) bool {
		return h.Status == report.StateOK && h.SpoolCount <= 1 && h.LastUpload != nil
	})
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Errorf("told to stop it says %v", err)
	}
	if err := s.vps.end(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	made := s.spooled("roof")
	if rows, conflicts := s.stored(t, "roof", made); rows != len(made) || conflicts > 0 || rows < 2 {
		t.Errorf("%d samples durable, %d stored, %d otherwise", len(made), rows, conflicts)
	}
}
