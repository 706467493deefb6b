package bolt

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/internal/durable"
	"sunspool/vps/store"
	"sunspool/vps/store/rollup"
)

// backupsPath is the file beside that at path in which its backups are noted.
func backupsPath(path string) string { return path + ".backups" }

// Backups returns what is noted of backups of the file.
func (b *Store) Backups() store.Backups {
	if noted := b.backups.Load(); noted != nil {
		return *noted
	}
	return backupsOf(b.path)
}

// backupsOf reads the note beside the file at path. One that cannot be read is taken for none: it is made again with the next
// backup.
func backupsOf(path string) (noted store.Backups) {
	text, err := os.ReadFile(backupsPath(path))
	if err != nil || json.Unmarshal(text, &noted) != nil {
		return store.Backups{}
	}
	return noted
}

// noteBackup notes a backup. If the note cannot be kept on the disk, it is known until the store is closed.
func (b *Store) noteBackup(last store.Backup) {
	noted := b.Backups()
	noted.Last = &last
	b.backups.Store(&noted)
	_ = writeBackups(b.path, noted)
}

func writeBackups(path string, noted store.Backups) error {
	text, err := json.Marshal(noted)
	if err != nil {
		return err
	}
	return durable.Replace(backupsPath(path), text, 0o600, true)
}

// NoteRestored notes that the file at path, which no process has open, was restored from a backup. The last backup that was
// taken of the one before stays what it was.
func NoteRestored(path string, c *Content, at time.Time) error {
	restored := store.Backup{At: at.UTC().Truncate(time.Second), Bytes: c.Bytes, Devices: new(len(c.Devices)), Samples: new(int64)}
	for _, d := range c.Devices {
		*restored.Samples += int64(d.Samples)
		restored.Newest = later(restored.Newest, d.Last)
	}
	noted := backupsOf(path)
	noted.Restored = &restored
	if err := writeBackups(path, noted); err != nil {
		return err
	}
	dir, err := os.Stat(filepath.Dir(path)) // which is the service's, also when root restores
	if err != nil {
		return err
	}
	return durable.GiveTo(backupsPath(path), dir)
}

// count counts what tx sees. It reads the heads of pages, not the samples. If stop returns an error, what was counted until then
// counts for nothing.
func count(b *store.Backup, tx *bbolt.Tx, stop func() error) {
	devices, samples := 0, int64(0)
	var newest *time.Time
	err := tx.Bucket(devicesBucket).ForEachBucket(func(name []byte) error {
		if string(name) == readyBucket {
			return nil
		}
		devices++
		if of := tx.Bucket(devicesBucket).Bucket(name).Bucket(levelBuckets[rollup.SamplesLevel]); of != nil {
			samples += int64(of.Stats().KeyN)
			if k, _ := of.Cursor().Last(); len(k) == 8 {
				newest = later(newest, rollup.FromMS(ms(k)))
			}
		}
		return stop()
	})
	if err == nil {
		b.Devices, b.Samples, b.Newest = &devices, &samples, newest
	}
}

// later returns the later one of two times, nil if neither is one.
func later(a *time.Time, b time.Time) *time.Time {
	if b.IsZero() || a != nil && !b.After(*a) {
		return a
	}
	return new(b.UTC())
}
