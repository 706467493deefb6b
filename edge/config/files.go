package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sunspool/settings"
)

// besideSpool are the files that the edge keeps under the name of the spool and one of these endings: a spool that is
// made, salvaged or compacted, its watermark, its lock, its reserve, the time of the last poll and what is known of the
// nights. Each may have a .new while it is replaced.
var besideSpool = regexp.MustCompile(`^\.(new|exists|lock|salvaged|ballast|compact|last-poll|night|(damaged|unmerged)-[0-9]+)(\.new)?$`)

const longestSocket = 107 // bytes of the path of a unix socket

// settingFile is a file that a setting names, and whether the edge writes it.
type settingFile struct {
	setting, path string
	written       bool
	device        string // of a further inverter, whose path is made of its name
}

// name returns the setting, for messages.
func (f settingFile) name() string {
	if f.device == "" {
		return f.setting
	}
	return f.setting + " of " + f.device
}

// checkFiles returns what is wrong with the files of the settings: those that are directories, and those that would be
// written over a file that another setting needs.
func checkFiles(each []Config) (wrong []error) {
	var files []settingFile
	for i, c := range each {
		files = append(files, settingFile{"SPOOL_PATH", c.SpoolPath, true, ""}, settingFile{"HEALTH_PATH", c.HealthPath, true, ""}, settingFile{"STATUS_SOCKET", c.Socket, true, ""})
		if i == 0 {
			files = append(files, settingFile{"VPS_DEVICE_TOKEN_FILE", c.TokenFile, false, ""}, settingFile{"VPS_CA_FILE", c.CAFile, false, ""}, settingFile{"REGISTER_MAP", c.RegisterMap, false, ""})
			continue
		}
		for j := len(files) - 3; j < len(files); j++ {
			files[j].device = c.DeviceID
		}
	}
	for i, f := range files {
		if f.path == "" {
			continue
		}
		if f.setting == "STATUS_SOCKET" && each[0].Socket == each[0].Beside("edge.sock") {
			// it is a default: where it cannot be made, the edge works without it
		} else if err := f.check(); err != nil {
			wrong = append(wrong, err)
			continue
		}
		for _, other := range files[:i] {
			if other.path != "" && f.collidesWith(other) {
				wrong = append(wrong, fmt.Errorf("%s is %q, which is %s: write another path", f.name(), f.path,
					cmp.Or(other.roleOf(f.path), "replaced by way of the file of "+other.name())))
				break
			}
		}
	}
	return wrong
}

// check returns what is wrong with the file by itself.
func (f settingFile) check() error {
	if err := settings.CheckText(f.name(), f.path, false); err != nil {
		return err
	}
	if last := f.path[len(f.path)-1]; os.IsPathSeparator(last) || filepath.Base(f.path) == "." || filepath.Base(f.path) == ".." {
		return fmt.Errorf("%s is %q: must be a file, not a directory", f.name(), f.path)
	}
	if f.setting == "STATUS_SOCKET" && len(f.path) > longestSocket {
		return fmt.Errorf("%s has %d bytes: the path of a socket has at most %d", f.name(), len(f.path), longestSocket)
	}
	info, err := os.Stat(f.path)
	switch {
	case err != nil && misplaced(err):
		return fmt.Errorf("%s: %w", f.name(), err) // a file stands where a directory must
	case err != nil:
		return nil // it will be made, or its reader reports the error: the disk may be failing
	case info.IsDir():
		return fmt.Errorf("%s is %q: must be a file, and this is a directory", f.name(), f.path)
	case f.setting == "STATUS_SOCKET" && info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s is %q: there is a file of that name, which is not a socket", f.name(), f.path)
	case f.written && f.setting != "STATUS_SOCKET" && !info.Mode().IsRegular():
		return fmt.Errorf("%s is %q: must be a file, and this is something else", f.name(), f.path)
	}
	return nil
}

// collidesWith reports whether one of the two files is written where the other is.
func (f settingFile) collidesWith(other settingFile) bool {
	return (f.written || other.written) && (other.roleOf(f.path) != "" || f.roleOf(other.path) != "")
}

// roleOf returns what path is to the setting: its file, or one that is made beside it. It is "" for all others.
func (f settingFile) roleOf(path string) string {
	mine, theirs := realPath(f.path), realPath(path)
	if mine == theirs || sameFile(mine, theirs) {
		return "the file of " + f.name()
	}
	ending, beside := strings.CutPrefix(theirs, mine)
	switch {
	case !beside || !f.written:
		return ""
	case f.setting == "SPOOL_PATH" && besideSpool.MatchString(ending), f.setting == "HEALTH_PATH" && ending == ".new":
		return "a file that belongs to " + f.name()
	}
	return ""
}

func sameFile(a, b string) bool {
	one, err1 := os.Stat(a)
	two, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(one, two)
}

// realPath returns where path leads: absolute, and without links as far as it exists.
func realPath(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return filepath.Clean(path)
	}
	for range 40 { // links to links; a loop of links ends, too
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return real
		}
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	dir := filepath.Dir(path)
	if dir == path {
		return path
	}
	return filepath.Join(realPath(dir), filepath.Base(path))
}
