package transport

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"sunspool/internal/fallbackroots"
)

const rootsAgain = time.Minute // between two times that roots are read because a certificate was not accepted

// roots are the certificate authorities that are trusted: those of a file, or those of the system. The system's are
// read here, because crypto/x509 reads them once per process; where they are not files, on Windows and macOS, the system
// verifies by itself. Where the system has none, those in the program are used.
type roots struct {
	file string // "" for the system's
	pin  []byte // the beginning of the fingerprint of the one authority that is trusted, see pin.go; nil for those of file

	mu      sync.Mutex
	pool    *x509.CertPool // nil: crypto/x509 uses its own
	stamps  []stamp        // of what pool was read from
	forceAt time.Time
	seen    string // fingerprint of the authority of pin, once a server has shown it
	trouble string // why the newest state of the file is not used
}

// stamp identifies a state of a file.
type stamp struct {
	path string
	at   time.Time
	size int64
}

// systemFiles and systemDirs are where Unix systems have their roots, as crypto/x509 has them: the first file that there
// is, and all of the directories.
var (
	systemFiles = []string{
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/cacert.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/ssl/cert.pem",
	}
	systemDirs = []string{"/etc/ssl/certs", "/etc/pki/tls/certs"}
)

// load reads the roots for the first time.
func (r *roots) load() error {
	pool, stamps, err := r.read()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pool, r.stamps = pool, stamps
	return nil
}

// get returns the roots for a verification.
func (r *roots) get() *x509.CertPool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pool
}

// problem returns why the newest state of the file is not used, "" if it is.
func (r *roots) problem() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble
}

// changed reports whether one of the files has changed since it was read.
func (r *roots) changed() bool {
	stamps := r.stampsNow()
	r.mu.Lock()
	defer r.mu.Unlock()
	return !slices.Equal(stamps, r.stamps)
}

// forced reports whether the roots are to be read whatever their files look like, which is true once a minute.
func (r *roots) forced() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := now(); r.forceAt.IsZero() || at.Sub(r.forceAt) >= rootsAgain {
		r.forceAt = at
		return true
	}
	return false
}

// reload reads the roots again and reports whether they have changed. If they cannot be read, the previous ones stay in
// use.
func (r *roots) reload() bool {
	pool, stamps, err := r.read()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stamps, r.trouble = stamps, ""
	if err != nil {
		r.trouble = err.Error()
		return false
	}
	same := (pool == nil) == (r.pool == nil) && (pool == nil || pool.Equal(r.pool))
	r.pool = pool
	return !same
}

// stampsNow returns the stamps of all files and directories that the roots are read from.
func (r *roots) stampsNow() (stamps []stamp) {
	files, dirs := r.places()
	for _, path := range slices.Concat(files, dirs) {
		if info, err := os.Stat(path); err == nil {
			stamps = append(stamps, stamp{path, info.ModTime(), info.Size()})
		}
	}
	return stamps
}

// places returns the files, of which the first one that there is counts, and the directories that roots are read from.
func (r *roots) places() (files, dirs []string) {
	if r.pin != nil {
		return nil, nil
	}
	if r.file != "" {
		return []string{r.file}, nil
	}
	if !rootsAreFiles || strings.Contains(os.Getenv("GODEBUG"), "x509usefallbackroots=1") {
		return nil, nil
	}
	files, dirs = systemFiles, systemDirs
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		files = []string{file}
	}
	if list := os.Getenv("SSL_CERT_DIR"); list != "" {
		dirs = strings.Split(list, ":")
	}
	return files, dirs
}

var rootsAreFiles = !slices.Contains([]string{"windows", "darwin", "ios"}, runtime.GOOS)

// read reads the roots from their files. The stamps are older than what is read: a change while it is read is noticed.
func (r *roots) read() (*x509.CertPool, []stamp, error) {
	stamps := r.stampsNow()
	if r.pin != nil {
		return r.pinned(), stamps, nil
	}
	pool := x509.NewCertPool()
	if r.file != "" {
		pem, err := os.ReadFile(r.file)
		if err != nil {
			return nil, stamps, fmt.Errorf("VPS_CA_FILE: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, stamps, fmt.Errorf("VPS_CA_FILE: %s holds no PEM certificate", r.file)
		}
		return pool, stamps, nil
	}
	files, dirs := r.places()
	found := false
	for _, file := range files {
		if pem, err := os.ReadFile(file); err == nil {
			found = pool.AppendCertsFromPEM(pem)
			break
		}
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			if pem, err := os.ReadFile(filepath.Join(dir, entry.Name())); err == nil && pool.AppendCertsFromPEM(pem) {
				found = true
			}
		}
	}
	switch {
	case found:
		return pool, stamps, nil
	case len(stamps) > 0 && r.get() != nil:
		return nil, stamps, errors.New("the certificate authorities of this host are being replaced, or gone")
	}
	fallbackroots.Use()
	return nil, stamps, nil // those of the program
}
