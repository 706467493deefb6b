package doctor

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/vps"
)

const journalLines = "300" // of each unit

// document is one file of a bundle.
type document struct{ name, about, text string }

// bundle writes a new file with what a person needs who helps, and returns the names of what is in it.
func (e *examination) bundle(ctx context.Context, path string, r Result) (names []string, err error) {
	m := e.newMasker()
	all := e.documents(ctx, r)
	var contents strings.Builder
	fmt.Fprintf(&contents, "Written by sunspool doctor --bundle, %s. Secrets and serial numbers are masked; names, addresses and measured values are not.\n\n", r.Time.Format(time.RFC3339))
	for _, d := range all {
		fmt.Fprintf(&contents, "%-32s %s\n", d.name, d.about)
	}
	all = append([]document{{"contents.txt", "", contents.String()}}, all...)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, notWritten(path, err)
	}
	packed := gzip.NewWriter(f)
	archive := tar.NewWriter(packed)
	for _, d := range all {
		text := m.mask(d.text)
		head := &tar.Header{Name: "sunspool-doctor/" + m.mask(d.name), Mode: 0o600, Size: int64(len(text)), ModTime: r.Time, Typeflag: tar.TypeReg}
		err = errors.Join(err, archive.WriteHeader(head))
		_, wrote := archive.Write([]byte(text))
		err = errors.Join(err, wrote)
		names = append(names, d.name)
	}
	if err = errors.Join(err, archive.Close(), packed.Close(), f.Sync(), f.Close()); err != nil {
		os.Remove(path)
		return nil, notWritten(path, err)
	}
	return names, nil
}

func notWritten(path string, err error) *health.Fault {
	f := &health.Fault{Code: "file_not_written", What: "the bundle " + path + " was not written", Err: err, Next: "name another file with --bundle"}
	if errors.Is(err, fs.ErrExist) {
		f.Why = "there is a file of that name, which is not written over"
	}
	return f
}

// documents are the files of a bundle, before they are masked.
func (e *examination) documents(ctx context.Context, r Result) []document {
	all := []document{
		{"doctor.txt", "what sunspool doctor prints", r.text(checklist.Style{})},
		{"doctor.json", "the same for programs", asText(r)},
		{"versions.txt", "versions of sunspool and of the system", e.versions(ctx)},
	}
	for _, s := range e.services {
		unit := s.unitOr()
		all = append(all, document{"settings/" + unit + ".txt", "settings of " + unit + " that are not secret", s.shownSettings()})
		if s.state != nil {
			var text strings.Builder
			for _, name := range slices.Sorted(maps.Keys(s.state)) {
				if name != "Environment" {
					fmt.Fprintf(&text, "%s=%s\n", name, s.state[name])
				}
			}
			all = append(all, document{"units/" + unit + ".txt", "state of the unit", text.String()})
		}
		if s.file != "" {
			text, err := e.Program(ctx, "journalctl", "--unit="+unit, "--lines="+journalLines, "--output=short-iso", "--no-pager")
			if err == nil {
				all = append(all, document{"journal/" + unit + ".txt", "the last " + journalLines + " lines of its log", text})
			}
		}
		for _, one := range s.edges {
			if one.health.Status == "" {
				continue
			}
			all = append(all, document{"health/" + filepath.Base(one.DeviceID) + ".json", "how the edge of " + one.DeviceID + " is, model and firmware of the inverter", asText(one.health)})
		}
		if s.role == roleVPS && !s.denied {
			if status, err := vps.AskStatus(ctx, vps.MachineConfig{DataDir: s.vps.DataDir, AdminSocket: e.path(s.vps.AdminSocket)}); err == nil {
				all = append(all, document{"health/vps.json", "how the vps is, and each device", asText(status)})
			}
		}
	}
	return all
}

func asText(v any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return err.Error()
	}
	return b.String()
}

// shownSettings are the settings of a service: those that are known and no secrets as they are, of others the names alone. Comments
// of the file are left out, because anything may be in them.
func (s *service) shownSettings() string {
	var text strings.Builder
	shown, secret := []string{}, secretNames(s.role)
	for _, setting := range settingsOf(s.role) {
		shown = append(shown, setting.Env)
	}
	for _, name := range slices.Sorted(maps.Keys(s.env)) {
		value := s.env[name]
		switch {
		case value == "" || name == "CREDENTIALS_DIRECTORY":
			continue
		case slices.Contains(secret, name):
			value = hidden
		case !slices.Contains(shown, name):
			value = "(not a setting: not shown)"
		}
		fmt.Fprintf(&text, "%s=%s\n", name, value)
	}
	if s.err != nil {
		fmt.Fprintf(&text, "\n# %s\n", strings.ReplaceAll(s.err.Error(), "\n", "\n# "))
	}
	return text.String()
}

// versions are those of the program and of the system.
func (e *examination) versions(ctx context.Context) string {
	var text strings.Builder
	fmt.Fprintf(&text, "sunspool %s, %s %s\n", e.version, runtime.GOOS, runtime.GOARCH)
	for _, file := range []string{"/etc/os-release", "/etc/debian_version", "/proc/version", "/proc/uptime", "/proc/device-tree/model"} {
		if b, err := os.ReadFile(e.path(file)); err == nil {
			fmt.Fprintf(&text, "\n%s\n%s\n", file, strings.TrimRight(string(b), "\x00\n"))
		}
	}
	for _, argv := range [][]string{{"systemctl", "--version"}, {"dpkg-query", "--show", "sunspool"}, {"df", "-h"}, {"df", "-i"}, {"ip", "-brief", "address"}} {
		if out, err := e.Program(ctx, argv[0], argv[1:]...); err == nil {
			fmt.Fprintf(&text, "\n%s\n%s", strings.Join(argv, " "), out)
		}
	}
	return text.String()
}
