package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	bolterrors "go.etcd.io/bbolt/errors"

	"sunspool/edge/spool/files"
	"sunspool/edge/spool/format"
	"sunspool/health"
	"sunspool/internal/durable"
)

// spoolFault returns the fault of a spool that cannot be opened, with what an operator can do.
func spoolFault(path string, err error) error {
	f := &health.Fault{Code: "spool_unusable", What: "cannot open the spool " + path, Why: err.Error(), Err: err}
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		f.Code, f.Exit = "spool_locked", health.ExitBusy
		f.Why = "another process has it open" + files.Holder(path)
		f.Next = "stop the other edge, or give this one its own SPOOL_PATH"
	case errors.Is(err, format.ErrNewer):
		f.Code, f.Exit = "spool_newer", health.ExitConfig
		f.Next = "install the version that wrote it, or a later one; nothing was changed"
	case errors.Is(err, format.ErrForeign):
		f.Code, f.Exit = "spool_foreign", health.ExitConfig
		f.Next = "give the spool a SPOOL_PATH of its own; nothing was changed"
	case errors.Is(err, durable.ErrNotOurs):
		f.Code, f.Exit = "spool_not_ours", health.ExitConfig
		f.Next = "look who put it there, and remove it if it is not wanted; nothing was changed"
	case errors.Is(err, os.ErrPermission):
		f.Exit, f.Why = health.ExitConfig, f.Why+belongs(path)
		f.Next = "give the user of this service write access to " + filepath.Dir(path)
	default:
		f.Next = "check the disk and the file; nothing was changed"
	}
	return f
}

// belongs returns the owner of the file at path, or of the directory that it must be made in, if that is another user than
// the one of this process.
func belongs(path string) string {
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil && path != filepath.Dir(path) {
			continue
		}
		if err != nil {
			return ""
		}
		if owner, ok := durable.OwnerOf(info); ok && owner != os.Geteuid() {
			return fmt.Sprintf("; %s belongs to user %d, this is user %d", path, owner, os.Geteuid())
		}
		if info.IsDir() {
			return ""
		}
	}
}

// isErrno looks for errno in err. bbolt returns the errors of growing a file as text only, so the text is
// searched, too.
func isErrno(err error, errno syscall.Errno) bool {
	return err != nil && (errors.Is(err, errno) || strings.Contains(err.Error(), errno.Error()))
}

// ReadFault returns the fault of a spool that cannot be read for an upload.
func ReadFault(err error) *health.Fault {
	return &health.Fault{Code: "spool_error", What: "what waits for the upload cannot be read", Why: err.Error(), Err: err,
		Next: "check the disk: the spool is opened again by itself"}
}

// unopened returns the fault of a spool that is not open: samples are in memory only.
func unopened(e *closedError) *health.Fault {
	f := spoolFault(e.path, e.err).(*health.Fault)
	f.What, f.Exit = fmt.Sprintf("new samples are in memory only: the spool %s cannot be opened", e.path), 0
	if f.Code == "spool_unusable" && !errors.Is(e.err, os.ErrPermission) {
		f.Next = "check the disk: the spool is opened by itself when that is possible"
	}
	return f
}

// WriteFault returns why samples do not reach the disk, with what an operator can do.
func WriteFault(err error) *health.Fault {
	f := &health.Fault{Code: "spool_error", What: "new samples are in memory only: the spool cannot be written", Why: err.Error(), Err: err,
		Next: "check the disk: it is tried again every 10 s"}
	if closed, ok := errors.AsType[*closedError](err); ok {
		f = unopened(closed)
	}
	switch {
	case errors.Is(err, ErrFull):
		f.Code, f.Next = "spool_full", "nothing, if the server comes back: the spool drains by itself; else raise SPOOL_MAX_MB"
	case isErrno(err, syscall.ENOSPC), isErrno(err, syscall.EDQUOT):
		f.Code, f.Next = "disk_full", "free space on the disk of SPOOL_PATH"
		if of, ok := errors.AsType[*Error](err); ok && files.DamagedBytes(of.path) > 0 {
			f.Next += fmt.Sprintf("; damaged spools, %s.damaged-*, take %d MiB of it", of.path, files.DamagedBytes(of.path)>>20)
		}
	case isErrno(err, syscall.EROFS):
		f.Code, f.Next = "disk_readonly", "remount the disk of SPOOL_PATH; if the kernel made it read-only, check it, and think of a new card"
	case isErrno(err, syscall.EIO), isErrno(err, syscall.EBADMSG), strings.Contains(err.Error(), "structure needs cleaning"): // EUCLEAN, where there is one
		f.Code, f.Next = "disk_error", "the disk fails: replace it"
	}
	return f
}
