package vps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sunspool/health"
	"sunspool/internal/durable"
	"sunspool/vps/store/bolt"
)

// RestoreConfig is the command line of `sunspool vps restore`. The settings of the vps decide where its store is.
type RestoreConfig struct {
	File  string `arg:"" help:"The backup."`
	Force bool   `name:"force" help:"Also in the place of a store with newer samples, and a backup with damaged rows, which the server skips."`
	JSON  bool   `name:"json" help:"One JSON document: what the store has now."`
}

// Restore puts a backup in the place of the embedded store, while no server runs. What was there is kept beside.
func Restore(ctx context.Context, cfg Config, r RestoreConfig, out io.Writer) (err error) {
	defer interrupted(ctx, &err)
	if cfg.DatabaseURL != "" {
		return inPostgres("pg_restore")
	}
	backup, err := bolt.Verify(ctx, r.File)
	if err == nil && !r.Force {
		err = backup.ErrOf(r.File)
		if fault, ok := errors.AsType[*health.Fault](err); ok {
			fault.Next = "restore another backup, or this one with --force: a server skips such rows, and edges send again what they still keep"
		}
	}
	if err != nil {
		return asBackup(err, r.File, "restore another backup: `sunspool vps verify` says which are whole")
	}
	path := cfg.storePath()
	release, err := r.replaceable(ctx, path, &backup)
	if err != nil {
		return err
	}
	defer release()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return notWritten(path, err)
	}
	kept := ""
	err = replaceWhole(path, func(to *os.File) error {
		if err := copyFile(ctx, r.File, to); err != nil {
			return err
		}
		if like, err := os.Stat(filepath.Dir(path)); err == nil { // which is the service's, also when root restores
			if err := durable.GiveTo(to.Name(), like); err != nil {
				return err
			}
		}
		kept, err = keep(path)
		return err
	})
	if err != nil {
		return err
	}
	said := out
	if r.JSON {
		said = os.Stderr
	}
	if err := bolt.NoteRestored(path, &backup, time.Now()); err != nil {
		fmt.Fprintf(said, "The store is restored, but that could not be noted beside it: %v\n", err)
	}
	err = printContent(out, r.JSON, path, kept, &backup)
	if r.JSON {
		return err
	}
	if kept != "" {
		fmt.Fprintln(out, "What was there is now", kept)
	}
	if backup.Tokens > 0 {
		fmt.Fprintln(out, "The tokens are those of the backup: one that was revoked since is valid again. When the vps runs, see `sunspool token list`.")
	}
	return err
}

// replaceable returns what to call when the store at path has been replaced: until then no server opens it.
func (r *RestoreConfig) replaceable(ctx context.Context, path string, backup *bolt.Content) (release func(), err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	if of, err := os.Stat(r.File); err == nil && os.SameFile(info, of) {
		return nil, &health.Fault{Code: "usage", Exit: health.ExitUsage, What: r.File + " is the store itself", Next: "name a backup"}
	}
	there, err := bolt.Verify(ctx, path)
	fault, ok := errors.AsType[*health.Fault](err)
	switch {
	case ok && fault.Code == "store_locked":
		fault.Next = "stop the vps first: `sudo systemctl stop sunspool-vps`"
		return nil, fault
	case ok && fault.Code == "store_not_opened":
		return nil, fault
	case err != nil && !ok: // what is damaged is what a backup is for
		return nil, err
	case err == nil && !r.Force:
		if device := newer(&there, backup); device != "" {
			return nil, &health.Fault{Code: "store_has_newer", Exit: health.ExitUsage, What: path + " has newer samples than the backup", Why: "of device " + device,
				Next: "do it with --force, which keeps that store beside the restored one; edges send again what they delivered in the last days, see KEEP_DELIVERED_DAYS"}
		}
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, notWritten(path, err)
	}
	if free, err := durable.Lock(file); !free {
		return nil, errors.Join(fmt.Errorf("another process has opened %s", path), err, file.Close())
	}
	return func() { file.Close() }, nil
}

// newer returns a device of which one store has newer samples than the other, "" if there is none.
func newer(there, backup *bolt.Content) string {
	last := map[string]time.Time{}
	for _, d := range backup.Devices {
		last[d.Device] = d.Last
	}
	for _, d := range there.Devices {
		if d.Last.After(last[d.Device]) {
			return d.Device
		}
	}
	return ""
}

// keep gives the file at path, if there is one, a second name, which it keeps when it is replaced.
func keep(path string) (name string, err error) {
	name = path + ".before-restore-" + time.Now().UTC().Format("20060102T150405Z")
	switch err := os.Link(path, name); {
	case err == nil:
		return name, nil
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case errors.Is(err, fs.ErrExist):
		return "", err
	}
	return name, os.Rename(path, name) // no hard links on this file system
}

// copyFile copies what is at path into a new file.
func copyFile(ctx context.Context, path string, to *os.File) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	stop := context.AfterFunc(ctx, func() { from.Close() })
	defer stop()
	if _, err := io.Copy(to, from); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	return nil
}
