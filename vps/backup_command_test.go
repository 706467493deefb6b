//go:build unix

package vps

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sunspool/health"
	"sunspool/internal/durable"
	"sunspool/vps/api"
	"sunspool/vps/store/bolt"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

const backupToken = "t1-0123456789abcdef"

// uploaded sends samples of inv-1, those from the from-th minute of a day to the to-th.
func uploaded(t *testing.T, r running, from, to int) {
	t.Helper()
	for ; from < to; from += 500 {
		var samples []map[string]any
		for i := from; i < min(from+500, to); i++ {
			samples = append(samples, with(fields(0), "ts", time.Date(2026, 6, 1, 0, i, 0, 0, time.UTC).Format(time.RFC3339)))
		}
		answer, err := http.DefaultClient.Do(postTo(r.public, backupToken, bodyOf(samples...)))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", answer.StatusCode, text)
		}
	}
}

// verified returns how many samples a backup has, and that it has one device at most.
func verified(t *testing.T, path string) int {
	t.Helper()
	c, err := bolt.Verify(t.Context(), path)
	if err != nil || c.DamagedRows > 0 || len(c.Devices) > 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	if len(c.Devices) == 0 {
		return 0
	}
	return c.Devices[0].Samples
}

func inDir(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func backedUp(t *testing.T, cfg Config, b BackupConfig) string {
	t.Helper()
	var out bytes.Buffer
	if err := Backup(t.Context(), cfg, b, &out, false); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A backup is taken while edges send, then the server is stopped, the backup restored, and everything sent again: what was
// produced is stored, once.
func TestBackupRestoreAndSendAgain(t *testing.T) {
	cfg := Config{DataDir: t.TempDir(), DeviceTokens: backupToken + ":inv-1"}
	r := start(t, cfg)
	uploaded(t, r, 0, 600)
	var sent atomic.Int64
	sent.Store(600)
	stop, writer := make(chan struct{}), sync.WaitGroup{}
	writer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				uploaded(t, r, int(sent.Load()), int(sent.Load())+1)
				sent.Add(1)
			}
		}
	})
	file := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(file+".new", []byte("half"), 0o644); err != nil { // of a command that was killed
		t.Fatal(err)
	}
	for range 3 {
		before := int(sent.Load())
		said := backedUp(t, cfg, BackupConfig{File: file, Force: true})
		n := verified(t, file)
		if n < before || n > int(sent.Load())+1 {
			t.Errorf("%d samples, there were %d to %d", n, before, sent.Load())
		}
		if want := fmt.Sprintf("samples: %d, devices: 1, tokens: 0\n", n); !strings.HasSuffix(said, want) || !strings.Contains(said, "2026-06-01T00:00:00Z") {
			t.Errorf("%s, want %s", said, want)
		}
	}
	close(stop)
	writer.Wait()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if got := inDir(t, filepath.Dir(file)); len(got) != 1 {
		t.Errorf("beside the backup are %v", got)
	}
	if err := CreateToken(t.Context(), MachineConfig{DataDir: cfg.DataDir}, TokenCreateConfig{Role: "admin", Name: "Boss"}, nil, io.Discard, false); err != nil {
		t.Fatal(err)
	}
	var piped bytes.Buffer
	if err := Backup(t.Context(), cfg, BackupConfig{File: "-"}, &piped, false); err != nil {
		t.Fatal(err)
	}
	if err := Restore(t.Context(), cfg, RestoreConfig{File: file, Force: true}, io.Discard); faultCode(err) != "store_locked" {
		t.Errorf("restored beside a vps: %v", err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}

	if err := Restore(t.Context(), cfg, RestoreConfig{File: file}, io.Discard); faultCode(err) != "store_has_newer" {
		t.Errorf("restored an older backup: %v", err)
	}
	var out bytes.Buffer
	if err := Restore(t.Context(), cfg, RestoreConfig{File: file, Force: true}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "What was there is now "+filepath.Join(cfg.DataDir, "vps.db.before-restore-2")) || strings.Contains(out.String(), "token list") {
		t.Errorf("said %s", &out)
	}
	if got := inDir(t, cfg.DataDir); len(got) != 3 { // with the note
		t.Errorf("DATA_DIR has %v", got)
	}
	restored, err := bolt.Open(filepath.Join(cfg.DataDir, storeFile))
	if err != nil {
		t.Fatal(err)
	}
	noted := restored.Backups()
	restored.Close()
	if noted.Restored == nil || int(*noted.Restored.Samples) != verified(t, file) || noted.Last == nil || *noted.Last.Samples < *noted.Restored.Samples {
		t.Errorf("noted %+v, %+v", noted.Last, noted.Restored)
	}
	r = start(t, cfg)
	uploaded(t, r, 0, int(sent.Load()))
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	said := backedUp(t, cfg, BackupConfig{File: file, Force: true}) // of no server
	if n := verified(t, file); n != int(sent.Load()) {
		t.Errorf("%d samples are stored, %d were sent: %s", n, sent.Load(), said)
	}

	elsewhere := Config{DataDir: filepath.Join(t.TempDir(), "new")}
	with := filepath.Join(t.TempDir(), "piped.db")
	if err := os.WriteFile(with, piped.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := Restore(t.Context(), elsewhere, RestoreConfig{File: with}, &out); err != nil || !strings.Contains(out.String(), "`sunspool token list`") {
		t.Errorf("%v, %s", err, &out)
	}
	owner := os.Geteuid()
	if owner == 0 { // who restores for the user of a service
		owner = 65534
		if err := os.Chown(elsewhere.DataDir, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	if err := Restore(t.Context(), elsewhere, RestoreConfig{File: with}, &out); err != nil {
		t.Errorf("the same again: %v", err)
	}
	info, err := os.Stat(filepath.Join(elsewhere.DataDir, storeFile))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := durable.OwnerOf(info); got != owner || info.Mode().Perm() != 0o600 {
		t.Errorf("it belongs to %d, mode %v", got, info.Mode())
	}
}

func TestBackupIsRefused(t *testing.T) {
	dir := t.TempDir()
	stored := filepath.Join(dir, "vps.db")
	file := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Config{DataDir: dir}
	take := func(cfg Config, b BackupConfig) error { return Backup(t.Context(), cfg, b, io.Discard, false) }
	for want, err := range map[string]error{
		"no_server":         take(cfg, BackupConfig{File: filepath.Join(dir, "x")}),
		"file_exists":       take(cfg, BackupConfig{File: file}),
		"store_in_postgres": take(Config{DatabaseURL: "postgres://nobody"}, BackupConfig{File: file}),
		"backup_not_read":   Verify(t.Context(), VerifyConfig{File: filepath.Join(dir, "x")}, io.Discard),
		"backup_damaged":    Restore(t.Context(), cfg, RestoreConfig{File: file, Force: true}, io.Discard),
	} {
		if fault, ok := errors.AsType[*health.Fault](err); !ok || fault.Code != want || fault.Next == "" {
			t.Errorf("%s: %+v", want, err)
		}
	}
	if err := Restore(t.Context(), Config{DatabaseURL: "postgres://nobody"}, RestoreConfig{File: file}, io.Discard); faultCode(err) != "store_in_postgres" {
		t.Error(err)
	}
	s, err := bolt.Open(stored)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := take(cfg, BackupConfig{File: stored, Force: true}); faultCode(err) != "usage" {
		t.Errorf("the store in its own place: %v", err)
	}
	inUse := t.TempDir()
	open, err := bolt.Open(filepath.Join(inUse, "vps.db")) // by a server without a socket
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := take(Config{DataDir: inUse}, BackupConfig{File: filepath.Join(t.TempDir(), "x")}); faultCode(err) != "store_locked" {
		t.Errorf("of a store that is in use: %v", err)
	}
	if err := take(cfg, BackupConfig{File: filepath.Join(file, "x")}); faultCode(err) != "file_not_written" {
		t.Errorf("below a file: %v", err)
	}
	if text, err := os.ReadFile(file); string(text) != "mine" {
		t.Errorf("%s, %v", text, err)
	}
	if got := inDir(t, dir); len(got) != 1 {
		t.Errorf("DATA_DIR has %v", got)
	}
	server := &api.Server{}
	if got := do(server.Machine(), "GET", wire.BackupPath, "", nil); got.Code != http.StatusConflict || !strings.Contains(got.Body.String(), "no_store_file") {
		t.Errorf("of a server on PostgreSQL: %d %s", got.Code, got.Body)
	}
}

// halfway is a server that begins a backup and dies, or never goes on.
func halfway(t *testing.T, dir string, begun func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(dir, socketFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.ReadAtLeast(c, make([]byte, 1000), 10)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 5000))
			begun(c)
			c.Close()
		}
	}()
}

