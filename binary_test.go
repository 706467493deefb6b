package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// writes are the functions of goburrow's modules that write registers or to a serial line.
var writes = regexp.MustCompile(`^github\.com/goburrow/.*\.(Write|Mask|ReadWrite)\w*$`)

const releaseTags = "nopgxregisterdefaulttypes"

// Whatever builds a release builds it with its tags. Without them pgx links 1.4 MB that nothing needs.
func TestReleasesAreBuiltWithTheirTags(t *testing.T) {
	build := regexp.MustCompile(`(?m)^.*-trimpath.*$`)
	for _, file := range []string{"Makefile", "Dockerfile", ".goreleaser.yaml", "packaging/stage"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := build.FindAllString(string(text), -1)
		if lines == nil {
			t.Errorf("%s builds nothing", file)
		}
		for _, line := range lines {
			if !strings.Contains(line, releaseTags) && !strings.Contains(line, "$(TAGS)") {
				t.Errorf("%s: %s", file, line)
			}
		}
	}
}

// What a release links, per architecture: no function that looks up methods by a name that is not a constant, because the
// linker would have to keep every exported method of every type, as text/template and html/template make it do; nothing
// that writes to an inverter, though goburrow could; and not more than this many bytes beside the files of the page, which have
// a budget of their own (vps/web/test/budget.mjs).
func TestProgramIsPrunedReadOnlyAndSmall(t *testing.T) {
	page := fileBytes(t, "vps/web/static")
	for arch, most := range map[string]int64{"amd64": 18_530_000, "arm64": 17_080_000} {
		t.Run(arch, func(t *testing.T) {
			t.Parallel() // most of the linker is one thread
			path := filepath.Join(t.TempDir(), "sunspool")
			build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags", releaseTags, "-ldflags=-s -w -X main.version=1.2.3 -dumpdep", "-o", path, ".")
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
			linked, err := build.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%.2000s", err, linked)
			}
			symbols := map[string]bool{}
			for line := range strings.Lines(string(linked)) {
				from, to, ok := strings.Cut(strings.TrimSpace(line), " -> ")
				if !ok || symbols[to] {
					continue
				}
				symbols[to] = true
				name, _, _ := strings.Cut(to, " <")
				if strings.Contains(to, "<ReflectMethod>") {
					t.Errorf("%s, which %s calls, looks up methods by name: nothing is pruned", name, from)
				}
				if writes.MatchString(name) {
					t.Errorf("%s is linked, by %s", name, from)
				}
			}
			if !symbols["main.main"] {
				t.Fatal("the linker does not say what it links")
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes, the page's %d among them", info.Size(), page)
			if info.Size()-page > most {
				t.Errorf("%d bytes beside the page's, at most %d", info.Size()-page, most)
			}
		})
	}
}

// fileBytes is how large all files below a directory are together.
func fileBytes(t *testing.T, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}
