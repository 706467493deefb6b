package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"sunspool/health"
)

const (
	sampleBytes = 2100      // of a sample with all its registers in the spool
	leastFree   = 8 << 20   // bytes of a disk that is not full
	leastDays   = 2         // for which a spool should have room
	muchWritten = 5 << 30   // bytes a day, which a memory card does not bear for years; the edge itself writes 400 MB
	fewFiles    = 1.0 / 100 // of those that a filesystem may hold
)

// place is a directory in which a service keeps what must not be lost.
type place struct {
	of, dir string
	edge    *edge // whose spool is there, nil for a vps
}

// places are the directories of the services, each once.
func (e *examination) places() (all []place) {
	for _, s := range e.services {
		switch {
		case s.denied:
		case s.role == roleVPS && s.vps.DatabaseURL == "" && s.vps.DataDir != "":
			all = append(all, place{"the vps", s.vps.DataDir, nil})
		case s.role == roleEdge && len(s.edges) > 0:
			all = append(all, place{"the spool", filepath.Dir(s.edges[0].SpoolPath), s.edges[0]})
		}
	}
	return all
}

// disk looks at the disks of the spools and of the store.
func (e *examination) disk(ctx context.Context) (all []Check) {
	for _, p := range e.places() {
		all = append(all, e.diskOf(p)...)
		if p.edge == nil || !p.edge.runs {
			continue
		}
		if link := linkOf(p.edge, "spool"); link.State == health.Broken && areaOf(link.Code) == areaDisk {
			all = append(all, e.broken(areaDisk, p.edge, link))
		}
		all = append(all, reported(areaDisk, p.edge)...)
	}
	for _, s := range e.services {
		if s.denied {
			all = append(all, denied(areaDisk, "where the "+s.role+" keeps its samples is for root alone"))
		}
	}
	return all
}

func (e *examination) diskOf(p place) (all []Check) {
	d, err := e.Disk(p.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Check{skip(areaDisk, p.dir+" is not there yet: the service makes it when it starts", "")}
	case errors.Is(err, fs.ErrPermission):
		return []Check{denied(areaDisk, "only root may look into "+p.dir)}
	case err != nil:
		return []Check{fail(areaDisk, diskError(p, err))}
	}
	if err := e.tryWrite(p, d); err != nil {
		return []Check{*err}
	}
	what := fmt.Sprintf("%s: %s can be written, %s free of %s", p.of, p.dir, size(d.Free), size(d.Size))
	if p.edge != nil {
		days := roomDays(p.edge, d)
		what += fmt.Sprintf(", room for %.0f days of samples", days)
		if days < leastDays {
			all = append(all, warn(areaDisk, &health.Fault{Code: "disk_little_room", What: fmt.Sprintf("%s: %s has room for %.1f days of samples", p.of, p.dir, days), Next: "sudo journalctl --vacuum-size=100M   # makes some room; what else fills the disk: sudo du -xhd2 " + health.Quote(d.Mount)}))
		}
	}
	if d.Files > 0 && float64(d.Left) < fewFiles*float64(d.Files) {
		all = append(all, warn(areaDisk, &health.Fault{Code: "disk_few_files", What: fmt.Sprintf("the disk of %s can hold %d more files", p.dir, d.Left), Next: "sudo du --inodes -xd2 " + health.Quote(d.Mount) + "   # which folder has so many?"}))
	}
	if d.Memory {
		all = append(all, warn(areaDisk, &health.Fault{Code: "disk_is_memory", What: p.of + ": " + p.dir + " is in memory: a power cut loses what is in it", Next: "sudo df -h " + health.Quote(p.dir)}))
	}
	all = append([]Check{pass(areaDisk, "%s", what)}, all...)
	return append(all, wear(p)...)
}

// tryWrite writes to a disk as a service does, and returns what is wrong.
func (e *examination) tryWrite(p place, d Disk) *Check {
	err := e.Write(p.dir)
	var c Check
	switch {
	case d.ReadOnly, errors.Is(err, syscall.EROFS):
		c = fail(areaDisk, &health.Fault{Code: "disk_readonly", What: p.of + ": the disk of " + p.dir + " is read-only", Why: "it was mounted so, or the kernel made it so after an error",
			Next: "sudo mount -o remount,rw " + health.Quote(d.Mount) + "   # if it comes back: sudo dmesg, and think of a new card"})
	case d.Files > 0 && d.Left == 0:
		c = fail(areaDisk, &health.Fault{Code: "disk_no_files", What: p.of + ": the disk of " + p.dir + " can hold no more files, whatever room it has", Why: "all its inodes are used",
			Next: "sudo du --inodes -xd2 " + health.Quote(d.Mount) + "   # which folder has so many?"})
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), err == nil && d.Free < leastFree:
		c = fail(areaDisk, &health.Fault{Code: "disk_full", What: fmt.Sprintf("%s: the disk of %s is full: %s free of %s", p.of, p.dir, size(d.Free), size(d.Size)), Next: "sudo journalctl --vacuum-size=100M   # makes some room; what else fills the disk: sudo du -xhd2 " + health.Quote(d.Mount)})
	case errors.Is(err, fs.ErrPermission):
		c = denied(areaDisk, "only root may write to "+p.dir)
	case err != nil:
		c = fail(areaDisk, diskError(p, err))
	default:
		return nil
	}
	return &c
}

func diskError(p place, err error) *health.Fault {
	return &health.Fault{Code: "disk_error", What: p.of + ": the disk of " + p.dir + " fails", Err: err, Next: "sudo dmesg   # what does the disk report? If it fails: replace it"}
}

// roomDays is for how many days samples fit: into what the spool may use, and into what the disk has.
func roomDays(one *edge, d Disk) float64 {
	room := float64(one.SpoolLimit())
	if used, ok := one.health.Counts["spool_used_bytes"]; one.runs && ok {
		room -= float64(used)
	}
	room = min(room, float64(d.Free)+float64(one.health.SpoolBytes))
	perDay := float64(24*time.Hour) / (one.PollS * float64(time.Second)) * sampleBytes
	return max(room, 0) / perDay
}

// wear says how much the edge writes.
func wear(p place) []Check {
	if p.edge == nil || !p.edge.runs || p.edge.health.WrittenDay == 0 {
		return nil
	}
	written := p.edge.health.WrittenDay
	if written > muchWritten {
		return []Check{warn(areaDisk, &health.Fault{Code: "disk_wear", What: fmt.Sprintf("the edge writes %s a day, which wears a memory card out", size(uint64(written))),
			Next: "set SPOOL_COMMIT_INTERVAL_S=60: a power cut then loses up to a minute"})}
	}
	return []Check{pass(areaDisk, "the edge writes %s a day", size(uint64(written)))}
}

func size(bytes uint64) string {
	switch {
	case bytes >= 10<<30:
		return fmt.Sprintf("%d GiB", bytes>>30)
	case bytes >= 10<<20:
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}