func TestBackupThatIsCutOffLeavesNothing(t *testing.T) {
	dir, into := t.TempDir(), t.TempDir()
	file := filepath.Join(into, "backup.db")
	if err := os.WriteFile(file, []byte("the last one"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	halfway(t, dir, func(net.Conn) {})
	if err := Backup(ctx, Config{DataDir: dir}, BackupConfig{File: file, Force: true}, io.Discard, false); faultCode(err) != "backup_cut_off" {
		t.Errorf("of a server that was killed: %v", err)
	}
	other := t.TempDir()
	halfway(t, other, func(net.Conn) { cancel(); <-ctx.Done() })
	if err := Backup(ctx, Config{DataDir: other}, BackupConfig{File: file, Force: true}, io.Discard, false); faultCode(err) != "interrupted" {
		t.Errorf("interrupted: %v", err)
	}
	if text, err := os.ReadFile(file); string(text) != "the last one" || len(inDir(t, into)) != 1 {
		t.Errorf("%s, %v, %v", text, err, inDir(t, into))
	}
}

func TestBackupOnAFullDiskLeavesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT SHOWN: a full disk, which only root can make")
	}
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("NOT SHOWN: a full disk: no tmpfs here: %v", err)
	}
	defer syscall.Unmount(small, 0)
	cfg := Config{DataDir: t.TempDir(), DeviceTokens: backupToken + ":inv-1"}
	r := start(t, cfg)
	uploaded(t, r, 0, 1000)
	err := Backup(t.Context(), cfg, BackupConfig{File: filepath.Join(small, "backup.db")}, io.Discard, false)
	if fault, ok := errors.AsType[*health.Fault](err); !ok || fault.Code != "file_not_written" || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
	if got := inDir(t, small); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
	uploaded(t, r, 1000, 1100)
	backedUp(t, cfg, BackupConfig{File: filepath.Join(t.TempDir(), "backup.db")})
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	full := Config{DataDir: filepath.Join(small, "data")}
	file := filepath.Join(t.TempDir(), "backup.db")
	backedUp(t, cfg, BackupConfig{File: file})
	if err := Restore(t.Context(), full, RestoreConfig{File: file}, io.Discard); faultCode(err) != "file_not_written" {
		t.Errorf("restored on a full disk: %v", err)
	}
	if got := inDir(t, full.DataDir); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
}

