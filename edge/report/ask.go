package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const askTimeout = 3 * time.Second

// packagedHealthFiles are those of the packaged units, also of further edges.
const packagedHealthFiles = "/run/sunspool/edge*/*health.json"

// HealthFiles returns the health files of the edges of this machine: those of the settings, else those of the packaged units,
// else the one beside the spool.
func HealthFiles(set, spool string) []string {
	if set != "" {
		return withOthers(set)
	}
	if files, _ := filepath.Glob(packagedHealthFiles); len(files) > 0 {
		return files
	}
	return withOthers(FindHealth("", spool))
}

// withOthers adds those of other inverters that the same process reads.
func withOthers(file string) []string {
	files := []string{file}
	if h, err := loadHealth(file); err == nil {
		for _, name := range h.Others {
			files = append(files, filepath.Join(filepath.Dir(file), filepath.Base(name)))
		}
	}
	return files
}

// Look returns how the edge with that health file is at the time now: by its status socket, which has its last sample, too,
// or by the file, which everybody may read. It is an error when it is not known: then the edge does not run, or hangs.
func Look(ctx context.Context, file string, now time.Time) (Health, error) {
	h, err := askStatus(ctx, socketOfHealth(file))
	if err == nil {
		return h, nil
	}
	if errors.Is(err, syscall.ECONNREFUSED) { // a socket that nobody listens at: it was killed
		h, _ := loadHealth(file)
		return h, fmt.Errorf("the edge does not run: nothing answers at %s", socketOfHealth(file))
	}
	return freshHealth(file, 0, now)
}

// Runs reports whether there is a sign of an edge with that health file.
func Runs(file string) bool {
	return slices.ContainsFunc([]string{file, socketOfHealth(file)}, func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	})
}

func socketOfHealth(file string) string {
	dir, name := filepath.Split(file)
	return dir + strings.TrimSuffix(name, "health.json") + "edge.sock"
}

func askStatus(ctx context.Context, socket string) (h Health, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://edge/status", nil)
	if err != nil {
		return h, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return h, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&h); err != nil || h.Status == "" {
		return h, fmt.Errorf("%s gives no status", socket)
	}
	return h, nil
}
