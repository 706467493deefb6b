package vps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"sunspool/health"
	"sunspool/internal/durable"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

const (
	defaultDir = "/data"                 // DATA_DIR of the image, and where it is not set
	packageDir = "/var/lib/sunspool/vps" // of the package's unit, which who types a command need not name
)

// BackupConfig is the command line of `sunspool vps backup`. The settings of the vps decide where its store is.
type BackupConfig struct {
	File  string `arg:"" help:"The backup, which appears when it is whole; - for standard output."`
	Force bool   `name:"force" help:"Replace a file that is there."`
	JSON  bool   `name:"json" help:"One JSON document: what the backup has."`
}

// VerifyConfig is the command line of `sunspool vps verify`.
type VerifyConfig struct {
	File string `arg:"" help:"The backup."`
	JSON bool   `name:"json" help:"One JSON document: what the backup has."`
}

// Backup copies the embedded store to a file, by the server that has it open, or from its file when none has.
func Backup(ctx context.Context, cfg Config, b BackupConfig, out io.Writer, terminal bool) (err error) {
	defer interrupted(ctx, &err)
	if cfg.DatabaseURL != "" {
		return inPostgres("pg_dump")
	}
	if b.File == "-" && b.JSON {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "--json and the backup cannot both be on standard output", Next: "name a file for the backup"}
	}
	if b.File == "-" {
		return cfg.copyStore(ctx, func(int64) io.Writer { return out })
	}
	if err := b.mayReplace(cfg.storePath()); err != nil {
		return err
	}
	var content bolt.Content
	err = replaceWhole(b.File, func(to *os.File) error {
		bar := &progress{to: to}
		if terminal && !b.JSON {
			bar.out = out
		}
		err := cfg.copyStore(ctx, func(size int64) io.Writer { bar.size = size; return bar })
		bar.end()
		if err != nil {
			return err
		}
		if content, err = bolt.Verify(ctx, to.Name()); err != nil {
			return asBackup(err, "the store", "see docs/backup.md: keep the last backup that can be verified")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return printContent(out, b.JSON, b.File, "", &content)
}

// mayReplace returns why a backup may not take the place of what has its name, or nil.
func (b *BackupConfig) mayReplace(store string) error {
	if b.File == "" {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "the name of the backup is empty", Next: "name a file"}
	}
	if target, err := os.Readlink(b.File); err == nil { // which may lead to the disk that backups are meant for
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(b.File), target)
		}
		return &health.Fault{Code: "file_exists", Exit: health.ExitUsage, What: b.File + " is a link to " + target,
			Why: "the backup would replace the link, not what it leads to", Next: "name the file itself"}
	}
	info, err := os.Stat(b.File)
	if err != nil {
		return nil // what else is wrong, the first write finds
	}
	if running, err := os.Stat(store); err == nil && os.SameFile(info, running) {
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: b.File + " is the store itself", Next: "name another file"}
	}
	switch {
	case info.IsDir():
		return &health.Fault{Code: "file_exists", Exit: health.ExitUsage, What: b.File + " is a directory",
			Next: "name a file in it, such as " + health.Quote(filepath.Join(b.File, storeFile))}
	case !info.Mode().IsRegular():
		return &health.Fault{Code: "file_exists", Exit: health.ExitUsage, What: b.File + " is no file that can be replaced", Next: "name another file, or - for standard output"}
	case !b.Force:
		return &health.Fault{Code: "file_exists", Exit: health.ExitUsage, What: b.File + " is there already", Next: "name another file, or replace this one with --force"}
	}
	return nil
}

// Verify reads a backup and prints what it has.
func Verify(ctx context.Context, v VerifyConfig, out io.Writer) (err error) {
	defer interrupted(ctx, &err)
	content, err := bolt.Verify(ctx, v.File)
	if err != nil {
		return asBackup(err, v.File, "take another backup; restore one that can be verified")
	}
	return errors.Join(printContent(out, v.JSON, v.File, "", &content), content.ErrOf(v.File))
}

// interrupted replaces an error that comes of the end of ctx.
func interrupted(ctx context.Context, err *error) {
	if *err != nil && ctx.Err() != nil {
		*err = &health.Fault{Code: "interrupted", Exit: health.ExitInterrupted, What: "it was interrupted, and nothing is changed", Next: "do it again"}
	}
}

// asBackup is what is wrong with a store's file, said of a backup.
func asBackup(err error, what, next string) error {
	fault, ok := errors.AsType[*health.Fault](err)
	if !ok {
		return err
	}
	switch fault.Code {
	case "store_damaged":
		return &health.Fault{Code: "backup_damaged", What: what + " is no whole store", Why: fault.Why, Err: err, Next: next}
	case "store_not_opened":
		return &health.Fault{Code: "backup_not_read", What: what + " cannot be read", Err: fault.Err, Next: "name a file that is there and that you may read"}
	}
	return err
}

func inPostgres(program string) error {
	return &health.Fault{Code: "store_in_postgres", Exit: health.ExitUsage, What: "the samples are in PostgreSQL", Why: "DATABASE_URL is set, and PostgreSQL has backups of its own",
		Next: "use " + program + ", see docs/backup.md"}
}

// storePath is the file of the embedded store: that of the package on a machine where DATA_DIR is left to its default, and
// that is not there.
func (c *Config) storePath() string {
	if _, err := os.Stat(c.DataDir); c.DataDir == defaultDir && errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(packageDir); err == nil {
			return filepath.Join(packageDir, storeFile)
		}
	}
	return filepath.Join(c.DataDir, storeFile)
}

