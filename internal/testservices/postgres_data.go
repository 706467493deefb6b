//go:build unix

package testservices

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

const oldestPostgres = 15

// postgresBin is the folder of the newest PostgreSQL's programs, installed if there is none that is new enough.
func postgresBin(t testing.TB) string {
	t.Helper()
	return need(t, "postgresql", func() (dir string, ok bool) {
		newest := oldestPostgres - 1
		all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
		for _, path := range all {
			if v, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))); v > newest {
				newest, dir = v, filepath.Dir(path)
			}
		}
		if dir != "" {
			return dir, true
		}
		path, err := exec.LookPath("postgres")
		if err != nil {
			return "", false
		}
		out, err := exec.Command(path, "--version").Output()
		var version int
		fmt.Sscanf(string(out), "postgres (PostgreSQL) %d", &version)
		return filepath.Dir(path), err == nil && version >= oldestPostgres
	})
}

// postgresUser is whom the server runs as: it refuses root.
func postgresUser(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		skip(t, "PostgreSQL refuses to run as root, and there is no user postgres: %v", err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

var template struct {
	once sync.Once
	dir  string
	err  error
}

// dataTemplate is the data directory of an empty server, to copy: initdb takes seconds.
func dataTemplate(t testing.TB) string {
	t.Helper()
	bin, as := postgresBin(t), postgresUser(t)
	template.once.Do(func() { template.dir, template.err = initdb(bin, as) })
	if template.err != nil {
		t.Fatalf("make a PostgreSQL data directory: %v", template.err)
	}
	return template.dir
}

func initdb(bin string, as *syscall.Credential) (string, error) {
	dir, err := base()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "template")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return "", err
		}
	}
	cmd := exec.Command(filepath.Join(bin, "initdb"), "-D", dir, "-U", "sunspool", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
}
