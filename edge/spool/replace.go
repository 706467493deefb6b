package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"sunspool/edge/spool/files"
	"sunspool/edge/spool/format"
	"sunspool/edge/spool/salvage"
	"sunspool/internal/durable"
)

// salvage renames the damaged file and puts a new spool in its place. The new one is whole and on the disk under a
// name of its own before the damaged one is touched, so a power cut leaves one or the other.
func (s *Spool) salvage(file *os.File, d *salvage.Damaged, m format.Watermark, found *Opening) error {
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
	lost, result := Opening{Damage: text}, new(salvage.Result)
	kind := "damaged"
	try := func() error {
		return format.Catch(func() error {
			return salvage.Into(salvage.Watched(file, s.Busy), info.Size(), d.Scan, m, fresh, salvage.MostCopies, result)
		})
	}
	if err = try(); isErrno(err, syscall.ENOSPC) && files.MakeRoom(s.path) {
		*result = salvage.Result{}
		err = try()
	}
	if err != nil && (durable.FromSystem(err) || durable.NothingWritten(err)) { // the disk failed: nothing is lost as long as nothing is changed
		os.Remove(fresh)
		return fmt.Errorf("salvage %s: %w", s.path, err)
	} else if err != nil {
		kind = "unmerged" // no other file has its samples
		lost, *result = Opening{Damage: text + "; nothing could be salvaged: " + err.Error()}, salvage.Result{}
		if err := format.WriteEmpty(fresh, m.Reserved); err != nil {
			return err
		}
	}
	if err := durable.GiveTo(fresh, info); err != nil {
		return err
	}
	if lost.Aside, err = files.NextName(s.path, kind); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(fresh, files.SalvagedPath(s.path)), durable.SyncDir(filepath.Dir(s.path))); err != nil {
		return err
	}
	if err := os.Rename(s.path, lost.Aside); err != nil {
		return err
	}
	if err := files.AdoptSalvaged(s.path); err != nil {
		return err
	}
	file.Truncate(info.Size()) // releases what was allocated beyond its end
	found.At, found.Damage, found.Aside = now(), lost.Damage, lost.Aside
	found.Salvaged += result.Salvaged
	found.Unreadable += result.Unreadable
	return nil
}