// copyStore writes the store to what begin returns for its size.
func (c *Config) copyStore(ctx context.Context, begin func(size int64) io.Writer) error {
	path := c.storePath()
	dir := filepath.Dir(path)
	beside := MachineConfig{AdminSocket: c.AdminSocket}
	if c.AdminSocket == "" {
		beside.AdminSocket = filepath.Join(dir, socketFile)
	}
	err := beside.copyServed(ctx, begin)
	if fault, ok := errors.AsType[*health.Fault](err); !ok || fault.Code != "no_server" {
		return err
	}
	if _, missing := os.Stat(path); missing == nil {
		err = bolt.CopyClosed(ctx, path, begin)
		fault, ok := errors.AsType[*health.Fault](err)
		if !ok || fault.Code != "store_locked" {
			return err
		}
		fault.Next = "name the socket of that vps, ADMIN_SOCKET, or do it as its user or root"
	}
	if dir != defaultDir && dir != packageDir { // of a store that is named, no other will do
		return err
	}
	return MachineConfig{AdminSocket: packageSocket}.copyServed(ctx, begin)
}

// serverPatience is how long a server may take for the next bytes of its store.
const serverPatience = 30 * time.Second

// copyServed is copyStore by the server that answers at a socket.
func (m MachineConfig) copyServed(ctx context.Context, begin func(size int64) io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stalled := time.AfterFunc(serverPatience, cancel)
	defer stalled.Stop()
	answer, err := m.begin(ctx, http.MethodGet, wire.BackupPath, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	to := begin(answer.ContentLength)
	buffer := make([]byte, 256<<10)
	for {
		n, err := answer.Body.Read(buffer)
		stalled.Reset(serverPatience)
		if _, wrong := to.Write(buffer[:n]); wrong != nil {
			return wrong
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &health.Fault{Code: "backup_cut_off", What: "the vps ended the backup before it was whole", Err: err, Next: "see the log of the vps, and do it again"}
		}
	}
}

// replaceWhole has write make a file that then is at path, on the disk, and before that not at all.
func replaceWhole(path string, write func(*os.File) error) error {
	return notWritten(path, durable.WriteWhole(path, 0o600, write))
}

// notWritten is what the operator can do about an error of writing a file. Any other error it returns as it is.
func notWritten(path string, err error) error {
	if _, said := errors.AsType[*health.Fault](err); said || !durable.FromSystem(err) {
		return err
	}
	return &health.Fault{Code: "file_not_written", What: "cannot write " + path, Err: err, Next: "name a file in a directory that you may write, on a disk with space"}
}

const syncEvery = 16 << 20 // bytes; the disk that has to take much at once makes the server wait

// progress writes to a file, and on a terminal how far it is.
type progress struct {
	to   *os.File
	out  io.Writer // nil for no terminal
	size int64

	done, synced int64
	shown        time.Time
}

func (p *progress) Write(b []byte) (n int, err error) {
	n, err = p.to.Write(b)
	p.done += int64(n)
	if p.done-p.synced >= syncEvery && err == nil {
		p.synced, err = p.done, p.to.Sync()
	}
	if now := time.Now(); p.out != nil && now.Sub(p.shown) >= 200*time.Millisecond {
		p.shown = now
		fmt.Fprintf(p.out, "\r%s of %s", mebibytes(p.done), mebibytes(p.size))
	}
	return n, err
}

// end leaves the line empty.
func (p *progress) end() {
	if p.out != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

func mebibytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// contents are what a file has, for programs.
type contents struct {
	File        string    `json:"file"`
	Bytes       int64     `json:"bytes"`
	Devices     []holding `json:"devices"`
	Samples     int       `json:"samples"`
	Tokens      int       `json:"tokens"`
	DamagedRows int       `json:"damaged_rows"`
	Kept        string    `json:"kept,omitempty"` // the store that a restored one replaced
}

type holding struct {
	Device  string    `json:"device_id"`
	Samples int       `json:"samples"`
	First   time.Time `json:"first,omitzero"`
	Last    time.Time `json:"last,omitzero"`
	Aside   int       `json:"set_aside"`
}

// printContent prints what a file has. kept is what it replaced.
func printContent(out io.Writer, asJSON bool, path, kept string, c *bolt.Content) error {
	if asJSON {
		all := contents{File: path, Bytes: c.Bytes, Devices: []holding{}, Tokens: c.Tokens, DamagedRows: c.DamagedRows, Kept: kept}
		for _, d := range c.Devices {
			all.Samples += d.Samples
			all.Devices = append(all.Devices, holding{d.Device, d.Samples, d.First, d.Last, d.Aside})
		}
		return json.NewEncoder(out).Encode(all)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(c.Devices) > 0 {
		fmt.Fprintln(w, "DEVICE\tSAMPLES\tFROM\tTO\tSET ASIDE")
	}
	samples := 0
	for _, d := range c.Devices {
		samples += d.Samples
		from, to := "", ""
		if d.Samples > 0 {
			from, to = d.First.Format(time.RFC3339), d.Last.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\n", d.Device, d.Samples, from, to, d.Aside)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s: %s, samples: %d, devices: %d, tokens: %d\n", path, mebibytes(c.Bytes), samples, len(c.Devices), c.Tokens)
	if c.DamagedRows > 0 && err == nil {
		_, err = fmt.Fprintf(out, "%d rows are damaged, as they are in the store; the first is %s. The server skips them.\n", c.DamagedRows, c.Damaged)
	}
	return err
}
