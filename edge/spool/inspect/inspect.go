// Package inspect is for commands about spools that no edge has open: how many samples are unsent, what is in them and in their
// quarantine, and also in a damaged file that was set aside. It changes nothing but the quarantine, see Requeue and Drop.
package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"sunspool/edge/spool/files"
	"sunspool/edge/spool/format"
	"sunspool/health"
)

// Wait is how long a command waits for an edge that is about to end.
const Wait = files.LockWait

// Unsent counts what is in a spool that no edge has open.
type Unsent struct {
	Path        string `json:"path"`
	Waiting     int    `json:"waiting"`     // samples that the server does not have
	Quarantined int    `json:"quarantined"` // samples that it refused
}

func (u Unsent) String() string {
	s := fmt.Sprintf("%s: %d samples are unsent", u.Path, u.Waiting)
	if u.Quarantined > 0 {
		s += fmt.Sprintf(", %d more are in quarantine", u.Quarantined)
	}
	return s
}

// CountUnsent looks into the spool at path and changes nothing. The error is a *health.Fault.
func CountUnsent(path string) (Unsent, error) {
	u := Unsent{Path: path}
	err := readSpool(path, func(tx *bolt.Tx) error {
		for name, n := range map[string]*int{string(format.SamplesBucket): &u.Waiting, string(format.UndatedBucket): &u.Waiting, string(format.QuarantineBucket): &u.Quarantined} {
			bucket := tx.Bucket([]byte(name))
			if bucket == nil {
				return format.ErrForeign
			}
			if err := bucket.ForEach(func(_, _ []byte) error { *n++; return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return u, unreadableSpool(path, "count", err)
	}
	return u, nil
}

// Quarantine returns the samples of the spool at path that the server refused, those whose numbers are above after,
// and changes nothing. The error is a *health.Fault.
func Quarantine(path string, after uint64) (page format.QuarantinePage, err error) {
	err = readSpool(path, func(tx *bolt.Tx) error {
		if b := tx.Bucket(format.QuarantineBucket); b != nil {
			page = format.ReadQuarantine(b, after)
			return nil
		}
		return format.ErrForeign
	})
	if err != nil {
		return page, unreadableSpool(path, "quarantine", err)
	}
	return page, nil
}

// readSpool runs f on the spool at path if no edge has it open. Nothing is changed.
func readSpool(path string, f func(*bolt.Tx) error) error {
	return format.Catch(func() error {
		if _, err := os.Stat(path); err != nil {
			return err
		}
		db, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true, Timeout: files.LockWait})
		if err != nil {
			return err
		}
		defer db.Close()
		return db.View(f)
	})
}

// unreadableSpool returns the fault of a spool that a command cannot read.
func unreadableSpool(path, command string, err error) *health.Fault {
	f := &health.Fault{Code: "spool_unreadable", What: "the spool " + path + " cannot be read", Err: err,
		Next: "start the edge: it mends what can be mended"}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Code, f.Next = "no_spool", "sunspool spool "+command+" FILE   # name the file"
	case errors.Is(err, fs.ErrPermission):
		f.Next = "ask as root, or as the user of the edge"
	case errors.Is(err, bolterrors.ErrTimeout):
		f.Code, f.Exit, f.Why, f.Next = "spool_busy", health.ExitBusy, "an edge has it open", "sunspool health edge   # the edge says itself how many samples wait"
	}
	return f
}

// FilesOf returns the spool at path and those of the further inverters of DEVICE_ID, as far as there are any.
func FilesOf(path, deviceID string) []string {
	files := []string{path}
	for i, device := range strings.Split(deviceID, ",") {
		file := filepath.Join(filepath.Dir(path), strings.TrimSpace(device)+".db")
		if _, err := os.Stat(file); i > 0 && err == nil {
			files = append(files, file)
		}
	}
	return files
}

// FilesBeside returns the spool at path and all others in its directory, which is that of one edge alone.
func FilesBeside(path string) []string {
	files := []string{path}
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*.db"))
	for _, file := range found {
		if file != path {
			files = append(files, file)
		}
	}
	return files
}