// leaving is a reader of a backup that takes nothing of it.
type leaving struct{ why error }

func (l leaving) Write([]byte) (int, error) { return 0, l.why }

// A second backup at the same time would make the store keep twice as much; a reader that is gone ends its own.
func TestOneBackupAtATime(t *testing.T) {
	cfg := Config{DataDir: t.TempDir(), DeviceTokens: backupToken + ":inv-1"}
	r := start(t, cfg)
	uploaded(t, r, 0, 5000)
	at := MachineConfig{DataDir: cfg.DataDir}
	began, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	gone := errors.New("the reader is gone")
	go func() {
		first <- at.copyServed(t.Context(), func(int64) io.Writer { close(began); <-release; return leaving{gone} })
	}()
	<-began
	if err := Backup(t.Context(), cfg, BackupConfig{File: filepath.Join(t.TempDir(), "second")}, io.Discard, false); faultCode(err) != "vps_refused" || !strings.Contains(err.Error(), "Another backup") {
		t.Errorf("a second one: %v", err)
	}
	close(release)
	if err := <-first; !errors.Is(err, gone) {
		t.Errorf("the first, whose reader left: %v", err)
	}
	for { // the server notices the end of the first soon
		err := Backup(t.Context(), cfg, BackupConfig{File: filepath.Join(t.TempDir(), "third")}, io.Discard, false)
		if err == nil {
			break
		}
		if faultCode(err) != "vps_refused" {
			t.Fatal(err)
		}
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// What cannot be replaced by a backup is left as it is, and the next step that is named can be done: --force is named only where it
// helps. A link may lead to the disk that backups are meant for: a backup in its place would not be there.
func TestABackupReplacesFilesAlone(t *testing.T) {
	dir := t.TempDir()
	s := openedStore(t, Config{DataDir: dir})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	place := t.TempDir()
	at := func(name string) string { return filepath.Join(place, name) }
	if err := errors.Join(os.WriteFile(at("old.db"), []byte("old"), 0o600), os.Symlink("old.db", at("link.db")), os.Symlink(at("away/new.db"), at("dangling.db")), os.Mkdir(at("folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ what, next string }{
		at("link.db"):     {"is a link to " + at("old.db"), "name the file itself"},
		at("dangling.db"): {"is a link to " + at("away/new.db"), "name the file itself"},
		at("folder"):      {"is a directory", "name a file in it, such as " + at("folder/vps.db")},
		"/dev/null":       {"is no file that can be replaced", "- for standard output"},
		"":                {"is empty", "name a file"},
	} {
		for _, force := range []bool{false, true} {
			err := Backup(t.Context(), Config{DataDir: dir}, BackupConfig{File: name, Force: force}, io.Discard, false)
			f, ok := errors.AsType[*health.Fault](err)
			if !ok || f.Exit != health.ExitUsage || !strings.Contains(f.What, c.what) || !strings.Contains(f.Next, c.next) || strings.Contains(f.Next, "--force") {
				t.Errorf("%q, %v: %+v", name, force, err)
			}
		}
	}
	if text, err := os.ReadFile(at("old.db")); err != nil || string(text) != "old" {
		t.Errorf("%q, %v", text, err)
	}
	if names, err := filepath.Glob(at("*")); err != nil || len(names) != 4 {
		t.Errorf("%v, %v", names, err)
	}
}

// A backup with a damaged row may be the only one: the command names how it is restored all the same, and that works.
func TestABackupWithADamagedRowCanBeRestored(t *testing.T) {
	dir := t.TempDir()
	s := openedStore(t, Config{DataDir: dir})
	marked := storetest.At(copyStart.Add(time.Hour), 7)
	marked.Values = map[string]float64{"a register to be found": 1}
	storetest.Fill(t, s, "a", append(storetest.Houses(copyStart, time.Minute, 0, 50), marked))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup.db")
	text, err := os.ReadFile(filepath.Join(dir, storeFile))
	if err != nil || !bytes.Contains(text, []byte("a register to be found")) {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("a register"), []byte("b register"))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	into := Config{DataDir: t.TempDir()}
	err = Restore(t.Context(), into, RestoreConfig{File: file}, io.Discard)
	f, ok := errors.AsType[*health.Fault](err)
	if !ok || f.Code != "store_rows_damaged" || !strings.Contains(f.Next, "with --force") {
		t.Fatalf("%#v", err)
	}
	if err := Restore(t.Context(), into, RestoreConfig{File: file, Force: true}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if c, err := bolt.Verify(t.Context(), filepath.Join(into.DataDir, storeFile)); err != nil || c.Devices[0].Samples != 50 {
		t.Errorf("%+v, %v", c, err)
	}
}
