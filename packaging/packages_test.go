package packaging

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"sunspool/internal/testservices"
)

var withPackages = flag.Bool("packages", false, "build the Debian packages and look at them")

// recipe is what nfpm.yaml and the nfpms of .goreleaser.yaml have in common.
type recipe struct {
	Section, Priority, Maintainer, Description, Changelog, Release string
	Depends                                                        []string
	Dependencies                                                   []string // what goreleaser calls Depends
	Contents                                                       []content
	Scripts                                                        map[string]string
	Deb                                                            struct{ Compression string }
}

type content struct {
	Src, Dst, Type string
	FileInfo       struct{ Mode int } `yaml:"file_info"`
}

func TestReleaseBuildsThePackageOfNfpm(t *testing.T) {
	var nfpm recipe
	var release struct{ Nfpms []recipe }
	for path, v := range map[string]any{"../nfpm.yaml": &nfpm, "../.goreleaser.yaml": &release} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	if len(release.Nfpms) != 1 {
		t.Fatalf("a release builds %d packages", len(release.Nfpms))
	}
	other := release.Nfpms[0]
	other.Depends, other.Dependencies = other.Dependencies, nil
	nfpm.Contents = slices.DeleteFunc(nfpm.Contents, func(c content) bool { return c.Dst == "/usr/bin/sunspool" }) // goreleaser adds it itself
	if len(nfpm.Contents) < 15 || !reflect.DeepEqual(nfpm, other) {
		t.Errorf("nfpm.yaml\n%+v\n.goreleaser.yaml\n%+v", nfpm, other)
	}
}

// What an owner fills in is known to the program, and the files of the package name no variable that does nothing.
func TestFilesToFillInHaveSettingsOfTheProgram(t *testing.T) {
	example, err := os.ReadFile("../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"edge", "vps"} {
		names := regexp.MustCompile(`(?m)^#?([A-Z_]+)=`).FindAllStringSubmatch(Env(role), -1)
		if len(names) < 4 {
			t.Errorf("%s.env has %d settings", role, len(names))
		}
		for _, m := range names {
			if m[1] != "TZ" && !bytes.Contains(example, []byte("\n#"+m[1]+"=")) { // which is every program's
				t.Errorf("%s.env has %s, which is no setting", role, m[1])
			}
		}
	}
}

var architectures = []string{"amd64", "arm64", "armhf"}

// TestPackages builds the packages of the three architectures as anybody does, twice, and has Debian's own judge look.
func TestPackages(t *testing.T) {
	if !*withPackages {
		t.Skip("SKIPPED, NOTHING IS SHOWN: this builds three packages twice: make test-packages")
	}
	first, second := debs(t, cloneOf(t)), debs(t, cloneOf(t))
	lintian := testservices.Need(t, "lintian", "lintian")
	for _, arch := range architectures {
		if !bytes.Equal(read(t, first[arch]), read(t, second[arch])) {
			t.Errorf("%s: two builds of one commit differ", arch)
		}
		out, err := exec.Command(lintian, "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", first[arch]).CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("W: ")) {
			t.Errorf("%s: %v\n%s", arch, err, out)
		}
		if got := field(t, first[arch], "Architecture"); got != arch {
			t.Errorf("%s says it is for %s", first[arch], got)
		}
		t.Logf("%s: %d kB, installed %s kB", arch, len(read(t, first[arch]))>>10, field(t, first[arch], "Installed-Size"))
	}
}

// debs makes the packages in a checkout and returns their paths by architecture.
func debs(t *testing.T, checkout string) map[string]string {
	t.Helper()
	cmd := exec.Command("make", "-j3", "-C", checkout, "deb")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make deb: %v\n%s", err, out)
	}
	version, err := exec.Command(filepath.Join(checkout, "packaging", "version")).Output()
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{}
	for _, arch := range architectures {
		paths[arch] = filepath.Join(checkout, "dist", "sunspool_"+strings.TrimSpace(string(version))+"_"+arch+".deb")
	}
	return paths
}

// cloneOf is this commit in a folder of its own, with what is not committed yet.
func cloneOf(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a clone")
	for _, argv := range [][]string{
		{"git", "clone", "--quiet", "..", dir},
		{"sh", "-c", `git -C .. diff HEAD --binary | git -C "$0" apply --allow-empty`, dir},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, out)
		}
	}
	return dir
}

func field(t *testing.T, deb, name string) string {
	t.Helper()
	out, err := exec.Command("dpkg-deb", "--field", deb, name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
