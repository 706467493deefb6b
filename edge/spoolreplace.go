package edge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"sunspool/internal/durable"
)

// replace sets the damaged file aside and puts a new spool in its place. The new one is whole and on the disk under a
// name of its own before the damaged one is touched, so a power cut leaves one or the other.
func (s *Spool) replace(file *os.File, d *damaged, m mark, found *Opening) error {
	defer func() {
		durable.Unlock(file)
		file.Close()
	}()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	fresh := s.path + ".new"
	text, _, _ := strings.Cut(d.Error(), "\n") // without the stack of a panic
	lost, kind := new(salvageResult), "damaged"
	try := func() error {
		return caught(func() error { return salvage(s.watched(file), info.Size(), d.look, m, fresh, mostCopies, lost) })
	}
	if err = try(); isErrno(err, syscall.ENOSPC) && makeRoom(s.path) {
		*lost = salvageResult{}
		err = try()
	}
	if err != nil && (durable.FromSystem(err) || durable.NothingWritten(err)) { // the disk: nothing is lost as long as nothing is changed
		os.Remove(fresh)
		return fmt.Errorf("salvage %s: %w", s.path, err)
	} else if err != nil {
		kind = "unmerged" // it alone has what it had
		*lost = salvageResult{}
		text += "; nothing could be salvaged: " + err.Error()
		if err := emptySpool(fresh, m.Reserved); err != nil {
			return err
		}
	}
	if err := durable.GiveTo(fresh, info); err != nil {
		return err
	}
	aside, err := nextName(s.path, kind)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Rename(fresh, salvagedPath(s.path)), durable.SyncDir(filepath.Dir(s.path))); err != nil {
		return err
	}
	if err := os.Rename(s.path, aside); err != nil {
		return err
	}
	if err := adoptSalvaged(s.path); err != nil {
		return err
	}
	file.Truncate(info.Size()) // gives back what was allocated beyond its end
	found.At, found.Damage, found.Aside = now(), text, aside
	found.Salvaged += lost.Salvaged
	found.Unreadable += lost.Unreadable
	return nil
}
