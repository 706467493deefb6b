package bolt

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
)

func copies(t *testing.T, b *Store, to io.Writer) error {
	t.Helper()
	return b.Copy(t.Context(), func(int64) io.Writer { return to })
}

// What a backup has is known when it was written whole, also after a restart; of one that was given up nothing is.
func TestTheLastBackupIsNoted(t *testing.T) {
	dir := t.TempDir()
	b := opened(t, dir)
	if noted := b.Backups(); noted != (store.Backups{}) {
		t.Errorf("before the first one: %+v", noted)
	}
	for i := range 700 {
		storetest.Insert(t, b, "a", 1, minute(i))
	}
	storetest.Insert(t, b, "b", 1, minute(7000))
	began := time.Now().Add(-time.Second)
	if err := copies(t, b, io.Discard); err != nil {
		t.Fatal(err)
	}
	last := b.Backups().Last
	if last == nil || *last.Devices != 2 || *last.Samples != 701 || !last.Newest.Equal(minute(7000).Time) || last.Bytes < 4096 || last.At.Before(began.Truncate(time.Second)) {
		t.Fatalf("noted %+v", last)
	}
	storetest.Insert(t, b, "b", 1, minute(7001))
	if err := copies(t, b, full{}); err == nil {
		t.Fatal("a copy to a full disk")
	}
	if got := b.Backups().Last; *got.Samples != 701 {
		t.Errorf("after one that was given up: %+v", got)
	}
	b.Close()
	b = opened(t, dir)
	if got := b.Backups().Last; got == nil || *got.Samples != 701 || !got.At.Equal(last.At) {
		t.Errorf("after a restart: %+v", got)
	}
	if info, err := os.Stat(backupsPath(b.path)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// The note is beside the store: one that is restored knows from what, and still when the last backup was taken; one that is
// restored elsewhere knows of no backup but that.
func TestARestoredStoreKnowsItsBackups(t *testing.T) {
	dir := t.TempDir()
	b := opened(t, dir)
	storetest.Insert(t, b, "a", 1, minute(0))
	backup := copied(t, b)
	storetest.Insert(t, b, "a", 1, minute(1))
	if err := copies(t, b, io.Discard); err != nil {
		t.Fatal(err)
	}
	b.Close()
	content, err := Verify(t.Context(), backup)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{dir, t.TempDir()} {
		file, err := os.ReadFile(backup)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, filepath.Base(b.path))
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 6, 21, 10, 0, 0, 5, time.UTC)
		if err := NoteRestored(path, &content, at); err != nil {
			t.Fatal(err)
		}
		noted := opened(t, to).Backups()
		if r := noted.Restored; r == nil || *r.Samples != 1 || *r.Devices != 1 || !r.Newest.Equal(minute(0).Time) || !r.At.Equal(at.Truncate(time.Second)) || r.Bytes != content.Bytes {
			t.Errorf("restored from %+v", r)
		}
		if known := noted.Last != nil; known != (to == dir) || known && *noted.Last.Samples != 2 {
			t.Errorf("in %s the last one is %+v", to, noted.Last)
		}
	}
}

// A note that was damaged is none, and the next backup makes it right.
func TestADamagedNoteIsNone(t *testing.T) {
	b := opened(t, t.TempDir())
	if err := os.WriteFile(backupsPath(b.path), []byte(`{"last":{"at":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if noted := b.Backups(); noted.Last != nil {
		t.Errorf("%+v", noted)
	}
	if err := copies(t, b, io.Discard); err != nil || b.Backups().Last == nil || backupsOf(b.path).Last == nil {
		t.Errorf("%v, %+v", err, b.Backups())
	}
}
